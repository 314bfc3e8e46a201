/**
 * Sorts records in memory: radix sort of (32 bits of key, position) pairs, so that a record itself is moved once. Ids are random, so the first
 * 32 bits decide nearly always; records that agree in them are sorted by the next 32, and so on: no input is slow.
 */
import { assertRecordBytes, comparerOf, viewOf, type RecordComparer, type RecordPage } from './record-page.ts';

/** Below this many records, comparing beats counting. */
const FEW = 32;
const DIGITS = 256;

/** Reused buffers for up to `capacity` records; 16 bytes each. */
export class RecordSorter {
  readonly #recordBytes: number;
  readonly #compare: RecordComparer;
  readonly #keys: Uint32Array;
  readonly #order: Uint32Array;
  readonly #otherKeys: Uint32Array;
  readonly #otherOrder: Uint32Array;
  #view: DataView = new DataView(new ArrayBuffer(0));

  constructor(recordBytes: number, capacity: number) {
    assertRecordBytes(recordBytes);
    this.#recordBytes = recordBytes;
    this.#compare = comparerOf(recordBytes);
    this.#keys = new Uint32Array(capacity);
    this.#order = new Uint32Array(capacity);
    this.#otherKeys = new Uint32Array(capacity);
    this.#otherOrder = new Uint32Array(capacity);
  }

  /** Bytes for each record of capacity. */
  static readonly overheadBytes: number = 16;

  /** Positions of the records in ascending order of their bytes; valid until the next call. `page` is only read. */
  order(page: RecordPage): Uint32Array {
    this.#view = viewOf(page.bytes);
    for (let i = 0; i < page.count; i += 1) this.#order[i] = i;
    this.#sort(0, page.count, 0);
    return this.#order.subarray(0, page.count);
  }

  /** Sorts `order[from…to)`, whose records agree in all bytes before `offset`. */
  #sort(from: number, to: number, offset: number): void {
    if (to - from <= FEW) {
      this.#insertionSort(from, to);
      return;
    }
    this.#radixSort(from, to, offset);
    if (offset + 4 === this.#recordBytes) return;
    const keys = this.#keys;
    for (let start = from; start < to;) {
      let end = start + 1;
      while (end < to && keys[end] === keys[start]) end += 1;
      if (end - start > 1) this.#sort(start, end, offset + 4);
      start = end;
    }
  }

  #radixSort(from: number, to: number, offset: number): void {
    let [keys, order, nextKeys, nextOrder] = [this.#keys, this.#order, this.#otherKeys, this.#otherOrder];
    const counts = this.#load(from, to, offset);
    for (let digit = 0; digit < 4; digit += 1) {
      const starts = counts.subarray(digit * DIGITS, (digit + 1) * DIGITS);
      const shift = digit * 8;
      if (starts[(keys[from] as number) >>> shift & 0xff] === to - from) continue; // all agree
      let next = from;
      for (let i = 0; i < DIGITS; i += 1) {
        const count = starts[i] as number;
        starts[i] = next;
        next += count;
      }
      for (let i = from; i < to; i += 1) {
        const key = keys[i] as number;
        const at = starts[key >>> shift & 0xff] as number;
        starts[key >>> shift & 0xff] = at + 1;
        nextKeys[at] = key;
        nextOrder[at] = order[i] as number;
      }
      [keys, order, nextKeys, nextOrder] = [nextKeys, nextOrder, keys, order];
    }
    if (keys === this.#keys) return;
    this.#keys.set(keys.subarray(from, to), from);
    this.#order.set(order.subarray(from, to), from);
  }

  /** Fills in the keys. @returns how often each value of each of their four bytes occurs. */
  #load(from: number, to: number, offset: number): Uint32Array {
    const counts = new Uint32Array(4 * DIGITS);
    const [keys, order, view, recordBytes] = [this.#keys, this.#order, this.#view, this.#recordBytes];
    for (let i = from; i < to; i += 1) {
      const key = view.getUint32((order[i] as number) * recordBytes + offset);
      keys[i] = key;
      (counts[key & 0xff] as number) += 1;
      (counts[DIGITS + (key >>> 8 & 0xff)] as number) += 1;
      (counts[2 * DIGITS + (key >>> 16 & 0xff)] as number) += 1;
      (counts[3 * DIGITS + (key >>> 24)] as number) += 1;
    }
    return counts;
  }

  #insertionSort(from: number, to: number): void {
    const [order, view, recordBytes, compare] = [this.#order, this.#view, this.#recordBytes, this.#compare];
    for (let i = from + 1; i < to; i += 1) {
      const record = order[i] as number;
      let at = i;
      while (at > from && compare(view, (order[at - 1] as number) * recordBytes, view, record * recordBytes) > 0) {
        order[at] = order[at - 1] as number;
        at -= 1;
      }
      order[at] = record;
    }
  }
}
