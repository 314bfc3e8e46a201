/** Which segments to merge: four of a size become one of the next size, so an entry is rewritten log₄ times. */

/** Segments of a size that are merged into one. */
export const FAN_IN = 4;

/**
 * How many of the newest segments to merge now; 0 for none. All that one merge would trigger next are taken at once.
 * @param counts entries of each segment, newest first. @param unit entries of the smallest segments.
 */
export function mergeExtent(counts: readonly number[], unit: number): number {
  const tier = (count: number): number => Math.max(0, Math.floor(Math.log(Math.max(1, count / unit)) / Math.log(FAN_IN) + 1e-9));
  const upTo = (limit: number, from: number): number => {
    let extent = from;
    while (extent < counts.length && tier(counts[extent] as number) <= limit) extent += 1;
    return extent;
  };
  let extent = 0;
  let newest = counts.length === 0 ? 0 : tier(counts[0] as number);
  for (let next = upTo(newest, 0); next - Math.max(0, extent - 1) >= FAN_IN; next = upTo(newest, extent)) {
    extent = next;
    newest = tier(counts.slice(0, extent).reduce((sum, count) => sum + count, 0));
  }
  return extent;
}
