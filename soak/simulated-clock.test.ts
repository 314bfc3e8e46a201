import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { SimulatedClock, clockedWorld } from './simulated-clock.ts';

test('the clock runs on, jumps forward, and remembers what it showed', () => {
  let real = 1000;
  const clock = new SimulatedClock(50_000, () => real);
  assert.equal(clock.now(), 50_000);
  real = 1500;
  clock.advanceTo(90_000);
  real = 1600;
  clock.advanceTo(60_000);
  assert.equal(clock.now(), 90_100, 'never back');
  assert.deepEqual([1000, 1400, 1500, 1600].map((time) => clock.at(time)), [50_000, 50_400, 90_000, 90_100]);
});

test('files that were written before a jump are old after it', async () => {
  const root = mkdtempSync(path.join(tmpdir(), 'holdfast-soak-'));
  const start = Date.UTC(2040, 0, 1);
  const clock = new SimulatedClock(start);
  const world = clockedWorld(root, clock, 1);
  await (await world.disk.create('a')).close();
  await new Promise((resolve) => { setTimeout(resolve, 30); });
  await world.sleep(5 * 86_400_000);
  await (await world.disk.create('b')).close();
  const [a, b] = await world.disk.list('');
  rmSync(root, { recursive: true });
  // Times of files come from the kernel's coarse clock.
  assert.ok(Math.abs((a?.modified ?? 0) - start) < 10_000 && Math.abs((b?.modified ?? 0) - world.now()) < 10_000, `${a?.modified} ${b?.modified}`);
});

test('the same seed gives the same random bytes', () => {
  const bytes = (seed: number): string => Buffer.from(clockedWorld('/nowhere', new SimulatedClock(0), seed).randomBytes(40)).toString('hex');
  assert.equal(bytes(1), bytes(1));
  assert.notEqual(bytes(1), bytes(2));
});
