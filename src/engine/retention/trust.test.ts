/** Writers that lie about the time: a compromised client may add snapshots, but the store dates them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { planRetention, type RetentionPlan } from './plan.ts';
import { CLOCK_TOLERANCE_MS, PERIODS, type KeepRules, type RetentionPolicy } from './policy.ts';
import type { RetentionSnapshot } from './trust.ts';

const HOUR = 3_600_000;
const START = Date.parse('2024-01-01T00:00:00Z');
const NOW = START + 5000 * HOUR;

function snapshot(id: string, claimed: number, stored: number, host = 'h'): RetentionSnapshot {
  return { id, claimed, stored, host, sources: ['/s'], tags: [] };
}

function keptIds(plan: RetentionPlan): ReadonlySet<string> {
  return new Set(plan.groups.flatMap((group) => group.rows).filter((row) => row.keep).map((row) => row.snapshot.id));
}

const honest = fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: 4990 }), fc.integer({ min: 0, max: 8 }), fc.constantFrom('a', 'b')), {
  maxLength: 50, selector: ([hours]) => hours,
}).map((rows) => rows.map(([hours, took, host], i) => snapshot(`honest-${i}`, START + hours * HOUR, START + (hours + took) * HOUR, host)));
const keep: fc.Arbitrary<KeepRules> = fc.record({
  last: fc.integer({ min: 1, max: 8 }),
  periods: fc.record(Object.fromEntries(PERIODS.map((period) => [period, fc.integer({ min: 1, max: 8 })])), { requiredKeys: [] }),
  within: fc.record({ years: fc.constant(0), months: fc.constant(0), days: fc.integer({ min: 1, max: 90 }), hours: fc.constant(0) }),
}, { requiredKeys: ['last'] });
const groupBy = fc.constantFrom<RetentionPolicy['groupBy']>(['host', 'sources'], ['host'], []);

test('snapshots that are dated back or ahead never push another out, in their group or elsewhere', () => {
  const lies = fc.array(fc.tuple(
    fc.oneof(fc.integer({ min: -5000, max: -25 }), fc.integer({ min: 25, max: 100_000 }), fc.constantFrom(Infinity, -Infinity, Number.NaN, 1e300)),
    fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 0, max: 100 }),
  ), { maxLength: 40 }).map((rows) => rows.map(([hours, host, later], i) => snapshot(`lie-${i}`, NOW + (later + hours) * HOUR, NOW + later * HOUR, host)));
  fc.assert(fc.property(honest, lies, keep, groupBy, (snapshots, added, keep, groupBy = []) => {
    const plan = planRetention([...snapshots, ...added], { keep, groupBy });
    const kept = keptIds(plan);
    for (const id of keptIds(planRetention(snapshots, { keep, groupBy }))) assert(kept.has(id), id);
    for (const { id } of added) assert(kept.has(id), `${id} is evidence and stays`);
    assert.equal(plan.suspicious, added.length);
  }), { numRuns: 1000 });
});

test('dates within the tolerance give no more power than adding a newest snapshot', () => {
  const shift = fc.integer({ min: -24 * 60, max: 24 * 60 });
  fc.assert(fc.property(honest, fc.array(fc.tuple(shift, fc.constantFrom('a', 'b')), { maxLength: 20 }), keep, groupBy, (snapshots, shifts, keep, groupBy = []) => {
    const at = (i: number): number => NOW + i * 60_000;
    const shifted = shifts.map(([minutes, host], i) => snapshot(`z${String(i).padStart(2, '0')}`, at(i) + minutes * 60_000, at(i), host));
    const newest = (host: string): number => snapshots.filter((one) => groupBy.length === 0 || one.host === host).reduce((time, one) => Math.max(time, one.claimed), 0);
    const plan = planRetention([...snapshots, ...shifted], { keep, groupBy });
    // The same additions with times that nobody could object to: after all that was there, and not after they were stored.
    const plain = shifted.map((one) => ({ ...one, claimed: Math.min(one.stored, Math.max(one.claimed, newest(one.host))) }));
    assert.deepEqual(keptIds(plan), keptIds(planRetention([...snapshots, ...plain], { keep, groupBy })));
    for (const row of plan.groups.flatMap((group) => group.rows)) assert(row.time <= row.snapshot.stored);
  }), { numRuns: 500 });
});

test('a snapshot of tomorrow does not take the place of those of tomorrow', () => {
  const ahead = snapshot('ahead', NOW + 23 * HOUR, NOW);
  const honestLater = [1, 2, 3].map((hours) => snapshot(`later-${hours}`, NOW + hours * HOUR, NOW + hours * HOUR));
  const rows = planRetention([ahead, ...honestLater], { keep: { last: 3 } }).groups[0]?.rows ?? [];
  assert.deepEqual(rows.map((row) => [row.snapshot.id, row.keep]), [['later-3', true], ['later-2', true], ['later-1', true], ['ahead', false]]);
});

test('a long backup that ends after a shorter one counts from then on, and is not suspicious', () => {
  const long = snapshot('long', NOW, NOW + 9 * HOUR);
  const short = snapshot('short', NOW + HOUR, NOW + 2 * HOUR);
  const plan = planRetention([long, short], { keep: { last: 1 } });
  assert.deepEqual([...keptIds(plan)], ['long']);
  assert.equal(plan.suspicious, 0);
});

test('the tolerance is a day either way, and can be set', () => {
  const of = (deviation: number, more: Partial<RetentionPolicy> = {}): number =>
    planRetention([snapshot('x', NOW + deviation, NOW)], { keep: { last: 1 }, ...more }).suspicious;
  assert.deepEqual([of(CLOCK_TOLERANCE_MS), of(-CLOCK_TOLERANCE_MS), of(CLOCK_TOLERANCE_MS + 1), of(-CLOCK_TOLERANCE_MS - 1)], [0, 0, 1, 1]);
  assert.deepEqual([of(HOUR, { toleranceMs: HOUR - 1 }), of(-72 * HOUR, { toleranceMs: 72 * HOUR })], [1, 0]);
});

test('a repository whose objects were copied loses nothing, and thins again once the operator says when it was copied', () => {
  const copied = Array.from({ length: 30 }, (_, day) => snapshot(`day-${day}`, START + day * 24 * HOUR, NOW + day));
  const later = Array.from({ length: 3 }, (_, day) => snapshot(`new-${day}`, NOW + (day + 1) * 24 * HOUR, NOW + (day + 1) * 24 * HOUR));
  const policy: RetentionPolicy = { keep: { periods: { daily: 5 } } };
  assert.deepEqual(planRetention([...copied, ...later], policy).remove, []);
  const plan = planRetention([...copied, ...later], { ...policy, trustStoredBefore: NOW + HOUR });
  assert.deepEqual([...keptIds(plan)], ['new-2', 'new-1', 'new-0', 'day-29', 'day-28']);
  assert.equal(plan.suspicious, 0);
  const one = planRetention([...copied, ...later], { ...policy, trustedIds: new Set(['day-3']) });
  assert.equal(one.suspicious, 29);
});

test('a group of suspicious snapshots only is kept whole, and does not count as kept by a rule', () => {
  assert.equal(planRetention([snapshot('x', START, NOW)], { keep: { tags: [['none']] } }).kept, 1);
  assert.throws(() => planRetention([snapshot('x', START, NOW), snapshot('y', NOW, NOW)], { keep: { tags: [['none']] } }), /none of the 1 snapshots/);
});
