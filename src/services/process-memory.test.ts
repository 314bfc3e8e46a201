/** How far heaps may grow before they are marked again. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { getHeapSpaceStatistics } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { growthPercent, keepProcessSmall } from './process-memory.ts';

test('a small heap may grow to 40 MiB, a large one by half', () => {
  for (const [heapMiB, grownMiB] of [[4, 36], [10, 30], [20, 20], [30, 15], [100, 50], [400, 200]] as const) {
    assert.ok(Math.abs(growthPercent(heapMiB << 20, 8 << 20) / 100 * heapMiB - grownMiB) <= 0.5, `${heapMiB} MiB`);
  }
  assert.equal(growthPercent(20 << 20, 60 << 20), 50, 'much outside the heap');
  assert.ok(Number.isSafeInteger(growthPercent(0, 0)));
});

test('the young generation stays small while a thread starts and much survives', async () => {
  keepProcessSmall();
  const worker = new Worker('require("node:worker_threads").parentPort.once("message", () => {})', { eval: true });
  const ended = new Promise((resolve) => { worker.once('exit', resolve); });
  const survivors: object[] = [];
  let peak = 0;
  for (const end = performance.now() + 400; performance.now() < end; await turn()) {
    for (let i = 0; i < 2_000; i += 1) survivors.push({ i, text: [i] });
    if (survivors.length > 200_000) survivors.splice(0, 100_000);
    peak = Math.max(peak, getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')?.space_size ?? Infinity);
  }
  worker.postMessage('end');
  await ended;
  assert.ok(peak <= 8 << 20, `grew to ${peak} bytes; without a guard it grows to 16 MiB or 32 MiB`);
});
