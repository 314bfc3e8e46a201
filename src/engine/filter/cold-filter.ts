/**
 * The large part of the filter: sorted prefixes of ids in partitions. The first bits of an id choose its partition, the next are a number
 * in it; both together are as many as keep strangers out at the largest size that the filter is made for. So nothing has to be looked up
 * again while it grows: small filters only spend a few bits more on each id, 12.2 to 13.2 of them near the full size.
 *
 * A partition that is missing (not built yet, damaged on disk, overfull) says "maybe" to all its ids.
 */
import assert from 'node:assert';
import { ID_BYTES, type IdBatch } from '../../core/index.ts';
import { PageHeap, type Piece } from './page-heap.ts';
import { bucketBitsOf, bucketHas, lowBitsOf, NUMBER_BITS, PARTITION_BYTES_MAX, PartitionCoder, READ_BEYOND_BYTES } from './partition.ts';

/** Ids of a full partition: 2^15. */
const PARTITION_ID_BITS = 15;
/** The smallest size that a filter is made for: 2^27 = 134 million ids. */
const SIZE_BITS_MIN = 27;
/** 2^31 ids; beyond, strangers pass more often than wanted. */
const SIZE_BITS_MAX = 31;
/** False positives that nobody needs to fall below. */
const RATE_MIN = 0.0001;

/** How many bits of an id are kept. */
export interface ColdShape {
  /** 2^partitionBits partitions, 12…16. */
  readonly partitionBits: number;
  /** Bits of a number in a partition, 24…31. */
  readonly numberBits: number;
}

/**
 * The shape that keeps false positives below `rate`, 0.0001…0.001 (a higher one saves nothing), for `count` ids, and for many more unless
 * that is large.
 */
export function coldShape(count: number, rate: number): ColdShape {
  const sizeBits = Math.min(SIZE_BITS_MAX, Math.max(SIZE_BITS_MIN, Math.ceil(Math.log2(Math.max(1, count)))));
  const numberBits = PARTITION_ID_BITS + Math.ceil(Math.log2(1 / Math.max(RATE_MIN, rate)));
  return { partitionBits: sizeBits - PARTITION_ID_BITS, numberBits: Math.max(NUMBER_BITS[0], numberBits) };
}

/** Ids up to which a filter of this shape keeps `rate`. */
export function coldCapacity({ partitionBits, numberBits }: ColdShape, rate: number): number {
  return rate * 2 ** (partitionBits + numberBits);
}

const NO_BYTES = new Uint8Array(0);

/** One writer, any number of readers on the same thread. */
export class ColdFilter {
  readonly shape: ColdShape;
  /** How many there are; a power of two. */
  readonly partitionCount: number;
  readonly #heap: PageHeap;
  /** Ids in each partition, plus one; 0 for a partition that is missing. */
  readonly #counts: Uint32Array;
  readonly #coder: PartitionCoder;
  readonly #space = new Uint8Array(PARTITION_BYTES_MAX + READ_BEYOND_BYTES);
  readonly #bucket: { readonly piece: Piece; readonly copy: Uint8Array };
  /** Partitions that an id could not be added to. */
  readonly #blinded = new Set<number>();
  #numbers = new Uint32Array(1024);
  #taken = 0;

  /** One that is blind: "maybe" to all. */
  constructor(shape: ColdShape) {
    this.shape = shape;
    this.partitionCount = 2 ** shape.partitionBits;
    this.#heap = new PageHeap(this.partitionCount, PARTITION_BYTES_MAX);
    this.#counts = new Uint32Array(this.partitionCount);
    this.#coder = new PartitionCoder(shape.numberBits);
    this.#bucket = { piece: { bytes: NO_BYTES, start: 0 }, copy: new Uint8Array(PARTITION_BYTES_MAX + READ_BEYOND_BYTES) };
  }

  /** Ids in all partitions; too low by the few that look alike. */
  get count(): number {
    return this.#counts.reduce((sum, count) => sum + Math.max(0, count - 1), 0);
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#heap.bytes + this.#counts.byteLength;
  }

