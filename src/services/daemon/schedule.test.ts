import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { nextRun, waitFor } from './schedule.ts';

test('every so often counts from the last time', () => {
  assert.equal(nextRun({ everyMs: 60_000 }, 1_000), 61_000);
});

test('a time of day is the next one, never now', () => {
  const at = new Date(2026, 4, 4, 2, 30).getTime();
  const schedule = { hour: 2, minute: 30 };
  assert.equal(nextRun(schedule, at - 1), at);
  assert.equal(nextRun(schedule, at), new Date(2026, 4, 5, 2, 30).getTime());
  assert.equal(nextRun(schedule, new Date(2026, 11, 31, 3, 0).getTime()), new Date(2027, 0, 1, 2, 30).getTime());
});

test('when the clock is changed, a day has one run', () => {
  const script = `
    const { nextRun } = await import(${JSON.stringify(new URL('schedule.js', import.meta.url).href)});
    const runs = [];
    for (let time = Date.UTC(2026, 2, 27), i = 0; i < 4; i += 1) runs.push(new Date(time = nextRun({ hour: 2, minute: 30 }, time)).toISOString());
    for (let time = Date.UTC(2026, 9, 23), i = 0; i < 4; i += 1) runs.push(new Date(time = nextRun({ hour: 2, minute: 30 }, time)).toISOString());
    console.log(runs.join(' '));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { env: { ...process.env, TZ: 'Europe/Berlin' }, encoding: 'utf8' });
  assert.equal(stderr, '');
  assert.deepEqual(stdout.trim().split(' '), [
    '2026-03-27T01:30:00.000Z', '2026-03-28T01:30:00.000Z', '2026-03-29T01:30:00.000Z', '2026-03-30T00:30:00.000Z', // 02:30 of the 29th is 03:30 by the new clock
    '2026-10-23T00:30:00.000Z', '2026-10-24T00:30:00.000Z', '2026-10-25T00:30:00.000Z', '2026-10-26T01:30:00.000Z',
  ]);
});

test('one wait is at most a day, and never negative', () => {
  assert.equal(waitFor(10 * 86_400_000, 0), 86_400_000);
  assert.equal(waitFor(5, 10), 0);
});
