/**
 * Merges sorted streams. Instead of comparing the heads of all streams for each record, it takes from every stream at once what is not above
 * the lowest end of the pages at hand, and sorts that by counting: the cost of a record does not depend on the number of streams.
 */
import assert from 'node:assert';
import { RecordOutput, type Duplicates } from './record-output.ts';
import { comparerOf, viewOf, type RecordComparer, type RecordPage } from './record-page.ts';
import { RecordSorter } from './record-sorter.ts';

/** Shape of a merge. */
export interface MergeOptions {
  readonly recordBytes: number;
  /** Records of an output page. */
  readonly pageRecords: number;
  readonly duplicates: Duplicates;
  /** Records of the largest page of any stream. */
  readonly inputRecordsMax: number;
}

/** One stream with its page at hand. */
class Head {
  readonly #pages: AsyncIterator<RecordPage>;
  readonly #recordBytes: number;
  readonly #compare: RecordComparer;
  #bytes: Uint8Array = new Uint8Array(0);
  #next = 0;
  count = 0;
  view: DataView = viewOf(this.#bytes);

  constructor(pages: AsyncIterable<RecordPage>, recordBytes: number, compare: RecordComparer) {
    this.#pages = pages[Symbol.asyncIterator]();
    this.#compare = compare;
    this.#recordBytes = recordBytes;
  }

  /** Where the last record of the page begins. */
  get lastAt(): number {
    return (this.count - 1) * this.#recordBytes;
  }

  /** Makes sure that a page is at hand. @returns false at the end of the stream. */
  async fill(): Promise<boolean> {
    while (this.#next === this.count) {
      const next = await this.#pages.next();
      if (next.done === true) return false;
      this.#bytes = next.value.bytes;
      this.count = next.value.count;
      this.#next = 0;
      this.view = viewOf(this.#bytes);
    }
    return true;
  }

  /** Moves all records up to `pivot` to `target`. @returns how many. */
  takeUpTo(pivot: DataView, target: Uint8Array, at: number): number {
    let [low, high] = [this.#next, this.count];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#compare(this.view, middle * this.#recordBytes, pivot, 0) <= 0) low = middle + 1;
      else high = middle;
    }
    const taken = low - this.#next;
    target.set(this.#bytes.subarray(this.#next * this.#recordBytes, low * this.#recordBytes), at * this.#recordBytes);
    this.#next = low;
    return taken;
  }

  async close(): Promise<void> {
    await this.#pages.return?.();
  }
}

/** Copies the lowest last record of all pages to `pivot`. */
function findPivot(heads: readonly Head[], compare: RecordComparer, pivot: DataView): void {
  let lowest = heads[0] as Head;
  for (const head of heads) if (compare(head.view, head.lastAt, lowest.view, lowest.lastAt) < 0) lowest = head;
  for (let i = 0; i < pivot.byteLength; i += 4) pivot.setUint32(i, lowest.view.getUint32(lowest.lastAt + i));
}

/**
 * Yields all records of the sorted `streams` in ascending order; pages are full but the last, in one reused buffer. Closes the streams when
 * it ends or is left. Memory: for each stream a page, and another with {@link RecordSorter.overheadBytes} a record on top.
 */
export async function* mergePages(streams: readonly AsyncIterable<RecordPage>[], options: MergeOptions): AsyncIterable<RecordPage> {
  const { recordBytes, pageRecords, duplicates, inputRecordsMax } = options;
  const compare = comparerOf(recordBytes);
  const all = streams.map((pages) => new Head(pages, recordBytes, compare));
  const window = new Uint8Array(streams.length * inputRecordsMax * recordBytes);
  const sorter = new RecordSorter(recordBytes, streams.length * inputRecordsMax);
  const output = new RecordOutput(recordBytes, pageRecords, duplicates);
  const pivot = new DataView(new ArrayBuffer(recordBytes));
  let heads = all;
  try {
    for (;;) {
      const open: Head[] = [];
      for (const head of heads) if (await head.fill()) open.push(head);
      heads = open;
      if (heads.length === 0) break;
      findPivot(heads, compare, pivot);
      let count = 0;
      for (const head of heads) {
        assert(head.count <= inputRecordsMax, 'a page is not larger than was said');
        count += head.takeUpTo(pivot, window, count);
      }
      const order = sorter.order({ bytes: window, count });
      for (let next = 0; next < count;) {
        next = output.gather(window, order, next);
        if (output.isFull) yield output.take();
      }
    }
    const rest = output.take();
    if (rest.count > 0) yield rest;
  } finally {
    for (const head of all) await head.close();
  }
}
