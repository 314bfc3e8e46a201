/** A run as a page, as data and as a picture. */
import * as fs from 'node:fs';
import path from 'node:path';
import { replayLine } from './options.ts';
import type { CycleRecord, Settings } from './journal.ts';
import { dedupRatio, judge, verbsOf, type Verdict } from './limits.ts';
import { plot } from './plot.ts';
import { median, riseOf, thinned } from './trend.ts';

/** Cycles that the data file and the picture hold at most; the verdicts look at all. */
const CYCLES_SHOWN_MAX = 400;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(0);
}

function duration(milliseconds: number): string {
  if (milliseconds >= 2 * DAY_MS) return `${(milliseconds / DAY_MS).toFixed(1)} days`;
  if (milliseconds >= 2 * HOUR_MS) return `${(milliseconds / HOUR_MS).toFixed(1)} hours`;
  return `${(milliseconds / 60_000).toFixed(1)} minutes`;
}

/** Values of a step in each cycle; NaN where it was not taken. Of several runs in one cycle the largest. */
function seriesOf(cycles: readonly CycleRecord[], verb: string, value: 'seconds' | 'rssBytes'): number[] {
  return cycles.map((one) => {
    const costs = one.costs.filter((cost) => cost.verb === verb).map((cost) => cost[value]);
    return costs.length === 0 ? NaN : Math.max(...costs);
  });
}

function stepLines(cycles: readonly CycleRecord[]): readonly string[] {
  return verbsOf(cycles).map((verb) => {
    const [seconds, rss] = [seriesOf(cycles, verb, 'seconds').filter(Number.isFinite), seriesOf(cycles, verb, 'rssBytes').filter(Number.isFinite)];
    return `| ${verb} | ${cycles.flatMap((one) => one.costs.filter((cost) => cost.verb === verb)).length} | ${median(seconds).toFixed(2)} | ${Math.max(...seconds).toFixed(2)} | ${megabytes(median(rss))} | ${megabytes(Math.max(...rss))} | ${(riseOf(rss) / 1e6).toFixed(1)} |`;
  });
}

function mark(verdict: Verdict): string {
  return verdict.holds === 'not judged' ? 'not judged' : verdict.holds ? 'holds' : '**fails**';
}

function markdownOf(cycles: readonly CycleRecord[], settings: Settings, verdicts: readonly Verdict[]): string {
  const [first, last] = [cycles[0], cycles.at(-1)];
  const ran = settings.mode === 'real' ? (last?.realMs ?? 0) - settings.startedMs : (last?.timeMs ?? 0) - (first?.timeMs ?? 0);
  const asked = settings.mode === 'real' ? settings.length * 1000 : settings.length * DAY_MS;
  const restores = cycles.flatMap((one) => one.restores);
  const clock = settings.mode === 'real' ? 'real time, each step a process' : `simulated days, ${duration((last?.realMs ?? 0) - settings.startedMs)} of real time, all in one process`;
  return [
    `# Soak of ${new Date(settings.startedMs).toISOString().slice(0, 10)}: ${verdicts.some((one) => one.holds === false) ? 'failed' : 'all limits hold'}`, '',
    `**Ran ${duration(ran)} of ${duration(asked)} asked for** (${clock}): ${cycles.length} cycles, ${restores.length} restores, ${restores.reduce((sum, one) => sum + one.files, 0)} files with ${megabytes(restores.reduce((sum, one) => sum + one.bytes, 0))} MB compared with the table.`,
    `Corpus ${megabytes(last?.corpusBytes ?? 0)} MB, ${megabytes(cycles.slice(1).reduce((sum, one) => sum + one.changedBytes, 0))} MB changed over the run; ${last?.snapshots ?? 0} snapshots at the end, store ${megabytes(last?.storeBytes ?? 0)} MB, ${megabytes(cycles.reduce((sum, one) => sum + one.bytesReclaimed, 0))} MB reclaimed.`,
    `${Object.entries(settings.facts).map(([name, value]) => `${name} ${value}`).join(', ')}. Repeat with \`${replayLine(settings)}\`.`, '',
    '| limit | found | allowed | |', '|---|---|---|---|', ...verdicts.map((one) => `| ${one.name} | ${one.found} | ${one.allowed} | ${mark(one)} |`), '',
    '| step | runs | s, median | s, largest | MB, median | MB, largest | MB, rise |', '|---|---|---|---|---|---|---|', ...stepLines(cycles), '',
    'MB are 10^6 bytes of resident memory, as the kernel reports them; a rise is the Theil–Sen slope times the number of cycles.', '',
  ].join('\n');
}

function pictureOf(cycles: readonly CycleRecord[]): string {
  const perVerb = (value: 'seconds' | 'rssBytes', scale: number) => verbsOf(cycles).map((name) => ({ name, values: seriesOf(cycles, name, value).map((one) => one / scale) }));
  const line = (name: string, value: (cycle: CycleRecord) => number) => ({ name, values: cycles.map(value) });
  return plot([
    { title: 'Resident memory of each step', unit: 'MB', series: perVerb('rssBytes', 1e6), limit: 200 },
    { title: 'Store, and what its snapshots need', unit: 'MB', series: [line('store', (one) => one.storeBytes / 1e6), line('needed, raw', (one) => one.uniqueBytes / 1e6), line('corpus', (one) => one.corpusBytes / 1e6)] },
    { title: 'Ratios', unit: '1', series: [line('dedup, unchanged', dedupRatio), line('new / changed', (one) => (one.cycle === 0 ? NaN : one.changed.bytesNew / one.changedBytes)), line('files equal', (one) => 1 - one.restores.reduce((sum, restore) => sum + restore.differences, 0) / one.restores.reduce((sum, restore) => sum + restore.files, 0))] },
    { title: 'Time of each step', unit: 's', series: perVerb('seconds', 1) },
  ], [`cycle ${cycles[0]?.cycle ?? 0}`, `cycle ${cycles.at(-1)?.cycle ?? 0}`]);
}

/** Writes `NAME.md`, `NAME.json` and `NAME.svg`. @returns the verdicts */
export function writeReport(directory: string, name: string, cycles: readonly CycleRecord[], settings: Settings): readonly Verdict[] {
  const verdicts = judge(cycles, settings);
  const shown = thinned(cycles, CYCLES_SHOWN_MAX);
  fs.mkdirSync(directory, { recursive: true });
  const write = (extension: string, content: string): void => { fs.writeFileSync(path.join(directory, `${name}.${extension}`), content); };
  write('md', `${markdownOf(cycles, settings, verdicts)}\n![memory, store, ratios and times over the cycles](${name}.svg)\n`);
  write('json', `${JSON.stringify({ settings, verdicts, cycles: cycles.length, shown }, undefined, 1)}\n`);
  write('svg', pictureOf(shown));
  return verdicts;
}
