import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from './config-file.ts';
import { changedAtRestart, changedNow, mergeConfig } from './reload.ts';

const domains = 'domains: { a: { repository: /r, siteKey: /k } }\n';
const before = parseConfig(`${domains}gc: { every: 1h }\nworkers: 1\n`, '/d.yaml');

test('what may change is applied, what may not stays and is named', () => {
  const after = parseConfig(`${domains.replace('/r', '/other')}log: { level: debug }\ncheck: { every: 1d, budget: 1 }\nworkers: 2\ndrain: 1s\n`, '/d.yaml');
  assert.deepEqual(changedNow(before, after), ['log', 'gc', 'check', 'drain']);
  assert.deepEqual([...changedAtRestart(before, after)].sort(), ['domains', 'workers']);
  assert.deepEqual(mergeConfig(before, after), { ...after, domains: before.domains, workers: 1 });
});

test('nothing changes when the file says the same', () => {
  assert.deepEqual([changedNow(before, before), changedAtRestart(before, before), mergeConfig(before, before)], [[], [], before]);
});
