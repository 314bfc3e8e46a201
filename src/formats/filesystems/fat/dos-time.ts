/** Dates and times as FAT and exFAT keep them, read as UTC: what Linux does when its time zone is UTC. */
import type { Timestamp } from '../../../core/index.ts';

/** Days before each month of a common year, at 1 to 12; months that do not exist begin with the year, as Linux has it. */
const DAYS_BEFORE_MONTH = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 0, 0, 0];
const DAYS_1970_TO_1980 = 3652;
/** Years since 1980 of the only one in reach that a rule of four years gets wrong. */
const YEAR_2100 = 120;

/**
 * Two words as seconds since 1970; `hundredths` (0…199) refine the two seconds. Month and day 0 count as 1.
 * Source: fatgen103, "Date and Time Formats".
 */
export function dosTime(date: number, time: number, hundredths: number): Timestamp {
  const year = date >> 9;
  const month = Math.max(1, date >> 5 & 0xf);
  const day = Math.max(1, date & 0x1f) - 1;
  let leapDays = (year + 3) >> 2;
  if (year > YEAR_2100) leapDays -= 1;
  if ((year & 3) === 0 && year !== YEAR_2100 && month > 2) leapDays += 1;
  const days = year * 365 + leapDays + (DAYS_BEFORE_MONTH[month] as number) + day + DAYS_1970_TO_1980;
  const seconds = days * 86_400 + (time >> 11) * 3600 + (time >> 5 & 0x3f) * 60 + (time & 0x1f) * 2;
  return { seconds: seconds + Math.floor(hundredths / 100), nanoseconds: hundredths % 100 * 10_000_000 };
}
