/**
 * RAID-Z: each block is spread over the members by itself, with one to three columns of parity in front.
 * Source: OpenZFS `module/zfs/vdev_raidz.c` (comments on the map of columns, on parity and on its inverse); H. P. Anvin, "The mathematics
 * of RAID-6". Not supported: pools whose RAID-Z was expanded (a feature of its own, refused by name).
 */
import type { Faults, Vdev } from './vdev.ts';

/** Part of a block on one member. */
interface Column {
  readonly member: Vdev;
  readonly offset: number;
  readonly length: number;
}

/** Bytes of reconstructions that one read may try. */
const ATTEMPT_BYTES = 128 << 20;
const ATTEMPTS_MAX = 512;

/** Powers and logarithms of 2 in GF(2^8) modulo x^8 + x^4 + x^3 + x^2 + 1. */
const power = new Uint8Array(510);
const logarithm = new Uint8Array(256);
for (let i = 0, value = 1; i < 255; i += 1) {
  power[i] = value;
  power[i + 255] = value;
  logarithm[value] = i;
  value = (value << 1) ^ (value & 0x80 ? 0x11d : 0);
}

function multiply(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : power[(logarithm[a] as number) + (logarithm[b] as number)] as number;
}

function inverse(a: number): number {
  return power[255 - (logarithm[a] as number)] as number;
}

/** `target ^= factor · source`; `source` may be shorter. */
function addMultiple(target: Uint8Array, factor: number, source: Uint8Array): void {
  if (factor === 1) {
    for (let i = 0; i < source.length; i += 1) target[i] = (target[i] as number) ^ (source[i] as number);
    return;
  }
  const table = Uint8Array.from({ length: 256 }, (_, value) => multiply(factor, value));
  for (let i = 0; i < source.length; i += 1) target[i] = (target[i] as number) ^ (table[source[i] as number] as number);
}

/** Subsets of `count` of the numbers below `total`, in order. */
function* subsets(total: number, count: number, from = 0): Iterable<readonly number[]> {
  if (count === 0) {
    yield [];
    return;
  }
  for (let first = from; first <= total - count; first += 1) for (const rest of subsets(total, count - 1, first + 1)) yield [first, ...rest];
}

/** A RAID-Z device of 1 to 3 parities. */
export class RaidzVdev implements Vdev {
  readonly name: string;
  readonly missing: boolean;
  readonly #members: readonly Vdev[];
  readonly #parity: number;
  readonly #sectorBytes: number;

  /** `parity` 1…3, fewer than the members. */
  constructor(name: string, members: readonly Vdev[], shape: { readonly parity: number; readonly ashift: number }) {
    this.name = name;
    this.#members = members;
    this.#parity = shape.parity;
    this.#sectorBytes = 2 ** shape.ashift;
    this.missing = members.filter((member) => member.missing).length > shape.parity;
  }

