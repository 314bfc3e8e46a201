/** A slab: a few MiB of shared memory on their way through reading, cutting, hashing and storing, and what is to be done with them. */
import type { NodeStat } from '../../core/index.ts';
import type { Entry } from '../snapshots/entry.ts';
import type { Grain, StreamClass } from '../tuner/index.ts';
import type { TaskResult } from '../workers/tasks.ts';
import { BlockPool, type Arena, type Block } from '../workers/arena.ts';

/** Bytes of content of a slab. */
export const SLAB_BYTES: number = 2 << 20;
/** Chunks of a slab, or units that overlap: cuts are at least 2 KiB apart, small files may be smaller. */
export const SLAB_CHUNKS = 10_240;
/** Chunks that one call of the chunker can find in a slab. */
export const CUTS_MAX: number = SLAB_BYTES / 2048 + 1;
/** Units of all grains over so many chunks: at most two parts for each 2 KiB, the chunks, and runs of them twice. */
export const UNITS_MAX: number = 5 * CUTS_MAX;
/** Steps of a slab, so that many small or unchanged files do not pile up: an entry with its views is about 1 KiB of heap. */
const SLAB_STEPS = 256;
/** Slabs of a backup into a store that answers at once. */
const SLABS = 4;
/** Slabs where an answer takes a while: enough to read, cut and hash in the meantime. */
export const SLABS_LATE = 8;

/** Facts of an entry whose content is not known yet. */
export interface EntryFacts {
  readonly name: Uint8Array;
  readonly stat: NodeStat;
  readonly link: number;
  readonly target?: Uint8Array;
  readonly attributes: ReadonlyMap<string, Uint8Array>;
}

/** Chunks of a file. */
export interface ChunksStep {
  readonly kind: 'chunks';
  readonly first: number;
  readonly count: number;
  /** Absent for small files. */
  readonly streamClass?: StreamClass;
  /** Present when the chunks are units that lie within one another, of which some are to be chosen. */
  readonly nested?: { readonly grain: Grain; readonly spans: Uint16Array; readonly grains: Int8Array };
}

/** What the consumer does, in this order; chunks always belong to the file that ends next. */
export type Step =
  | ChunksStep
  | { readonly kind: 'hole'; readonly length: number }
  | { readonly kind: 'file'; readonly facts: EntryFacts }
  | { readonly kind: 'drop' }
  | { readonly kind: 'ready'; readonly entry: Entry }
  | { readonly kind: 'unchanged'; readonly bytes: Uint8Array; readonly name: Uint8Array; readonly size: number }
  | { readonly kind: 'linked'; readonly facts: EntryFacts }
  | { readonly kind: 'enter'; readonly name: Uint8Array }
  | { readonly kind: 'leave'; readonly facts: EntryFacts };

/** One slab. The producer fills it, `hashed` is set when it is handed over, the consumer releases it. */
export class Slab {
  readonly block: Block;
  readonly #ranges: Uint32Array;
  readonly ids: Uint8Array;
  readonly rangesOffset: number;
  readonly idsOffset: number;
  steps: Step[] = [];
  /** Bytes of content in use. */
  fill = 0;
  count = 0;
  hashed: Promise<TaskResult> = Promise.resolve({});

  constructor(block: Block) {
    this.block = block;
    this.rangesOffset = block.offset + SLAB_BYTES;
    this.idsOffset = this.rangesOffset + SLAB_CHUNKS * 8;
    this.#ranges = new Uint32Array(block.bytes.buffer, this.rangesOffset, SLAB_CHUNKS * 2);
    this.ids = new Uint8Array(block.bytes.buffer, this.idsOffset, SLAB_CHUNKS * 32);
  }

  /** Bytes of arena that all slabs need. */
  static arenaBytes(slabs: number = SLABS): number {
    return (SLAB_BYTES + SLAB_CHUNKS * 40 + 64) * slabs;
  }

  static pool(arena: Arena, slabs: number = SLABS): BlockPool {
    return new BlockPool(arena, SLAB_BYTES + SLAB_CHUNKS * 40, slabs);
  }

  get isFull(): boolean {
    return this.steps.length >= SLAB_STEPS || this.count + UNITS_MAX > SLAB_CHUNKS;
  }

  /** `start` is relative to the slab. */
  addChunk(start: number, length: number): void {
    this.#ranges[this.count * 2] = this.block.offset + start;
    this.#ranges[this.count * 2 + 1] = length;
    this.count += 1;
  }

  lengthOf(chunk: number): number {
    return this.#ranges[chunk * 2 + 1] as number;
  }

  dataOf(chunk: number): Uint8Array {
    const start = (this.#ranges[chunk * 2] as number) - this.block.offset;
    return this.block.bytes.subarray(start, start + this.lengthOf(chunk));
  }
}
