/** What to keep: the rules, and what makes a policy one that may be carried out. */
import { UsageError } from '../../core/index.ts';
import type { Period } from './calendar.ts';
import type { Duration } from './duration.ts';

/** How many to keep: an integer from 1 on, or all. */
export type KeepCount = number | 'unlimited';

/** Rules; a snapshot stays when at least one keeps it. */
export interface KeepRules {
  readonly last?: KeepCount;
  /** The newest snapshot of each of the last N hours, days… that have one. */
  readonly periods?: Readonly<Partial<Record<Period, KeepCount>>>;
  /** All that are newer than this, counted back from the newest snapshot of the group. */
  readonly within?: Duration;
  /** The newest snapshot of each hour, day… of that time. */
  readonly withinPeriods?: Readonly<Partial<Record<Period, Duration>>>;
  /** Snapshots that have all tags of at least one of the lists; the tag '' stands for "has no tags". */
  readonly tags?: readonly (readonly string[])[];
}

/** What makes snapshots belong together; the rules are applied to each group by itself. */
export type GroupKey = 'host' | 'sources' | 'tags';

/** A retention policy. */
export interface RetentionPolicy {
  readonly keep: KeepRules;
  /** Default: host and sources. Empty: all snapshots are one group. */
  readonly groupBy?: readonly GroupKey[];
  /** Where hours, days, weeks… begin and end: an IANA name. Default 'UTC', so that each machine that applies the policy keeps the same. */
  readonly timeZone?: string;
  /** Milliseconds that a snapshot's own time may deviate from the store's clock. Default {@link CLOCK_TOLERANCE_MS}. */
  readonly toleranceMs?: number;
  /** Snapshots that the store dates at or before this (milliseconds since 1970) are believed: for a repository whose objects were copied then. */
  readonly trustStoredBefore?: number;
  /** Snapshots whose own time the operator has looked at and believes. */
  readonly trustedIds?: ReadonlySet<string>;
  /** A group may lose all its snapshots. Default false. */
  readonly keepNothing?: boolean;
}

/** A day: more than clocks differ and usual backups take. */
export const CLOCK_TOLERANCE_MS = 86_400_000;

/** Periods in the order in which they are shown. */
export const PERIODS: readonly Period[] = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'];

/**
 * Reads N of `keep-last N`.
 * @throws {UsageError} anything but an integer from 1 on or 'unlimited'. Zero is refused: it reads like "keep none" and would mean "no such rule".
 */
export function parseKeepCount(text: string): KeepCount {
  if (text === 'unlimited') return text;
  const count = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (count === 0) throw new UsageError(`Read number of snapshots to keep '${text}': write a number from 1 on, or 'unlimited'`);
  return count;
}

/** @throws {UsageError} when the policy has no rule, or one that means nothing. */
export function checkPolicy(policy: RetentionPolicy): void {
  const { last, periods = {}, within, withinPeriods = {}, tags = [] } = policy.keep;
  const counts = [last, ...Object.values(periods)].filter((count) => count !== undefined);
  for (const count of counts) {
    if (count !== 'unlimited' && !(Number.isSafeInteger(count) && count >= 1)) {
      throw new UsageError(`Apply retention policy: a rule keeps '${count}' snapshots; use a number from 1 on, or 'unlimited'`);
    }
  }
  const durations = [within, ...Object.values(withinPeriods)].filter((one) => one !== undefined);
  for (const duration of durations) {
    const units = Object.values(duration) as readonly number[];
    if (!units.every((unit) => Number.isSafeInteger(unit) && unit >= 0) || !units.some((unit) => unit > 0)) {
      throw new UsageError('Apply retention policy: a duration is not made of integers from 0 on, or is zero');
    }
  }
  const tolerance = policy.toleranceMs ?? CLOCK_TOLERANCE_MS;
  if (!(tolerance >= 0)) throw new UsageError(`Apply retention policy: the tolerance of clocks is '${tolerance}' milliseconds; use 0 or more`);
  if (tags.some((list) => list.length === 0)) throw new UsageError("Apply retention policy: a list of tags is empty; use '' for snapshots without tags");
  if (counts.length + durations.length + tags.length === 0) {
    throw new UsageError('Apply retention policy: it has no rule that keeps anything, which would remove every snapshot; add at least one keep rule');
  }
}
