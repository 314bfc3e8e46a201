/** Whether an object is there. */
import { NotFoundError, type ObjectStore } from '../../core/index.ts';

/** True when an object of that name can be opened. @throws what opening throws, but for an object that is not there. */
export async function hasObject(objects: Pick<ObjectStore, 'open'>, name: string): Promise<boolean> {
  try {
    await (await objects.open(name)).close();
    return true;
  } catch (error) {
    if (error instanceof NotFoundError) return false;
    throw error;
  }
}
