import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { UsageError } from '../../core/index.ts';
import { Calendar, dateOfDays, daysOfDate } from './calendar.ts';
import { formatDuration, parseDuration, type Duration } from './duration.ts';
import { parseKeepCount } from './policy.ts';

const zero: Duration = { years: 0, months: 0, days: 0, hours: 0 };
const instant = fc.integer({ min: -60_000_000_000_000, max: 250_000_000_000_000 });

test('days and dates agree with the platform', () => {
  fc.assert(fc.property(instant, (time) => {
    const platform = new Date(time);
    const date = dateOfDays(Math.floor(time / 86_400_000));
    assert.deepEqual(date, { year: platform.getUTCFullYear(), month: platform.getUTCMonth(), day: platform.getUTCDate() });
    assert.equal(daysOfDate(date), Math.floor(time / 86_400_000));
    if (date.year > 0 && date.year < 10_000) assert.equal(new Calendar('UTC').text(time), platform.toISOString().slice(0, 19).replace('T', ' '));
  }), { numRuns: 2000 });
});

test('days that do not exist count on, as 31 March less a month', () => {
  const calendar = new Calendar('UTC');
  const before = (text: string, duration: Partial<Duration>): string => calendar.text(calendar.before(Date.parse(text), { ...zero, ...duration }));
  assert.equal(before('2023-03-31T12:00:00Z', { months: 1 }), '2023-03-03 12:00:00');
  assert.equal(before('2024-02-29T12:00:00Z', { years: 1 }), '2023-03-01 12:00:00');
  assert.equal(before('2024-03-01T00:30:00Z', { days: 1, hours: 1 }), '2024-02-28 23:30:00');
  assert.equal(calendar.before(0, { ...zero, years: 100_000 * 100 }), Number.NEGATIVE_INFINITY);
});

test('a day in a place with summer time has 23, 24 or 25 hours', () => {
  const berlin = new Calendar('Europe/Berlin');
  const noon = Date.parse('2024-03-31T10:00:00Z'); // 12:00, the clock was put forward that night
  assert.equal(noon - berlin.before(noon, { ...zero, days: 1 }), 23 * 3_600_000);
  assert.equal(berlin.text(noon), '2024-03-31 12:00:00');
  assert.equal(berlin.period(Date.parse('2024-03-30T22:59:59Z'), 'daily') + 1, berlin.period(Date.parse('2024-03-30T23:00:00Z'), 'daily'));
  assert.equal(berlin.period(Date.parse('2024-10-27T00:30:00Z'), 'hourly'), berlin.period(Date.parse('2024-10-27T01:30:00Z'), 'hourly'), 'two to three comes twice');
});

test('weeks begin on Monday', () => {
  const calendar = new Calendar('UTC');
  const week = (text: string): number => calendar.period(Date.parse(text), 'weekly');
  assert.equal(week('2024-12-30T00:00:00Z'), week('2025-01-05T23:59:59Z'), 'ISO week 1 of 2025 begins in 2024');
  assert.notEqual(week('2024-12-29T23:59:59Z'), week('2024-12-30T00:00:00Z'));
});

test('an unknown time zone is refused', () => {
  assert.throws(() => new Calendar('Middle/Earth'), UsageError);
});

test('durations', () => {
  assert.deepEqual(parseDuration('2y5m7d3h'), { years: 2, months: 5, days: 7, hours: 3 });
  assert.deepEqual(parseDuration('3h1d'), { ...zero, days: 1, hours: 3 });
  for (const text of ['', '0d', '1', 'd', '1d1d', '-1d', '1w', ' 1d', '1d ', '1.5d', '1000000d', '200000h', '1d2']) {
    assert.throws(() => parseDuration(text), UsageError, text);
  }
  const unit = fc.integer({ min: 0, max: 100_000 });
  fc.assert(fc.property(fc.record({ years: unit, months: unit, days: unit, hours: unit }), (duration) => {
    fc.pre(formatDuration(duration) !== '');
    assert.deepEqual(parseDuration(formatDuration(duration)), { ...duration });
  }));
});

test('numbers to keep', () => {
  assert.equal(parseKeepCount('7'), 7);
  assert.equal(parseKeepCount('unlimited'), 'unlimited');
  for (const text of ['0', '-1', '', 'all', '1.5', '1e3', '00']) assert.throws(() => parseKeepCount(text), UsageError, text);
});
