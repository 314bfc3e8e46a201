/**
 * `npm run crash`: every fault at every point, once. `-- --minutes N` goes on with other orders and seeds; `--workload NAME --fault FAULT --seed N` replays one
 * trial; `--mutation NAME` takes a step out of the engine; `--share I/N` runs one of N parts. Exit code 1 when a promise was broken.
 */
import { parseArgs } from 'node:util';
import { everything, failureOf, replayLine, runCampaign, type Row, type Trial } from './campaign.ts';
import { loadEngine, type Engine } from './engine.ts';
import { parseFault } from './faults.ts';
import { mutations } from './mutations.ts';
import { Stage } from './stage.ts';
import { workloads } from './workloads/index.ts';

const FAILURES_SHOWN = 20;

const { values } = parseArgs({
  options: {
    workload: { type: 'string' }, fault: { type: 'string' }, mutation: { type: 'string' }, order: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' }, share: { type: 'string', default: '0/1' }, minutes: { type: 'string' }, eager: { type: 'boolean', default: false },
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

/** Prints each failure as it comes, the counts as one line of JSON for whoever adds up. */
async function run(engine: Engine, [order, seed]: readonly [number, number], deadline: number | undefined): Promise<readonly Row[]> {
  const [index = 0, of = 1] = values.share.split('/').map(Number);
  let shown = 0;
  return runCampaign(engine, {
    efforts: everything, order, seed, share: { index, of }, isEager: values.eager,
    ...(values.workload === undefined ? {} : { workloads: [values.workload] }), ...(deadline === undefined ? {} : { deadline }),
    onFailure: (trial, message) => {
      shown += 1;
      if (shown <= FAILURES_SHOWN) console.log(`BROKEN ${message}\n  replay: ${replayLine(trial)}${values.mutation === undefined ? '' : ` --mutation ${values.mutation}`}`);
    },
  });
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
      const rows = await run(engine, [order + round, seed + round * 1_000_003], deadline);
      console.log(`counts ${JSON.stringify(rows)}`);
      failed += rows.reduce((sum, row) => sum + row.failed, 0);
    }
    return failed > 0 ? 1 : 0;
  } finally {
    engine.dispose();
  }
}

process.exitCode = await main();