  /** Columns of a block, those of parity first. */
  #columns(offset: number, length: number): readonly Column[] {
    const width = this.#members.length;
    const start = Math.floor(offset / this.#sectorBytes);
    const sectors = Math.ceil(length / this.#sectorBytes);
    const dataWidth = width - this.#parity;
    const full = Math.floor(sectors / dataWidth);
    const rest = sectors - full * dataWidth;
    const longer = rest === 0 ? 0 : rest + this.#parity;
    const used = full === 0 ? longer : width;
    const first = start % width;
    const row = Math.floor(start / width) * this.#sectorBytes;
    const columns: Column[] = [];
    for (let i = 0; i < used; i += 1) {
      const index = (first + i) % width;
      columns.push({
        member: this.#members[index] as Vdev, offset: row + (first + i >= width ? this.#sectorBytes : 0), length: (full + (i < longer ? 1 : 0)) * this.#sectorBytes,
      });
    }
    // With one parity, every second MiB has its first two columns swapped.
    if (this.#parity === 1 && Math.floor(offset / (1 << 20)) % 2 === 1) columns.splice(0, 2, columns[1] as Column, columns[0] as Column);
    return columns;
  }

  async readInto(offset: number, target: Uint8Array, faults: Faults): Promise<boolean> {
    for await (const copy of this.copies(offset, target.length, faults)) {
      target.set(copy);
      return true;
    }
    return false;
  }

  async *copies(offset: number, length: number, faults: Faults): AsyncIterable<Uint8Array> {
    const columns = this.#columns(offset, length);
    const bytes = new Uint8Array(columns.slice(this.#parity).reduce((sum, column) => sum + column.length, 0));
    const parts: Uint8Array[] = [];
    let at = 0;
    for (const column of columns.slice(this.#parity)) {
      parts.push(bytes.subarray(at, at + column.length));
      at += column.length;
    }
    const read = await Promise.all(parts.map((part, i) => {
      const column = columns[this.#parity + i] as Column;
      return column.member.readInto(column.offset, part, faults);
    }));
    const lost = read.flatMap((good, i) => (good ? [] : [i]));
    if (lost.length > this.#parity) return;
    if (lost.length === 0) {
      // A copy: a wrong one is the base of what parity makes of it, and the caller may keep what it gets.
      yield bytes.slice(0, length);
    }
    yield* this.#rebuilt(columns, parts, { lost, length }, faults);
  }

  /** What parity says instead of the columns that are lost, then instead of each set of others that may be wrong. */
  async *#rebuilt(columns: readonly Column[], parts: readonly Uint8Array[], want: { readonly lost: readonly number[]; readonly length: number }, faults: Faults): AsyncIterable<Uint8Array> {
    const parity: (Uint8Array | undefined)[] = [];
    for (const column of columns.slice(0, this.#parity)) {
      const part = new Uint8Array(column.length);
      parity.push(await column.member.readInto(column.offset, part, faults) ? part : undefined);
    }
    const rows = parity.flatMap((part, i) => (part === undefined ? [] : [i]));
    let attempts = 0;
    for (let count = want.lost.length; count <= rows.length; count += 1) {
      for (const wrong of subsets(parts.length, count)) {
        if (wrong.length === 0 || !want.lost.every((one) => wrong.includes(one))) continue;
        for (const chosen of subsets(rows.length, count)) {
          attempts += 1;
          if (attempts > ATTEMPTS_MAX || attempts * want.length > ATTEMPT_BYTES && attempts > parts.length) return;
          yield solve(parts, parity, { wrong, rows: chosen.map((i) => rows[i] as number) }).subarray(0, want.length);
        }
      }
    }
    if (attempts === 0 && want.lost.length > 0) faults.add(`'${this.name}' has too few columns of parity`);
  }
}

/**
 * Data with the columns `wrong` computed from as many columns of parity, `rows` (0 is P, 1 is Q, 2 is R).
 * Column i of n has the factor 2^(row · (n − 1 − i)) in a row of parity.
 */
function solve(parts: readonly Uint8Array[], parity: readonly (Uint8Array | undefined)[], unknown: { readonly wrong: readonly number[]; readonly rows: readonly number[] }): Uint8Array {
  const { wrong, rows } = unknown;
  const factor = (row: number, column: number): number => power[row * (parts.length - 1 - column) % 255] as number;
  const matrix = rows.map((row) => wrong.map((column) => factor(row, column)));
  const right = rows.map((row) => {
    const sum = Uint8Array.from(parity[row] as Uint8Array);
    parts.forEach((part, column) => {
      if (!wrong.includes(column)) addMultiple(sum, factor(row, column), part);
    });
    return sum;
  });
  eliminate(matrix, right);
  const total = parts.reduce((sum, { length }) => sum + length, 0);
  const bytes = new Uint8Array(total);
  let at = 0;
  parts.forEach((part, column) => {
    const solved = wrong.indexOf(column);
    bytes.set(solved < 0 ? part : (right[solved] as Uint8Array).subarray(0, part.length), at);
    at += part.length;
  });
  return bytes;
}

/** Gauss-Jordan elimination; a matrix of these factors is never singular for the widths that RAID-Z allows. */
function eliminate(matrix: number[][], right: Uint8Array[]): void {
  for (let i = 0; i < matrix.length; i += 1) {
    const pivotRow = matrix.findIndex((row, at) => at >= i && row[i] !== 0);
    if (pivotRow > i) {
      [matrix[i], matrix[pivotRow]] = [matrix[pivotRow] as number[], matrix[i] as number[]];
      [right[i], right[pivotRow]] = [right[pivotRow] as Uint8Array, right[i] as Uint8Array];
    }
    const scale = inverse((matrix[i] as number[])[i] as number);
    matrix[i] = (matrix[i] as number[]).map((value) => multiply(scale, value));
    right[i] = scaled(right[i] as Uint8Array, scale);
    for (let row = 0; row < matrix.length; row += 1) {
      const by = (matrix[row] as number[])[i] as number;
      if (row === i || by === 0) continue;
      matrix[row] = (matrix[row] as number[]).map((value, column) => value ^ multiply(by, (matrix[i] as number[])[column] as number));
      addMultiple(right[row] as Uint8Array, by, right[i] as Uint8Array);
    }
  }
}

function scaled(bytes: Uint8Array, factor: number): Uint8Array {
  const result = new Uint8Array(bytes.length);
  addMultiple(result, factor, bytes);
  return result;
}
