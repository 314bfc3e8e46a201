/**
 * The layout of a woven segment: which sessions its blocks belong to, how long and how numbered they are, and what else changes from job to job. Everything
 * a second job of unchanged files repeats is in the other parts. Layout of the bytes: `docs/formats/woven-volume.md`.
 */
import { FormatError, LimitError, equalBytes, utf8 } from '../../../core/index.ts';
import { CompactReader, CompactWriter } from './compact.ts';

const MAGIC: Uint8Array = utf8('HFWV\x01');
/** Bytes of a segment; longer ones are not written. */
export const SEGMENT_BYTES_MAX: number = 1 << 30;
/** Blocks and verbatim runs of a segment. */
export const SEGMENT_ITEMS_MAX = 65_536;
/** Bytes of a layout, and of the heads of a segment: both are held in memory. */
export const HELD_BYTES_MAX: number = 32 << 20;
/** Bytes of a block: Bacula's own bound. */
export const BLOCK_BYTES_MAX = 20_000_000;
/** Bytes of a block until another length was seen: Bacula's default. */
export const BLOCK_BYTES_USUAL = 64_512;

/** Bits of an item: what is not as the blocks before let expect. */
export const ITEM = {
  /** The length follows; else the block is as full as its records allow. */
  size: 1,
  /** The number follows; else it is one more than the session's last. */
  number: 2,
  /** BB02: no checksum. BB03: the options follow. */
  options: 4,
  /** The checksum follows, because it is not the block's. */
  checksum: 8,
  /** The payload is one piece of data: encrypted, or no whole records. */
  opaque: 16,
  /** The session's unfinished record is not continued. */
  fresh: 32,
} as const;

/** One session of a segment. */
export interface WovenSession {
  readonly version: 'BB02' | 'BB03';
  /** Options of its first block; 0 for BB02. */
  readonly options: number;
  readonly id: number;
  readonly time: number;
  /** Number of its first block. */
  readonly number: number;
  /** Bytes of its heads, meta records and data, each in the part of that name, session behind session. */
  readonly heads: number;
  readonly meta: number;
  readonly data: number;
  /** `st_atime` of each folded record, as the difference from the one before. */
  readonly times: Uint8Array;
  /** FileIndex, Stream and length of each label record. */
  readonly labelHeads: Uint8Array;
  /** Payloads of label records. */
  readonly labels: Uint8Array;
}

/** A layout, decoded. */
export interface WovenLayout {
  /** Bytes of the segment. */
  readonly size: number;
  /** Blocks and verbatim runs. */
  readonly blocks: number;
  /** Bytes between blocks, kept as they are at the start of the data part. */
  readonly verbatim: number;
  readonly sessions: readonly WovenSession[];
  readonly items: Uint8Array;
}

/** Encodes a layout. */
export function encodeLayout(layout: WovenLayout): Uint8Array {
  const writer = new CompactWriter();
  writer.push(MAGIC);
  for (const value of [layout.size, layout.blocks, layout.verbatim, layout.sessions.length, layout.items.length]) writer.number(value);
  for (const session of layout.sessions) {
    writer.number(session.version === 'BB02' ? 2 : 3);
    for (const value of [session.options, session.id, session.time, session.number, session.heads, session.meta, session.data]) writer.number(value);
    for (const column of [session.times, session.labelHeads, session.labels]) writer.number(column.length);
  }
  writer.push(layout.items);
  for (const session of layout.sessions) for (const column of [session.times, session.labelHeads, session.labels]) writer.push(column);
  return writer.bytes.slice();
}

type SessionHead = Omit<WovenSession, 'times' | 'labelHeads' | 'labels'> & { readonly columns: readonly [number, number, number] };

function readSession(reader: CompactReader): SessionHead {
  const version = reader.bounded('version', 3);
  if (version < 2) throw new FormatError('Read woven volume', { structure: 'layout', field: 'version', offset: reader.at, found: version, expected: '2 or 3' });
  return {
    version: version === 2 ? 'BB02' : 'BB03',
    options: reader.bounded('options', 7), id: reader.bounded('id', 0xffff_ffff), time: reader.bounded('time', 0xffff_ffff), number: reader.bounded('number', 0xffff_ffff),
    heads: reader.bounded('heads', HELD_BYTES_MAX), meta: reader.bounded('meta', SEGMENT_BYTES_MAX), data: reader.bounded('data', SEGMENT_BYTES_MAX),
    columns: [reader.bounded('times', HELD_BYTES_MAX), reader.bounded('labelHeads', HELD_BYTES_MAX), reader.bounded('labels', HELD_BYTES_MAX)],
  };
}

/** Decodes a layout; its columns are views of `bytes`. @throws {FormatError} @throws {LimitError} longer than {@link HELD_BYTES_MAX}. */
export function decodeLayout(bytes: Uint8Array): WovenLayout {
  if (bytes.length > HELD_BYTES_MAX) throw new LimitError('layout bytes', bytes.length, HELD_BYTES_MAX, 'woven volume');
  const reader = new CompactReader(bytes);
  if (!equalBytes(reader.take(MAGIC.length, 'magic'), MAGIC)) throw new FormatError('Read woven volume', { structure: 'layout', field: 'magic', offset: 0, expected: 'HFWV 1' });
  const size = reader.bounded('size', SEGMENT_BYTES_MAX);
  const blocks = reader.bounded('blocks', SEGMENT_ITEMS_MAX);
  const verbatim = reader.bounded('verbatim', SEGMENT_BYTES_MAX);
  const sessionCount = reader.bounded('sessions', blocks);
  const itemBytes = reader.bounded('items', reader.left);
  const heads: SessionHead[] = [];
  for (let i = 0; i < sessionCount; i += 1) heads.push(readSession(reader));
  const items = reader.take(itemBytes, 'items');
  const sessions = heads.map(({ columns: [times, labelHeads, labels], ...session }): WovenSession => ({
    ...session, times: reader.take(times, 'times'), labelHeads: reader.take(labelHeads, 'labelHeads'), labels: reader.take(labels, 'labels'),
  }));
  if (reader.left > 0) throw new FormatError('Read woven volume', { structure: 'layout', field: 'end', offset: reader.at, found: reader.left, expected: 0 });
  return { size, blocks, verbatim, sessions, items };
}
