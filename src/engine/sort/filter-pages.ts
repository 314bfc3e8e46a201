/** Joins two sorted streams: which records have, or have not, a key in the other. Two passes give a difference and an intersection. */
import { IntegrityError } from '../../core/index.ts';
import { comparerOf, viewOf, type RecordComparer, type RecordPage } from './record-page.ts';

/** One side of a join. */
export interface SortedStream {
  readonly pages: AsyncIterable<RecordPage>;
  readonly recordBytes: number;
}

/** What to keep of the rows, by their first `prefixBytes` (a multiple of 4). */
export interface FilterOptions {
  readonly prefixBytes: number;
  readonly keep: 'present' | 'absent';
}

/** Walks keys in ascending order. */
class KeyCursor {
  readonly #pages: AsyncIterator<RecordPage>;
  readonly #recordBytes: number;
  readonly #prefixBytes: number;
  readonly #compare: RecordComparer;
  readonly #before: DataView;
  #hasBefore = false;
  #count = 0;
  #at = 0;
  isAtEnd = false;
  view: DataView = viewOf(new Uint8Array(0));

  constructor({ pages, recordBytes }: SortedStream, prefixBytes: number) {
    this.#pages = pages[Symbol.asyncIterator]();
    this.#recordBytes = recordBytes;
    this.#prefixBytes = prefixBytes;
    this.#compare = comparerOf(prefixBytes);
    this.#before = new DataView(new ArrayBuffer(prefixBytes));
  }

  /** Negative, 0 or positive: the current key against the prefix at `at` of `rows`. */
  compare(rows: DataView, at: number): number {
    return this.#compare(this.view, this.#at * this.#recordBytes, rows, at);
  }

  /** Goes to the next key. @returns false when a page must be awaited for that. */
  step(): boolean {
    const before = this.#at * this.#recordBytes;
    this.#at += 1;
    if (this.#at >= this.#count) return false;
    if (this.#compare(this.view, before, this.view, before + this.#recordBytes) > 0) throw outOfOrder('keys');
    return true;
  }

  async nextPage(): Promise<void> {
    if (this.#count > 0) {
      for (let i = 0; i < this.#prefixBytes; i += 4) this.#before.setUint32(i, this.view.getUint32((this.#count - 1) * this.#recordBytes + i));
      this.#hasBefore = true;
    }
    do {
      const next = await this.#pages.next();
      this.isAtEnd = next.done === true;
      if (next.done === true) return;
      this.view = viewOf(next.value.bytes);
      this.#count = next.value.count;
      this.#at = 0;
    } while (this.#count === 0);
    if (this.#hasBefore && this.#compare(this.#before, 0, this.view, 0) > 0) throw outOfOrder('keys');
  }

  async close(): Promise<void> {
    await this.#pages.return?.();
  }
}

/** A stream out of order would make keys look absent that are there: for garbage collection that is loss of data. */
function outOfOrder(side: string): IntegrityError {
  return new IntegrityError(`Join sorted streams: the ${side} are not in ascending order`);
}

/**
 * Yields the rows whose prefix occurs (`present`) or does not occur (`absent`) in the keys. Both sides may repeat prefixes. Each page yielded is
 * a compacted copy of one page of `rows`, valid until the next. Closes both streams when it ends or is left.
 * @throws {IntegrityError} when a side is not in ascending order of prefixes.
 */
export async function* filterPages(rows: SortedStream, keys: SortedStream, { prefixBytes, keep }: FilterOptions): AsyncIterable<RecordPage> {
  const cursor = new KeyCursor(keys, prefixBytes);
  const { recordBytes } = rows;
  const compare = comparerOf(prefixBytes);
  const before = new Uint8Array(prefixBytes);
  const beforeView = viewOf(before);
  let target = new Uint8Array(0);
  let isFirst = true;
  try {
    await cursor.nextPage();
    for await (const { bytes, count } of rows.pages) {
      if (count === 0) continue;
      const view = viewOf(bytes);
      if (!isFirst && compare(beforeView, 0, view, 0) > 0) throw outOfOrder('rows');
      if (target.length < count * recordBytes) target = new Uint8Array(count * recordBytes);
      let [kept, spanFrom] = [0, 0];
      const closeSpan = (end: number): void => {
        if (end > spanFrom) target.set(bytes.subarray(spanFrom * recordBytes, end * recordBytes), kept * recordBytes);
        kept += end - spanFrom;
        spanFrom = end + 1;
      };
      for (let i = 0; i < count; i += 1) {
        const at = i * recordBytes;
        if (i > 0 && compare(view, at - recordBytes, view, at) > 0) throw outOfOrder('rows');
        while (!cursor.isAtEnd && cursor.compare(view, at) < 0) if (!cursor.step()) await cursor.nextPage();
        const isPresent = !cursor.isAtEnd && cursor.compare(view, at) === 0;
        if (isPresent !== (keep === 'present')) closeSpan(i);
      }
      closeSpan(count);
      before.set(bytes.subarray((count - 1) * recordBytes, (count - 1) * recordBytes + prefixBytes));
      isFirst = false;
      if (kept > 0) yield { bytes: target.subarray(0, kept * recordBytes), count: kept };
    }
  } finally {
    await cursor.close();
  }
}