  /** Whether the id at `at` may be known. */
  mayHave(view: DataView, at: number): boolean {
    const high = view.getUint32(at);
    const partition = this.#partitionOf(high);
    const count = (this.#counts[partition] as number) - 1;
    if (count <= 0) return count < 0;
    const number = this.#numberOf(high, view.getUint16(at + 4));
    const lowBits = lowBitsOf(this.shape.numberBits, count);
    const bucketBits = bucketBitsOf(count);
    const bucket = number >>> this.shape.numberBits - bucketBits;
    const { piece } = this.#bucket;
    this.#heap.locate(partition, bucket * 2, 4, this.#bucket);
    const start = (piece.bytes[piece.start] as number) | (piece.bytes[piece.start + 1] as number) << 8;
    const length = ((piece.bytes[piece.start + 2] as number) | (piece.bytes[piece.start + 3] as number) << 8) - start;
    this.#heap.locate(partition, 2 * ((1 << bucketBits) + 1) + start, length, this.#bucket);
    return bucketHas({ bytes: piece.bytes, start: piece.start, length }, number, lowBits);
  }

  /** Whether the "maybe" of the id at `at` only means that its partition is missing. */
  isBlind(view: DataView, at: number): boolean {
    return this.#counts[this.#partitionOf(view.getUint32(at))] === 0;
  }

  /** Whether a partition says "maybe" to all. */
  isMissing(partition: number): boolean {
    return this.#counts[partition] === 0;
  }

  /** Ids in a partition that is not missing. */
  countOf(partition: number): number {
    return (this.#counts[partition] as number) - 1;
  }

  /** Bytes of an encoded partition; 0 without ids. */
  lengthOf(partition: number): number {
    return this.#heap.length(partition);
  }

  /** Copies an encoded partition to the start of `target`. @returns its bytes. */
  copyPartition(partition: number, target: Uint8Array): number {
    return this.#heap.read(partition, target);
  }

  /** Puts in a partition that was saved; copies it. */
  restore(partition: number, bytes: Uint8Array, count: number): void {
    this.#heap.write(partition, bytes);
    this.#counts[partition] = count + 1;
  }

  /** Makes the partition of an id say "maybe" for good, because the id could not be added. */
  blind(view: DataView, at: number): void {
    const partition = this.#partitionOf(view.getUint32(at));
    this.#blinded.add(partition);
    this.#remove(partition);
  }

  /** First 32 bits of ids in a partition: from the first number to below the second. */
  rangeOf(partition: number): readonly [number, number] {
    const width = 2 ** (32 - this.shape.partitionBits);
    return [partition * width, (partition + 1) * width];
  }

  /** Takes the first 32 and the next 16 bits of an id of the partition that is put together; {@link merge} or {@link build} ends that. */
  take(high: number, low: number): void {
    if (this.#taken === this.#numbers.length) {
      const grown = new Uint32Array(this.#numbers.length * 2);
      grown.set(this.#numbers);
      this.#numbers = grown;
    }
    this.#numbers[this.#taken] = this.#numberOf(high, low);
    this.#taken += 1;
  }

  /** Adds what was taken to a partition. One that is missing stays so. */
  merge(partition: number): void {
    const taken = this.#sorted();
    const known = (this.#counts[partition] as number) - 1;
    if (known < 0 || taken.length === 0) return;
    const old = this.#space.subarray(0, this.#heap.read(partition, this.#space));
    this.#put(partition, this.#coder.merge(old, known, taken));
  }

  /** Makes a partition of what was taken and nothing else. */
  build(partition: number): void {
    const taken = this.#sorted();
    this.#put(partition, this.#blinded.has(partition) ? undefined : this.#coder.merge(NO_BYTES, 0, taken));
  }

  /** Number of the partition of the id at `at`. */
  partitionAt(view: DataView, at: number): number {
    return this.#partitionOf(view.getUint32(at));
  }

  /** A partition that does not fit is better missing than wrong. */
  #put(partition: number, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) this.#remove(partition);
    else this.restore(partition, this.#coder.count === 0 ? NO_BYTES : bytes, this.#coder.count);
  }

  #remove(partition: number): void {
    this.#heap.write(partition, NO_BYTES);
    this.#counts[partition] = 0;
  }

  #sorted(): Uint32Array {
    const taken = this.#numbers.subarray(0, this.#taken).sort();
    this.#taken = 0;
    return taken;
  }

  #partitionOf(high: number): number {
    return high >>> 32 - this.shape.partitionBits;
  }

  /** The bits behind those of the partition. */
  #numberOf(high: number, low: number): number {
    const { partitionBits, numberBits } = this.shape;
    return (high << partitionBits | low << 16 >>> 32 - partitionBits) >>> 32 - numberBits;
  }
}

/** Fills a {@link ColdFilter} anew from all ids in ascending order, a page at a time. */
export class ColdBuild {
  readonly #cold: ColdFilter;
  #partition = 0;
  /** Ids taken so far. */
  taken = 0;

  constructor(cold: ColdFilter) {
    this.#cold = cold;
  }

  /** Takes ids that all lie behind those before. */
  take(ids: IdBatch): void {
    const view = new DataView(ids.bytes.buffer, ids.bytes.byteOffset, ids.count * ID_BYTES);
    for (let at = 0; at < ids.count * ID_BYTES; at += ID_BYTES) {
      const partition = this.#cold.partitionAt(view, at);
      assert(partition >= this.#partition, 'ids come in ascending order');
      this.#closeUntil(partition);
      this.#cold.take(view.getUint32(at), view.getUint16(at + 4));
    }
    this.taken += ids.count;
  }

  /** All ids were taken. */
  finish(): void {
    this.#closeUntil(this.#cold.partitionCount);
  }

  #closeUntil(partition: number): void {
    for (; this.#partition < partition; this.#partition += 1) this.#cold.build(this.#partition);
  }
}
