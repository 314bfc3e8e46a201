/**
 * Who writes: each repository that is open for writing holds a lock of its own, so that others can tell whether its process is still there. Nobody waits for
 * anybody; the lock only says whose left-overs may be removed and whose sessions are surely over.
 */
import { hostname } from 'node:os';
import { BusyError, type DiskLock, type World } from '../../core/index.ts';
import { STAGING_DIRECTORY } from '../objects/index.ts';
import type { Writer } from './session.ts';

const ID = /^[0-9a-f]{16}$/;
const ATTEMPTS = 5;

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
        // Someone who clears up may have looked at our lock before we had it.
        if (!(error instanceof BusyError) || attempt === ATTEMPTS) throw error;
      }
    }
  }

  async release(): Promise<void> {
    await this.#lock.release();
    await this.#world.disk.removeTree(lockPath(this.writer.id));
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
  let lock: DiskLock;
  try {
    lock = await world.disk.lock(lockPath(id), 'holdfast, clearing up');
  } catch (error) {
    if (error instanceof BusyError) return false;
    throw error;
  }
  await lock.release();
  await world.disk.removeTree(lockPath(id));
  return true;
}
