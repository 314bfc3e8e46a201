/** Scenarios: many real processes on one repository at once, left in peace (`thrash`, `thrash-quick`) or killed at random moments (`crash-real`, `crash-real-quick`). */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../../src/core/testing/random.ts';
import { Repository, nodeWorld } from '../../src/engine/index.ts';
import { Checks } from '../checks.ts';
import type { Scenario, ScenarioContext, Tally } from '../scenario.ts';
import { Journal, readJournals } from './journal.ts';
import { judge } from './verdict.ts';

const PROCESSES = 8;
const KILLED_AT_ONCE = 3;
const START_MS = 30_000;

/** A repository, and what its processes were promised. */
export interface Place {
  readonly repository: string;
  readonly journals: string;
}

/** Makes a repository below a directory, and a directory for journals. */
export async function prepare(context: ScenarioContext, directory: string = context.workDirectory): Promise<Place> {
  const place = { repository: path.join(directory, 'repository'), journals: path.join(context.workDirectory, 'journals') };
  mkdirSync(place.journals);
  const repository = await Repository.create(nodeWorld(place.repository), {}, { workers: 0 });
  await repository.close();
  return place;
}

/** Starts a process that ends by itself after so many seconds; see `worker.ts`. `ended` says what was wrong with its end. */
export function start(place: Place, name: string, as: { readonly seed: number; readonly seconds: number; readonly disk?: 'full' }): { readonly child: ChildProcess; readonly ended: Promise<string> } {
  const script = fileURLToPath(new URL('./worker.js', import.meta.url));
  const child = spawn(process.execPath, [script, place.repository, place.journals, name, String(as.seed), String(as.seconds), as.disk ?? ''], { stdio: ['ignore', 'inherit', 'pipe'] });
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

/** How many processes are killed in a lane, and at most how long after the first thing they did. */
interface Killing {
  readonly kills: number;
  readonly delayMs: number;
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => { setTimeout(resolve, milliseconds); });
}

/** One after the other in its lane: started, and killed a while after it began to work, as a seed says. @returns how many died of it. */
async function killLane(context: ScenarioContext, place: Place, lane: number, { kills, delayMs }: Killing): Promise<number> {
  const next = seededRandom(context.seed + lane);
  let killed = 0;
  for (let i = 0; i < kills; i += 1) {
    const name = `lane-${lane}-${i}`;
    const { child, ended } = start(place, name, { seed: Math.floor(next() * 2 ** 31), seconds: 60 });
    for (let waited = 0; waited < START_MS && !existsSync(path.join(place.journals, `${name}.jsonl`)); waited += 20) await sleep(20);
    await sleep(next() * delayMs);
    if (child.kill('SIGKILL')) killed += 1;
    await ended;
  }
  return killed;
}

async function crash(context: ScenarioContext, killing: Killing): Promise<{ readonly checks: Checks; readonly place: Place }> {
  const checks = new Checks(context);
  const place = await prepare(context);
  const killed = await Promise.all(Array.from({ length: KILLED_AT_ONCE }, (_, lane) => killLane(context, place, lane, killing)));
  const [sum, due] = [killed.reduce((a, b) => a + b, 0), killing.kills * KILLED_AT_ONCE];
  checks.expect(`${due} processes were killed`, sum >= due, `${sum}`);
  const { counts } = readJournals(place.journals);
  const cut = (counts.get('begin') ?? 0) - (counts.get('saved') ?? 0);
  checks.expect(`kills met backups: ${cut} of ${counts.get('begin') ?? 0} were never acknowledged`, cut > 0, 'none');
  const { snapshots, steps } = await judge(checks, place.repository, place.journals);
  context.log(`${snapshots} snapshots at the end; ${steps}`);
  return { checks, place };
}

/** A judge who finds nothing must be one who would: told of a snapshot that is not there, of one that should be gone, and of wrong bytes. */
async function judgeTheJudge(context: ScenarioContext, checks: Checks, place: Place): Promise<void> {
  const repository = await Repository.open(nodeWorld(place.repository), { mode: 'read' });
  const [one] = await repository.snapshots();
  await repository.close();
  const id = one?.id ?? '';
  checks.expect('a snapshot is left to try the judge with', one !== undefined, 'none');
  const journal = new Journal(place.journals, 'liar');
  journal.write({ step: 'saved', seed: 0, id: '0'.repeat(64), md5: '' });
  journal.write({ step: 'forgotten', id });
  journal.write({ step: 'saved', seed: 0, id, md5: '0'.repeat(32) });
  const failures: string[] = [];
  await judge(new Checks({ log: (line) => { if (line.startsWith('FAIL')) failures.push(line); } }), place.repository, place.journals);
  for (const what of ['no acknowledged snapshot is lost', 'no forgotten snapshot is back', 'have their MD5']) {
    checks.expect(`the judge notices when it is not so: ${what}`, failures.some((line) => line.includes(what)), failures.join('; '));
  }
  context.log(`${failures.length} of the judge's checks fail once the journals lie`);
}

/** Eight processes for ten minutes. */
export const thrashLong: Scenario = { name: 'thrash', needs: [], quick: false, run: (context) => thrash(context, 600) };

/** The same for 45 seconds. */
export const thrashQuick: Scenario = { name: 'thrash-quick', needs: [], quick: true, run: (context) => thrash(context, 45) };

/** Sixty processes that are killed while others work. */
export const crashReal: Scenario = { name: 'crash-real', needs: [], quick: false, run: async (context) => (await crash(context, { kills: 20, delayMs: 3_600 })).checks.tally };

/** Twelve of them, and whether a loss would be noticed. */
export const crashRealQuick: Scenario = {
  name: 'crash-real-quick', needs: [], quick: true,
  run: async (context) => {
    const { checks, place } = await crash(context, { kills: 4, delayMs: 2_000 });
    await judgeTheJudge(context, checks, place);
    return checks.tally;
  },
};
