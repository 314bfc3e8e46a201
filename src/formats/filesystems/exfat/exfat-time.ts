/** Timestamps of exFAT. Source: exFAT specification, sections 7.4.8 to 7.4.10. */
import type { Timestamp } from '../../../core/index.ts';

const OFFSET_VALID = 0x80;
const QUARTER_HOUR = 900;

/** Days since 1970, in the calendar of Gregory; months and days may be outside of their range, as in the kernel's `mktime64`. */
function daysOf(year: number, month: number, day: number): number {
  // The year begins in March, so that the leap day is its last.
  const shifted = month - 2 > 0 ? month - 2 : month + 10;
  const from = month - 2 > 0 ? year : year - 1;
  return Math.floor(from / 4) - Math.floor(from / 100) + Math.floor(from / 400) + Math.floor(367 * shifted / 12) + day + from * 365 - 719_499;
}

/**
 * A timestamp as seconds since 1970; `tens` in units of 10 ms (0…199). `utcOffset` in quarters of an hour where its highest bit is set,
 * else the time is read as UTC.
 */
export function exfatTime(timestamp: number, tens: number, utcOffset: number): Timestamp {
  const days = daysOf(1980 + (timestamp >>> 25), timestamp >>> 21 & 0xf, timestamp >>> 16 & 0x1f);
  const seconds = days * 86_400 + (timestamp >>> 11 & 0x1f) * 3600 + (timestamp >>> 5 & 0x3f) * 60 + (timestamp & 0x1f) * 2;
  const quarters = utcOffset & OFFSET_VALID ? (utcOffset & 0x40 ? (utcOffset & 0x7f) - 0x80 : utcOffset & 0x7f) : 0;
  return { seconds: seconds - quarters * QUARTER_HOUR + Math.floor(tens / 100), nanoseconds: tens % 100 * 10_000_000 };
}
