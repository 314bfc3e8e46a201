/** What a soak must hold. Each limit looks at all cycles and can fail; one that cannot be judged says so. */
import type { CycleRecord, Settings } from './journal.ts';
import { riseOf } from './trend.ts';

/** A limit's answer. */
export interface Verdict {
  readonly name: string;
  readonly holds: boolean | 'not judged';
  readonly found: string;
  readonly allowed: string;
}

type Judge = (cycles: readonly CycleRecord[], settings: Settings) => Omit<Verdict, 'name'>;

const MB = 1e6;
/** The promise for every command; the simulated mode has corpus, comparison and store in one process and only tests for growth. */
const RSS_BYTES_MAX = 200 * MB;
const RSS_RISE_BYTES_MAX = 10 * MB;
const DEDUP_RATIO_MIN = 0.9999;
/** New bytes per changed byte: chunks reach beyond what was written. */
const NEW_PER_CHANGED_MAX = 1.6;
/** Stored bytes per byte that the snapshots need, and what a store of any size may add. */
const STORE_RATIO_MAX = 1.25;
const STORE_BASE_BYTES = 4 * MB;
const STORE_RATIO_RISE_MAX = 0.1;
const OPEN_FILES_RISE_MAX = 4;
const CYCLES_MIN = 4;
/** Fewer points say nothing about a rise. */
const RISE_POINTS_MIN = 20;

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function atMost(found: number, allowed: number, show: (value: number) => string = String): Omit<Verdict, 'name'> {
  // Written so that a NaN does not hold.
  return { holds: found <= allowed, found: show(found), allowed: `≤ ${show(allowed)}` };
}

function megabytes(bytes: number): string {
  return `${(bytes / MB).toFixed(1)} MB`;
}

function notJudged(found: string, allowed: string): Omit<Verdict, 'name'> {
  return { holds: 'not judged', found, allowed };
}

/** Series of one step over the cycles that had it: the memory of a process that did only this, or what a process that goes on kept. */
function memoryOf(cycles: readonly CycleRecord[], verb: string): readonly number[] {
  return cycles.flatMap((one) => one.costs.filter((cost) => cost.verb === verb).map((cost) => cost.keptBytes ?? cost.rssBytes));
}

/** Names of the steps that were taken. */
export function verbsOf(cycles: readonly CycleRecord[]): readonly string[] {
  return [...new Set(cycles.flatMap((one) => one.costs.map((cost) => cost.verb)))];
}

/** Without its first part, in which caches fill and snapshots gather. */
function settled<T>(list: readonly T[], part: number): readonly T[] {
  return list.slice(Math.floor(list.length * part));
}

/** Fraction of the bytes of an unchanged corpus that the store had already. */
export function dedupRatio({ unchanged }: CycleRecord): number {
  return 1 - unchanged.bytesNew / unchanged.bytesIn;
}

const limits: Readonly<Record<string, Judge>> = {
  'cycles': (cycles) => ({ holds: cycles.length >= CYCLES_MIN, found: String(cycles.length), allowed: `≥ ${CYCLES_MIN}` }),
  'restored files that differ from the table': (cycles) => {
    const restores = cycles.flatMap((one) => one.restores);
    const complete = cycles.every((one) => one.restores.length >= 2 && one.restores.every((restore) => restore.files > 0));
    return { holds: complete && restores.every((one) => one.differences === 0), found: `${sum(restores.map((one) => one.differences))} of ${sum(restores.map((one) => one.files))}${complete ? '' : ', and restores are missing'}`, allowed: '0' };
  },
  'problems that check reports': (cycles) => atMost(sum(cycles.map((one) => one.problems.length)), 0),
  'snapshots kept or forgotten against the policy': (cycles) => atMost(sum(cycles.map((one) => one.wronglyKept + one.wronglyForgotten)), 0),
  'dedup ratio of unchanged data, smallest': (cycles) => {
    const smallest = Math.min(...cycles.map(dedupRatio));
    return { holds: smallest >= DEDUP_RATIO_MIN, found: smallest.toFixed(6), allowed: `≥ ${DEDUP_RATIO_MIN}` };
  },
  'new bytes per changed byte': (cycles) => {
    const later = cycles.slice(1);
    return atMost(sum(later.map((one) => one.changed.bytesNew)) / sum(later.map((one) => one.changedBytes)), NEW_PER_CHANGED_MAX, (value) => value.toFixed(2));
  },
  'memory of a step, largest': (cycles, { mode }) => {
    const largest = Math.max(...cycles.flatMap((one) => one.costs.map((cost) => cost.rssBytes)));
    return mode === 'simulated' ? notJudged(`${megabytes(largest)}, corpus and comparison included`, `≤ ${megabytes(RSS_BYTES_MAX)} a process`) : atMost(largest, RSS_BYTES_MAX, megabytes);
  },
  'rise of memory, second half, steepest step': (cycles) => {
    const series = verbsOf(cycles).map((verb) => settled(memoryOf(cycles, verb), 0.5)).filter((one) => one.length >= RISE_POINTS_MIN);
    return series.length === 0 ? notJudged('too few cycles', `≤ ${megabytes(RSS_RISE_BYTES_MAX)}`) : atMost(Math.max(...series.map(riseOf)), RSS_RISE_BYTES_MAX, megabytes);
  },
  'store beyond what snapshots need, largest': (cycles) => (
    atMost(Math.max(...cycles.map((one) => (one.storeBytes - STORE_BASE_BYTES) / one.uniqueBytes)), STORE_RATIO_MAX, (value) => value.toFixed(2))),
  'rise of store per needed byte, second half': (cycles) => (
    atMost(riseOf(settled(cycles, 0.5).map((one) => one.storeBytes / one.uniqueBytes)), STORE_RATIO_RISE_MAX, (value) => value.toFixed(3))),
  'files left behind by writers': (cycles) => atMost(Math.max(...cycles.map((one) => one.leftovers)), 0),
  'rise of open files': (cycles, { mode }) => (mode === 'real'
    ? notJudged('each step is a process', `≤ ${OPEN_FILES_RISE_MAX}`)
    : atMost(riseOf(cycles.map((one) => one.openFiles ?? NaN)), OPEN_FILES_RISE_MAX, (value) => value.toFixed(1))),
};

/** Judges a run, complete or not. */
export function judge(cycles: readonly CycleRecord[], settings: Settings): readonly Verdict[] {
  return Object.entries(limits).map(([name, look]) => ({ name, ...look(cycles, settings) }));
}
