/** `forget`: drops snapshots by id or by a retention policy. */
import { UsageError } from '../../../core/index.ts';
import {
  PERIODS, parseDuration, parseKeepCount, previewLines, type GroupKey, type KeepRules, type RetentionPolicy, type RetentionRow, type SnapshotInfo,
} from '../../../engine/index.ts';
import { forgetSnapshots } from '../../forget.ts';
import { openDirectRepository } from '../../repositories.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';
import { collectGarbage, type GcOptions } from './gc.ts';

/** Options as commander names them. */
interface Options extends CommonOptions, GcOptions {
  readonly keepLast?: string;
  readonly keepWithin?: string;
  readonly keepTag?: readonly string[];
  readonly keepNothing?: boolean;
  readonly groupBy?: string;
  readonly host?: readonly string[];
  readonly tag?: readonly string[];
  readonly timeZone?: string;
  readonly clockTolerance?: string;
  readonly trustStoredBefore?: string;
  readonly trust?: readonly string[];
  readonly gc?: boolean;
  readonly [other: `keep${string}`]: unknown;
}

const groupKeys: readonly GroupKey[] = ['host', 'sources', 'tags'];
const HOUR_MS = 3_600_000;

/** `hourly` of `keepHourly` and `keepWithinHourly`. */
function perPeriod<T>(options: Options, prefix: string, parse: (text: string) => T): Record<string, T> {
  const found: Record<string, T> = {};
  for (const period of PERIODS) {
    const value = options[`keep${prefix}${period.charAt(0).toUpperCase()}${period.slice(1)}`];
    if (typeof value === 'string') found[period] = parse(value);
  }
  return found;
}

function rulesOf(options: Options): KeepRules {
  return {
    ...(options.keepLast === undefined ? {} : { last: parseKeepCount(options.keepLast) }),
    ...(options.keepWithin === undefined ? {} : { within: parseDuration(options.keepWithin) }),
    periods: perPeriod(options, '', parseKeepCount),
    withinPeriods: perPeriod(options, 'Within', parseDuration),
    ...(options.keepTag === undefined ? {} : { tags: options.keepTag.map((list) => list.split(',')) }),
  };
}

function hoursOf(text: string): number {
  const { years, months, days, hours } = parseDuration(text);
  if (years + months > 0) throw new UsageError(`Read '${text}': years and months have no fixed length here, write days and hours`);
  return (days * 24 + hours) * HOUR_MS;
}

function dateOf(text: string): number {
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new UsageError(`Read date '${text}': write one such as '2026-11-21' or '2026-11-21T10:00:00Z'`);
  return time;
}

function groupsOf(text: string): readonly GroupKey[] {
  const names = text.split(',').filter((name) => name !== '');
  const wrong = names.find((name) => !groupKeys.includes(name as GroupKey));
  if (wrong !== undefined) throw new UsageError(`Group snapshots by '${wrong}': choose from '${groupKeys.join("', '")}', or '' for one group`);
  return names as readonly GroupKey[];
}

function policyOf(options: Options): RetentionPolicy {
  return {
    keep: rulesOf(options),
    ...(options.groupBy === undefined ? {} : { groupBy: groupsOf(options.groupBy) }),
    ...(options.timeZone === undefined ? {} : { timeZone: options.timeZone }),
    ...(options.clockTolerance === undefined ? {} : { toleranceMs: hoursOf(options.clockTolerance) }),
    ...(options.trustStoredBefore === undefined ? {} : { trustStoredBefore: dateOf(options.trustStoredBefore) }),
    ...(options.trust === undefined ? {} : { trustedIds: new Set(options.trust) }),
    ...(options.keepNothing === undefined ? {} : { keepNothing: options.keepNothing }),
  };
}

function rowObject({ snapshot: { id, host, sources, tags }, time, keep, reasons, suspicion }: RetentionRow): object {
  return { id, time, host, sources, tags, keep, reasons, ...(suspicion === undefined ? {} : { suspicion }) };
}

/** Runs the verb. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [directory = '', ...ids] = operands;
  const policy = ids.length === 0 ? policyOf(options) : undefined;
  if (ids.length > 0 && Object.keys(options).some((name) => name.startsWith('keep'))) {
    throw new UsageError('Forget snapshots: give either ids or keep rules');
  }
  const consider = ({ host, tags }: SnapshotInfo): boolean =>
    (options.host === undefined || options.host.includes(host)) && (options.tag === undefined || options.tag.some((tag) => tags.includes(tag)));
  const repository = await openDirectRepository(directory, { mode: 'write', keys: context.keys, onNote: context.note, cacheDirectory: context.cacheDirectory });
  try {
    const errors: { readonly snapshot: string; readonly message: string }[] = [];
    const { plan, dryRun } = await forgetSnapshots(repository, { ids, consider, ...(policy === undefined ? {} : { policy }), dryRun: options.dryRun ?? false }, (snapshot, { message }) => {
      if (policy === undefined && !ids.some((id) => snapshot.startsWith(id))) return; // it is not concerned
      if (policy !== undefined) errors.push({ snapshot, message }); // which is named goes, damaged or not
      context.warn(message);
    });
    for (const line of previewLines(plan, options.timeZone)) context.print(line);
    if (plan.suspicious > 0) context.warn(`${plan.suspicious} snapshots stay because their time is not believed; see docs/retention.md`);
    context.print(`${dryRun ? 'would forget' : 'forgot'} ${plan.remove.length} of ${plan.remove.length + plan.kept} snapshots`);
    const snapshots = plan.groups.flatMap(({ rows }) => rows.map(rowObject));
    const gc = options.gc === true ? await collectGarbage(repository, context, options) : undefined;
    return { exitCode: errors.length > 0 ? 3 : 0, result: { dryRun, removed: plan.remove, kept: plan.kept, suspicious: plan.suspicious, snapshots, errors, ...(gc === undefined ? {} : { gc }) } };
  } finally {
    await repository.close();
  }
}
