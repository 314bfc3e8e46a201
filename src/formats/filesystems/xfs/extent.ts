/** Extent records, as the fork of an inode and leaves of its B+tree hold them. Source: "XFS Algorithms & Data Structures", "Data Extents". */
import { FormatError } from '../../../core/index.ts';
import type { XfsGeometry } from './geometry.ts';

/** Bytes of a record. */
export const RECORD_BYTES = 16;
/** Behind every block that a file can have. */
export const BLOCKS_END: number = 2 ** 54;

/** Records one after the other, in the order of a file, and the blocks of the file that only they can map. */
export interface RecordPage {
  readonly view: DataView;
  /** Byte of the first record. */
  readonly at: number;
  readonly count: number;
  /** Blocks of the file: the first one, and that behind the last one. */
  readonly from: number;
  readonly end: number;
}

/** What some blocks of a file are. */
export interface Mapping {
  /** From the block that was asked for. */
  readonly count: number;
  /** Block of the device; undefined for a hole. */
  readonly block: number | undefined;
  readonly unwritten: boolean;
}

/** First block of the file of record `i`. */
export function startOf({ view, at }: Pick<RecordPage, 'view' | 'at'>, i: number): number {
  const p = at + i * RECORD_BYTES;
  return (view.getUint32(p) & 0x7fff_ffff) * 2 ** 23 + (view.getUint32(p + 4) >>> 9);
}

/** Blocks of record `i`. */
export function countOf({ view, at }: Pick<RecordPage, 'view' | 'at'>, i: number): number {
  return view.getUint32(at + i * RECORD_BYTES + 12) & 0x1f_ffff;
}

/** Block of the device where record `i` begins. */
export function blockOf({ view, at }: Pick<RecordPage, 'view' | 'at'>, i: number): number {
  const p = at + i * RECORD_BYTES;
  return (view.getUint32(p + 4) & 0x1ff) * 2 ** 43 + view.getUint32(p + 8) * 2 ** 11 + (view.getUint32(p + 12) >>> 21);
}

/** Whether record `i` was allocated and never written. */
export function isUnwritten({ view, at }: Pick<RecordPage, 'view' | 'at'>, i: number): boolean {
  return view.getUint32(at + i * RECORD_BYTES) >>> 31 === 1;
}

/** Writes record `i`. */
export function putRecord({ view, at }: Pick<RecordPage, 'view' | 'at'>, i: number, record: { readonly start: number; readonly block: number; readonly count: number; readonly unwritten: boolean }): void {
  const p = at + i * RECORD_BYTES;
  view.setUint32(p, (record.unwritten ? 0x8000_0000 : 0) + Math.floor(record.start / 2 ** 23));
  view.setUint32(p + 4, (record.start % 2 ** 23) * 2 ** 9 + Math.floor(record.block / 2 ** 43));
  view.setUint32(p + 8, Math.floor(record.block / 2 ** 11) % 2 ** 32);
  view.setUint32(p + 12, (record.block % 2 ** 11) * 2 ** 21 + record.count);
}

/** The mapping of `block`, which the page must cover. */
export function mappingIn(page: RecordPage, block: number): Mapping {
  let low = 0;
  let high = page.count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (startOf(page, middle) <= block) low = middle + 1;
    else high = middle;
  }
  const skip = low === 0 ? 0 : block - startOf(page, low - 1);
  if (low > 0 && skip < countOf(page, low - 1)) {
    return { count: countOf(page, low - 1) - skip, block: blockOf(page, low - 1) + skip, unwritten: isUnwritten(page, low - 1) };
  }
  return { count: (low < page.count ? startOf(page, low) : page.end) - block, block: undefined, unwritten: false };
}

/**
 * Checks that records are in order and inside the device.
 * @throws {FormatError} naming the record; `place` is the byte of the device where they are.
 */
export function checkRecords(page: Pick<RecordPage, 'view' | 'at' | 'count'>, geometry: XfsGeometry, place: number): void {
  let end = 0;
  for (let i = 0; i < page.count; i += 1) {
    const fault = (field: string, found: number, expected: string): FormatError => (
      new FormatError('Read XFS extents', { structure: 'xfs_bmbt_rec', field, offset: place + i * RECORD_BYTES, found, expected })
    );
    const start = startOf(page, i);
    const count = countOf(page, i);
    if (start < end) throw fault('startoff', start, `at least ${end}`);
    if (count === 0) throw fault('blockcount', 0, 'at least 1');
    if (!geometry.holds(blockOf(page, i), count)) throw fault('startblock', blockOf(page, i), `${count} blocks inside one allocation group`);
    end = start + count;
  }
}
