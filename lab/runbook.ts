/**
 * Every step of `docs/runbook.md`, executed as it is written there: the trouble is brought about, the commands run, and what is restored afterwards is compared. The page and
 * the trials must name the same steps. `HOLDFAST_RUNBOOK_MIB=N` sets the size of each repository, `HOLDFAST_RUNBOOK_WRITE=1` writes the times into the page.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { cpus } from 'node:os';
import path from 'node:path';
import { Checks } from './checks.ts';
import { findProgram, isRoot, repositoryRoot } from './environment.ts';
import { parseRunbook, writeFigures, type RunbookStep } from './runbook/document.ts';
import { Stage, shell } from './runbook/stage.ts';
import { trials, type StepTrial } from './runbook/steps.ts';
import type { Scenario, ScenarioContext } from './scenario.ts';

const MEBIBYTES = 8;

function missingOf(trial: StepTrial): readonly string[] {
  return (trial.needs ?? []).filter((need) => (need === 'root' ? !isRoot() : findProgram(need) === undefined));
}

/** @returns seconds that the commands took, undefined when something was not as it must be. */
async function tryStep(step: RunbookStep, trial: StepTrial, context: ScenarioContext, checks: Checks): Promise<number | undefined> {
  const root = path.join(context.workDirectory, step.id);
  mkdirSync(root);
  const stage = new Stage(root);
  const mebibytes = Number(process.env['HOLDFAST_RUNBOOK_MIB'] ?? MEBIBYTES);
  try {
    await (trial.fills?.(stage, mebibytes, context.seed) ?? stage.fill(mebibytes, context.seed));
    await trial.prepare?.(stage);
    const { status, output, seconds } = await shell(step.commands, stage.environment);
    checks.expect(`${step.id}: the commands succeed (${seconds.toFixed(1)} s)`, status === 0, `exit ${status}: ${output.slice(-1500)}`);
    const wrong = await trial.verify(stage);
    checks.expect(`${step.id}: afterwards everything is as it must be`, wrong === '', wrong);
    return status === 0 && wrong === '' ? seconds : undefined;
  } catch (error) {
    checks.expect(`${step.id}: it can be tried`, false, error instanceof Error ? error.stack ?? error.message : String(error));
    return undefined;
  } finally {
    for (const wait of stage.waits) await wait();
    for (const cleanUp of stage.cleanUps.reverse()) cleanUp();
    rmSync(root, { recursive: true, force: true });
  }
}

function figuresOf(times: ReadonlyMap<string, number | undefined>): string {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: repositoryRoot(), encoding: 'utf8' }).trim();
  const size = process.env['HOLDFAST_RUNBOOK_MIB'] ?? String(MEBIBYTES);
  return [
    `\`HOLDFAST_RUNBOOK_MIB=${size} HOLDFAST_RUNBOOK_WRITE=1 npm run lab -- runbook\` on ${new Date().toISOString().slice(0, 10)}, commit ${commit}, ${cpus().length} cores, repositories of ${size} MiB of`,
    'incompressible data. All commands of a step together; what reads the repository grows with its size.', '',
    '| step | seconds |', '|---|---|', ...[...times].map(([id, seconds]) => `| \`${id}\` | ${seconds === undefined ? 'not executed here' : seconds.toFixed(1)} |`), '',
  ].join('\n');
}

/** The runbook, step by step. */
export const runbook: Scenario = {
  name: 'runbook',
  needs: ['bash', 'diff', 'tar', 'rsync'],
  quick: true,
  async run(context) {
    const checks = new Checks(context);
    const page = path.join(repositoryRoot(), 'docs', 'runbook.md');
    const steps = parseRunbook(readFileSync(page, 'utf8'));
    checks.expect('the page and the trials have the same steps', steps.map((one) => one.id).sort().join(' ') === Object.keys(trials).sort().join(' '), `${steps.map((one) => one.id).join(' ')} and ${Object.keys(trials).join(' ')}`);
    const times = new Map<string, number | undefined>();
    for (const step of steps) {
      const trial = trials[step.id];
      if (trial === undefined) continue; // counted above
      const missing = missingOf(trial);
      if (missing.length > 0) checks.skip(`${step.id}: needs ${missing.join(', ')}`);
      times.set(step.id, missing.length > 0 ? undefined : await tryStep(step, trial, context, checks));
    }
    if (process.env['HOLDFAST_RUNBOOK_WRITE'] === '1') writeFigures(page, figuresOf(times));
    return checks.tally;
  },
};
