/**
 * Ingest, garbage collection, check and rebuild at 2, 5, 10 and 20 million chunks: at most 200 MB of resident memory each, and time per chunk that
 * does not grow with the repository. Each phase is a process of its own.
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Checks } from './checks.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

const script = fileURLToPath(new URL('./scale/phase.js', import.meta.url));

const MEGABYTES_MAX = 200;
/** CPU time per chunk at the largest size, as a multiple of that at the smallest. */
const GROWTH_MAX = 2;

interface Measured { readonly seconds: number; readonly cpuSeconds: number; readonly peakMegabytes: number; readonly result: Readonly<Record<string, unknown>> }

function phase(name: string, repository: string, range: readonly [number, number] = [0, 0]): Measured {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, name, repository, ...range.map(String)], { encoding: 'utf8', maxBuffer: 1 << 26 });
  if (status !== 0) throw new Error(`Phase '${name}' ended with ${status ?? 'a signal'}: ${stderr.slice(-600)}`);
  return JSON.parse(stdout) as Measured;
}

async function run(context: ScenarioContext, millions: readonly number[]): Promise<Tally> {
  const checks = new Checks(context);
  const repository = path.join(context.workDirectory, 'repository');
  const perChunk = new Map<string, number[]>();
  const judge = (name: string, size: number, chunks: number, { seconds, cpuSeconds, peakMegabytes }: Measured): void => { // oxlint-disable-line max-params -- one row of a table
    const microseconds = cpuSeconds * 1e6 / chunks; // of a processor: a wall clock would tell what else the machine did
    perChunk.set(name, [...perChunk.get(name) ?? [], microseconds]);
    checks.expect(`${size / 1e6} M chunks, ${name}: ${peakMegabytes.toFixed(0)} MB, ${seconds.toFixed(1)} s, ${microseconds.toFixed(2)} µs of CPU a chunk`, peakMegabytes <= MEGABYTES_MAX, `${peakMegabytes.toFixed(0)} MB, at most ${MEGABYTES_MAX}`);
  };
  phase('init', repository);
  let before = 0;
  for (const size of millions.map((million) => Math.round(million * 1e6))) {
    const ingest = phase('ingest', repository, [before, size]);
    checks.expect(`${size / 1e6} M chunks: all are new`, ingest.result['chunksNew'] === size - before, String(ingest.result['chunksNew']));
    judge('ingest', size, size - before, ingest);
    judge('rebuild', size, size, phase('rebuild', repository));
    const check = phase('check', repository);
    checks.expect(`${size / 1e6} M chunks: check finds nothing`, check.result['ok'] === true, JSON.stringify(check.result));
    judge('check', size, size, check);
    const gc = phase('gc', repository);
    checks.expect(`${size / 1e6} M chunks: all are needed`, gc.result['containersRemoved'] === 0 && Number(gc.result['chunksReachable']) > size, JSON.stringify(gc.result));
    judge('gc', size, size, gc);
    before = size;
  }
  phase('forget-first', repository);
  const last = phase('gc', repository);
  judge('gc that removes', before, before, last);
  checks.expect('what the first snapshot needed is gone', Number(last.result['containersRemoved']) > 0, JSON.stringify(last.result));
  checks.expect('check finds nothing afterwards', phase('check', repository).result['ok'] === true, 'problems');
  for (const [name, values] of perChunk) {
    const growth = (values.at(-1) ?? 0) / (values[0] ?? 1);
    checks.expect(`${name}: CPU time per chunk grows ${growth.toFixed(2)}×`, growth <= GROWTH_MAX, values.map((value) => value.toFixed(2)).join(', '));
  }
  return checks.tally;
}

/** The promise in full: two to twenty million chunks. */
export const scale: Scenario = { name: 'scale', needs: [], quick: false, run: (context) => run(context, [2, 5, 10, 20]) };

/** For each change: a twentieth of it. */
export const scaleQuick: Scenario = { name: 'scale-quick', needs: [], quick: true, run: (context) => run(context, [0.2, 0.4]) };
