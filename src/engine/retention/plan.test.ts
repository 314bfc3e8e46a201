import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NotFoundError, UsageError } from '../../core/index.ts';
import { parseDuration } from './duration.ts';
import { planExplicit, planRetention, type RetentionPlan } from './plan.ts';
import { PERIODS, type GroupKey, type KeepRules, type RetentionPolicy } from './policy.ts';
import { previewLines } from './preview.ts';
import type { RetentionSnapshot } from './trust.ts';

const HOUR = 3_600_000;

function snapshotAt(time: string | number, more: Partial<RetentionSnapshot> = {}): RetentionSnapshot {
  const at = typeof time === 'string' ? Date.parse(time) : time;
  return { id: `${at}`, claimed: at, stored: at, host: 'h', sources: ['/s'], tags: [], ...more };
}

function keptIds(plan: RetentionPlan): readonly string[] {
  return plan.groups.flatMap((group) => group.rows).filter((row) => row.keep).map((row) => row.snapshot.id);
}

const hourlySnapshots = Array.from({ length: 100 }, (_, i) => snapshotAt(Date.parse('2024-01-01T00:30:00Z') + i * HOUR, { id: `s${String(i).padStart(3, '0')}` }));

test('keeps the newest of each of the last days, and the oldest while days are left', () => {
  const plan = planRetention(hourlySnapshots, { keep: { periods: { daily: 3 } } });
  assert.deepEqual(keptIds(plan), ['s099', 's095', 's071']);
  const all = planRetention(hourlySnapshots, { keep: { periods: { daily: 30 } } });
  assert.deepEqual(all.groups[0]?.rows.filter((row) => row.keep).map((row) => [row.snapshot.id, ...row.reasons]), [
    ['s099', 'daily snapshot'], ['s095', 'daily snapshot'], ['s071', 'daily snapshot'], ['s047', 'daily snapshot'], ['s023', 'daily snapshot'],
    ['s000', 'oldest daily snapshot'],
  ]);
  assert.equal(all.remove[0], 's001', 'the oldest goes first');
});

test('each rule gives its reason', () => {
  const snapshots = hourlySnapshots.map((one, i) => (i === 5 ? { ...one, tags: ['a', 'b'] } : one));
  const keep: KeepRules = { last: 1, within: parseDuration('2h'), withinPeriods: { weekly: parseDuration('1m') }, tags: [['a'], ['b', 'a'], ['c']] };
  assert.deepEqual(planRetention(snapshots, { keep }).groups[0]?.rows.filter((row) => row.keep).map((row) => [row.snapshot.id, ...row.reasons]), [
    ['s099', 'within 2h', 'last snapshot', 'weekly within 1m'], ['s098', 'within 2h'], ['s005', 'has tags [a]', 'has tags [b, a]'], ['s000', 'oldest weekly within 1m'],
  ]);
});

test('days end where the time zone says', () => {
  const snapshots = [snapshotAt('2024-06-01T21:30:00Z'), snapshotAt('2024-06-01T22:30:00Z'), snapshotAt('2024-06-01T23:30:00Z')];
  const policy: RetentionPolicy = { keep: { periods: { daily: 2 } } };
  assert.equal(planRetention(snapshots, policy).kept, 2, 'newest and oldest of one day');
  assert.deepEqual(keptIds(planRetention(snapshots, { ...policy, timeZone: 'Europe/Berlin' })), [snapshots[2]?.id, snapshots[0]?.id]);
});

test('groups by host and sources unless told otherwise, in whatever order sources and tags are written', () => {
  const snapshots = [
    snapshotAt(1, { host: 'a', sources: ['/x', '/y'], tags: ['t'] }), snapshotAt(2, { host: 'a', sources: ['/y', '/x'], tags: ['u'] }),
    snapshotAt(3, { host: 'b', sources: ['/x', '/y'], tags: ['t'] }), snapshotAt(4, { host: 'a', sources: ['/z'] }),
  ];
  const kept = (groupBy?: readonly GroupKey[]): readonly string[] =>
    [...keptIds(planRetention(snapshots, { keep: { last: 1 }, ...(groupBy === undefined ? {} : { groupBy }) }))].sort();
  assert.deepEqual(kept(), ['2', '3', '4']);
  assert.deepEqual(kept(['host']), ['3', '4']);
  assert.deepEqual(kept(['tags']), ['2', '3', '4']);
  assert.deepEqual(kept([]), ['4']);
});

test('refuses what would remove everything', () => {
  const snapshots = [snapshotAt(1, { tags: ['x'] })];
  for (const keep of [{}, { last: 0 }, { last: -1 }, { periods: { daily: 1.5 } }, { tags: [] }, { tags: [[]] }, { within: { years: 0, months: 0, days: 0, hours: 0 } }]) {
    assert.throws(() => planRetention(snapshots, { keep }), UsageError, JSON.stringify(keep));
    assert.throws(() => planRetention(snapshots, { keep, keepNothing: true }), UsageError, JSON.stringify(keep));
  }
  assert.throws(() => planRetention(snapshots, { keep: { tags: [['y']] } }), UsageError);
  assert.deepEqual(planRetention(snapshots, { keep: { tags: [['y']] }, keepNothing: true }).remove, ['1']);
  assert.deepEqual(keptIds(planRetention([snapshotAt(1)], { keep: { tags: [['']] } })), ['1']);
  assert.throws(() => planRetention([], { keep: { last: 1 }, timeZone: 'Nowhere' }), UsageError);
});

