/**
 * A sorted set of numbers in little more than log2(gap) + 2 bits each (Elias–Fano coding): per bucket of 64 to 127 numbers, seven high bits
 * of each in unary and the low bits as they are. It is decoded, merged and encoded again as a whole, which is what lets a filter grow
 * without its ids being looked up anywhere.
 *
 * Encoded: u16 little-endian offset of each bucket and of the end, relative to the first bucket; then bucket after bucket. A bucket of n
 * numbers is a bit string, low bits first: for each of the 128 high values as many ones as numbers have it and a zero; then n low parts.
 * Source: Elias, Efficient Storage and Retrieval by Content and Address of Static Files (J. ACM 21, 1974); Fano, MIT memorandum 61 (1971).
 */
import assert from 'node:assert';

const HIGH_BITS = 7;
const HIGHS: number = 1 << HIGH_BITS;
const BUCKET_BITS_MAX = 8;
/** Offsets have 16 bits: enough for about 42,000 numbers of 25 bits. */
const DATA_BYTES_MAX = 65_535;
/** A low part may begin anywhere in a byte and end three bytes later: so many bytes behind the last are read, and mean nothing. */
export const READ_BEYOND_BYTES = 3;

/** Bytes of the offsets in front of the buckets, at most. */
export const OFFSETS_BYTES_MAX: number = 2 * ((1 << BUCKET_BITS_MAX) + 1);
/** Most bytes that an encoded partition takes. */
export const PARTITION_BYTES_MAX: number = OFFSETS_BYTES_MAX + DATA_BYTES_MAX;
/** Bits of a number: bucket and high part take up to 15, which leaves a low part of 9 to 24. */
export const NUMBER_BITS: readonly [number, number] = [24, 31];

const zerosOf: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  let zeros = 0;
  for (let bit = 0; bit < 8; bit += 1) zeros += byte >> bit & 1 ^ 1;
  return zeros;
});

/** Buckets of a partition, as a power of two. */
export function bucketBitsOf(count: number): number {
  return Math.min(BUCKET_BITS_MAX, Math.max(0, 31 - Math.clz32(Math.max(1, count >>> 6))));
}

/** Bits of the low part of each number. */
export function lowBitsOf(numberBits: number, count: number): number {
  return numberBits - bucketBitsOf(count) - HIGH_BITS;
}

/** Numbers in a bucket of so many bytes. A number takes more than eight bits, so the padding of less than a byte can't hide one. */
function countOf(bytes: number, lowBits: number): number {
  return Math.floor((bytes * 8 - HIGHS) / (1 + lowBits));
}

function lowAt(bytes: Uint8Array, bit: number): number {
  const at = bit >>> 3;
  return ((bytes[at] as number) | (bytes[at + 1] as number) << 8 | (bytes[at + 2] as number) << 16 | (bytes[at + 3] as number) << 24) >>> (bit & 7);
}

function offsetAt(bytes: Uint8Array, bucket: number): number {
  return (bytes[bucket * 2] as number) | (bytes[bucket * 2 + 1] as number) << 8;
}

/** Where a bucket lies in a buffer. */
export interface BucketPlace {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly length: number;
}

/** Whether a bucket has a number, of which only the high and the low part count. */
export function bucketHas({ bytes, start, length }: BucketPlace, number: number, lowBits: number): boolean {
  const high = number >>> lowBits & HIGHS - 1;
  const mask = 2 ** lowBits - 1;
  // Skip `high` zeros; the ones passed on the way are numbers with smaller high parts.
  let at = start;
  let zeros = high;
  for (let inByte = zerosOf[bytes[at] as number] as number; inByte < zeros; inByte = zerosOf[bytes[at] as number] as number) {
    zeros -= inByte;
    at += 1;
  }
  let bit = (at - start) * 8;
  for (; zeros > 0; bit += 1) zeros -= (bytes[start + (bit >>> 3)] as number) >>> (bit & 7) & 1 ^ 1;
  const lows = start * 8 + HIGHS + countOf(length, lowBits);
  for (; ((bytes[start + (bit >>> 3)] as number) >>> (bit & 7) & 1) === 1; bit += 1) {
    if (((lowAt(bytes, lows + (bit - high) * lowBits) ^ number) & mask) === 0) return true;
  }
  return false;
}

/** Whether `bytes` are an encoded partition of `count` numbers: bytes with a right checksum may still come from another build. */
export function isPartition(bytes: Uint8Array, count: number, numberBits: number): boolean {
  const buckets = 1 << bucketBitsOf(count);
  const lowBits = lowBitsOf(numberBits, count);
  const data = 2 * (buckets + 1);
  if (bytes.length < data || data + offsetAt(bytes, buckets) !== bytes.length || offsetAt(bytes, 0) !== 0) return false;
  let found = 0;
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    const start = data + offsetAt(bytes, bucket);
    const length = offsetAt(bytes, bucket + 1) - offsetAt(bytes, bucket);
    if (length < HIGHS / 8) return false;
    const own = countOf(length, lowBits);
    // With fewer ones a search would run out of the bucket.
    let ones = 0;
    for (let bit = 0; bit < HIGHS + own; bit += 1) ones += (bytes[start + (bit >>> 3)] as number) >>> (bit & 7) & 1;
    if (ones !== own) return false;
    found += own;
  }
  return found === count;
}

