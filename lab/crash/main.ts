/**
 * `npm run crash`: every fault at every point, once; `-- --quick` power cuts and kills at every point, of the rest a sample. `-- --minutes N` goes on with other orders and seeds; `--workload NAME --fault FAULT --seed N` replays one
 * trial; `--mutation NAME` takes a step out of the engine and looks where that shows first; `--share I/N` runs one of N parts. Exit code 1 when a promise was broken.
 */
import { parseArgs } from 'node:util';
import { everything, failureOf, quick, replayLine, runCampaign, type Row, type Trial } from './campaign.ts';
import { Violation } from './bench.ts';
import { loadEngine, type Engine } from './engine.ts';
import { parseFault } from './faults.ts';
import { mutations, type Mutation } from './mutations.ts';
import { Stage } from './stage.ts';
import { workloads } from './workloads/index.ts';

const FAILURES_SHOWN = 20;
/** Interleavings of a workload without a fault. */
const ORDERS = 6;

const { values } = parseArgs({
  options: {
    workload: { type: 'string' }, fault: { type: 'string' }, mutation: { type: 'string' }, order: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' }, share: { type: 'string', default: '0/1' }, minutes: { type: 'string' },
    quick: { type: 'boolean', default: false }, eager: { type: 'boolean', default: false },
  },
});

async function replay(engine: Engine, trial: Trial): Promise<number> {
  const workload = workloads.find(({ name }) => name === trial.workload);
  if (workload === undefined) throw new Error(`Replay: there is no workload '${trial.workload}', only '${workloads.map(({ name }) => name).join("', '")}'`);
  const stage = await Stage.prepare(engine, workload, trial.order);
  const point = stage.points[trial.fault.at - 1];
  console.log(`${stage.points.length} points; the fault comes before ${point === undefined ? 'nothing: at the end' : `'${point.kind} ${point.path}'`}`);
  const message = await failureOf(stage, trial);
  console.log(message === undefined ? 'all promises were kept' : `BROKEN ${message}`);
  return message === undefined ? 0 : 1;
}

interface Run {
  readonly order: number;
  readonly seed: number;
  readonly deadline?: number;
  readonly mutation?: Mutation | undefined;
}

/** Prints each failure as it comes, the counts as one line of JSON for whoever adds up. */
async function run(engine: Engine, { order, seed, deadline, mutation }: Run): Promise<readonly Row[]> {
  const [index = 0, of = 1] = values.share.split('/').map(Number);
  const workload = values.workload ?? mutation?.workload;
  let shown = 0;
  return runCampaign(engine, {
    efforts: mutation === undefined ? (values.quick ? quick : everything) : everything.filter(({ kind }) => kind === mutation.fault), order, seed, share: { index, of }, orders: mutation?.fault === 'none' ? 200 : mutation === undefined ? ORDERS : 0, isEager: values.eager,
    ...(workload === undefined ? {} : { workloads: [workload] }), ...(deadline === undefined ? {} : { deadline }), ...(mutation?.from === undefined ? {} : { from: mutation.from }),
    onFailure: (trial, message) => {
      shown += 1;
      if (shown <= FAILURES_SHOWN) console.log(`BROKEN ${message}\n  replay: ${replayLine(trial)}${mutation === undefined ? '' : ` --mutation ${mutation.name}`}`);
    },
  });
}

/** A workload that breaks a promise without any fault is a failure like others. */
async function runOrTell(engine: Engine, what: Run): Promise<readonly Row[]> {
  try {
    return await run(engine, what);
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    console.log(`BROKEN without a fault: ${error.message}`);
    return [{ workload: values.workload ?? what.mutation?.workload ?? 'all', fault: 'none', points: 0, due: 1, tried: 1, failed: 1 }];
  }
}

async function main(): Promise<number> {
  const mutation = mutations.find(({ name }) => name === values.mutation);
  if (values.mutation !== undefined && mutation === undefined) throw new Error(`Mutate: there is no '${values.mutation}', only '${mutations.map(({ name }) => name).join("', '")}'`);
  const engine = await loadEngine(mutation?.replacements);
  try {
    const [order, seed] = [Number(values.order), Number(values.seed)];
    if (values.fault !== undefined) return await replay(engine, { workload: values.workload ?? '', order, fault: parseFault(values.fault), seed });
    const deadline = values.minutes === undefined ? undefined : performance.now() + Number(values.minutes) * 60_000;
    let failed = 0;
    for (let round = 0; round === 0 || (deadline !== undefined && performance.now() < deadline && !(values.eager && failed > 0)); round += 1) {
      const rows = await runOrTell(engine, { order: order + round, seed: seed + round * 1_000_003, mutation, ...(deadline === undefined ? {} : { deadline }) });
      console.log(`counts ${JSON.stringify(rows)}`);
      failed += rows.reduce((sum, row) => sum + row.failed, 0);
    }
    return failed > 0 ? 1 : 0;
  } finally {
    engine.dispose();
  }
}

process.exitCode = await main();
