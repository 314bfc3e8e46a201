/** Fixed-size records in flat buffers: no object per record. Order is that of `memcmp`. */
import assert from 'node:assert';

/** `count` records back to back; `bytes` may be longer. Valid until the next page is asked for, unless its maker says otherwise. */
export interface RecordPage {
  readonly bytes: Uint8Array;
  readonly count: number;
}

/** One side of a join. */
export interface SortedStream {
  readonly pages: AsyncIterable<RecordPage>;
  readonly recordBytes: number;
}

/** The largest record, in bytes. */
const RECORD_BYTES_MAX = 1024;

/** Records are compared and copied by 32-bit words. */
export function assertRecordBytes(recordBytes: number): void {
  assert(recordBytes % 4 === 0 && recordBytes >= 4 && recordBytes <= RECORD_BYTES_MAX, `a record has a multiple of 4 bytes, 4…${RECORD_BYTES_MAX}, not ${recordBytes}`);
}

/** A view for a {@link RecordComparer}. */
export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Compares bytes at `aAt` with those at `bAt`: negative, 0 or positive. */
export type RecordComparer = (a: DataView, aAt: number, b: DataView, bAt: number) => number;

/** Compares the first `length` bytes (a multiple of 4) of records. */
export function comparerOf(length: number): RecordComparer {
  return (a, aAt, b, bAt) => {
    for (let i = 0; i < length; i += 4) {
      const difference = a.getUint32(aAt + i) - b.getUint32(bAt + i);
      if (difference !== 0) return difference;
    }
    return 0;
  };
}
