/** Counts chunks by container: how many the index places there, and how many of them snapshots reach. */
import { ID_BYTES, PLACE_BYTES, type ChunkIndex, type IdBatch } from '../../core/index.ts';
import { numberOf, type ContainerNumber } from '../containers/container.ts';
import { INDEX_ROW_BYTES, filterPages, indexPages, type RecordPage, type RunFile } from '../sort/index.ts';

/** Counts of one container. */
export interface ContainerCounts {
  readonly number: ContainerNumber;
  indexed: number;
  live: number;
}

/** Counts of all containers that the index names. */
export class Tally {
  readonly #counts = new Map<number, Map<number, ContainerCounts>>();

  /** Undefined for a container that the index places nothing in. */
  of(number: Pick<ContainerNumber, 'high' | 'low'>): ContainerCounts | undefined {
    return this.#counts.get(number.high)?.get(number.low);
  }

  /** In no order. */
  *all(): Iterable<ContainerCounts> {
    for (const lows of this.#counts.values()) yield* lows.values();
  }

  /** The counts of the container in a row of {@link indexPages} that begins at `at`. */
  at(view: DataView, at: number): ContainerCounts {
    const [high, low] = [view.getUint32(at + ID_BYTES), view.getUint32(at + ID_BYTES + 4)];
    const lows = this.#counts.get(high) ?? new Map<number, ContainerCounts>();
    this.#counts.set(high, lows);
    const counts = lows.get(low) ?? { number: numberOf(high, low), indexed: 0, live: 0 };
    lows.set(low, counts);
    return counts;
  }
}

function viewOf({ bytes }: RecordPage): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Whether what is in a container counts. */
export type ContainerTest = (high: number, low: number) => boolean;

/** The rows of an index in containers that count. */
async function* countingRows(index: ChunkIndex, counts: ContainerTest): AsyncIterable<RecordPage> {
  for await (const page of indexPages(index)) {
    const view = viewOf(page);
    let kept = 0;
    for (let i = 0; i < page.count; i += 1) {
      const at = i * INDEX_ROW_BYTES;
      if (!counts(view.getUint32(at + ID_BYTES), view.getUint32(at + ID_BYTES + 4))) continue;
      if (kept < i) page.bytes.copyWithin(kept * INDEX_ROW_BYTES, at, at + INDEX_ROW_BYTES);
      kept += 1;
    }
    if (kept > 0) yield { bytes: page.bytes, count: kept };
  }
}

/** Index rows in containers that count whose id is reachable: 32-byte id, then place; each page is valid until the next. `onRows` sees all rows that count first. */
export function reachableRows(index: ChunkIndex, reachable: RunFile, counts: ContainerTest, onRows?: (page: RecordPage) => void): AsyncIterable<RecordPage> {
  const all = async function* all(): AsyncIterable<RecordPage> {
    for await (const page of countingRows(index, counts)) {
      onRows?.(page);
      yield page;
    }
  };
  return filterPages({ pages: all(), recordBytes: INDEX_ROW_BYTES }, { pages: reachable.pages(), recordBytes: ID_BYTES }, { prefixBytes: ID_BYTES, keep: 'present' });
}

/** One pass over the index. @returns the tally, and how many reachable chunks the index has a place for that counts. */
export async function tallyIndex(index: ChunkIndex, reachable: RunFile, counts: ContainerTest): Promise<{ readonly tally: Tally; readonly found: number }> {
  const tally = new Tally();
  let found = 0;
  const count = (page: RecordPage, field: 'indexed' | 'live'): void => {
    const view = viewOf(page);
    for (let i = 0; i < page.count; i += 1) tally.at(view, i * INDEX_ROW_BYTES)[field] += 1;
  };
  for await (const page of reachableRows(index, reachable, counts, (rows) => { count(rows, 'indexed'); })) {
    count(page, 'live');
    found += page.count;
  }
  return { tally, found };
}

/** Bytes of one row of {@link reachableRows}. */
export const ROW_BYTES: number = ID_BYTES + PLACE_BYTES;

/** Ids looked for at once. */
const ABSENT_MAX = 1 << 18;

/** What a search for chunks works with. */
export interface AbsentParts {
  readonly index: ChunkIndex;
  readonly store: { search(ids: IdBatch): Promise<unknown> };
}

/** Looks in all containers for reachable chunks that have no place that counts: another process may have referred to a copy that this index never named. */
export async function searchAbsent({ index, store }: AbsentParts, reachable: RunFile, counts: ContainerTest): Promise<void> {
  const absent: Uint8Array[] = [];
  let count = 0;
  const pages = filterPages({ pages: reachable.pages(), recordBytes: ID_BYTES }, { pages: countingRows(index, counts), recordBytes: INDEX_ROW_BYTES }, { prefixBytes: ID_BYTES, keep: 'absent' });
  for await (const page of pages) {
    if (count + page.count > ABSENT_MAX) break; // so many are a loss, not a copy that was overlooked
    absent.push(page.bytes.slice(0, page.count * ID_BYTES));
    count += page.count;
  }
  await store.search({ bytes: new Uint8Array(Buffer.concat(absent)), count });
}
