/**
 * Cuts a volume into segments at block borders, and each segment into parts that a chunking store finds again: file data without the heads of blocks and records
 * between, other records, heads of records, and a small layout that differs from job to job. One pass over the bytes; data is not copied, only found again when it is read.
 *
 * A segment begins at the volume's label, behind it, at the start of a job, and when its tables are full, so that two jobs of the same files are cut alike.
 */
import type { IHasher } from 'hash-wasm';
import { MemorySource, SliceSource, equalBytes, type BlockSource, type Limits } from '../../../core/index.ts';
import { crc32 } from '../../crc32.ts';
import { HEAD_BYTES_MAX, HEAD_BYTES_MIN, readBlockHead, type BlockHead } from '../block.ts';
import { BB03_OPTIONS } from '../block.layout.ts';
import { CompactWriter } from './compact.ts';
import { HELD_BYTES_MAX, ITEM, SEGMENT_ITEMS_MAX, encodeLayout } from './layout.ts';
import { RunSource } from './run-source.ts';
import { RunList, SessionSplitter, isJobStart, isVolumeLabel } from './session-splitter.ts';
import { VolumeWindow } from './volume-window.ts';

/** Bytes after which a segment ends. */
export const SEGMENT_BYTES_USUAL: number = 128 << 20;
/** A job that begins before a segment has so many bytes does not begin another one: very small jobs share segments. */
const SEGMENT_BYTES_LEAST = 256 << 10;
/** Bytes of records other than data, of heads, and pieces of data, after which a segment ends, because they are held in memory. */
const META_BYTES = 8 << 20;
const HEAD_BYTES = 2 << 20;
const RUNS = 1 << 19;
/** Bytes between blocks that one segment takes. */
const VERBATIM_BYTES = 16 << 20;

/** What a split needs. */
export interface SplitOptions {
  readonly limits: Limits;
  /** XXH3-64 hasher; used without yielding. */
  readonly hasher: IHasher;
  /** Bytes after which a segment ends; default {@link SEGMENT_BYTES_USUAL}. */
  readonly segmentBytes?: number;
}

/** A segment in parts; together they give its bytes back, see `weave`. Closing them leaves the volume open. */
export interface WovenParts {
  /** What differs from job to job; a few bytes a block. */
  readonly layout: BlockSource;
  /** FileIndex, stream and length of each record. */
  readonly heads: BlockSource;
  /** Records that are not file data: attributes, digests, ACLs, … */
  readonly meta: BlockSource;
  /** Records that are file data, and what is no whole record. */
  readonly data: BlockSource;
}

/** A piece of a volume. */
export interface Segment {
  readonly offset: number;
  readonly length: number;
  /** Undefined: it is no volume here, or ends inside a block, and is to be stored as it is. */
  readonly parts: WovenParts | undefined;
  /** It ends inside a block, with the volume: when the volume grows, it is to be split again. */
  readonly torn: boolean;
}

/** Whether what stands in the checksum's place is the checksum: `right`, `none` or `other`. */
function checksumKind(head: BlockHead, block: Uint8Array, hasher: IHasher): 'right' | 'none' | 'other' {
  if (head.version === 'BB02') {
    if (!head.checksummed) return 'none';
    return crc32(block.subarray(4)) === new DataView(block.buffer, block.byteOffset).getUint32(0) ? 'right' : 'other';
  }
  const stored = block.slice(24, 32);
  if (!head.checksummed) return stored.every((byte) => byte === 0) ? 'none' : 'other';
  if (head.encrypted) return 'other'; // it is that of the plain text
  block.fill(0, 24, 32);
  const computed = hasher.init().update(block).digest('binary');
  block.set(stored, 24);
  return equalBytes(stored, computed) ? 'right' : 'other';
}

