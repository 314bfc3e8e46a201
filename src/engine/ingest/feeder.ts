/**
 * Producer's half of the ingest: fills slabs with content and steps and hands them over. Content is read straight into shared memory and
 * cut where it lies; an unfinished chunk at the end of a slab moves to the start of the next.
 */
import { IntegrityError, type BlockSource } from '../../core/index.ts';
import { CHUNKER_SCRATCH_BYTES } from '../chunking/index.ts';
import { DISK_IMAGE_HEAD_BYTES } from '../chunking/disk-image.ts';
import { classOf, UnitList } from '../tuner/index.ts';
import type { Arena, Block, BlockPool } from '../workers/arena.ts';
import type { WorkerPool } from '../workers/pool.ts';
import { Lanes, type ChunkingSettings, type Lane } from './lanes.ts';
import { segmentsOf } from './segments.ts';
import { SLAB_BYTES, Slab, UNITS_MAX, type Step } from './slab.ts';

/** An error of the thing that is backed up, as opposed to one of the repository: only the file is lost, not the backup. */
export class SourceFailure extends Error {
  readonly reason: Error;

  constructor(reason: Error) {
    super(reason.message, { cause: reason });
    this.reason = reason;
  }
}

/** Marks errors of `run` as the source's. */
export async function fromSource<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw new SourceFailure(error instanceof Error ? error : new Error(String(error)));
  }
}

/** Bytes read at once; less than a slab, so that cutting starts while data is in the processor's cache. */
const READ_BYTES = 1 << 20;

/** Fills slabs in order; one file at a time. */
export class Feeder {
  readonly #slabs: BlockPool;
  readonly #pool: WorkerPool;
  readonly #handOver: (slab: Slab) => void;
  readonly #failed: Promise<never>;
  /** Lets timers and signals in between two reads of a large file. @throws {AbortedError} */
  readonly #takeTurn: () => Promise<void>;
  readonly #settings: ChunkingSettings;
  readonly #lanes: Lanes;
  readonly #units = new UnitList(UNITS_MAX);
  #slab: Slab | undefined;

  /** `failed` rejects when the consumer fails, so that nobody waits for a slab that never comes back. */
  constructor(parts: { arena: Arena; scratch: number; slabs: BlockPool; pool: WorkerPool; settings: ChunkingSettings; handOver(slab: Slab): void; failed: Promise<never>; takeTurn(): Promise<void> }) {
    this.#slabs = parts.slabs;
    this.#pool = parts.pool;
    this.#handOver = parts.handOver;
    this.#failed = parts.failed;
    this.#takeTurn = parts.takeTurn;
    this.#settings = parts.settings;
    this.#lanes = new Lanes(parts.settings, { memory: parts.arena.memory, scratch: parts.scratch });
  }

  /** Bytes of arena for the chunker. */
  static scratchBytes(): number {
    return CHUNKER_SCRATCH_BYTES + 64;
  }

  /** Adds a step behind everything fed so far. */
  async step(step: Step): Promise<void> {
    const slab = this.#slab ?? await this.#next();
    slab.steps.push(step);
    if (slab.isFull) this.#submit();
  }

