/** Scenarios: many real processes on one repository at once, left in peace (`thrash`, `thrash-quick`) or killed at random moments (`crash-real`). */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../../src/core/testing/random.ts';
import { Repository, nodeWorld } from '../../src/engine/index.ts';
import { Checks } from '../checks.ts';
import type { Scenario, ScenarioContext, Tally } from '../scenario.ts';
import { judge } from './verdict.ts';

const PROCESSES = 8;
const KILLS = 60;
const KILLED_AT_ONCE = 3;

interface Place {
  readonly repository: string;
  readonly journals: string;
}

async function prepare(context: ScenarioContext): Promise<Place> {
  const place = { repository: path.join(context.workDirectory, 'repository'), journals: path.join(context.workDirectory, 'journals') };
  mkdirSync(place.journals);
  const repository = await Repository.create(nodeWorld(place.repository), {}, { workers: 0 });
  await repository.close();
  return place;
}

function start(place: Place, name: string, as: { readonly seed: number; readonly seconds: number }): { readonly child: ChildProcess; readonly ended: Promise<string> } {
  const script = fileURLToPath(new URL('./worker.js', import.meta.url));
  const child = spawn(process.execPath, [script, place.repository, place.journals, name, String(as.seed), String(as.seconds)], { stdio: ['ignore', 'inherit', 'pipe'] });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
  const ended = new Promise<string>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status, signal) => { resolve(status === 0 || signal === 'SIGKILL' ? '' : `exit ${String(status ?? signal)}: ${stderr.slice(-500)}`); });
  });
  return { child, ended };
}

async function thrash(context: ScenarioContext, seconds: number): Promise<Tally> {
  const checks = new Checks(context);
  const place = await prepare(context);
  const ends = await Promise.all(Array.from({ length: PROCESSES }, (_, i) => start(place, `process-${i}`, { seed: context.seed + i, seconds }).ended));
  const bad = ends.filter((text) => text !== '');
  checks.expect(`${PROCESSES} processes work for ${seconds} s and end well`, bad.length === 0, bad.join('; '));
  const { snapshots, steps } = await judge(checks, place.repository, place.journals);
  context.log(`${snapshots} snapshots at the end; ${steps}`);
  return checks.tally;
}

/** One after the other in its lane: started, and killed after a while that a seed says. */
async function killLane(context: ScenarioContext, place: Place, lane: number): Promise<number> {
  const next = seededRandom(context.seed + lane);
  let killed = 0;
  for (let i = 0; i < KILLS / KILLED_AT_ONCE; i += 1) {
    const { child, ended } = start(place, `lane-${lane}-${i}`, { seed: Math.floor(next() * 2 ** 31), seconds: 60 });
    await new Promise((resolve) => { setTimeout(resolve, 400 + next() * 3_600); });
    if (child.kill('SIGKILL')) killed += 1;
    await ended;
  }
  return killed;
}

/** Eight processes for ten minutes. */
export const thrashLong: Scenario = { name: 'thrash', needs: [], quick: false, run: (context) => thrash(context, 600) };

/** The same for 45 seconds. */
export const thrashQuick: Scenario = { name: 'thrash-quick', needs: [], quick: true, run: (context) => thrash(context, 45) };

/** Processes that are killed while others work. */
export const crashReal: Scenario = {
  name: 'crash-real',
  needs: [],
  quick: false,
  async run(context) {
    const checks = new Checks(context);
    const place = await prepare(context);
    const kills = await Promise.all(Array.from({ length: KILLED_AT_ONCE }, (_, lane) => killLane(context, place, lane)));
    const sum = kills.reduce((a, b) => a + b, 0);
    checks.expect(`${KILLS} processes were killed`, sum >= KILLS, `${sum}`);
    const { snapshots, steps } = await judge(checks, place.repository, place.journals);
    context.log(`${snapshots} snapshots at the end; ${steps}`);
    return checks.tally;
  },
};