/** Options of a BB03 block; 0 of others. */
function optionsOf(head: BlockHead): number {
  if (head.version === 'BB02') return 0;
  return (head.checksummed ? BB03_OPTIONS.checksum : 0) | (head.volumeEncrypted ? BB03_OPTIONS.volumeEncrypted : 0) | (head.encrypted ? BB03_OPTIONS.blockEncrypted : 0);
}

/** The segment being filled. */
class SegmentBuilder {
  readonly #options: SplitOptions;
  readonly #sessions = new Map<string, { readonly splitter: SessionSplitter; readonly index: number }>();
  readonly #items = new CompactWriter();
  readonly #verbatim = new RunList();
  /** The item that may be repeated, and how often it was. */
  #run: { readonly session: number; readonly bits: number; count: number } | undefined;
  #count = 0;
  length = 0;

  constructor(options: SplitOptions) {
    this.#options = options;
  }

  /** Whether another block would not fit into the tables. */
  get isFull(): boolean {
    const { segmentBytes = SEGMENT_BYTES_USUAL } = this.#options;
    if (this.length >= segmentBytes || this.#count >= SEGMENT_ITEMS_MAX - 2 || this.#verbatim.bytes >= VERBATIM_BYTES) return true;
    let [meta, heads, runs] = [0, 0, 0];
    for (const { splitter } of this.#sessions.values()) {
      meta += splitter.meta.length;
      heads += splitter.heads.length;
      runs += splitter.data.count;
    }
    return meta >= META_BYTES || heads >= HEAD_BYTES || runs >= RUNS;
  }

  get hasBlocks(): boolean {
    return this.#sessions.size > 0;
  }

  block(head: BlockHead, block: Uint8Array): void {
    const key = `${head.version}/${head.sessionId}/${head.sessionTime}`;
    let session = this.#sessions.get(key);
    if (session === undefined) this.#sessions.set(key, session = { splitter: new SessionSplitter(head, optionsOf(head)), index: this.#sessions.size + 1 });
    const { splitter, index } = session;
    const kind = checksumKind(head, block, this.#options.hasher);
    let bits = splitter.take(head, block.subarray(head.headBytes), this.length + head.headBytes);
    const isBb02 = head.version === 'BB02';
    if (isBb02 ? kind === 'none' : optionsOf(head) !== splitter.options) bits |= ITEM.options;
    if (kind === 'other') bits |= ITEM.checksum;
    const isPlain = (bits & (ITEM.size | ITEM.number | ITEM.checksum)) === 0 && (isBb02 || (bits & ITEM.options) === 0);
    this.#item(index, bits, isPlain);
    if (!isPlain) {
      if (bits & ITEM.size) this.#items.number(head.size);
      if (bits & ITEM.number) this.#items.number(head.number);
      if (!isBb02 && bits & ITEM.options) this.#items.number(optionsOf(head));
      if (bits & ITEM.checksum) this.#items.push(isBb02 ? block.subarray(0, 4) : block.subarray(24, 32));
    }
    this.length += head.size;
  }

  /** Bytes that are no block. */
  verbatim(length: number): void {
    this.#flush();
    this.#items.number(0);
    this.#items.number(length);
    this.#verbatim.add(this.length, length);
    this.#count += 1;
    this.length += length;
  }

  #item(session: number, bits: number, isPlain: boolean): void {
    this.#count += 1;
    if (isPlain && this.#run?.session === session && this.#run.bits === bits) {
      this.#run.count += 1;
      return;
    }
    this.#flush();
    if (isPlain) {
      this.#run = { session, bits, count: 1 };
      return;
    }
    this.#items.number(session);
    this.#items.number(bits);
  }

  #flush(): void {
    const run = this.#run;
    this.#run = undefined;
    if (run === undefined) return;
    for (const value of [run.session, run.bits, run.count]) this.#items.number(value);
  }

