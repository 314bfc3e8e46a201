/** What a workload is: a state to begin with, and what is done while faults happen. */
import type { Bench } from './bench.ts';

/** One workload; its file in `workloads/` exports it, `campaign.ts` lists it. */
export interface Workload {
  readonly name: string;
  /** Whether several processes work at once; then a seed says in which order. */
  readonly isInterleaved?: boolean;
  /** Whether a process that is killed leaves others at work; interleaved ones always do. */
  readonly isConcurrent?: boolean;
  /** What is there before anything goes wrong. Without it the workload begins on an empty disk. */
  prepare?(bench: Bench): Promise<void>;
  /** What must hold and work besides once the machine recovered. */
  recover?(bench: Bench): Promise<void>;
  /** Faults happen here. Whatever the engine throws may be thrown on. */
  run(bench: Bench): Promise<void>;
}
