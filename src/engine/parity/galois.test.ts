import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { seededRandom } from '../../core/testing/random.ts';
import { DATA_SHARDS_MAX, PARITY_SHARDS_MAX, cauchyFactor, inverse, invertMatrix, multiply } from './galois.ts';

/** Multiplication as the definition has it: polynomials, bit by bit. */
function slowMultiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 0; bit < 8; bit += 1) if (b >>> bit & 1) product ^= a << bit;
  for (let bit = 14; bit >= 8; bit -= 1) if (product >>> bit & 1) product ^= 0x11d << (bit - 8);
  return product;
}

describe('GF(2^8)', () => {
  it('multiplies as polynomials modulo 0x11D', () => {
    for (let a = 0; a < 256; a += 1) for (let b = 0; b < 256; b += 1) assert.equal(multiply(a, b), slowMultiply(a, b));
  });

  it('has the products of other implementations of the same field', () => {
    // Test vectors of Backblaze's JavaReedSolomon and klauspost/reedsolomon.
    assert.deepEqual([multiply(3, 4), multiply(7, 7), multiply(23, 45)], [12, 21, 41]);
  });

  it('inverts all but zero', () => {
    for (let a = 1; a < 256; a += 1) assert.equal(multiply(a, inverse(a)), 1);
    assert.throws(() => inverse(0), assert.AssertionError);
  });
});

describe('Cauchy matrix', () => {
  it('has no zero, and each row and each column has different factors', () => {
    for (let row = 0; row < PARITY_SHARDS_MAX; row += 1) {
      const factors = new Set(Array.from({ length: DATA_SHARDS_MAX }, (_, column) => cauchyFactor(row, column)));
      assert.ok(factors.size === DATA_SHARDS_MAX && !factors.has(0));
    }
  });

  it('has an inverse for each square part', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(), (size, seed) => {
      const random = seededRandom(seed);
      const pick = (max: number): readonly number[] => Array.from({ length: max }, (_, i) => i).sort(() => random() - 0.5).slice(0, size);
      const [rows, columns] = [pick(PARITY_SHARDS_MAX), pick(DATA_SHARDS_MAX)];
      const matrix = rows.map((row) => Uint8Array.from(columns, (column) => cauchyFactor(row, column)));
      const inverted = invertMatrix(matrix);
      for (let i = 0; i < size; i += 1) {
        for (let j = 0; j < size; j += 1) {
          const entry = inverted.reduce((sum, row, n) => sum ^ multiply(matrix[i]?.[n] as number, row[j] as number), 0);
          assert.equal(entry, i === j ? 1 : 0);
        }
      }
    }), { numRuns: 60 });
  });
});