  /** The parts; data is read from `volume`, where the segment begins at `offset`. Undefined when they would not fit into memory. */
  finish(volume: BlockSource, offset: number): WovenParts | undefined {
    this.#flush();
    const splitters = [...this.#sessions.values()].map(({ splitter }) => splitter);
    const sessions = splitters.map((splitter) => splitter.finish());
    const layout = encodeLayout({ size: this.length, blocks: this.#count, verbatim: this.#verbatim.bytes, sessions, items: this.#items.bytes });
    const join = ([first = new Uint8Array(0), ...others]: readonly Uint8Array[]): Uint8Array => (others.length === 0 ? first : new Uint8Array(Buffer.concat([first, ...others])));
    const heads = join(splitters.map((splitter) => splitter.heads.bytes));
    if (layout.length > HELD_BYTES_MAX || heads.length > HELD_BYTES_MAX) return undefined;
    return {
      layout: new MemorySource(layout), heads: new MemorySource(heads), meta: new MemorySource(join(splitters.map((splitter) => splitter.meta.bytes))),
      data: new RunSource(volume, offset, [this.#verbatim, ...splitters.map((splitter) => splitter.data)]),
    };
  }
}

/**
 * Finds the segment of a volume that begins at `offset`, which must be less than its size. The volume must stay open, and its bytes there the same, until the parts were read.
 * @throws what reading the volume throws.
 */
export async function splitSegment(volume: BlockSource, offset: number, options: SplitOptions): Promise<Segment> {
  const window = new VolumeWindow(volume);
  const builder = new SegmentBuilder(options);
  let torn = false;
  for (let at = offset; at < volume.size && !builder.isFull; at = offset + builder.length) {
    const left = volume.size - at;
    const bytes = await window.read(at, Math.min(left, HEAD_BYTES_MAX));
    const head = left < HEAD_BYTES_MIN ? undefined : readBlockHead(bytes, 0, options.limits);
    if (typeof head === 'string') {
      builder.verbatim(await verbatimBytes(window, at, options.limits));
      continue;
    }
    if (head === undefined || head.size > left) {
      torn = builder.length === 0;
      if (torn) return { offset, length: left, parts: undefined, torn };
      break;
    }
    const block = await window.read(at, head.size);
    const payload = block.subarray(head.headBytes);
    if (!head.encrypted && isJobStart(payload) && builder.length >= SEGMENT_BYTES_LEAST) break;
    builder.block(head, block);
    if (at === 0 && !head.encrypted && isVolumeLabel(payload)) break;
  }
  const parts = builder.hasBlocks ? builder.finish(volume, offset) : undefined;
  return { offset, length: builder.length, parts, torn };
}

/** How many bytes from `at` on are no block: up to the next head that can be believed, and not too many at once. */
async function verbatimBytes(window: VolumeWindow, at: number, limits: Limits): Promise<number> {
  const end = Math.min(window.size, at + VERBATIM_BYTES);
  for (let from = at + 1; from + HEAD_BYTES_MIN <= end;) {
    const bytes = await window.read(from, Math.min(end - from, 1 << 20));
    const id = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).indexOf('BB0', 12, 'latin1');
    if (id < 0 || id + 12 > bytes.length) {
      if (from + bytes.length >= end) break;
      from += bytes.length - HEAD_BYTES_MAX;
      continue;
    }
    const found = from + id - 12;
    const head = found + HEAD_BYTES_MIN <= window.size ? readBlockHead(await window.read(found, Math.min(HEAD_BYTES_MAX, window.size - found)), 0, limits) : 'bad-block-id';
    if (typeof head !== 'string' && found + head.size <= window.size) return found - at;
    from = found + 1;
  }
  return end - at;
}

/** A segment's own bytes, to be stored as they are. Closing it leaves the volume open. */
export function rawSegment(volume: BlockSource, segment: Pick<Segment, 'offset' | 'length'>): BlockSource {
  const slice = new SliceSource(volume, segment.offset, segment.length);
  slice.close = () => Promise.resolve();
  return slice;
}
