/** Each limit holds for a good run and fails for one that is bad in just that way. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { CycleRecord, Settings } from './journal.ts';
import { judge } from './limits.ts';

const settings: Settings = {
  mode: 'real', seed: 1, corpusMebibytes: 64, policy: { last: 3, hourly: 0, daily: 7, weekly: 0, monthly: 0 }, length: 600, startedMs: 0, facts: {},
};
const restore = { of: 0, files: 100, bytes: 1e6, differences: 0, examples: [] };

function good(cycle: number): CycleRecord {
  const wobble = cycle * 7919 % 13;
  return {
    cycle, timeMs: cycle * 1000, realMs: cycle * 1000, corpusBytes: 60e6, changedBytes: 500_000,
    changed: { bytesIn: 60e6, bytesNew: 600_000 + wobble, bytesStored: 500_000, chunksNew: 30 },
    unchanged: { bytesIn: 60e6, bytesNew: 0, chunks: 3000, chunksNew: 0 },
    restores: [restore, restore], snapshots: 10, wronglyKept: 0, wronglyForgotten: 0, bytesReclaimed: 1000,
    problems: [], readData: true, storeBytes: 60e6 + wobble * 1e5, uniqueBytes: 62e6, leftovers: 0, openFiles: 30 + wobble % 2,
    costs: ['backup', 'restore', 'gc'].map((verb) => ({ verb, seconds: 1, rssBytes: 110e6 + wobble * 1e6 })),
  };
}

/** Names of the limits that do not hold. */
function failing(change: (cycle: number) => Partial<CycleRecord>, more: Partial<Settings> = {}, count = 60): readonly string[] {
  const cycles = Array.from({ length: count }, (_, i) => ({ ...good(i), ...change(i) }));
  return judge(cycles, { ...settings, ...more }).filter((one) => one.holds === false).map((one) => one.name);
}

function costs(rssBytes: number, more: { keptBytes?: number } = {}): Partial<CycleRecord> {
  return { costs: [{ verb: 'backup', seconds: 1, rssBytes, ...more }] };
}

test('a good run holds all limits, in both modes', () => {
  assert.deepEqual(failing(() => ({})), []);
  assert.deepEqual(failing(() => ({}), { mode: 'simulated' }), []);
});

describe('a run that is bad in one way fails in that way', () => {
  const bad: readonly (readonly [string, string, (cycle: number) => Partial<CycleRecord>])[] = [
    ['one file of one restore differs', 'restored files that differ from the table', (i) => (i === 41 ? { restores: [restore, { ...restore, differences: 1 }] } : {})],
    ['a restore is missing', 'restored files that differ from the table', (i) => (i === 41 ? { restores: [restore] } : {})],
    ['a restore brought nothing', 'restored files that differ from the table', (i) => (i === 41 ? { restores: [restore, { ...restore, files: 0 }] } : {})],
    ['check finds damage once', 'problems that check reports', (i) => (i === 3 ? { problems: ['damaged-group at x'] } : {})],
    ['one snapshot too few is kept', 'snapshots kept or forgotten against the policy', (i) => (i === 3 ? { wronglyForgotten: 1 } : {})],
    ['one snapshot too many is kept', 'snapshots kept or forgotten against the policy', (i) => (i === 3 ? { wronglyKept: 1 } : {})],
    ['unchanged data is stored again once', 'dedup ratio of unchanged data, smallest', (i) => (i === 3 ? { unchanged: { bytesIn: 60e6, bytesNew: 16_384, chunks: 3000, chunksNew: 1 } } : {})],
    ['changes are stored twice', 'new bytes per changed byte', () => ({ changed: { bytesIn: 60e6, bytesNew: 1.1e6, bytesStored: 1e6, chunksNew: 60 } })],
    ['one process is too large', 'memory of a step, largest', (i) => (i === 30 ? costs(201e6) : {})],
    ['memory creeps up', 'rise of memory, second half, steepest step', (i) => costs(100e6 + i * 0.5e6)],
    ['garbage is never collected', 'rise of store per needed byte, second half', (i) => ({ storeBytes: 40e6 + i * 0.5e6 })],
    ['the store is much larger than needed', 'store beyond what snapshots need, largest', () => ({ storeBytes: 85e6 })],
    ['a writer leaves a file behind', 'files left behind by writers', (i) => (i === 59 ? { leftovers: 1 } : {})],
  ];
  for (const [what, name, change] of bad) test(what, () => { assert.deepEqual(failing(change), [name]); });

  test('files stay open', () => {
    assert.deepEqual(failing((i) => ({ openFiles: 30 + i }), { mode: 'simulated' }), ['rise of open files']);
  });
  test('a process that goes on keeps more and more', () => {
    assert.deepEqual(failing((i) => costs(100e6, { keptBytes: 60e6 + i * 0.5e6 }), { mode: 'simulated' }), ['rise of memory, second half, steepest step']);
    assert.deepEqual(failing((i) => costs(100e6 + i * 0.5e6, { keptBytes: 60e6 }), { mode: 'simulated' }), []);
  });
  test('figures are missing', () => {
    assert.deepEqual(failing((i) => (i === 5 ? { storeBytes: NaN } : {})), ['store beyond what snapshots need, largest']);
  });
  test('it ended early', () => {
    assert.deepEqual(failing(() => ({}), {}, 2), ['cycles']);
  });
});

test('what cannot be judged is not taken for good', () => {
  const unjudged = (mode: Settings['mode'], count: number): readonly string[] => (
    judge(Array.from({ length: count }, (_, i) => good(i)), { ...settings, mode }).filter((one) => one.holds === 'not judged').map((one) => one.name));
  assert.deepEqual(unjudged('real', 60), ['rise of open files']);
  assert.deepEqual(unjudged('simulated', 60), ['memory of a step, largest']);
  assert.deepEqual(unjudged('real', 6), ['rise of memory, second half, steepest step', 'rise of open files']);
});
