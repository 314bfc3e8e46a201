/** Which snapshots a policy keeps, told independently of the engine: a second opinion for every `forget`. */
import type { ListedSnapshot, Policy } from './store.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const buckets: Readonly<Record<keyof Policy, (time: number, index: number) => number>> = {
  last: (_, index) => index,
  hourly: (time) => Math.floor(time / HOUR_MS),
  daily: (time) => Math.floor(time / DAY_MS),
  // 1970-01-01 was a Thursday; weeks begin on Monday.
  weekly: (time) => Math.floor((time / DAY_MS + 3) / 7),
  monthly: (time) => new Date(time).getUTCFullYear() * 12 + new Date(time).getUTCMonth(),
};

/**
 * Ids to keep: of each rule the newest snapshot of each of the last N periods that have one (UTC); while periods are left, also the oldest snapshot.
 * All snapshots count as one group.
 */
export function keptBy(policy: Policy, snapshots: readonly ListedSnapshot[]): ReadonlySet<string> {
  const newestFirst = [...snapshots].sort((a, b) => b.time - a.time);
  const oldest = newestFirst.at(-1);
  const kept = new Set<string>();
  for (const [name, count] of Object.entries(policy) as [keyof Policy, number][]) {
    const periods = new Set<number>();
    for (const [index, { id, time }] of newestFirst.entries()) {
      const period = buckets[name](time, index);
      if (periods.has(period) || periods.size >= count) continue;
      periods.add(period);
      kept.add(id);
    }
    if (oldest !== undefined && periods.size < count) kept.add(oldest.id);
  }
  return kept;
}
