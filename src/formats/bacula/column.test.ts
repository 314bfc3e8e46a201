import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { Column, columnOf } from './column.ts';

/** Long enough for several blocks: a run that repeats a small random part, with a few values of its own. */
const numbers = fc.record({
  part: fc.array(fc.oneof(fc.nat(3), fc.nat(0xffff_ffff), fc.maxSafeNat()), { minLength: 1, maxLength: 40 }),
  odd: fc.array(fc.tuple(fc.nat(699), fc.oneof(fc.maxSafeInteger(), fc.double({ noNaN: true }))), { maxLength: 3 }),
  rows: fc.nat(700),
});

test('columns give back what was pushed, whatever it is', () => {
  fc.assert(fc.property(numbers, ({ part, odd, rows }) => {
    const values = Array.from({ length: rows }, (_, row) => part[row % part.length] ?? 0);
    for (const [row, value] of odd) if (row < rows) values[row] = value + 0;
    const column = columnOf(values);
    assert.equal(column.rows, rows);
    for (const [row, value] of values.entries()) assert.equal(column.get(row) + 0, value + 0, `row ${row}`);
    assert.equal(column.get(rows), 0);
  }));
});

test('a fraction that vanishes above the least value of its block is kept', () => {
  const values = Array.from({ length: 257 }, (_, row) => (row === 0 ? -1 : row === 1 ? 5e-324 : 0));
  const column = columnOf(values);
  assert.deepEqual(values.map((_, row) => column.get(row)), values);
});

test('every width is packed and read', () => {
  for (let bits = 0; bits <= 33; bits += 1) {
    const values = Array.from({ length: 1000 }, (_, row) => 1e9 + (row % 2 === 0 ? 0 : 2 ** bits - 1) - row % 3);
    const column = columnOf(values);
    assert.deepEqual(values.map((_, row) => column.get(row)), values, `${bits} bits`);
  }
});

test('a column with a step keeps runs and jumps', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(0xffff_ffff), fc.nat(300)), { maxLength: 6 }), (runs) => {
    const values = runs.flatMap(([first, length]) => Array.from({ length }, (_, i) => first + i));
    const column = columnOf(values, 1);
    for (const [row, value] of values.entries()) assert.equal(column.get(row), value, `row ${row}`);
  }));
});

test('the last row may be overwritten, also where a block ends', () => {
  const column = new Column();
  for (let row = 0; row < 400; row += 1) {
    column.push(0);
    column.setLast(row * 3);
  }
  for (let row = 0; row < 400; row += 1) assert.equal(column.get(row), row * 3);
});

test('lowerBound finds the first row that is not below', () => {
  fc.assert(fc.property(fc.array(fc.nat(5000), { maxLength: 600, size: 'max' }), fc.nat(5000), (unsorted, value) => {
    const values = [...unsorted].sort((a, b) => a - b);
    const expected = values.filter((one) => one < value).length;
    for (const step of [0, 1] as const) assert.equal(columnOf(values, step).lowerBound(value), expected);
  }));
});
