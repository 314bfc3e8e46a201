import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { appendCycle, readCycles, type CycleRecord, type Settings } from './journal.ts';
import { plot } from './plot.ts';
import { writeReport } from './report.ts';

const scratch = mkdtempSync(path.join(tmpdir(), 'holdfast-soak-'));
after(() => { rmSync(scratch, { recursive: true }); });

const settings: Settings = {
  mode: 'real', seed: 77, corpusMebibytes: 8, policy: { last: 3, hourly: 0, daily: 7, weekly: 0, monthly: 0 }, length: 7 * 86_400, startedMs: 0, facts: { commit: 'abc' },
};

function cycle(i: number): CycleRecord {
  return {
    cycle: i, timeMs: i * 3_600_000, realMs: i * 3_600_000, corpusBytes: 8e6, changedBytes: 1e5, changed: { bytesIn: 8e6, bytesNew: 1e5, bytesStored: 1e5, chunksNew: 5 },
    unchanged: { bytesIn: 8e6, bytesNew: 0, chunks: 500, chunksNew: 0 }, restores: [0, 1].map(() => ({ of: i, files: 10, bytes: 100, differences: i === 9 ? 1 : 0, examples: [] })), snapshots: 4,
    wronglyKept: 0, wronglyForgotten: 0, bytesReclaimed: 0, problems: [], readData: false, storeBytes: 9e6, uniqueBytes: 9e6, leftovers: 0, costs: [{ verb: 'a <verb> & more', seconds: 2, rssBytes: 1e8 }],
  };
}

/** Opening and closing tags of a document without comments. */
function isBalanced(xml: string): boolean {
  const open: string[] = [];
  for (const [, closing, name = '', empty] of xml.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
    if (empty === '/') continue;
    if (closing !== '/') open.push(name);
    else if (open.pop() !== name) return false;
  }
  return open.length === 0 && !/&(?!#\d+;)/.test(xml);
}

test('the report says how long the run was, what failed and how to repeat it', () => {
  const cycles = Array.from({ length: 10 }, (_, i) => cycle(i));
  const verdicts = writeReport(scratch, 'r', cycles, settings);
  assert.ok(verdicts.some((one) => one.holds === false));
  const page = readFileSync(path.join(scratch, 'r.md'), 'utf8');
  for (const text of ['failed', 'Ran 9.0 hours of 7.0 days', '2 of 200', '**fails**', 'not judged', '--seed 77', 'abc']) assert.ok(page.includes(text), `'${text}' in\n${page}`);
  const data = JSON.parse(readFileSync(path.join(scratch, 'r.json'), 'utf8')) as { shown: unknown[]; verdicts: unknown[] };
  assert.deepEqual([data.shown.length, data.verdicts.length], [10, verdicts.length]);
  const picture = readFileSync(path.join(scratch, 'r.svg'), 'utf8');
  assert.ok(isBalanced(picture), picture);
  assert.ok(!isBalanced('<g><a></g>') && !isBalanced('a & b'), 'the test of the picture can fail');
});

test('points lie where their values are, and gaps are gaps', () => {
  const picture = plot([{ title: 't', unit: 'u', series: [{ name: 's', values: [0, NaN, 5, 10] }], limit: 5 }], ['a', 'b']);
  // The box is 620 by 150 at 64, 34; the scale ends at 10.
  assert.match(picture, /d="M64\.0 184\.0M477\.3 109\.0L684\.0 34\.0"/);
  assert.match(picture, /y1="109" y2="109" stroke="#d00"/);
  assert.ok(!plot([{ title: 't', unit: 'u', series: [{ name: 's', values: [0, 0] }] }], ['a', 'b']).includes('NaN'));
});

test('a journal that a crash cut goes on with the last whole line', () => {
  const file = path.join(scratch, 'cycles.jsonl');
  assert.deepEqual(readCycles(file), []);
  appendCycle(file, cycle(0));
  appendFileSync(file, '{"cycle":1,"time');
  assert.deepEqual(readCycles(file), [cycle(0)]);
  appendCycle(file, cycle(1));
  assert.deepEqual(readCycles(file).map((one) => one.cycle), [0, 1]);
});
