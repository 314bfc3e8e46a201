/** Calendar arithmetic in a time zone, without a clock: which hour, day, ISO week, month and year an instant is in. */
import { UsageError } from '../../core/index.ts';
import type { Duration } from './duration.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Instants that calendars know, milliseconds on either side of 1970. Source: ECMA-262, section 21.4.1.1. */
const INSTANT_MAX = 8.64e15;

/** A proleptic Gregorian date. */
export interface CalendarDate {
  readonly year: number;
  /** 0…11; other values count on into the neighbouring years. */
  readonly month: number;
  /** 1…31; other values count on into the neighbouring months. */
  readonly day: number;
}

/** The periods that snapshots are thinned by. */
export type Period = 'hourly' | 'daily' | 'weekly' | 'monthly' | 'yearly';

/** Days since 1970-01-01. Years begin in March here, so that the leap day is the last of its year. */
export function daysOfDate(date: CalendarDate): number {
  const months = date.year * 12 + date.month - 2;
  const year = Math.floor(months / 12);
  const month = months - year * 12;
  const leapDays = Math.floor(year / 4) - Math.floor(year / 100) + Math.floor(year / 400);
  return 365 * year + leapDays + Math.floor((153 * month + 2) / 5) + date.day - 1 - 719_468;
}

/** The inverse of {@link daysOfDate}. */
export function dateOfDays(days: number): CalendarDate {
  let year = Math.floor((days + 719_468) / 365.2425);
  while (daysOfDate({ year, month: 2, day: 1 }) > days) year -= 1;
  while (daysOfDate({ year: year + 1, month: 2, day: 1 }) <= days) year += 1;
  const dayOfYear = days - daysOfDate({ year, month: 2, day: 1 });
  const month = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * month + 2) / 5) + 1;
  return month < 10 ? { year, month: month + 2, day } : { year: year + 1, month: month - 10, day };
}

/** Whether `time` is an instant that a calendar can show. */
export function isInstant(time: number): boolean {
  return Number.isFinite(time) && Math.abs(time) <= INSTANT_MAX - 2 * DAY_MS;
}

function offsetsOf(timeZone: string): (time: number) => number {
  if (timeZone === 'UTC') return () => 0;
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' });
  } catch {
    throw new UsageError(`Use time zone '${timeZone}': unknown; expected a name such as 'UTC' or 'Europe/Berlin'`);
  }
  return (time) => {
    const text = format.formatToParts(time).find((part) => part.type === 'timeZoneName')?.value ?? '';
    const [, sign, hours = '0', minutes = '0', seconds = '0'] = /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/.exec(text) ?? [];
    return (sign === '-' ? -1 : 1) * ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
  };
}

/** Clocks and calendars of one place. */
export class Calendar {
  readonly #offsetAt: (time: number) => number;

  /** @param timeZone 'UTC' or an IANA name. @throws {UsageError} no such zone. */
  constructor(timeZone: string) {
    this.#offsetAt = offsetsOf(timeZone);
  }

  /** A number that is the same for all instants of one hour, day, ISO week (from Monday on), month or year, and differs otherwise. */
  period(time: number, period: Period): number {
    const local = time + this.#offsetAt(time);
    if (period === 'hourly') return Math.floor(local / HOUR_MS);
    const days = Math.floor(local / DAY_MS);
    if (period === 'daily') return days;
    if (period === 'weekly') return Math.floor((days + 3) / 7); // 1970-01-01 was a Thursday
    const { year, month } = dateOfDays(days);
    return period === 'monthly' ? year * 12 + month : year;
  }

  /** The same time of day `duration` earlier: years, months and days by the calendar, then hours by the clock. */
  before(time: number, duration: Duration): number {
    const local = time + this.#offsetAt(time);
    const days = Math.floor(local / DAY_MS);
    const date = dateOfDays(days);
    const then = daysOfDate({ year: date.year - duration.years, month: date.month - duration.months, day: date.day - duration.days });
    const target = then * DAY_MS + (local - days * DAY_MS);
    if (!isInstant(target)) return Number.NEGATIVE_INFINITY;
    const guess = target - this.#offsetAt(target); // the offset there and then may differ from today's
    return target - this.#offsetAt(guess) - duration.hours * HOUR_MS;
  }

  /** `2026-11-21 02:03:04`. */
  text(time: number): string {
    const local = Math.floor((time + this.#offsetAt(time)) / 1000);
    const days = Math.floor(local / 86_400);
    const { year, month, day } = dateOfDays(days);
    const second = local - days * 86_400;
    const two = (value: number): string => String(value).padStart(2, '0');
    const clock = [Math.floor(second / 3600), Math.floor(second / 60) % 60, second % 60].map(two).join(':');
    return `${String(year).padStart(4, '0')}-${two(month + 1)}-${two(day)} ${clock}`;
  }
}
