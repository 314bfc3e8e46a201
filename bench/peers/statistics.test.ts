import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Session } from './session.ts';
import { summarize, toolRow } from './statistics.ts';

const TOOL = { name: 'peer', family: 'peer', class: 'none', codec: 'none' } as const;

function session(round: number, wallS: number, more: Partial<Session> = {}): Session {
  const usage = { wallS, cpuS: wallS * 2, peakRssBytes: wallS * 100, stdout: '' };
  return { tool: 'peer', round, usages: { first: usage }, content: 'same', commands: {}, storedBytes: 7, ...more };
}

test('the median of an odd count is the middle sample, of an even count the mean of the two', () => {
  assert.deepEqual(summarize([3, 1, 20]), { median: 3, min: 1, max: 20 });
  assert.deepEqual(summarize([4, 10, 1, 2]), { median: 3, min: 1, max: 10 });
  assert.equal(summarize([]), undefined);
});

test('a row takes only its own tool and keeps operations that ran', () => {
  const row = toolRow(TOOL, [session(0, 1), session(1, 5), session(2, 2), { ...session(0, 100), tool: 'other' }]);
  assert.deepEqual(row.operations.first?.wallS, { median: 2, min: 1, max: 5 });
  assert.equal(row.operations.first?.cpuS.median, 4);
  assert.equal(row.operations.restore, undefined);
  assert.equal(row.storedBytes?.median, 7);
});

test('one differing restore or failure of any round stays visible', () => {
  assert.equal(toolRow(TOOL, [session(0, 1), session(1, 1, { content: 'differs' })]).content, 'differs');
  assert.equal(toolRow(TOOL, [session(0, 1, { content: 'unchecked' })]).content, 'unchecked');
  assert.deepEqual(toolRow(TOOL, [session(0, 1), session(1, 1, { failure: 'exit 2' })]).failures, ['exit 2']);
});
