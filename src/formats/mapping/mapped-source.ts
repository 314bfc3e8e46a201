/**
 * Bytes that are kept in pieces elsewhere as a BlockSource, given the map of the pieces: a disk in an image, a volume on disks, a file in a
 * filesystem. Runs that follow each other are read in one go; compressed units are unpacked several at a time.
 */
import { AbortedError, checkRange, FormatError, LimitError, type BlockSource, type Extent, type ExtentKind, type ReadOptions } from '../../core/index.ts';
import type { BlockMap, PlaceField, Run } from '../mapping/run.ts';

/** Compressed units that one read unpacks at a time: each may take twice its size in memory. */
const UNPACK_AT_ONCE = 8;

/** What the bytes are made of. */
export interface MappedParts {
  /** What it is, for errors: 'disk image', 'file' … */
  readonly what: string;
  readonly map: BlockMap;
  /** What `parent` runs are read from. */
  readonly parent?: BlockSource;
  /** What is closed with this source; sources that belong to someone else are left out. */
  readonly owned: readonly BlockSource[];
  /** What to blame when a run leaves its file. */
  readonly place: PlaceField;
}

/** The source. */
export class MappedSource implements BlockSource {
  readonly size: number;
  readonly sectorSize: number;
  readonly #parts: MappedParts;

  /** `size` and `sectorSize` in bytes. @throws {LimitError} when it is too large to be addressed. */
  constructor(size: number, sectorSize: number, parts: MappedParts) {
    if (!Number.isSafeInteger(size)) throw new LimitError(`${parts.what} bytes`, size, Number.MAX_SAFE_INTEGER, parts.what);
    this.size = size;
    this.sectorSize = sectorSize;
    this.#parts = parts;
  }

  async readInto(offset: number, target: Uint8Array, options?: ReadOptions): Promise<void> {
    checkRange(this, offset, target.length, this.#parts.what);
    const unpacking: Promise<void>[] = [];
    try {
      for (let at = 0; at < target.length;) {
        if (options?.signal?.aborted === true) throw new AbortedError();
        const found = this.#runAt(offset + at, target.length - at);
        const run = found instanceof Promise ? await found : found;
        const part = target.subarray(at, at + run.length);
        if (run.kind === 'packed') {
          const { skip } = run;
          unpacking.push(run.load().then((unit) => { part.set(unit.subarray(skip, skip + part.length)); }));
          if (unpacking.length >= UNPACK_AT_ONCE) await settled(unpacking.splice(0));
        } else await this.#readRun(run, offset + at, part, options);
        at += run.length;
      }
    } finally {
      // Also after a failure: nothing may write into the caller's buffer when this promise has settled.
      if (unpacking.length > 0) await settled(unpacking);
    }
  }

  /** One run, grown over those that go on where it ends in the same file. */
  #runAt(offset: number, lengthMax: number): Run | Promise<Run> {
    const first = this.#parts.map.runAt(offset, lengthMax);
    if (first instanceof Promise) return first.then((run) => this.#checked(run));
    if (first.kind !== 'data' || first.length === lengthMax) return this.#checked(first);
    let { length } = first;
    while (length < lengthMax) {
      const next = this.#parts.map.runAt(offset + length, lengthMax - length);
      if (next instanceof Promise) {
        // Its table is on the way: the next round finds it there. A failure is reported by that round.
        next.catch(() => undefined);
        break;
      }
      if (next.kind !== 'data' || next.file !== first.file || next.at !== first.at + length) break;
      length += next.length;
    }
    return this.#checked({ kind: 'data', file: first.file, at: first.at, length });
  }

  #checked(run: Run): Run {
    if (run.kind === 'data' && run.at + run.length > run.file.size) {
      throw new FormatError(`Read ${this.#parts.what}`, { ...this.#parts.place, found: run.at, expected: `at most ${run.file.size - run.length}: the file ends there` });
    }
    return run;
  }

  #readRun(run: Exclude<Run, { kind: 'packed' }>, offset: number, part: Uint8Array, options: ReadOptions | undefined): Promise<void> | void {
    const { parent } = this.#parts;
    if (run.kind === 'data') return run.file.readInto(run.at, part, options);
    if (run.kind !== 'parent' || parent === undefined || offset >= parent.size) {
      part.fill(0);
      return;
    }
    const below = Math.min(part.length, parent.size - offset);
    part.fill(0, below);
    return parent.readInto(offset, part.subarray(0, below), options);
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    checkRange(this, offset, length, `${this.#parts.what} extents`);
    let open: Extent | undefined;
    for await (const next of this.#pieces(offset, offset + length)) {
      if (open === undefined) open = next;
      else if (open.kind === next.kind) open = { ...open, length: open.length + next.length };
      else {
        yield open;
        open = next;
      }
    }
    if (open !== undefined) yield open;
  }

  async *#pieces(start: number, end: number): AsyncIterable<Extent> {
    const { parent } = this.#parts;
    for (let at = start; at < end;) {
      const run = await this.#runAt(at, end - at);
      if (run.kind === 'data') yield* shifted(run.file.extents(run.at, run.length), at - run.at);
      else if (run.kind !== 'parent') yield { offset: at, length: run.length, kind: kindOf(run.kind) };
      else {
        const below = parent === undefined ? 0 : Math.max(0, Math.min(run.length, parent.size - at));
        if (parent !== undefined && below > 0) yield* parent.extents(at, below);
        if (below < run.length) yield { offset: at + below, length: run.length - below, kind: 'hole' };
      }
      at += run.length;
    }
  }

  async close(): Promise<void> {
    let failure: unknown;
    for (const part of this.#parts.owned) {
      try {
        await part.close();
      } catch (error) {
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
  }
}

/** Waits for all, then throws the first failure. */
async function settled(work: readonly Promise<void>[]): Promise<void> {
  for (const one of await Promise.allSettled(work)) if (one.status === 'rejected') throw one.reason;
}

function kindOf(kind: 'packed' | 'zero' | 'hole'): ExtentKind {
  return kind === 'packed' ? 'data' : kind;
}

async function* shifted(extents: AsyncIterable<Extent>, by: number): AsyncIterable<Extent> {
  for await (const extent of extents) yield { ...extent, offset: extent.offset + by };
}