/** Encodes and merges partitions, one after another in the same work space. */
export class PartitionCoder {
  readonly #numberBits: number;
  readonly #space = new Uint8Array(PARTITION_BYTES_MAX + READ_BEYOND_BYTES);
  #old = new Uint32Array(1024);
  #merged = new Uint32Array(1024);
  /** Numbers in the partition that was encoded last. */
  count = 0;

  /** Of numbers below 2^`numberBits`, which is within {@link NUMBER_BITS}. */
  constructor(numberBits: number) {
    assert(numberBits >= NUMBER_BITS[0] && numberBits <= NUMBER_BITS[1], 'a number has a low part of 9 to 24 bits');
    this.#numberBits = numberBits;
  }

  /**
   * The union of a partition and `more` numbers, which ascend; equal ones become one. `known` is the count of the old partition, 0 for none.
   * @returns a view of the work space, valid until the next call; {@link count} goes with it. Undefined when they do not fit.
   */
  merge(old: Uint8Array, known: number, more: Uint32Array): Uint8Array | undefined {
    if (this.#old.length < known) this.#old = new Uint32Array(known * 2);
    if (this.#merged.length < known + more.length) this.#merged = new Uint32Array((known + more.length) * 2);
    if (known > 0) this.#decode(old, known);
    const [before, merged] = [this.#old, this.#merged];
    let [i, j, distinct] = [0, 0, 0];
    while (i < known || j < more.length) {
      const next = j === more.length || (i < known && (before[i] as number) <= (more[j] as number)) ? before[i] as number : more[j] as number;
      while (i < known && before[i] === next) i += 1;
      while (j < more.length && more[j] === next) j += 1;
      merged[distinct] = next;
      distinct += 1;
    }
    return this.#encode(distinct);
  }

  #decode(bytes: Uint8Array, known: number): void {
    const target = this.#old;
    const buckets = 1 << bucketBitsOf(known);
    const lowBits = lowBitsOf(this.#numberBits, known);
    const mask = 2 ** lowBits - 1;
    let written = 0;
    for (let bucket = 0; bucket < buckets; bucket += 1) {
      const start = 2 * (buckets + 1) + offsetAt(bytes, bucket);
      const count = countOf(offsetAt(bytes, bucket + 1) - offsetAt(bytes, bucket), lowBits);
      let lows = start * 8 + HIGHS + count;
      let high = bucket * HIGHS;
      for (let left = count, bit = start * 8; left > 0; bit += 1) {
        if (((bytes[bit >>> 3] as number) >>> (bit & 7) & 1) === 0) {
          high += 1;
          continue;
        }
        target[written] = high * 2 ** lowBits + (lowAt(bytes, lows) & mask);
        written += 1;
        lows += lowBits;
        left -= 1;
      }
    }
  }

  #encode(count: number): Uint8Array | undefined {
    const buckets = 1 << bucketBitsOf(count);
    const lowBits = lowBitsOf(this.#numberBits, count);
    const [numbers, bytes] = [this.#merged, this.#space];
    const data = 2 * (buckets + 1);
    const most = Math.ceil((count * (1 + lowBits) + buckets * (HIGHS + 7)) / 8);
    if (most > DATA_BYTES_MAX) return undefined;
    bytes.fill(0, 0, data + most + READ_BEYOND_BYTES);
    let start = data;
    let next = 0;
    for (let bucket = 0; bucket < buckets; bucket += 1) {
      const first = next;
      const end = (bucket + 1) * 2 ** (HIGH_BITS + lowBits);
      while (next < count && (numbers[next] as number) < end) next += 1;
      writeBucket(bytes, start * 8, { numbers, first, count: next - first, lowBits });
      start += Math.ceil((HIGHS + (next - first) * (1 + lowBits)) / 8);
      bytes[bucket * 2 + 2] = start - data & 0xff;
      bytes[bucket * 2 + 3] = start - data >>> 8;
    }
    this.count = count;
    return bytes.subarray(0, start);
  }
}

interface Bucket {
  readonly numbers: Uint32Array;
  readonly first: number;
  readonly count: number;
  readonly lowBits: number;
}

/** Into bytes that are all zero. */
function writeBucket(bytes: Uint8Array, start: number, { numbers, first, count, lowBits }: Bucket): void {
  const mask = 2 ** lowBits - 1;
  let low = start + HIGHS + count;
  for (let i = 0; i < count; i += 1) {
    const number = numbers[first + i] as number;
    const unary = start + i + (number >>> lowBits & HIGHS - 1);
    bytes[unary >>> 3] = (bytes[unary >>> 3] as number) | 1 << (unary & 7);
    const at = low >>> 3;
    const part = (number & mask) << (low & 7);
    bytes[at] = (bytes[at] as number) | part;
    bytes[at + 1] = (bytes[at + 1] as number) | part >>> 8;
    bytes[at + 2] = (bytes[at + 2] as number) | part >>> 16;
    bytes[at + 3] = (bytes[at + 3] as number) | part >>> 24;
    low += lowBits;
  }
}
