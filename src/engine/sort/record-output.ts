/** Collects records into pages of one size, dropping repeated ones when asked to. */
import type { RecordPage } from './record-page.ts';

/** Which records of equal ones are kept. */
export type Duplicates = 'keep' | 'unique';

/** One page of output, reused: what `take` returns is valid until the next `gather`. */
export class RecordOutput {
  readonly #recordBytes: number;
  readonly #capacity: number;
  readonly #unique: boolean;
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  /** The last record of the page before. */
  readonly #last: Uint32Array;
  #hasLast = false;
  #count = 0;

  /** @param capacity records of a page. */
  constructor(recordBytes: number, capacity: number, duplicates: Duplicates) {
    this.#recordBytes = recordBytes;
    this.#capacity = capacity;
    this.#unique = duplicates === 'unique';
    this.#words = new Uint32Array(capacity * recordBytes / 4);
    this.#bytes = new Uint8Array(this.#words.buffer);
    this.#last = new Uint32Array(recordBytes / 4);
  }

  /** Whether the page must be taken before more fits. */
  get isFull(): boolean {
    return this.#count === this.#capacity;
  }

  /**
   * Appends the records at the given positions, from `next` on, until the page is full; `source` begins at a multiple of 4 in its buffer.
   * @returns the first position that was not looked at.
   */
  gather(source: Uint8Array, order: Uint32Array, next: number): number {
    const width = this.#recordBytes / 4;
    const from = new Uint32Array(source.buffer, source.byteOffset, source.byteLength >>> 2);
    const words = this.#words;
    let target = this.#count * width;
    const end = this.#capacity * width;
    let i = next;
    for (; i < order.length && target < end; i += 1) {
      const start = (order[i] as number) * width;
      for (let word = 0; word < width; word += 1) words[target + word] = from[start + word] as number;
      if (!this.#unique || !this.#isRepeated(target, width)) target += width;
    }
    this.#count = target / width;
    return i;
  }

  /** The page so far; afterwards it is empty. */
  take(): RecordPage {
    const page = { bytes: this.#bytes.subarray(0, this.#count * this.#recordBytes), count: this.#count };
    if (this.#count > 0) {
      const width = this.#last.length;
      this.#last.set(this.#words.subarray((this.#count - 1) * width, this.#count * width));
      this.#hasLast = true;
    }
    this.#count = 0;
    return page;
  }

  /** Whether the record at word `at` is the one before it. */
  #isRepeated(at: number, width: number): boolean {
    if (at === 0 && !this.#hasLast) return false;
    const words = this.#words;
    const before = at === 0 ? this.#last : words;
    const start = at === 0 ? 0 : at - width;
    for (let word = 0; word < width; word += 1) if (before[start + word] !== words[at + word]) return false;
    return true;
  }
}
