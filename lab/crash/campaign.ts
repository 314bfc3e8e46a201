/** Tries faults at every point of every workload, shared among processes, and counts what came of it. */
import type { Engine } from './engine.ts';
import { formatFault, type Fault } from './faults.ts';
import { Stage } from './stage.ts';
import type { Workload } from './workload.ts';
import { workloads } from './workloads/index.ts';

/** One fault of one run. `order`: in which order processes take turns; `seed`: what a disk had written when the power went, and how long after a kill. */
export interface Trial {
  readonly workload: string;
  readonly order: number;
  readonly fault: Fault;
  readonly seed: number;
}

/** What happens at each point, and how often with other seeds. */
export interface Effort {
  readonly kind: Fault['kind'];
  readonly lasting: boolean;
  readonly seeds: number;
}

/** Every point once with each fault; power cuts and kills with several outcomes. */
export const everything: readonly Effort[] = [
  { kind: 'cut', lasting: false, seeds: 3 }, { kind: 'kill', lasting: false, seeds: 3 }, { kind: 'eio', lasting: false, seeds: 1 },
  { kind: 'eio', lasting: true, seeds: 1 }, { kind: 'enospc', lasting: false, seeds: 1 }, { kind: 'enospc', lasting: true, seeds: 1 },
];

/** What to run. */
export interface Campaign {
  readonly efforts: readonly Effort[];
  /** Names; default all. */
  readonly workloads?: readonly string[];
  readonly order: number;
  readonly seed: number;
  /** Every `of`-th trial, from `index` on: processes share the rest. */
  readonly share: { readonly index: number; readonly of: number };
  /** End at the first failure. */
  readonly isEager?: boolean;
  /** A time of `performance.now()` after which no trial begins. */
  readonly deadline?: number;
  onFailure(trial: Trial, message: string): void;
}

/** Trials of one workload with one fault. */
export interface Row {
  readonly workload: string;
  readonly fault: string;
  points: number;
  tried: number;
  failed: number;
}

/** Runs it. @throws {Violation} a workload does not even work without faults. */
export async function runCampaign(engine: Engine, campaign: Campaign): Promise<readonly Row[]> {
  const rows: Row[] = [];
  let number = 0;
  for (const workload of workloads.filter(({ name }) => campaign.workloads?.includes(name) ?? true)) {
    const stage = await Stage.prepare(engine, workload, campaign.order);
    for (const effort of campaign.efforts) {
      const row = { workload: workload.name, fault: `${effort.kind}${effort.lasting ? '+' : ''}`, points: stage.pointsOf(effort.kind).length, tried: 0, failed: 0 };
      rows.push(row);
      for (const trial of trialsOf(stage, workload, effort, campaign)) {
        number += 1;
        if (number % campaign.share.of !== campaign.share.index) continue;
        if (campaign.deadline !== undefined && performance.now() > campaign.deadline) return rows;
        row.tried += 1;
        const message = await failureOf(stage, trial);
        if (message === undefined) continue;
        row.failed += 1;
        campaign.onFailure(trial, message);
        if (campaign.isEager === true) return rows;
      }
    }
  }
  return rows;
}

function* trialsOf(stage: Stage, workload: Workload, { kind, lasting, seeds }: Effort, { order, seed }: Campaign): Iterable<Trial> {
  for (let round = 0; round < seeds; round += 1) {
    for (const at of stage.pointsOf(kind)) yield { workload: workload.name, order, fault: { kind, at, lasting }, seed: seed + at + round };
  }
}

/** Undefined when all held. */
export async function failureOf(stage: Stage, trial: Trial): Promise<string | undefined> {
  try {
    await stage.try(trial.fault, trial.seed);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** How to see a trial again. */
export function replayLine({ workload, order, fault, seed }: Trial): string {
  return `npm run crash -- --workload ${workload} --order ${order} --fault ${formatFault(fault)} --seed ${seed}`;
}
