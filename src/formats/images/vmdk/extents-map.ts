/** Extents one behind the other as one disk. */
import { pieceAt } from '../../mapping/piece-search.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';

/** One extent: its map counts from its own beginning. */
export interface ExtentPart {
  readonly bytes: number;
  readonly map: BlockMap;
  readonly clusterBytes?: number;
  readonly remarks: readonly string[];
}

/** The map of the disk. */
export class ExtentsMap implements BlockMap {
  readonly size: number;
  readonly #parts: readonly ExtentPart[];
  /** Where each part begins. */
  readonly #starts: readonly number[];

  constructor(parts: readonly ExtentPart[]) {
    this.#parts = parts.filter(({ bytes }) => bytes > 0);
    const starts: number[] = [];
    let size = 0;
    for (const { bytes } of this.#parts) {
      starts.push(size);
      size += bytes;
    }
    this.#starts = starts;
    this.size = size;
  }

  runAt(offset: number, lengthMax: number): Run | Promise<Run> {
    const index = pieceAt(this.#starts, offset);
    const part = this.#parts[index] as ExtentPart;
    const within = offset - (this.#starts[index] as number);
    return part.map.runAt(within, Math.min(lengthMax, part.bytes - within));
  }
}
