/**
 * Retention against restic's own: random snapshots made by `restic backup --time`, random policies, `restic forget --dry-run --json` beside
 * `planRetention`. Kept snapshots and reasons must be the same, in several time zones. That the oldest snapshot stays while a rule has places
 * left is younger than restic 0.14: where restic never says so, what we keep for that reason alone is left out of the comparison, and logged.
 */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { seededRandom } from '../src/core/testing/random.ts';
import {
  PERIODS, parseDuration, planRetention, type GroupKey, type KeepRules, type RetentionPolicy, type RetentionSnapshot,
} from '../src/engine/retention/index.ts';
import { Checks } from './checks.ts';
import type { Scenario, ScenarioContext } from './scenario.ts';

const run = promisify(execFile);
const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York'];
const SNAPSHOTS = 16;
const POLICIES = 20;
const HOUR_MS = 3_600_000;
/** Around the change to summer time, a leap day and the turn of a year with ISO week 1 in December. */
const ANCHORS = ['2024-03-31T03:00:00Z', '2024-11-03T06:00:00Z', '2024-02-29T12:00:00Z', '2024-12-31T22:00:00Z', '2023-03-10T12:00:00Z'].map((text) => Date.parse(text));

type Restic = (...parameters: readonly string[]) => Promise<string>;

function resticOf(context: ScenarioContext, zone: string): Restic {
  const folder = path.join(context.workDirectory, zone.replace('/', '-'));
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'file'), 'content');
  const env = { PATH: process.env['PATH'], HOME: folder, TZ: zone, RESTIC_REPOSITORY: path.join(folder, 'repository'), RESTIC_PASSWORD: 'lab' };
  return async (...parameters) => (await run('restic', [...parameters, '--no-cache', '--json'], { cwd: folder, env, maxBuffer: 1 << 26 })).stdout;
}

interface ResticSnapshot {
  readonly id: string;
  readonly time: string;
  readonly hostname: string;
  readonly paths: readonly string[];
  readonly tags?: readonly string[];
}

async function makeSnapshots(restic: Restic, next: () => number): Promise<readonly RetentionSnapshot[]> {
  await restic('init');
  const below = (bound: number): number => Math.floor(next() * bound);
  for (let i = 0; i < SNAPSHOTS; i += 1) {
    const spread = [24, 24 * 14, 24 * 200][below(3)] ?? 24;
    // Distinct seconds: which of two snapshots of one instant is the newer one is not defined.
    const time = (ANCHORS[below(ANCHORS.length)] as number) + below(spread) * HOUR_MS - below(6) * 600_000 + i * 1000;
    const tags = ['x', 'y'].filter(() => next() < 0.4);
    const text = new Date(time).toISOString().slice(0, 19).replace('T', ' ');
    await restic('backup', '--time', text, '--host', next() < 0.7 ? 'a' : 'b', ...tags.flatMap((tag) => ['--tag', tag]), 'file');
  }
  const rows = JSON.parse(await restic('snapshots')) as readonly ResticSnapshot[];
  return rows.map((row) => {
    const time = Date.parse(row.time); // restic read the text as local time, which may be ambiguous: what it made of it counts
    return { id: row.id, claimed: time, stored: time, host: row.hostname, sources: row.paths, tags: row.tags ?? [] };
  });
}

interface Choice {
  readonly policy: RetentionPolicy;
  readonly parameters: readonly string[];
}

function randomPolicy(next: () => number, timeZone: string): Choice {
  const below = (bound: number): number => Math.floor(next() * bound);
  const parameters: string[] = [];
  const periods: Record<string, number> = {};
  const withinPeriods: Record<string, ReturnType<typeof parseDuration>> = {};
  const duration = (): string => ['5h', '2d', '1d12h', '14d', '1m', '3m5d', '1y', '1y2m3d4h'][below(8)] ?? '1d';
  for (const period of PERIODS) {
    if (next() < 0.35) parameters.push(`--keep-${period}`, String(periods[period] = 1 + below(8)));
    if (next() >= 0.2) continue;
    const text = duration();
    withinPeriods[period] = parseDuration(text);
    parameters.push(`--keep-within-${period}`, text);
  }
  const last = parameters.length === 0 || next() < 0.3 ? 1 + below(5) : undefined;
  const within = next() < 0.3 ? duration() : undefined;
  const tags = next() < 0.3 ? [[['x'], ['y', 'x']][below(2)] ?? ['x']] : undefined;
  if (last !== undefined) parameters.push('--keep-last', String(last));
  if (within !== undefined) parameters.push('--keep-within', within);
  for (const list of tags ?? []) parameters.push('--keep-tag', list.join(','));
  const groupBy: readonly GroupKey[] = [['host', 'sources'], ['host'], ['tags'], ['host', 'tags'], []][below(5)] as readonly GroupKey[];
  parameters.push('--group-by', groupBy.map((key) => (key === 'sources' ? 'paths' : key)).join(','));
  const keep: KeepRules = {
    periods, withinPeriods, ...(last === undefined ? {} : { last }), ...(within === undefined ? {} : { within: parseDuration(within) }),
    ...(tags === undefined ? {} : { tags }),
  };
  return { policy: { keep, groupBy, timeZone, keepNothing: true }, parameters };
}

