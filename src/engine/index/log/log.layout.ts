/** Structures of the log index on disk, big-endian. Described in docs/formats/index-log.md. */
import { ID_BYTES, layout, PLACE_BYTES, utf8 } from '../../../core/index.ts';
import type { Layout } from '../../../core/index.ts';

/** The directory of all that is derived. */
export const LOG_PARENT = 'index';
/** Where the files are, below the disk's root. */
export const LOG_DIRECTORY = 'index/log';
/** Version of all three kinds of file. */
export const LOG_VERSION = 1;
/** Bytes of a page of a segment, the unit of reading and of checksums. */
export const PAGE_BYTES = 4096;
/** Bytes of an entry: an id and its place. */
export const ENTRY_BYTES: number = ID_BYTES + PLACE_BYTES;
/** Entries of each page of a segment but the last. */
export const ENTRIES_PER_PAGE = 78;
/** Offset in a page of the bitmap of tombstones, least significant bit first. */
export const TOMBSTONES_OFFSET: number = ENTRIES_PER_PAGE * ENTRY_BYTES;
/** Bytes of that bitmap. */
export const TOMBSTONES_BYTES = 10;
/** Offset in a page, header or footer of the CRC-32C of all bytes before it. */
export const PAGE_CRC_OFFSET: number = PAGE_BYTES - 4;
/** Fences of a segment: entry `i` is the rank of the first id whose top 10 bits are at least `i`. */
export const FENCES = 1024;
/** Bytes of an encoded watermark: 8 container, 8 offset, 1 sealed. */
export const MARK_BYTES = 17;

/** First eight bytes of each kind of file, and of a segment's footer. */
export const MAGIC: { readonly segment: Uint8Array; readonly footer: Uint8Array; readonly log: Uint8Array; readonly current: Uint8Array } = {
  segment: utf8('HFIDXSEG'), footer: utf8('HFIDXEND'), log: utf8('HFIDXWAL'), current: utf8('HFIDXCUR'),
};

/** Tail of a data page, after its entries and tombstones. */
export const pageTail: Layout<{ readonly count: 'u16'; readonly page: 'u32'; readonly segment: 'u64' }> = layout('index-page', 'be', {
  count: 'u16', page: 'u32', segment: 'u64',
});

/** First page of a segment; zeroes follow, then the CRC. */
export const segmentHeader: Layout<{
  readonly magic: 'bytes:8'; readonly version: 'u16'; readonly entryBytes: 'u16'; readonly pageBytes: 'u32'; readonly segment: 'u64';
}> = layout('index-segment', 'be', { magic: 'bytes:8', version: 'u16', entryBytes: 'u16', pageBytes: 'u32', segment: 'u64' });

/** Last page of a segment; zeroes follow, then the CRC. */
export const segmentFooter: Layout<{
  readonly magic: 'bytes:8'; readonly segment: 'u64'; readonly count: 'u64'; readonly tombstones: 'u64'; readonly pages: 'u32';
  readonly filterBlocks: 'u32'; readonly fencesCrc: 'u32'; readonly filterCrc: 'u32'; readonly digest: 'bytes:32';
}> = layout('index-segment-footer', 'be', {
  magic: 'bytes:8', segment: 'u64', count: 'u64', tombstones: 'u64', pages: 'u32', filterBlocks: 'u32', fencesCrc: 'u32', filterCrc: 'u32', digest: 'bytes:32',
});

/** Start of a write-ahead log. */
export const logHeader: Layout<{ readonly magic: 'bytes:8'; readonly version: 'u16'; readonly zero: 'u16'; readonly log: 'u64'; readonly crc: 'u32' }> =
  layout('index-wal', 'be', { magic: 'bytes:8', version: 'u16', zero: 'u16', log: 'u64', crc: 'u32' });

/** Start of a batch in a write-ahead log; ids to put, their places, ids to delete and watermarks follow. */
export const batchHeader: Layout<{ readonly puts: 'u32'; readonly deletes: 'u32'; readonly marks: 'u32'; readonly position: 'u64'; readonly log: 'u64'; readonly crc: 'u32' }> =
  layout('index-batch', 'be', { puts: 'u32', deletes: 'u32', marks: 'u32', position: 'u64', log: 'u64', crc: 'u32' });

/** Start of a CURRENT file; rows of segments, newest first, watermarks and a CRC-32C of all of it follow. */
export const currentHeader: Layout<{
  readonly magic: 'bytes:8'; readonly version: 'u16'; readonly zero: 'u16'; readonly current: 'u64'; readonly log: 'u64';
  readonly segments: 'u32'; readonly marks: 'u32';
}> = layout('index-current', 'be', { magic: 'bytes:8', version: 'u16', zero: 'u16', current: 'u64', log: 'u64', segments: 'u32', marks: 'u32' });

/** One live segment. */
export const currentSegment: Layout<{ readonly segment: 'u64'; readonly digest: 'bytes:32' }> =
  layout('index-current-segment', 'be', { segment: 'u64', digest: 'bytes:32' });

/** Name of a numbered file of the index. */
export function logFileName(kind: 'CURRENT' | 'seg' | 'wal', number: number): string {
  return `${LOG_DIRECTORY}/${kind}-${number.toString(16).padStart(12, '0')}`;
}

/** The inverse of {@link logFileName} for a name inside the directory; undefined for anything else. */
export function parseLogFileName(name: string): { readonly kind: 'CURRENT' | 'seg' | 'wal'; readonly number: number } | undefined {
  const match = /^(CURRENT|seg|wal)-([0-9a-f]{12})$/.exec(name);
  return match === null ? undefined : { kind: match[1] as 'CURRENT' | 'seg' | 'wal', number: Number.parseInt(match[2] as string, 16) };
}
