/** Joins two sorted streams: each row gets the rest of the record that has the same key. */
import { KeyCursor } from './key-cursor.ts';
import type { RecordPage, SortedStream } from './record-page.ts';

/**
 * Yields rows whose first `prefixBytes` (a multiple of 4) begin a record of `others`, followed by the rest of that record; rows without one are left out. Keys of
 * `others` are unique. Each page is valid until the next. Closes both streams when it ends or is left.
 * @throws {IntegrityError} when a side is not in ascending order.
 */
export async function* joinPages(rows: SortedStream, others: SortedStream, prefixBytes: number): AsyncIterable<RecordPage> {
  const row = new KeyCursor(rows, prefixBytes, 'rows');
  const other = new KeyCursor(others, prefixBytes, 'others');
  const restBytes = others.recordBytes - prefixBytes;
  const joinedBytes = rows.recordBytes + restBytes;
  let target = new Uint8Array(0);
  let kept = 0;
  try {
    await other.nextPage();
    for (await row.nextPage(); !row.isAtEnd;) {
      if (target.length < row.count * joinedBytes) target = new Uint8Array(row.count * joinedBytes);
      for (;;) {
        while (!other.isAtEnd && other.compareWith(row) < 0) if (!other.step()) await other.nextPage();
        if (!other.isAtEnd && other.compareWith(row) === 0) {
          target.set(row.record, kept * joinedBytes);
          target.set(other.record.subarray(prefixBytes), kept * joinedBytes + rows.recordBytes);
          kept += 1;
        }
        if (!row.step()) break;
      }
      if (kept > 0) yield { bytes: target.subarray(0, kept * joinedBytes), count: kept };
      kept = 0;
      await row.nextPage();
    }
  } finally {
    await row.close();
    await other.close();
  }
}
