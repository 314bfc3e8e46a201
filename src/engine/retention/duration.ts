/** Lengths of time as people write them for retention: `2y5m7d3h`. */
import { UsageError } from '../../core/index.ts';

/** Calendar units: a month or a day has no fixed length. All are integers of at least 0, and not all are 0. */
export interface Duration {
  readonly years: number;
  readonly months: number;
  readonly days: number;
  readonly hours: number;
}

const UNITS = { y: 'years', m: 'months', d: 'days', h: 'hours' } as const;
/** More than any calendar needs, so that arithmetic stays exact. */
const COUNT_MAX = 100_000;

/**
 * Reads `2y5m7d3h`: any of the four units, in any order, each at most once.
 * @throws {UsageError} anything else, and a length of zero.
 */
export function parseDuration(text: string): Duration {
  const duration = { years: 0, months: 0, days: 0, hours: 0 };
  const seen = new Set<string>();
  for (const [, digits = '', letter = ''] of text.matchAll(/(\d{1,6})([ymdh])/g)) {
    seen.add(letter);
    duration[UNITS[letter as keyof typeof UNITS]] = Number(digits);
  }
  const isWhole = /^(?:\d{1,6}[ymdh]){1,4}$/.test(text) && seen.size === text.replaceAll(/\d/g, '').length;
  const counts = Object.values(duration);
  if (isWhole && counts.some((count) => count > 0) && counts.every((count) => count <= COUNT_MAX)) return duration;
  throw new UsageError(`Read duration '${text}': write years, months, days and hours such as '2y5m7d3h', more than zero, each at most ${COUNT_MAX}`);
}

/** The inverse of {@link parseDuration}: units from years to hours, zeros left out. */
export function formatDuration(duration: Duration): string {
  return Object.entries(UNITS).filter(([, unit]) => duration[unit] > 0).map(([letter, unit]) => `${duration[unit]}${letter}`).join('');
}
