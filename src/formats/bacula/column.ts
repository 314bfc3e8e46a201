/** Growable columns of numbers in fixed segments: no doubling copies, a few bytes a row, no object per row. */

const SEGMENT_BITS = 14;
const SEGMENT_ROWS = 1 << SEGMENT_BITS;
const SEGMENT_MASK = SEGMENT_ROWS - 1;

type Segment = Uint8Array | Uint16Array | Uint32Array | Float64Array;

type Kind = 'u8' | 'u16' | 'u32' | 'f64';

function makeSegment(kind: Kind): Segment {
  switch (kind) {
    case 'u8': return new Uint8Array(SEGMENT_ROWS);
    case 'u16': return new Uint16Array(SEGMENT_ROWS);
    case 'u32': return new Uint32Array(SEGMENT_ROWS);
    case 'f64': return new Float64Array(SEGMENT_ROWS);
  }
}

/** One column; rows are appended and may be overwritten. Values must fit the kind. */
export class Column {
  readonly #kind: Kind;
  readonly #segments: Segment[] = [];
  #rows = 0;

  constructor(kind: Kind) {
    this.#kind = kind;
  }

  get rows(): number {
    return this.#rows;
  }

  push(value: number): void {
    const row = this.#rows;
    if ((row & SEGMENT_MASK) === 0) this.#segments.push(makeSegment(this.#kind));
    (this.#segments[row >>> SEGMENT_BITS] as Segment)[row & SEGMENT_MASK] = value;
    this.#rows = row + 1;
  }

  /** Undefined rows are a programmer's error and read as 0. */
  get(row: number): number {
    return this.#segments[row >>> SEGMENT_BITS]?.[row & SEGMENT_MASK] ?? 0;
  }

  set(row: number, value: number): void {
    (this.#segments[row >>> SEGMENT_BITS] as Segment)[row & SEGMENT_MASK] = value;
  }

  /** First row whose value is at least `value`, in a column of ascending values. */
  lowerBound(value: number): number {
    return firstRow(this.#rows, (row) => this.get(row) >= value);
  }
}

/** First row for which `holds`, where it holds for all rows behind one; `rows` when it holds for none. */
function firstRow(rows: number, holds: (row: number) => boolean): number {
  let low = 0;
  let high = rows;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (holds(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** A column that grows by `step` from row to row most of the time: eight bytes for each row where it does not. */
export class RunColumn {
  readonly #step: number;
  readonly #start = new Column('u32');
  readonly #value = new Column('u32');
  #rows = 0;
  #next = -1;

  constructor(step: number) {
    this.#step = step;
  }

  push(value: number): void {
    if (value !== this.#next) {
      this.#start.push(this.#rows);
      this.#value.push(value);
    }
    this.#next = value + this.#step;
    this.#rows += 1;
  }

  get rows(): number {
    return this.#rows;
  }

  get(row: number): number {
    const run = firstRow(this.#start.rows, (at) => this.#start.get(at) > row) - 1;
    return this.#value.get(run) + this.#step * (row - this.#start.get(run));
  }

  /** First row whose value is at least `value`, in a column of ascending values. */
  lowerBound(value: number): number {
    return firstRow(this.#rows, (row) => this.get(row) >= value);
  }
}

const OUTSIDE = 0xffff_ffff;

/** A column whose values are nearly always whole and below 2^32 − 1: four bytes a row, the others in a map. */
export class NarrowColumn {
  readonly #values = new Column('u32');
  readonly #outside = new Map<number, number>();

  push(value: number): void {
    if (value >= 0 && value < OUTSIDE) return this.#values.push(value);
    this.#outside.set(this.#values.rows, value);
    this.#values.push(OUTSIDE);
  }

  get(row: number): number {
    const value = this.#values.get(row);
    return value === OUTSIDE ? this.#outside.get(row) ?? 0 : value;
  }
}
