/** When tasks run: pure arithmetic, so that it can be tested without waiting. */
import type { Schedule } from './config.ts';

const DAY_MS = 86_400_000;

/**
 * The first time after `last` (milliseconds since 1970) that a schedule names. A time of day is one of this process's time zone; where the clock is put
 * forward over it, the hour after counts, and where it comes twice, the first.
 */
export function nextRun(schedule: Schedule, last: number): number {
  if ('everyMs' in schedule) return last + schedule.everyMs;
  const day = new Date(last);
  const today = new Date(day.getFullYear(), day.getMonth(), day.getDate(), schedule.hour, schedule.minute).getTime();
  if (today > last) return today;
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() + 1, schedule.hour, schedule.minute).getTime();
}

/** Milliseconds to wait from `now`, at most a day: a clock that is set meanwhile is noticed by then. */
export function waitFor(time: number, now: number): number {
  return Math.min(DAY_MS, Math.max(0, time - now));
}
