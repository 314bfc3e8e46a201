/** Whether a series rises, told so that a few outliers do not decide. */

/** The middle value; NaN of nothing. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2;
}

/** More points than this are thinned out evenly: pairs grow with the square. */
const POINTS_MAX = 300;

/** Evenly spaced members of a list, first and last included. */
export function thinned<T>(list: readonly T[], most: number): readonly T[] {
  if (list.length <= most) return list;
  return Array.from({ length: most }, (_, i) => list[Math.round(i * (list.length - 1) / (most - 1))] as T);
}

/**
 * By how much the series rises from its first point to its last: the median of the slopes of all pairs, times the length. 0 of fewer than two points.
 * Source: the Theil–Sen estimator.
 */
export function riseOf(values: readonly number[]): number {
  const points = thinned(values.map((value, at) => ({ at, value })), POINTS_MAX);
  const slopes = points.flatMap((a, i) => points.slice(i + 1).map((b) => (b.value - a.value) / (b.at - a.at)));
  return slopes.length === 0 ? 0 : median(slopes) * (values.length - 1);
}
