import assert from 'node:assert/strict';
import { test } from 'node:test';
import { median, riseOf, thinned } from './trend.ts';

test('a rise is seen through noise, and noise is no rise', () => {
  const noise = (i: number): number => i * 7919 % 17;
  assert.ok(Math.abs(riseOf(Array.from({ length: 100 }, (_, i) => 3 * i + noise(i))) - 297) < 10);
  assert.ok(Math.abs(riseOf(Array.from({ length: 100 }, (_, i) => (i % 20 === 19 ? 1e6 : noise(i))))) < 3);
  assert.ok(Math.abs(riseOf(Array.from({ length: 5000 }, (_, i) => i / 10)) - 499.9) < 1, 'also of more points than are compared');
  assert.deepEqual([riseOf([]), riseOf([7]), riseOf([1, 4])], [0, 0, 3]);
});

test('thinning keeps both ends', () => {
  const list = Array.from({ length: 1000 }, (_, i) => i);
  assert.deepEqual([thinned(list, 10).length, thinned(list, 10)[0], thinned(list, 10)[9]], [10, 0, 999]);
  assert.deepEqual(thinned([1, 2], 10), [1, 2]);
});

test('the median of nothing is no number', () => {
  assert.deepEqual([median([3, 1, 2]), median([4, 1, 2, 3]), median([])], [2, 2.5, NaN]);
});
