import assert from 'node:assert/strict';
import { test } from 'node:test';
import { classRatios } from './ratios.ts';
import type { Operation } from './session.ts';
import type { ToolRow } from './statistics.ts';

function row(name: string, times: Partial<Record<Operation, number>>, more: Partial<ToolRow> = {}): ToolRow {
  const one = (median: number) => ({ median, min: median, max: median });
  const operations = Object.fromEntries(
    Object.entries(times).map(([operation, wallS]) => [operation, { wallS: one(wallS), cpuS: one(1), peakRssBytes: one(1) }]),
  );
  const family = name.split(' ')[0] ?? name;
  return { name, family, class: 'none', codec: 'none', operations, storedBytes: one(100), content: 'same', failures: [], ...more };
}

function find(rows: readonly ToolRow[], target: string): ReturnType<typeof classRatios>[number] {
  const found = classRatios(rows).find((ratio) => ratio.target.startsWith(target));
  assert.ok(found, `no ratio '${target}'`);
  return found;
}

const OWN = row('holdfast none', { first: 1, unchanged: 0.1, touched: 0.5, restore: 1 });

test('first backup is judged against the faster borg setting, at 1.5, and against restic at 2.5', () => {
  const rows = [OWN, row('borg none', { first: 1.5 }), row('borg none 16K', { first: 9 }), row('restic off', { first: 2.49 })];
  assert.deepEqual(find(rows, 'first backup, borg (its'), {
    target: 'first backup, borg (its faster setting)', peer: 'borg none', ratio: 1.5, wanted: 1.5, verdict: 'met',
  });
  assert.equal(find(rows, 'first backup, borg at 16').verdict, 'for information');
  assert.equal(find(rows, 'first backup, restic').verdict, 'missed');
});

test('unchanged and restore are judged against the fastest peer of any kind', () => {
  const rows = [OWN, row('borg none', { unchanged: 0.3, restore: 2 }), row('bup -0', { unchanged: 0.19, restore: 1.6 })];
  assert.deepEqual([find(rows, 'unchanged').peer, find(rows, 'unchanged').verdict], ['bup -0', 'missed']);
  assert.deepEqual([find(rows, 'restore').peer, find(rows, 'restore').verdict], ['bup -0', 'met']);
});

test('stored bytes may exceed the best peer by five percent, no more', () => {
  const peer = row('borg none', {}, { storedBytes: { median: 1000, min: 0, max: 0 } });
  const own = (median: number): ToolRow => ({ ...OWN, storedBytes: { median, min: 0, max: 0 } });
  assert.equal(find([own(1050), peer], 'stored').verdict, 'met');
  assert.equal(find([own(1051), peer], 'stored').verdict, 'missed');
});

test('in the compressed class only peers with the same codec count for stored bytes', () => {
  const zstd = { class: 'zstd', codec: 'zstd' } as const;
  const rows = [row('holdfast zstd', {}, zstd), row('borg zstd', {}, zstd), row('zbackup lzma', {}, { ...zstd, codec: 'lzma', storedBytes: { median: 50, min: 0, max: 0 } })];
  assert.deepEqual([find(rows, 'stored bytes, best peer with zstd').ratio, find(rows, 'stored bytes, best peer with zstd').verdict], [1, 'met']);
  assert.deepEqual([find(rows, 'stored bytes, best peer with any').ratio, find(rows, 'stored bytes, best peer with any').verdict], [2, 'for information']);
});

test('a peer that failed or restored something else is no reference', () => {
  const rows = [OWN, row('bup -0', { restore: 0.1 }, { content: 'differs' }), row('casync', { restore: 0.1 }, { failures: ['exit 1'] }), row('borg none', { restore: 3 })];
  assert.equal(find(rows, 'restore').peer, 'borg none');
});

test('a holdfast that restored something else meets nothing', () => {
  const rows = [{ ...OWN, content: 'differs' as const }, row('borg none', { first: 100, unchanged: 100, restore: 100 }, { storedBytes: { median: 1e9, min: 0, max: 0 } })];
  const judged = classRatios(rows).filter((ratio) => ratio.wanted !== undefined && ratio.ratio !== undefined);
  assert.ok(judged.length >= 4);
  assert.ok(judged.every((ratio) => ratio.verdict === 'missed'));
});

test('a missing figure is said, not guessed; without holdfast there is nothing to judge', () => {
  assert.equal(find([OWN, row('borg none', { first: 2 })], 'first backup, restic').verdict, 'no figure');
  assert.deepEqual(classRatios([row('borg none', { first: 2 })]), []);
});

test('later versions appear for a series only', () => {
  const has = (rows: readonly ToolRow[]): boolean => classRatios(rows).some((ratio) => ratio.target.startsWith('later'));
  assert.equal(has([OWN, row('borg none', { first: 1 })]), false);
  assert.equal(has([row('holdfast none', { later: 2 }), row('borg none', { later: 3 })]), true);
});
