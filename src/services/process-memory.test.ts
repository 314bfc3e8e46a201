/** How far heaps may grow before they are marked again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { growthPercent } from './process-memory.ts';

test('a small heap may grow to 40 MiB, a large one by half', () => {
  for (const [heapMiB, grownMiB] of [[4, 36], [10, 30], [20, 20], [30, 15], [100, 50], [400, 200]] as const) {
    assert.ok(Math.abs(growthPercent(heapMiB << 20, 8 << 20) / 100 * heapMiB - grownMiB) <= 0.5, `${heapMiB} MiB`);
  }
  assert.equal(growthPercent(20 << 20, 60 << 20), 50, 'much outside the heap');
  assert.ok(Number.isSafeInteger(growthPercent(0, 0)));
});
