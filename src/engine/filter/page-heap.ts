/**
 * Byte strings that grow a little again and again, in pages of 1 KiB of memory that is never given back: an array for each would be thrown
 * away with each growth, faster than memory is collected (measured: three times the size of the filter).
 */

/** Bytes of a page. */
export const PAGE_BYTES = 1_024;
const PAGE_BITS = 10;
/** Pages of a block of memory: 1 MiB. */
const BLOCK_PAGES = 1_024;
/** Bytes that a reader may look at behind the last page of a block. */
const TAIL_BYTES = 8;

/** A part of a string, in one piece. */
export interface Piece {
  bytes: Uint8Array;
  start: number;
}

/** Strings by number, 0 to below `count`, each of at most `pagesMax` pages. */
export class PageHeap {
  readonly #blocks: Uint8Array[] = [];
  /** Pages of each string, `pagesMax` entries each. */
  readonly #pages: Uint32Array;
  readonly #lengths: Uint32Array;
  readonly #pagesMax: number;
  #free = new Uint32Array(BLOCK_PAGES);
  #freeCount = 0;

  /** `bytesMax` of one string. */
  constructor(count: number, bytesMax: number) {
    this.#pagesMax = Math.ceil(bytesMax / PAGE_BYTES);
    this.#pages = new Uint32Array(count * this.#pagesMax);
    this.#lengths = new Uint32Array(count);
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#blocks.length * (BLOCK_PAGES * PAGE_BYTES + TAIL_BYTES) + this.#pages.byteLength + this.#lengths.byteLength + this.#free.byteLength;
  }

  /** Bytes of a string. */
  length(string: number): number {
    return this.#lengths[string] as number;
  }

  /** Replaces a string. */
  write(string: number, bytes: Uint8Array): void {
    const first = string * this.#pagesMax;
    const before = Math.ceil(this.length(string) / PAGE_BYTES);
    const after = Math.ceil(bytes.length / PAGE_BYTES);
    for (let page = after; page < before; page += 1) this.#release(this.#pages[first + page] as number);
    for (let page = before; page < after; page += 1) this.#pages[first + page] = this.#take();
    for (let page = 0; page < after; page += 1) {
      const number = this.#pages[first + page] as number;
      const part = bytes.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
      (this.#blocks[Math.floor(number / BLOCK_PAGES)] as Uint8Array).set(part, number % BLOCK_PAGES * PAGE_BYTES);
    }
    this.#lengths[string] = bytes.length;
  }

  /** Copies a whole string to the start of `target`. @returns its length. */
  read(string: number, target: Uint8Array): number {
    const length = this.length(string);
    for (let at = 0; at < length; at += PAGE_BYTES) {
      const number = this.#pages[string * this.#pagesMax + at / PAGE_BYTES] as number;
      const start = number % BLOCK_PAGES * PAGE_BYTES;
      target.set((this.#blocks[Math.floor(number / BLOCK_PAGES)] as Uint8Array).subarray(start, start + Math.min(PAGE_BYTES, length - at)), at);
    }
    return length;
  }

  /** Points `piece` at `length` bytes from `at` of a string: into the heap where they lie in one page, else into `copy`, which gets them. */
  locate(string: number, at: number, length: number, { piece, copy }: { readonly piece: Piece; readonly copy: Uint8Array }): void {
    const first = string * this.#pagesMax;
    const within = at & PAGE_BYTES - 1;
    if (within + length <= PAGE_BYTES) {
      const number = this.#pages[first + (at >>> PAGE_BITS)] as number;
      piece.bytes = this.#blocks[number >>> PAGE_BITS] as Uint8Array;
      piece.start = (number & BLOCK_PAGES - 1) * PAGE_BYTES + within;
      return;
    }
    for (let i = 0; i < length; i += 1) {
      const number = this.#pages[first + (at + i >>> PAGE_BITS)] as number;
      copy[i] = (this.#blocks[number >>> PAGE_BITS] as Uint8Array)[(number & BLOCK_PAGES - 1) * PAGE_BYTES + (at + i & PAGE_BYTES - 1)] as number;
    }
    piece.bytes = copy;
    piece.start = 0;
  }

  #take(): number {
    if (this.#freeCount === 0) {
      const first = this.#blocks.length * BLOCK_PAGES;
      this.#blocks.push(new Uint8Array(BLOCK_PAGES * PAGE_BYTES + TAIL_BYTES));
      for (let page = BLOCK_PAGES - 1; page >= 0; page -= 1) this.#release(first + page);
    }
    this.#freeCount -= 1;
    return this.#free[this.#freeCount] as number;
  }

  #release(page: number): void {
    if (this.#freeCount === this.#free.length) {
      const grown = new Uint32Array(this.#free.length * 2);
      grown.set(this.#free);
      this.#free = grown;
    }
    this.#free[this.#freeCount] = page;
    this.#freeCount += 1;
  }
}
