/** Which of the pieces that follow each other a place is in. */

/** Index of the last of `starts` (ascending, the first at most `offset`) that is not behind `offset`. */
export function pieceAt(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((starts[middle] as number) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
