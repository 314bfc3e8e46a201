/**
 * A Bloom filter in blocks of 64 bytes: an absent id costs one cache line instead of a page. Ids are uniform hashes, so
 * their own bits choose the block and the six bits in it; about 1.5 % false positives at 10 bits an id.
 */
import assert from 'node:assert';

/** Bytes of a block. */
export const BLOCK_BYTES = 64;
const IDS_PER_BLOCK = 51;
const BLOCKS_MAX = 1 << 16;

/** Blocks for a number of ids: 10 bits an id up to 4 MiB; beyond, the filter grows no more and says "maybe" more often. */
export function filterBlocks(ids: number): number {
  return Math.min(BLOCKS_MAX, Math.max(1, Math.ceil(ids / IDS_PER_BLOCK)));
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number;
}

/** The filter over its bytes, which are stored as they are. */
export class SegmentFilter {
  readonly bytes: Uint8Array;
  readonly #blocks: number;

  constructor(bytes: Uint8Array) {
    assert(bytes.length > 0 && bytes.length % BLOCK_BYTES === 0, 'a filter is whole blocks');
    this.bytes = bytes;
    this.#blocks = bytes.length / BLOCK_BYTES;
  }

  /** Adds the id at offset `at` of `ids`. */
  add(ids: Uint8Array, at: number): void {
    const base = this.#base(ids, at);
    for (let i = 0; i < 6; i += 1) {
      const bit = (byteAt(ids, at + 12 + i * 2) << 8 | byteAt(ids, at + 13 + i * 2)) & 511;
      this.bytes[base + (bit >> 3)] = byteAt(this.bytes, base + (bit >> 3)) | 1 << (bit & 7);
    }
  }

  /** False only when the id was never added. */
  maybe(ids: Uint8Array, at: number): boolean {
    const base = this.#base(ids, at);
    for (let i = 0; i < 6; i += 1) {
      const bit = (byteAt(ids, at + 12 + i * 2) << 8 | byteAt(ids, at + 13 + i * 2)) & 511;
      if ((byteAt(this.bytes, base + (bit >> 3)) >> (bit & 7) & 1) === 0) return false;
    }
    return true;
  }

  #base(ids: Uint8Array, at: number): number {
    const hash = byteAt(ids, at + 8) << 16 | byteAt(ids, at + 9) << 8 | byteAt(ids, at + 10);
    return hash % this.#blocks * BLOCK_BYTES;
  }
}
