/** A clock that can be set forward, and a World on a real directory that goes by it: weeks of retention pass in minutes. */
import { createCipheriv, createHash } from 'node:crypto';
import type { Disk, World } from '../src/core/index.ts';
import { nodeWorld } from '../src/engine/index.ts';

/** Files are dated by a coarser clock of the kernel, which lags behind by up to a tick. */
const TICK_MS = 10;

/** Runs as fast as the real one, from another time on, and jumps when told to. Never goes back. */
export class SimulatedClock {
  /** What the clock was ahead of the real one, from which real time on; ascending. */
  readonly #jumps: { readonly realMs: number; readonly aheadMs: number }[];
  readonly #real: () => number;

  constructor(startMs: number, real: () => number = Date.now) {
    this.#real = real;
    this.#jumps = [{ realMs: Number.NEGATIVE_INFINITY, aheadMs: startMs - real() }];
  }

  now(): number {
    return this.#real() + (this.#jumps.at(-1)?.aheadMs ?? 0);
  }

  /** What this clock showed when the kernel dated a file with `realMs`. */
  at(realMs: number): number {
    return realMs + (this.#jumps.findLast((jump) => jump.realMs <= realMs + TICK_MS)?.aheadMs ?? 0);
  }

  /** Sets the clock forward to a time; one that has passed changes nothing. */
  advanceTo(timeMs: number): void {
    const realMs = this.#real();
    const aheadMs = timeMs - realMs;
    if (timeMs > this.now()) this.#jumps.push({ realMs, aheadMs });
  }
}

/** A disk whose times are those of the clock: what was written before a jump is old after it. */
function clockedDisk(disk: Disk, clock: SimulatedClock): Disk {
  return {
    open: (name, mode) => disk.open(name, mode),
    create: (name) => disk.create(name),
    rename: (from, to) => disk.rename(from, to),
    link: (from, to) => disk.link(from, to),
    remove: (name) => disk.remove(name),
    removeTree: (name) => disk.removeTree(name),
    makeDirectory: (name) => disk.makeDirectory(name),
    list: async (name) => (await disk.list(name)).map((entry) => (entry.directory ? entry : { ...entry, modified: clock.at(entry.modified) })),
    exists: (name) => disk.exists(name),
    syncDirectory: (name) => disk.syncDirectory(name),
    nativePath: (name) => disk.nativePath(name),
    lock: (name, description) => disk.lock(name, description),
  };
}

/** A World over a real directory with a simulated clock and seeded random bytes. Sleeping sets the clock forward. */
export function clockedWorld(root: string, clock: SimulatedClock, seed: number): World {
  const { disk } = nodeWorld(root);
  const stream = createCipheriv('aes-256-ctr', createHash('sha256').update(`soak world ${seed}`).digest(), Buffer.alloc(16));
  return {
    disk: clockedDisk(disk, clock),
    now: () => clock.now(),
    sleep: async (milliseconds) => { clock.advanceTo(clock.now() + milliseconds); },
    randomBytes: (count) => new Uint8Array(stream.update(Buffer.alloc(count))),
  };
}
