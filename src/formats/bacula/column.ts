/**
 * Growable columns of numbers, packed: a block of rows keeps its least value, and for each row the bits by which it is above.
 * Neighbours on a volume are alike, so that a number takes a few bits instead of four or eight bytes, and never an object.
 */

const BLOCK_BITS = 8;
const BLOCK_ROWS = 1 << BLOCK_BITS;
const BLOCK_MASK = BLOCK_ROWS - 1;
/** Small enough that a job of a few files costs little; a block never crosses segments. */
const SEGMENT_BITS = 12;
const SEGMENT_WORDS = 1 << SEGMENT_BITS;
const SEGMENT_MASK = SEGMENT_WORDS - 1;
/** Width of a block whose values are too far apart to be packed: it holds them as doubles. */
const RAW = 64;

const double = new Float64Array(1);
const doubleWords = new Uint32Array(double.buffer);

/** One column of any numbers; only its last row may be overwritten. Reading and appending take constant time. */
export class Column {
  readonly #step: number;
  readonly #segments: Uint32Array[] = [];
  #used = SEGMENT_WORDS;
  /** Of each packed block: its least value (less the steps), bits a row, and where its words begin. */
  readonly #base: number[] = [];
  readonly #width: number[] = [];
  readonly #start: number[] = [];
  /** The rows behind the last packed block. */
  readonly #tail: number[] = [];
  #tailRows = 0;

  /** `step`: by how much values usually grow from row to row; rows that do take no bits. Other than 0 it needs whole values from 0 on. */
  constructor(step: 0 | 1 = 0) {
    this.#step = step;
  }

  get rows(): number {
    return this.#base.length * BLOCK_ROWS + this.#tailRows;
  }

  push(value: number): void {
    if (this.#tailRows === BLOCK_ROWS) this.#pack();
    this.#tail[this.#tailRows] = value;
    this.#tailRows += 1;
  }

  /** Overwrites the row that was pushed last. */
  setLast(value: number): void {
    this.#tail[this.#tailRows - 1] = value;
  }

  /** Rows that are not there are a programmer's error and read as 0. */
  get(row: number): number {
    const block = row >>> BLOCK_BITS;
    const at = row & BLOCK_MASK;
    if (block >= this.#base.length) return block === this.#base.length && at < this.#tailRows ? this.#tail[at] as number : 0;
    const width = this.#width[block] as number;
    const base = (this.#base[block] as number) + this.#step * at;
    if (width === 0) return base;
    const start = this.#start[block] as number;
    const words = this.#segments[start >>> SEGMENT_BITS] as Uint32Array;
    const word = (start & SEGMENT_MASK) + ((at * width) >>> 5);
    if (width === RAW) return readDouble(words, word);
    const shift = (at * width) & 31;
    let above = (words[word] as number) >>> shift;
    if (shift + width > 32) above |= (words[word + 1] as number) << (32 - shift);
    return base + (width === 32 ? above >>> 0 : above & ((1 << width) - 1));
  }

  /** First row whose value is at least `value`, in a column of ascending values. */
  lowerBound(value: number): number {
    let low = 0;
    let high = this.rows;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.get(middle) >= value) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #pack(): void {
    const tail = this.#tail;
    const step = this.#step;
    let base = Infinity;
    for (let at = 0; at < BLOCK_ROWS; at += 1) base = Math.min(base, (tail[at] as number) - step * at);
    let bits = 0;
    let packs = true;
    for (let at = 0; at < BLOCK_ROWS; at += 1) {
      const above = (tail[at] as number) - step * at - base;
      bits |= above;
      // A fraction may be lost on the way above the base, and it must not be.
      packs &&= above >>> 0 === above && base + step * at + above === tail[at];
    }
    const width = packs ? 32 - Math.clz32(bits) : RAW;
    this.#base.push(base);
    this.#width.push(width);
    this.#start.push(this.#reserve(width * (BLOCK_ROWS / 32)));
    if (width > 0) this.#write(width, base);
    this.#tailRows = 0;
  }

  /** Writes the tail behind what is used. */
  #write(width: number, base: number): void {
    const words = this.#segments.at(-1) as Uint32Array;
    for (let at = 0; at < BLOCK_ROWS; at += 1) {
      const value = this.#tail[at] as number;
      const word = this.#used + ((at * width) >>> 5);
      if (width === RAW) {
        double[0] = value;
        words.set(doubleWords, word);
        continue;
      }
      const above = value - this.#step * at - base;
      const shift = (at * width) & 31;
      words[word] = (words[word] as number) | (above << shift);
      if (shift + width > 32) words[word + 1] = above >>> (32 - shift);
    }
    this.#used += width * (BLOCK_ROWS / 32);
  }

  /** Place of the next `count` words, in one segment. */
  #reserve(count: number): number {
    if (count === 0) return 0;
    if (this.#used + count > SEGMENT_WORDS) {
      this.#segments.push(new Uint32Array(SEGMENT_WORDS));
      this.#used = 0;
    }
    return (this.#segments.length - 1) * SEGMENT_WORDS + this.#used;
  }
}

function readDouble(words: Uint32Array, word: number): number {
  doubleWords[0] = words[word] as number;
  doubleWords[1] = words[word + 1] as number;
  return double[0] as number;
}

/** A column of values that are known already. */
export function columnOf(values: Iterable<number>, step: 0 | 1 = 0): Column {
  const column = new Column(step);
  for (const value of values) column.push(value);
  return column;
}
