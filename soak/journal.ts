/** What happened in each cycle: one JSON object per line, appended when the cycle is over, so that an interrupted run goes on. */
import * as fs from 'node:fs';
import type { Policy, StepCost } from './store.ts';

/** How a run was begun; the same for all its cycles. */
export interface Settings {
  readonly mode: 'real' | 'simulated';
  readonly seed: number;
  readonly corpusMebibytes: number;
  readonly policy: Policy;
  /** How long it is meant to run: real seconds, or simulated days. */
  readonly length: number;
  /** Real milliseconds since 1970. */
  readonly startedMs: number;
  /** Commit and machine, for readers of the report. */
  readonly facts: Readonly<Record<string, string>>;
}

/** One restore with its comparison. */
export interface RestoreRecord {
  /** Cycle whose state the snapshot holds. */
  readonly of: number;
  readonly files: number;
  readonly bytes: number;
  readonly differences: number;
  readonly examples: readonly string[];
}

/** One cycle. Bytes are of 1, times milliseconds since 1970. */
export interface CycleRecord {
  readonly cycle: number;
  /** By the clock that the store sees. */
  readonly timeMs: number;
  readonly realMs: number;
  /** Content of the corpus without holes, and what of it is new. */
  readonly corpusBytes: number;
  readonly changedBytes: number;
  /** The backup after the change. */
  readonly changed: { readonly bytesIn: number; readonly bytesNew: number; readonly bytesStored: number; readonly chunksNew: number };
  /** A backup of the same state, reading everything again. */
  readonly unchanged: { readonly bytesIn: number; readonly bytesNew: number; readonly chunks: number; readonly chunksNew: number };
  readonly restores: readonly RestoreRecord[];
  /** Snapshots after forgetting; those whose fate was not as the policy says. */
  readonly snapshots: number;
  readonly wronglyKept: number;
  readonly wronglyForgotten: number;
  readonly bytesReclaimed: number;
  readonly problems: readonly string[];
  readonly readData: boolean;
  /** All files of the repository. */
  readonly storeBytes: number;
  /** What the snapshots that are there hold together, each byte once, before compression. */
  readonly uniqueBytes: number;
  /** Files of writers that are no longer there. */
  readonly leftovers: number;
  /** Open files of this process, when the store runs in it. */
  readonly openFiles?: number;
  readonly costs: readonly StepCost[];
}

/** Appends a cycle; it survives a crash when the call returns. */
export function appendCycle(file: string, record: CycleRecord): void {
  const fd = fs.openSync(file, 'a');
  try {
    fs.writeSync(fd, `${JSON.stringify(record)}\n`);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** All complete cycles, in order; a line that a crash cut is cut off, also in the file. */
export function readCycles(file: string): readonly CycleRecord[] {
  if (!fs.existsSync(file)) return [];
  const text = fs.readFileSync(file, 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) fs.truncateSync(file, Buffer.byteLength(whole));
  return whole.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as CycleRecord);
}
