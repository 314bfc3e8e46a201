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

/** What happens at each `every`-th point, and how often with other seeds. */
export interface Effort {
  readonly kind: Fault['kind'];
  readonly lasting: boolean;
  readonly seeds: number;
  readonly every: number;
}

/** Every point with each fault; power cuts and kills with several outcomes. */
export const everything: readonly Effort[] = [
  { kind: 'cut', lasting: false, seeds: 3, every: 1 }, { kind: 'kill', lasting: false, seeds: 3, every: 1 }, { kind: 'eio', lasting: false, seeds: 1, every: 1 },
  { kind: 'eio', lasting: true, seeds: 1, every: 1 }, { kind: 'enospc', lasting: false, seeds: 1, every: 1 }, { kind: 'enospc', lasting: true, seeds: 1, every: 1 },
];

/** A power cut and a kill at every point; of what fails without a crash a sample, another one for another seed. */
export const quick: readonly Effort[] = [
  { kind: 'cut', lasting: false, seeds: 1, every: 1 }, { kind: 'kill', lasting: false, seeds: 1, every: 1 }, { kind: 'eio', lasting: false, seeds: 1, every: 32 },
  { kind: 'eio', lasting: true, seeds: 1, every: 32 }, { kind: 'enospc', lasting: false, seeds: 1, every: 12 }, { kind: 'enospc', lasting: true, seeds: 1, every: 12 },
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
  /** In how many orders interleaved workloads run without a fault. */
  readonly orders: number;
  /** Only from the first point on whose operation and path hold this text. */
  readonly from?: string;
  /** End at the first failure. */
  readonly isEager?: boolean;
  /** A time of `performance.now()` after which no trial begins. */
  readonly deadline?: number;
  onFailure(trial: Trial, message: string): void;
}

/** Trials of one workload with one fault. `points`: where it makes a difference; `due`: outcomes to be tried in all shares. */
export interface Row {
  readonly workload: string;
  readonly fault: string;
  readonly points: number;
  readonly due: number;
  tried: number;
  failed: number;
}

/** Runs it. @throws {Violation} a workload does not even work without faults. */
export async function runCampaign(engine: Engine, campaign: Campaign): Promise<readonly Row[]> {
  const rows: Row[] = [];
  let number = 0;
  for (const workload of workloads.filter(({ name }) => campaign.workloads?.includes(name) ?? true)) {
    const stage = await Stage.prepare(engine, workload, campaign.order);
    if (workload.isInterleaved === true) {
      const row = { workload: workload.name, fault: 'none', points: stage.points.length, due: campaign.orders, tried: 0, failed: 0 };
      rows.push(row);
      for (let i = campaign.share.index; i < campaign.orders; i += campaign.share.of) {
        row.tried += 1;
        await Stage.prepare(engine, workload, campaign.order + i); // throws what is wrong
      }
    }
    for (const effort of campaign.efforts) {
      const trials = trialsOf(stage, workload, effort, campaign);
      const row = { workload: workload.name, fault: `${effort.kind}${effort.lasting ? '+' : ''}`, points: stage.pointsOf(effort.kind).length, due: trials.length, tried: 0, failed: 0 };
      rows.push(row);
      for (const trial of trials) {
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

function trialsOf(stage: Stage, workload: Workload, { kind, lasting, seeds, every }: Effort, { order, seed, from }: Campaign): readonly Trial[] {
  const points = stage.pointsOf(kind).filter((_, i) => i % every === seed % every);
  const first = from === undefined ? 0 : points.findIndex((at) => stage.textOf(at).includes(from));
  const inOrder = first < 0 ? [] : points.slice(first);
  return Array.from({ length: seeds }, (_, round) => inOrder.map((at) => ({ workload: workload.name, order, fault: { kind, at, lasting }, seed: seed + at + round }))).flat();
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
