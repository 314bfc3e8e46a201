/**
 * Which snapshots a policy keeps and which it removes, and why. Changes nothing.
 *
 * Rules mean what the users of restic know; `lab/retention-restic.ts` compares with the real one.
 * Source: restic's manual, "Removing backup snapshots", https://restic.readthedocs.io/en/stable/060_forget.html
 */
import assert from 'node:assert';
import { NotFoundError, UsageError } from '../../core/index.ts';
import { Calendar } from './calendar.ts';
import { formatDuration } from './duration.ts';
import { PERIODS, checkPolicy, type GroupKey, type KeepCount, type RetentionPolicy } from './policy.ts';
import { trustSnapshots, type RetentionSnapshot, type Suspicion, type TimedSnapshot } from './trust.ts';

/** What becomes of one snapshot. */
export interface RetentionRow {
  readonly snapshot: RetentionSnapshot;
  /** Milliseconds since 1970: the time that counted, which may differ from the claimed one. */
  readonly time: number;
  readonly keep: boolean;
  /** Why it stays, in the order of the rules; empty when it goes. */
  readonly reasons: readonly string[];
  /** Set when its time is not believed: then it stays, and no rule saw it. */
  readonly suspicion?: Suspicion;
}

/** Snapshots that the rules were applied to together. */
export interface RetentionGroup {
  readonly host?: string;
  readonly sources?: readonly string[];
  readonly tags?: readonly string[];
  /** Newest first; suspicious ones at the end. */
  readonly rows: readonly RetentionRow[];
}

/** The whole answer: a preview, and what to carry out. */
export interface RetentionPlan {
  readonly groups: readonly RetentionGroup[];
  readonly kept: number;
  /** Ids to forget, oldest first. */
  readonly remove: readonly string[];
  readonly suspicious: number;
}

/** Sees the snapshots of a group, newest first; the reason when it keeps one. */
type Rule = (timed: TimedSnapshot, isOldest: boolean) => string | undefined;

function tagRule(list: readonly string[]): Rule {
  return ({ snapshot: { tags } }) =>
    (list.every((tag) => tags.includes(tag) || (tag === '' && tags.length === 0)) ? `has tags [${list.join(', ')}]` : undefined);
}

/** Keeps the first of each period while there are any left to keep. The oldest counts as first: there is no older one to keep instead. */
function countRule(count: KeepCount, name: string, keyOf: (timed: TimedSnapshot) => unknown): Rule {
  let left = count === 'unlimited' ? Number.POSITIVE_INFINITY : count;
  let before: unknown;
  return (timed, isOldest) => {
    if (left === 0) return undefined;
    const key = keyOf(timed);
    if (key === before && !isOldest) return undefined;
    const reason = key === before ? `oldest ${name}` : name;
    before = key;
    left -= 1;
    return reason;
  };
}

function rulesOf({ keep, timeZone = 'UTC' }: RetentionPolicy, latest: number): readonly Rule[] {
  const calendar = new Calendar(timeZone);
  const rules: Rule[] = (keep.tags ?? []).map(tagRule);
  if (keep.within !== undefined) {
    const from = calendar.before(latest, keep.within);
    const reason = `within ${formatDuration(keep.within)}`;
    rules.push(({ time }) => (time > from ? reason : undefined));
  }
  if (keep.last !== undefined) rules.push(countRule(keep.last, 'last snapshot', ({ snapshot }) => snapshot));
  for (const period of PERIODS) {
    const count = keep.periods?.[period];
    if (count !== undefined) rules.push(countRule(count, `${period} snapshot`, ({ time }) => calendar.period(time, period)));
  }
  for (const period of PERIODS) {
    const duration = keep.withinPeriods?.[period];
    if (duration === undefined) continue;
    const from = calendar.before(latest, duration);
    const rule = countRule('unlimited', `${period} within ${formatDuration(duration)}`, ({ time }) => calendar.period(time, period));
    rules.push((timed, isOldest) => (timed.time > from ? rule(timed, isOldest) : undefined));
  }
  return rules;
}

