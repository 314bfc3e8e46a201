/**
 * Arithmetic of GF(2^8) over x^8 + x^4 + x^3 + x^2 + 1 (0x11D) with the generator 2, and the factors of our code: a Cauchy matrix, each
 * square part of which can be inverted.
 * Source: Plank, A Tutorial on Reed-Solomon Coding for Fault-Tolerance in RAID-like Systems (1997); Blömer et al., An XOR-Based Erasure-Resilient
 * Coding Scheme (1995), section 2 (Cauchy matrices).
 */
import assert from 'node:assert';

const POLYNOMIAL = 0x11d;

/** Shards of data that one group may have: columns of the matrix. */
export const DATA_SHARDS_MAX = 128;
/** Shards of parity that one group may have: rows of the matrix. */
export const PARITY_SHARDS_MAX = 128;

/** Powers of 2, twice over, so that sums of two logarithms need no remainder. */
const powers = new Uint8Array(510);
const logarithms = new Uint8Array(256);
for (let exponent = 0, value = 1; exponent < 255; exponent += 1) {
  powers[exponent] = value;
  powers[exponent + 255] = value;
  logarithms[value] = exponent;
  value <<= 1;
  if (value & 0x100) value ^= POLYNOMIAL;
}

/** Product of two elements, 0…255. */
export function multiply(a: number, b: number): number {
  if (a === 0 || b === 0) return 0;
  return powers[(logarithms[a] as number) + (logarithms[b] as number)] as number;
}

/** The element whose product with `a`, 1…255, is 1. */
export function inverse(a: number): number {
  assert(a > 0 && a < 256, 'only elements other than zero have an inverse');
  return powers[255 - (logarithms[a] as number)] as number;
}

/** Factor of data column `column` in parity row `row`: 1 ÷ ((128 + row) + column), the sum being XOR. */
export function cauchyFactor(row: number, column: number): number {
  assert(row >= 0 && row < PARITY_SHARDS_MAX && column >= 0 && column < DATA_SHARDS_MAX, 'row and column lie inside the matrix');
  return inverse((128 + row) ^ column);
}

/** Adds `factor` times `source` to `target`. */
function addRow(target: Uint8Array, source: Uint8Array, factor: number): void {
  for (let i = 0; i < target.length; i += 1) target[i] = (target[i] as number) ^ multiply(factor, source[i] as number);
}

/** Inverse of a square matrix of rows, by Gauss and Jordan. The matrix must have an inverse. */
export function invertMatrix(matrix: readonly Uint8Array[]): readonly Uint8Array[] {
  const rows = matrix.map((row, i): Uint8Array => {
    const wide = new Uint8Array(2 * matrix.length);
    wide.set(row);
    wide[matrix.length + i] = 1;
    return wide;
  });
  for (let column = 0; column < rows.length; column += 1) {
    const pivotAt = rows.findIndex((row, i) => i >= column && row[column] !== 0);
    assert(pivotAt >= 0, 'parts of a Cauchy matrix can be inverted');
    const pivot = rows[pivotAt] as Uint8Array;
    rows[pivotAt] = rows[column] as Uint8Array;
    rows[column] = pivot;
    const scale = inverse(pivot[column] as number);
    for (let i = 0; i < pivot.length; i += 1) pivot[i] = multiply(scale, pivot[i] as number);
    for (const row of rows) if (row !== pivot && row[column] !== 0) addRow(row, pivot, row[column] as number);
  }
  return rows.map((row) => row.subarray(rows.length));
}
