import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keptBy } from './policy.ts';
import type { ListedSnapshot, Policy } from './store.ts';

const none: Policy = { last: 0, hourly: 0, daily: 0, weekly: 0, monthly: 0 };
const HOUR_MS = 3_600_000;

/** Every six hours of 40 days from Tuesday 2030-01-01 02:00 on; ids are numbers. */
const snapshots: readonly ListedSnapshot[] = Array.from({ length: 160 }, (_, i) => ({ id: String(i), time: Date.UTC(2030, 0, 1, 2) + i * 6 * HOUR_MS, tags: [] }));

function kept(policy: Partial<Policy>, list: readonly ListedSnapshot[] = snapshots): readonly string[] {
  return [...keptBy({ ...none, ...policy }, list)].sort((a, b) => Number(b) - Number(a));
}

test('each rule keeps the newest of its periods', () => {
  assert.deepEqual(kept({ last: 2 }), ['159', '158']);
  assert.deepEqual(kept({ daily: 3 }), ['159', '155', '151']);
  // 2030-02-09 is a Saturday: this week, and the Sundays before.
  assert.deepEqual(kept({ weekly: 3 }), ['159', '135', '107']);
  assert.deepEqual(kept({ monthly: 1 }), ['159']);
  assert.deepEqual(kept({ last: 1, daily: 2 }), ['159', '155']);
});

test('while periods are left, the oldest stays too', () => {
  assert.deepEqual(kept({ monthly: 3 }), ['159', '123', '0']);
  assert.deepEqual(kept({ last: 9 }, snapshots.slice(0, 3)), ['2', '1', '0']);
  assert.deepEqual(kept({ daily: 1 }, []), []);
});
