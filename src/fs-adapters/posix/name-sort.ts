/** Sorts the names of a directory in place, in ascending byte order, without an object per name: a million take about a second. */
import type { NameList } from './system-calls.ts';

const INSERTION_MAX = 12;

/** Orders `offsets[0 … count)`. Multikey quicksort: each byte is looked at about once per level. */
export function sortNames(list: NameList): void {
  sortRange(list, 0, list.count, 0);
}

function compareFrom(bytes: Uint8Array, a: number, b: number): number {
  for (let i = 0; ; i += 1) {
    const x = bytes[a + i]!;
    const difference = x - bytes[b + i]!;
    if (difference !== 0 || x === 0) return difference;
  }
}

function insertionSort({ bytes, offsets }: NameList, from: number, to: number, depth: number): void {
  for (let i = from + 1; i < to; i += 1) {
    const offset = offsets[i]!;
    let at = i;
    while (at > from && compareFrom(bytes, offsets[at - 1]! + depth, offset + depth) > 0) {
      offsets[at] = offsets[at - 1]!;
      at -= 1;
    }
    offsets[at] = offset;
  }
}

function swap(offsets: Uint32Array, a: number, b: number): void {
  const kept = offsets[a]!;
  offsets[a] = offsets[b]!;
  offsets[b] = kept;
}

/** All names in `[from, to)` agree in their first `depth` bytes. Recursion is bounded by the largest name (255) plus a logarithm. */
function sortRange(list: NameList, from: number, to: number, depth: number): void {
  const { bytes, offsets } = list;
  let [low, high, level] = [from, to, depth];
  while (high - low > INSERTION_MAX) {
    const middle = bytes[offsets[low + high >>> 1]! + level]!;
    let [less, at, more] = [low, low, high];
    while (at < more) {
      const byte = bytes[offsets[at]! + level]!;
      if (byte < middle) swap(offsets, less++, at++);
      else if (byte > middle) swap(offsets, at, --more);
      else at += 1;
    }
    // Descend into the two smaller parts' ranges by recursion, go on with the equal one: it is the one that gets deeper.
    sortRange(list, low, less, level);
    sortRange(list, more, high, level);
    // Equal at NUL: the same name, reported twice by a directory that changed meanwhile.
    if (middle === 0) return;
    [low, high, level] = [less, more, level + 1];
  }
  insertionSort(list, low, high, level);
}