interface ResticGroup {
  readonly keep: readonly ResticSnapshot[] | null;
  readonly reasons: readonly { readonly snapshot: { readonly time: string }; readonly matches: readonly string[] }[] | null;
}

/** What is kept, and why: one line a snapshot. */
type Kept = readonly { readonly id: string; readonly reasons: readonly string[] }[];

function keptByRestic(text: string): Kept {
  const groups = JSON.parse(text) as readonly ResticGroup[];
  return groups.flatMap(({ keep, reasons }) => (keep ?? []).map((row, i) => ({ id: row.id, reasons: reasons?.[i]?.matches ?? [] })));
}

function keptByHoldfast(snapshots: readonly RetentionSnapshot[], policy: RetentionPolicy): Kept {
  return planRetention(snapshots, policy).groups.flatMap((group) => group.rows).filter((row) => row.keep).map((row) => ({ id: row.snapshot.id, reasons: row.reasons }));
}

function isOldest(reason: string): boolean {
  return reason.startsWith('oldest ');
}

function linesOf(kept: Kept): readonly string[] {
  return kept.map(({ id, reasons }) => `${id.slice(0, 8)}: ${reasons.join(', ')}`).sort();
}

function differenceOf(theirs: readonly string[], ours: readonly string[]): string {
  const only = (a: readonly string[], b: readonly string[]): string => a.filter((line) => !b.includes(line)).join('; ') || 'nothing';
  return `only restic: ${only(theirs, ours)}\n  only holdfast: ${only(ours, theirs)}`;
}

async function compareZone(context: ScenarioContext, checks: Checks, zone: string): Promise<void> {
  const next = seededRandom((context.seed + ZONES.indexOf(zone)) >>> 0);
  const restic = resticOf(context, zone);
  const snapshots = await makeSnapshots(restic, next);
  const pairs: { readonly parameters: readonly string[]; readonly theirs: Kept; readonly ours: Kept }[] = [];
  for (let i = 0; i < POLICIES; i += 1) {
    const { policy, parameters } = randomPolicy(next, zone);
    const theirs = keptByRestic(await restic('forget', '--dry-run', ...parameters));
    pairs.push({ parameters, theirs, ours: keptByHoldfast(snapshots, policy) });
  }
  const knowsOldest = pairs.some(({ theirs }) => theirs.some(({ reasons }) => reasons.some(isOldest)));
  const differences = pairs.flatMap(({ parameters, theirs, ours }) => {
    const comparable = knowsOldest ? ours : ours.map(({ id, reasons }) => ({ id, reasons: reasons.filter((reason) => !isOldest(reason)) })).filter((row) => row.reasons.length > 0);
    const [a, b] = [linesOf(theirs), linesOf(comparable)];
    return a.join('\n') === b.join('\n') ? [] : [`${parameters.join(' ')}\n  ${differenceOf(a, b)}`];
  });
  const rule = knowsOldest ? 'the rule of the oldest included' : 'without the rule of the oldest, which this restic does not have';
  checks.expect(`${zone}: ${SNAPSHOTS} snapshots, ${POLICIES} policies: same snapshots kept for the same reasons, ${rule}`, differences.length === 0, differences.join('\n'));
  const removed = pairs.reduce((sum, { ours }) => sum + SNAPSHOTS - ours.length, 0);
  checks.expect(`${zone}: the policies remove something (${removed})`, removed > 0, 'nothing was ever removed');
}

/** Same answers as restic. */
export const retentionRestic: Scenario = {
  name: 'retention-restic', needs: ['restic'], quick: true,
  run: async (context) => {
    const checks = new Checks(context);
    for (const zone of ZONES) await compareZone(context, checks, zone);
    return checks.tally;
  },
};