test('ids that are named go, and no others', () => {
  const plan = planExplicit(hourlySnapshots, ['s099', 's001', 's099']);
  assert.deepEqual(plan.remove, ['s001', 's099']);
  assert.equal(plan.kept, 98);
  assert.throws(() => planExplicit(hourlySnapshots, ['s09']), UsageError);
  assert.throws(() => planExplicit(hourlySnapshots, ['s1']), NotFoundError);
  assert.throws(() => planExplicit(hourlySnapshots, ['']), NotFoundError);
  assert.throws(() => planExplicit(hourlySnapshots, []), UsageError);
});

test('the preview shows each snapshot with its reasons', () => {
  const lines = previewLines(planRetention(hourlySnapshots.slice(0, 3), { keep: { last: 2 } }));
  assert.equal(lines[0], 'host h, sources /s: keep 2, remove 1');
  assert.match(lines[2] ?? '', /^ {2}keep +s002 +2024-01-01 02:30:00 +h +last snapshot +\/s$/);
  assert.match(lines[4] ?? '', /^ {2}remove +s000 +2024-01-01 00:30:00 +h +\/s$/);
  const hostile = previewLines(planRetention([snapshotAt(1, { host: 'h\u001b[2J', tags: ['a\nkeep'], claimed: Number.NaN })], { keep: { last: 1 } }));
  assert.equal(hostile.length, 3);
  assert.match(hostile.join(), /h\\u\{1b\}\[2J/);
  assert.doesNotMatch(hostile.join(), /\p{Cc}/u);
});

const snapshotSet = fc.uniqueArray(fc.record({
  hours: fc.integer({ min: 0, max: 20_000 }), minutes: fc.constantFrom(0, 29, 59), host: fc.constantFrom('a', 'b'), tags: fc.subarray(['t', 'u']),
}), { maxLength: 60, selector: (one) => one.hours * 60 + one.minutes }).map((rows) =>
  rows.map(({ hours, minutes, host, tags }) => snapshotAt(Date.parse('2022-01-01T00:00:00Z') + (hours * 60 + minutes) * 60_000, { host, tags })));
const count = fc.integer({ min: 1, max: 12 });
const duration = fc.record({ years: fc.constant(0), months: fc.integer({ min: 0, max: 8 }), days: fc.integer({ min: 0, max: 40 }), hours: fc.integer({ min: 1, max: 50 }) });
const periodCounts = fc.record(Object.fromEntries(PERIODS.map((period) => [period, count])), { requiredKeys: [] });
const rules: fc.Arbitrary<KeepRules> = fc.record({
  last: count, periods: periodCounts, within: duration, withinPeriods: fc.record(Object.fromEntries(PERIODS.map((period) => [period, duration])), { requiredKeys: [] }),
}, { requiredKeys: ['last'] });

test('a larger number or a longer time never keeps less', () => {
  fc.assert(fc.property(snapshotSet, rules, fc.integer({ min: 0, max: 5 }), (snapshots, keep, more) => {
    const larger: KeepRules = {
      ...keep, last: (keep.last as number) + more,
      periods: Object.fromEntries(Object.entries(keep.periods ?? {}).map(([period, n], i) => [period, i === 1 ? 'unlimited' as const : (n as number) + more])),
      ...(keep.within === undefined ? {} : { within: { ...keep.within, days: keep.within.days + more } }),
      withinPeriods: Object.fromEntries(Object.entries(keep.withinPeriods ?? {}).map(([period, one]) => [period, { ...one, months: one.months + more }])),
    };
    const kept = new Set(keptIds(planRetention(snapshots, { keep: larger })));
    for (const id of keptIds(planRetention(snapshots, { keep }))) assert(kept.has(id), id);
  }), { numRuns: 500 });
});

test('a policy applied again right after removes nothing more, and a further rule never keeps less', () => {
  fc.assert(fc.property(snapshotSet, rules, periodCounts, (snapshots, keep, others) => {
    const kept = keptIds(planRetention(snapshots, { keep: { last: keep.last as number, periods: keep.periods ?? {} } }));
    const left = snapshots.filter((one) => kept.includes(one.id));
    assert.deepEqual(planRetention(left, { keep: { last: keep.last as number, periods: keep.periods ?? {} } }).remove, []);
    const both = new Set(keptIds(planRetention(snapshots, { keep: { ...keep, periods: { ...others, ...keep.periods } } })));
    for (const id of keptIds(planRetention(snapshots, { keep }))) assert(both.has(id), id);
  }), { numRuns: 500 });
});
