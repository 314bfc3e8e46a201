/** Parts of a file whose blocks fast commits changed, over what the inode says of the others. */
import type { BlockSource } from '../../../core/index.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';

/** Logical blocks `from … to − 1`: at `start` and behind it, or, without it, not written. */
export interface BlockRange {
  readonly from: number;
  readonly to: number;
  readonly start?: number;
}

/** Ranges that don't overlap, in order: of `ranges`, where several speak of a block, the last one says where it is. Time n log n. */
export function lastRanges(ranges: readonly BlockRange[]): readonly BlockRange[] {
  const edges = [...new Set(ranges.flatMap(({ from, to }) => [from, to]))].sort((a, b) => a - b);
  const indexOf = new Map(edges.map((edge, i) => [edge, i]));
  /** The next cell that nobody has spoken for: from each cell on, by way of others. */
  const next = Int32Array.from(edges, (_, i) => i);
  const free = (cell: number): number => {
    let end = cell;
    while (next[end] !== end) end = next[end] as number;
    for (let at = cell; at !== end;) {
      const after = next[at] as number;
      next[at] = end;
      at = after;
    }
    return end;
  };
  const cells: { readonly cell: number; readonly range: BlockRange }[] = [];
  for (const range of ranges.toReversed()) {
    const last = indexOf.get(range.to) as number;
    for (let cell = free(indexOf.get(range.from) as number); cell < last; cell = free(cell)) {
      cells.push({ cell, range });
      next[cell] = cell + 1;
    }
  }
  return cells.sort((a, b) => a.cell - b.cell).map(({ cell, range: { from, start } }) => {
    const edge = edges[cell] as number;
    return { from: edge, to: edges[cell + 1] as number, ...(start === undefined ? {} : { start: start + edge - from }) };
  });
}

/** See the header. */
export class RangedMap implements BlockMap {
  readonly #base: BlockMap;
  readonly #source: BlockSource;
  readonly #blockBytes: number;
  readonly #ranges: readonly BlockRange[];

  /** `ranges` as {@link lastRanges} gives them. */
  constructor(base: BlockMap, source: BlockSource, blockBytes: number, ranges: readonly BlockRange[]) {
    this.#base = base;
    this.#source = source;
    this.#blockBytes = blockBytes;
    this.#ranges = ranges;
  }

  runAt(offset: number, lengthMax: number): Run | Promise<Run> {
    const range = this.#ranges[this.#firstEndingBehind(Math.floor(offset / this.#blockBytes))];
    const at = (range?.from ?? Infinity) * this.#blockBytes;
    if (range === undefined || offset < at) return this.#base.runAt(offset, Math.min(lengthMax, at - offset));
    const length = Math.min(lengthMax, range.to * this.#blockBytes - offset);
    if (range.start === undefined) return { kind: 'hole', length };
    return { kind: 'data', length, file: this.#source, at: range.start * this.#blockBytes + offset - at };
  }

  #firstEndingBehind(block: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ranges[middle] as BlockRange).to <= block) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