  /** Feeds a whole file. @throws {SourceFailure} when it can't be read; chunks fed so far must be dropped by a step. */
  async file(source: BlockSource): Promise<void> {
    if (source.size === 0) return;
    if (source.size <= this.#settings.fastcdc.minBytes) return this.#small(source);
    this.#pool.expect(source.size);
    const lane = await this.#choose(source);
    if (source.size <= 65_536) return this.#run(source, 0, source.size, lane);
    let at = 0;
    const segments = segmentsOf(source, lane.alignBytes)[Symbol.asyncIterator]();
    for (;;) {
      const next = await fromSource(() => segments.next());
      if (next.done === true) break;
      if (next.value.hole) await this.step({ kind: 'hole', length: next.value.length });
      else await this.#run(source, at, at + next.value.length, lane);
      at += next.value.length;
    }
    if (at !== source.size) throw new SourceFailure(new IntegrityError(`Read extents: they cover '${at}' of '${source.size}' bytes`));
  }

  /** Hands over what is left. */
  finish(): void {
    if (this.#slab !== undefined && this.#slab.steps.length > 0) this.#submit();
  }

  /** Gives back a slab that was not handed over; after `finish` there is none. */
  abandon(): void {
    if (this.#slab !== undefined) this.#slabs.release(this.#slab.block);
    this.#slab = undefined;
  }

  async #choose(source: BlockSource): Promise<Lane> {
    const { policy } = this.#settings;
    if (policy === 'fixed') return this.#lanes.of('image');
    if (source.size < DISK_IMAGE_HEAD_BYTES) return this.#lanes.small;
    if (policy === 'fastcdc') return this.#lanes.of('binary');
    const head = new Uint8Array(DISK_IMAGE_HEAD_BYTES);
    await fromSource(() => source.readInto(0, head));
    return this.#lanes.of(classOf(head));
  }

  /** A file of one chunk needs no chunker. */
  async #small(source: BlockSource): Promise<void> {
    let slab = this.#slab ?? await this.#next();
    if (slab.fill + source.size > SLAB_BYTES || slab.isFull) {
      this.#submit();
      slab = await this.#next();
    }
    await fromSource(() => source.readInto(0, slab.block.bytes.subarray(slab.fill, slab.fill + source.size)));
    slab.addChunk(slab.fill, source.size);
    slab.fill += source.size;
    slab.steps.push({ kind: 'chunks', first: slab.count - 1, count: 1 });
  }

  /** Reads and cuts `[from, to)`, which starts and ends a chunk. */
  async #run(source: BlockSource, from: number, to: number, lane: Lane): Promise<void> {
    let slab = this.#slab ?? await this.#next();
    let chunkStart = slab.fill;
    let at = from;
    let uncut = 0;
    while (at < to || uncut > 0) {
      await this.#takeTurn();
      if (slab.isFull || (at < to && SLAB_BYTES - slab.fill < Math.min(READ_BYTES / 2, to - at))) {
        slab = await this.#carry(slab, chunkStart, uncut);
        chunkStart = 0;
      }
      const length = Math.min(READ_BYTES, SLAB_BYTES - slab.fill, to - at);
      const target = slab.block.bytes.subarray(slab.fill, slab.fill + length);
      if (length > 0) await fromSource(() => source.readInto(at, target, { sequential: true }));
      slab.fill += length;
      at += length;
      const cut = this.#cut(slab, chunkStart, at === to, lane);
      chunkStart += cut;
      uncut = slab.fill - chunkStart;
    }
  }

  /** Cuts `[start, fill)` of the slab. @returns bytes that became chunks. */
  #cut(slab: Slab, start: number, final: boolean, lane: Lane): number {
    const units = this.#units;
    units.count = 0;
    const cut = lane.cutter.cut(slab.block.offset + start, slab.fill - start, final, units);
    if (units.count === 0) return 0;
    for (let i = 0; i < units.count; i += 1) slab.addChunk(start + (units.starts[i] as number), units.lengths[i] as number);
    const nested = lane.isNested ? { nested: { grain: lane.grain, spans: units.spans.slice(0, units.count), grains: units.grains.slice(0, units.count) } } : {};
    const streamClass = lane.streamClass === undefined ? {} : { streamClass: lane.streamClass };
    slab.steps.push({ kind: 'chunks', first: slab.count - units.count, count: units.count, ...streamClass, ...nested });
    return cut;
  }

  /** Hands the slab over and takes its unfinished chunk along. */
  async #carry(slab: Slab, start: number, length: number): Promise<Slab> {
    const rest = slab.block.bytes.slice(start, start + length);
    slab.fill = start;
    this.#submit();
    const next = await this.#next();
    next.block.bytes.set(rest, 0);
    next.fill = length;
    return next;
  }

  async #next(): Promise<Slab> {
    const free = this.#slabs.tryAcquire() ?? await this.#wait();
    this.#slab = new Slab(free);
    return this.#slab;
  }

  async #wait(): Promise<Block> {
    const wanted = this.#slabs.acquire();
    try {
      return await Promise.race([wanted, this.#failed]);
    } catch (error) {
      void wanted.then((block) => { this.#slabs.release(block); });
      throw error;
    }
  }

  #submit(): void {
    const slab = this.#slab as Slab;
    this.#slab = undefined;
    if (slab.count > 0) {
      slab.hashed = this.#pool.run({ kind: 'hash', ranges: slab.rangesOffset, ids: slab.idsOffset, count: slab.count, bytes: slab.fill });
      slab.hashed.catch(() => undefined); // the consumer awaits it
    }
    this.#handOver(slab);
  }
}
