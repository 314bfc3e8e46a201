import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Facts } from './facts.ts';
import { commandLine, nameDirectories, renderReport, summarizeGroup } from './report.ts';
import type { Session } from './session.ts';
import type { Tool } from './tools/tool.ts';

const FACTS: Facts = {
  startedAt: '2000-01-01T00:00:00.000Z', cpu: 'cpu', cores: 2, memoryBytes: 2 ** 33, kernel: '6.0', node: 'v20', diskFilesystem: 'ext4',
  loadAverage: [0.1, 0.2, 0.3], accounting: 'wait4 (GNU time)', versions: { 'holdfast none': '1', 'borg none': '2' }, skipped: ['bup -0'],
  options: { rounds: 1, smoke: false, media: ['disk'], versionsMax: 10, sizes: { fileBytes: 1, imageBytes: 1, logBytes: 1, smallFiles: 1 } },
};

function tool(name: string): Tool {
  return { name, family: name.split(' ')[0] ?? '', class: 'none', codec: 'none', note: 'note', version: () => '1', init: () => [], backup: () => [] };
}

function session(name: string, wallS: number, more: Partial<Session> = {}): Session {
  const usage = { wallS, cpuS: 0.5, peakRssBytes: 50e6, stdout: '' };
  const commands = { first: [{ argv: [name, '/base/repo'], cwd: '/base/my dir' }] };
  return { tool: name, round: 0, usages: { first: usage, restore: usage }, storedBytes: 12e6, content: 'same', commands, ...more };
}

const GROUP = { corpus: 'c', description: 'text', medium: 'disk', firstBytes: 100e6, laterBytes: 0, latestBytes: 100e6, loadAverage: 1 } as const;

test('a table has one row a tool with rate, bytes and content, and the verdicts above', () => {
  const tools = [tool('holdfast none'), tool('borg none')];
  const group = summarizeGroup({ ...GROUP, sessions: [session('holdfast none', 0.5), session('borg none', 1)] }, tools);
  const text = renderReport(FACTS, [group], tools);
  assert.match(text, /\| holdfast none \| none \| 0\.50 \(200\) \| 0\.50 \(200\) \| 12\.0 \| 50\.0 \/ 50\.0 \| 0\.50 \/ 0\.50 \| same \|/);
  assert.match(text, /first backup, borg \(its faster setting\) \(borg none\): 2\.00×, wanted ≥ 1\.5: \*\*met\*\*/);
  assert.match(text, /3 of 5 targets met\. Not met:\n\n- c, disk, none: first backup, restic: no figure/);
  assert.match(text, /Skipped, not installed \(1\): bup -0/);
});

test('a failure and a differing restore stand out', () => {
  const tools = [tool('holdfast none'), tool('borg none')];
  const sessions = [session('holdfast none', 1, { content: 'differs' }), session('borg none', 1, { failure: 'Run x: exit 2: a | b' })];
  const text = renderReport(FACTS, [summarizeGroup({ ...GROUP, sessions }, tools)], tools);
  assert.match(text, /\| \*\*differs\*\* \|/);
  assert.match(text, /\*\*failed\*\*: Run x: exit 2: a \/ b/);
});

test('command lines can be typed again and name no directory of this machine', () => {
  const command = { argv: ['borg', 'create', '/base/repo::s0', "it's"], cwd: '/base/my dir' };
  const text = nameDirectories(commandLine(command), new Map([['/base/my dir', '$SOURCE'], ['/base', '$WORK']]));
  assert.equal(text, "cd '$SOURCE' && borg create $WORK/repo::s0 'it'\\''s'");
});
