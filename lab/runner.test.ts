/** The runner: needs, strictness, failures, clean-up. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { formatTally, runScenarios } from './runner.ts';
import type { RunOptions } from './runner.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

const one: Tally = { passed: 1, failed: 0, skipped: 0 };

function scenario(needs: readonly string[], run: (context: ScenarioContext) => Promise<Tally> = async () => one): Scenario {
  return { name: 'sample', needs, quick: true, run };
}

async function runWith(changes: Partial<RunOptions>, ...scenarios: readonly Scenario[]): Promise<{ total: string; lines: string[] }> {
  const lines: string[] = [];
  const options: RunOptions = {
    strict: false, keep: false, seed: 7, hasProgram: (name) => name === 'present', isRoot: () => false,
    corpus: () => ({ reason: 'none here', broken: false }), log: (line) => lines.push(line), ...changes,
  };
  return { total: formatTally(await runScenarios(scenarios, options)), lines };
}

test('checks of all scenarios are added up', async () => {
  const many = scenario(['present'], async () => ({ passed: 3, failed: 1, skipped: 2 }));
  assert.equal((await runWith({}, scenario([]), many)).total, '4 passed, 1 failed, 2 skipped');
});

test('a missing need skips with its reason', async () => {
  const { total, lines } = await runWith({}, scenario(['absent', 'root', 'corpus']));
  assert.equal(total, '0 passed, 0 failed, 1 skipped');
  assert.equal(lines[0], "SKIPPED sample: 'absent' is not on PATH, not root, no corpus: none here");
});

test('a strict run fails on a missing program and a broken corpus, not on an absent one', async () => {
  assert.equal((await runWith({ strict: true }, scenario(['absent']))).total, '0 passed, 1 failed, 0 skipped');
  assert.equal((await runWith({ strict: true }, scenario(['corpus']))).total, '0 passed, 0 failed, 1 skipped');
  const corpus = (): { reason: string; broken: true } => ({ reason: 'unreadable', broken: true });
  assert.equal((await runWith({ strict: true, corpus }, scenario(['corpus']))).total, '0 passed, 1 failed, 0 skipped');
  assert.equal((await runWith({ corpus }, scenario(['corpus']))).total, '0 passed, 0 failed, 1 skipped');
});

test('a throw and an empty result are failures', async () => {
  const throwing = scenario([], async () => { throw new Error('broken on purpose'); });
  const empty = scenario([], async () => ({ passed: 0, failed: 0, skipped: 0 }));
  const { total, lines } = await runWith({}, throwing, empty);
  assert.equal(total, '0 passed, 2 failed, 0 skipped');
  assert.ok(lines.some((line) => line.includes('broken on purpose')));
});

test('each scenario has an empty folder that is removed, the corpus it needs and the seed', async () => {
  const seen: ScenarioContext[] = [];
  await runWith({ corpus: () => ({ folder: '/corpus' }) }, scenario(['corpus'], async (context) => {
    writeFileSync(path.join(context.workDirectory, 'file'), 'x');
    seen.push(context);
    return one;
  }));
  assert.equal(seen[0]?.corpus, '/corpus');
  assert.equal(seen[0]?.seed, 7);
  assert.equal(existsSync(seen[0]?.workDirectory ?? ''), false);
});
