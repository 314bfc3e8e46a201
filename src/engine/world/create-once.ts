/** Objects that are written once: the step that makes a repository or a snapshot exist. */
import type { World } from '../../core/index.ts';

/**
 * Writes a whole object under a name that must not exist. When it resolves, the object survives a crash; before, there is all of it or nothing.
 * @throws {BusyError} when the name exists. @throws {ToolError} what the disk refuses.
 */
export async function createOnce(world: World, path: string, bytes: Uint8Array): Promise<void> {
  const { disk } = world;
  const slash = path.lastIndexOf('/');
  // What a crash leaves says what it was to be: `config-…`, `manifests-…`.
  const temporary = `temporary/${path.split('/')[0]}-${Buffer.from(world.randomBytes(8)).toString('hex')}`;
  const file = await disk.create(temporary);
  try {
    await file.writeFrom(0, bytes);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.link(temporary, path);
  await disk.syncDirectory(slash < 0 ? '' : path.slice(0, slash));
  await disk.remove(temporary);
}
