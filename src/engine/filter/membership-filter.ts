/**
 * Answers 'surely new' for most new chunks without asking the index. A Bloom filter over blocks of 4,096 bits: all probes of an id
 * fall into one block (one page, at most 8 cache lines), and blocks this large keep the rate near that of an unblocked filter, which
 * 512-bit blocks do not (0.17 % measured at 14.4 bits an id).
 *
 * Rate: 15 bits an id and 10 probes give 0.080 % false positives at capacity by the formula averaged over block loads (unblocked:
 * 0.074 %); 100 million ids take 187.5 MB. Ids are uniform hashes, so block and probes are read straight from their bytes.
 *
 * One layer, no scalable chain: layers' rates add up and each costs every lookup another cache miss. Past its capacity the filter stays
 * right and only its rate rises; the caller then builds a larger one from the index (`grown`), whose scan in id order fills block after
 * block. Doubling keeps that at a constant cost an id. Nothing can be removed: garbage collection also ends in a new filter.
 *
 * It is a cache: 'maybe' must be checked in the index, and an id missing in the filter is an error of whoever fills it.
 */
import assert from 'node:assert';
import { ID_BYTES, type IdBatch } from '../../core/index.ts';

/** Bytes of a block: 4,096 bits, so that 12 bits of an id address one. */
export const BLOCK_BYTES = 512;
/** Bits an id sets and a lookup tests. */
export const PROBES = 10;
/** Bits of filter per id at capacity. */
export const BITS_PER_ID = 15;
/** 2^21 blocks are 1 GiB. */
const BLOCKS_MAX = 1 << 21;
/** The largest capacity: about 572 million ids. */
export const FILTER_CAPACITY_MAX: number = Math.floor(BLOCKS_MAX * BLOCK_BYTES * 8 / BITS_PER_ID);

/** First byte of an id that holds probes; the four before choose the block. */
const PROBE_START = 4;
/** Two probes of 12 bits lie in three bytes. */
const PROBE_END: number = PROBE_START + PROBES / 2 * 3;

/** Blocks that hold `capacity` ids. */
export function blocksFor(capacity: number): number {
  return Math.ceil(capacity * BITS_PER_ID / (BLOCK_BYTES * 8));
}

/** Bits and count of a filter that was saved. */
export interface SavedBits {
  readonly bits: Uint8Array;
  readonly count: number;
}

/** One writer, any number of readers on the same thread. */
export class MembershipFilter {
  /** Ids up to which the false-positive rate stays below 0.1 %. */
  readonly capacity: number;
  readonly #bits: Uint8Array;
  readonly #blockCount: number;
  #count = 0;
  #falsePositives = 0;

  /** An empty filter, or over `saved.bits`, which it keeps. `capacity` is 1…{@link FILTER_CAPACITY_MAX} ids. */
  constructor(capacity: number, saved?: SavedBits) {
    assert(Number.isInteger(capacity) && capacity >= 1 && capacity <= FILTER_CAPACITY_MAX, 'a filter has a capacity');
    this.capacity = capacity;
    this.#blockCount = blocksFor(capacity);
    this.#bits = saved?.bits ?? new Uint8Array(this.#blockCount * BLOCK_BYTES);
    this.#count = saved?.count ?? 0;
    assert(this.#bits.length === this.#blockCount * BLOCK_BYTES, 'saved bits fit the capacity');
  }

  /** Different ids added; too low by the few that looked present already. */
  get count(): number {
    return this.#count;
  }

  /** Whether more ids would raise the rate above 0.1 %: time to build {@link grown}. */
  get isFull(): boolean {
    return this.#count >= this.capacity;
  }

  /** Lookups that {@link noteFalsePositive} was told of. A metric. */
  get falsePositives(): number {
    return this.#falsePositives;
  }

  /** The bits themselves, for saving: not a copy. */
  get bits(): Uint8Array {
    return this.#bits;
  }

  /** Says that `times` ids looked present and the index did not have them. */
  noteFalsePositive(times = 1): void {
    this.#falsePositives += times;
  }

  /** Adds ids; returns how many were surely new. */
  add(ids: IdBatch): number {
    const { bytes } = ids;
    const bits = this.#bits;
    let fresh = 0;
    for (let id = 0; id < ids.count * ID_BYTES; id += ID_BYTES) {
      const block = this.#blockOf(bytes, id);
      let changed = 0;
      for (let at = id + PROBE_START; at < id + PROBE_END; at += 3) {
        const first = (bytes[at] as number) << 4 | (bytes[at + 1] as number) >> 4;
        const second = ((bytes[at + 1] as number) & 15) << 8 | (bytes[at + 2] as number);
        const firstAt = block + (first >> 3);
        changed |= ~(bits[firstAt] as number) & 1 << (first & 7);
        bits[firstAt] = (bits[firstAt] as number) | 1 << (first & 7);
        const secondAt = block + (second >> 3);
        changed |= ~(bits[secondAt] as number) & 1 << (second & 7);
        bits[secondAt] = (bits[secondAt] as number) | 1 << (second & 7);
      }
      if (changed !== 0) fresh += 1;
    }
    this.#count += fresh;
    return fresh;
  }

  /**
   * Sets the bit of each id that may have been added, least significant bit first, and clears nothing: an id whose bit stays 0 is
   * surely new, the others need the index. @returns how many may have been added.
   */
  mayHave(ids: IdBatch, bitmap: Uint8Array): number {
    assert(bitmap.length * 8 >= ids.count, 'the bitmap has a bit for each id');
    let found = 0;
    for (let i = 0; i < ids.count; i += 1) {
      if (!this.#mayHaveOne(ids.bytes, i * ID_BYTES)) continue;
      bitmap[i >> 3] = (bitmap[i >> 3] as number) | 1 << (i & 7);
      found += 1;
    }
    return found;
  }

  /** An empty filter of twice the capacity; the caller fills it from the index. */
  grown(): MembershipFilter {
    return new MembershipFilter(Math.min(this.capacity * 2, FILTER_CAPACITY_MAX));
  }

  #mayHaveOne(bytes: Uint8Array, id: number): boolean {
    const bits = this.#bits;
    const block = this.#blockOf(bytes, id);
    for (let at = id + PROBE_START; at < id + PROBE_END; at += 3) {
      const first = (bytes[at] as number) << 4 | (bytes[at + 1] as number) >> 4;
      if (((bits[block + (first >> 3)] as number) & 1 << (first & 7)) === 0) return false;
      const second = ((bytes[at + 1] as number) & 15) << 8 | (bytes[at + 2] as number);
      if (((bits[block + (second >> 3)] as number) & 1 << (second & 7)) === 0) return false;
    }
    return true;
  }

  /** Byte offset of an id's block: its first 32 bits scaled to the number of blocks, so that blocks follow the order of ids. */
  #blockOf(bytes: Uint8Array, id: number): number {
    const prefix = (bytes[id] as number) * 0x100_0000
      + ((bytes[id + 1] as number) << 16 | (bytes[id + 2] as number) << 8 | (bytes[id + 3] as number));
    return Math.floor(prefix * this.#blockCount / 0x1_0000_0000) * BLOCK_BYTES;
  }
}
