/**
 * Who writes: each repository that is open for writing holds a lock of its own, so that others can tell whether its process is still there. Nobody waits for
 * anybody; the lock only says whose left-overs may be removed and whose sessions are surely over.
 */
import { hostname } from 'node:os';
import { BusyError, NotFoundError, ToolError, readObject, type DiskLock, type ObjectStore, type World } from '../../core/index.ts';
import { DiskObjects, STAGING_DIRECTORY, cacheDirectories } from '../objects/index.ts';
import type { Writer } from './session.ts';

const ID = /^[0-9a-f]{16}$/;
const ATTEMPTS = 5;
/** Staging prefix of one who stages a file of a few bytes at once. */
const NOBODY = '0'.repeat(16);

function lockPath(id: string): string {
  return `locks/writer-${id}`;
}

/** A writer of this process and the lock that ends with it. */
export class WriterLock {
  readonly writer: Writer;
  readonly #world: World;
  readonly #lock: DiskLock;

  private constructor(world: World, lock: DiskLock, writer: Writer) {
    this.#world = world;
    this.#lock = lock;
    this.writer = writer;
  }

  /** Takes a new lock and removes what writers left that are surely gone. `cache`: see {@link Writer}. */
  static async take(world: World, cache: string): Promise<WriterLock> {
    for (let attempt = 1; ; attempt += 1) {
      const id = Buffer.from(world.randomBytes(8)).toString('hex');
      try {
        const lock = await world.disk.lock(lockPath(id), 'holdfast');
        const taken = new WriterLock(world, lock, { id, cache, host: hostname(), pid: process.pid });
        await taken.#removeLeftovers();
        return taken;
      } catch (error) {
        // Someone who clears up may have looked at our lock, or removed its directory, before we had it.
        if (!(error instanceof BusyError || isDisturbed(error)) || attempt === ATTEMPTS) throw error;
      }
    }
  }

  async release(): Promise<void> {
    await this.#world.disk.removeTree(lockPath(this.writer.id)).catch(() => undefined); // what stays is cleared by others
    await this.#lock.release();
  }

  async #removeLeftovers(): Promise<void> {
    const { disk } = this.#world;
    const staged = await disk.list(STAGING_DIRECTORY);
    const owners = new Set([
      ...staged.map(({ name }) => name.slice(0, 16)),
      ...(await disk.list('locks')).filter(({ name }) => name.startsWith('writer-')).map(({ name }) => name.slice('writer-'.length)),
    ]);
    owners.delete(this.writer.id);
    for (const owner of owners) {
      if (!ID.test(owner) || !(await isGone(this.#world, owner))) continue;
      for (const { name, directory } of staged) {
        if (!name.startsWith(owner)) continue;
        if (directory) await disk.removeTree(`${STAGING_DIRECTORY}/${name}`);
        else await disk.remove(`${STAGING_DIRECTORY}/${name}`);
      }
    }
  }
}

/** Whether the process of a writer is surely over. Removes what is left of its lock then. */
export async function isGone(world: World, id: string): Promise<boolean> {
  if (!ID.test(id)) return false;
  const lock = await takeOver(world, id);
  if (lock === undefined) return false;
  // While it is held: nobody else may take it in between.
  await world.disk.removeTree(lockPath(id)).catch(() => undefined); // someone may be trying to take it: then it is cleared another time
  await lock.release();
  return true;
}

/** The lock of a writer that is gone; undefined while someone holds it. */
async function takeOver(world: World, id: string): Promise<DiskLock | undefined> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await world.disk.lock(lockPath(id), 'holdfast, clearing up');
    } catch (error) {
      if (error instanceof BusyError) return undefined;
      if (!isDisturbed(error) || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Someone else clears up and removed the lock's directory under our hands. */
function isDisturbed(error: unknown): boolean {
  return error instanceof ToolError && error.data['errno'] === 'ENOENT';
}

/** Names the place of this process's locks, which is made if need be: nothing where they are beside the objects. */
export async function cacheIdentity({ world, objects }: { readonly world: World; readonly objects?: ObjectStore }): Promise<string> {
  if (objects === undefined) return '';
  for (const directory of ['', ...cacheDirectories]) await world.disk.makeDirectory(directory);
  const caches = new DiskObjects(world, NOBODY);
  const name = 'cache/identity';
  for (;;) {
    try {
      return Buffer.from(await readObject(caches, name, () => undefined)).toString('latin1');
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
    await caches.put(name, Buffer.from(Buffer.from(world.randomBytes(16)).toString('hex'))).catch((error: unknown) => {
      if (!(error instanceof BusyError)) throw error;
    });
  }
}