function planGroup(group: readonly RetentionSnapshot[], policy: RetentionPolicy): readonly RetentionRow[] {
  const { timed, suspicious } = trustSnapshots(group, policy);
  const rules = rulesOf(policy, timed[0]?.time ?? 0);
  const rows: RetentionRow[] = timed.map((one, i) => {
    const reasons = rules.map((rule) => rule(one, i === timed.length - 1)).filter((reason) => reason !== undefined);
    return { snapshot: one.snapshot, time: one.time, keep: reasons.length > 0, reasons };
  });
  if (rows.length > 0 && policy.keepNothing !== true && rows.every((row) => !row.keep)) {
    const [{ host, sources } = { host: '', sources: [] }] = group;
    throw new UsageError(`Apply retention policy: it keeps none of the ${rows.length} snapshots of '${host}' of '${sources.join(' ')}'; allow that expressly, or add a rule`, { snapshots: rows.length });
  }
  for (const { snapshot, suspicion } of suspicious) {
    rows.push({ snapshot, time: snapshot.claimed, keep: true, reasons: [`time not believed: ${suspicion}`], suspicion });
  }
  return rows;
}

function keyOf(snapshot: RetentionSnapshot, groupBy: readonly GroupKey[]): Omit<RetentionGroup, 'rows'> {
  return {
    ...(groupBy.includes('host') ? { host: snapshot.host } : {}),
    ...(groupBy.includes('sources') ? { sources: [...snapshot.sources].sort() } : {}),
    ...(groupBy.includes('tags') ? { tags: [...snapshot.tags].sort() } : {}),
  };
}

function planOf(groups: readonly RetentionGroup[]): RetentionPlan {
  const rows = groups.flatMap((group) => group.rows);
  const remove = rows.filter((row) => !row.keep).sort((a, b) => a.time - b.time).map((row) => row.snapshot.id);
  return { groups, kept: rows.length - remove.length, remove, suspicious: rows.filter((row) => row.suspicion !== undefined).length };
}

/**
 * Applies a policy to all snapshots of a repository. Ids must differ.
 * @throws {UsageError} a policy without a rule, with a rule that means nothing, or one that would keep nothing of a group without being allowed to.
 */
export function planRetention(snapshots: readonly RetentionSnapshot[], policy: RetentionPolicy): RetentionPlan {
  checkPolicy(policy);
  assert(new Set(snapshots.map((one) => one.id)).size === snapshots.length, 'ids of snapshots differ');
  rulesOf(policy, 0); // a time zone that does not exist is an error also when there is no snapshot
  const groupBy = policy.groupBy ?? ['host', 'sources'];
  const groups = new Map<string, RetentionSnapshot[]>();
  for (const snapshot of snapshots) {
    const key = JSON.stringify(keyOf(snapshot, groupBy));
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [snapshot]);
    else group.push(snapshot);
  }
  const sorted = [...groups.values()].map((group) => ({ key: keyOf(group[0] as RetentionSnapshot, groupBy), group }))
    .sort((a, b) => (JSON.stringify(a.key) < JSON.stringify(b.key) ? -1 : 1));
  return planOf(sorted.map(({ key, group }) => ({ ...key, rows: planGroup(group, policy) })));
}

/** The whole id that begins so. @throws {NotFoundError} none does. @throws {UsageError} several do. */
export function wholeId(snapshots: readonly Pick<RetentionSnapshot, 'id'>[], text: string, action: string): string {
  const [match, ...more] = text === '' ? [] : snapshots.filter(({ id }) => id.startsWith(text));
  if (match === undefined) throw new NotFoundError(`${action} '${text}': the repository has no such snapshot`, { snapshot: text });
  if (more.length > 0) throw new UsageError(`${action} '${text}': ${more.length + 1} ids begin with it`);
  return match.id;
}

/**
 * Removes the snapshots that were named, and no others: what an operator names by id is not subject to any rule.
 * @param ids whole ids, or beginnings that fit one snapshot only.
 * @throws {UsageError} no ids, or one that fits several. @throws {NotFoundError} one that fits none.
 */
export function planExplicit(snapshots: readonly RetentionSnapshot[], ids: readonly string[]): RetentionPlan {
  if (ids.length === 0) throw new UsageError('Forget snapshots: no id was given');
  const named = new Set<string>();
  for (const id of ids) {
    named.add(wholeId(snapshots, id, 'Forget snapshot'));
  }
  const rows = [...snapshots].sort((a, b) => b.claimed - a.claimed || (a.id < b.id ? -1 : 1)).map((snapshot) => ({
    snapshot, time: snapshot.claimed, keep: !named.has(snapshot.id), reasons: named.has(snapshot.id) ? [] : ['not named'],
  }));
  return planOf([{ rows }]);
}
