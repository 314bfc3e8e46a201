/** Joins two sorted streams: which records have, or have not, a key in the other. Two passes give a difference and an intersection. */
import { KeyCursor, outOfOrder } from './key-cursor.ts';
import { comparerOf, viewOf, type RecordPage, type SortedStream } from './record-page.ts';

/** What to keep of the rows, by their first `prefixBytes` (a multiple of 4). */
export interface FilterOptions {
  readonly prefixBytes: number;
  readonly keep: 'present' | 'absent';
}

/**
 * Yields the rows whose prefix occurs (`present`) or does not occur (`absent`) in the keys. Both sides may repeat prefixes. Each page yielded is
 * a compacted copy of one page of `rows`, valid until the next. Closes both streams when it ends or is left.
 * @throws {IntegrityError} when a side is not in ascending order of prefixes.
 */
export async function* filterPages(rows: SortedStream, keys: SortedStream, { prefixBytes, keep }: FilterOptions): AsyncIterable<RecordPage> {
  const cursor = new KeyCursor(keys, prefixBytes, 'keys');
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
