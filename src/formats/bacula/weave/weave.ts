/** The bytes of a segment from its parts: random access, byte for byte as the volume had them. */
import type { IHasher } from 'hash-wasm';
import { FormatError, checkRange, utf8, type BlockSource, type Extent, type ReadOptions } from '../../../core/index.ts';
import { crc32 } from '../../crc32.ts';
import { BB03_OPTIONS, bb02Layout, bb03Layout } from '../block.layout.ts';
import { sharedBlockHasher } from '../checksum.ts';
import { readBlockTable, type WovenBlock, type WovenBlockHead } from './block-table.ts';
import { unfoldAttributes } from './fold.ts';
import { ITEM } from './layout.ts';
import type { RecordVisitor, WovenRecord } from './session-cursor.ts';
import { RECORD_HEAD_BYTES, continuedStream } from './session-splitter.ts';
import type { WovenParts } from './split.ts';

/** A piece of a record inside a block. */
interface Piece {
  readonly record: WovenRecord;
  readonly from: number;
  readonly take: number;
  /** Where it goes in the block. */
  readonly at: number;
}

/** Notes the pieces of a block, and writes the heads before them. */
class BlockWriter implements RecordVisitor {
  readonly pieces: Piece[] = [];
  /** Ranges of the session's parts that the pieces lie in. */
  metaFrom = Infinity;
  metaTo = 0;
  dataFrom = Infinity;
  dataTo = 0;
  readonly #block: Uint8Array;
  readonly #view: DataView;
  #at: number;

  constructor(block: Uint8Array, at: number) {
    this.#block = block;
    this.#view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    this.#at = at;
  }

  piece(record: WovenRecord, from: number, take: number, isContinued: boolean): void {
    const { fileIndex, stream, length, kind } = record;
    this.#view.setInt32(this.#at, fileIndex);
    this.#view.setInt32(this.#at + 4, isContinued ? continuedStream(stream) : stream);
    this.#view.setUint32(this.#at + 8, length - from);
    this.#at += RECORD_HEAD_BYTES;
    if (take > 0) this.pieces.push({ record, from, take, at: this.#at });
    this.#at += take;
    const [start, end] = kind === 'folded' ? [record.at, record.at + record.kept] : [record.at + from, record.at + from + take];
    if (take === 0) return;
    if (kind === 'data') {
      this.dataFrom = Math.min(this.dataFrom, start);
      this.dataTo = Math.max(this.dataTo, end);
    } else if (kind !== 'label') {
      this.metaFrom = Math.min(this.metaFrom, start);
      this.metaTo = Math.max(this.metaTo, end);
    }
  }

  /** Writes the pieces; `meta` and `data` hold the ranges noted. */
  write(meta: Uint8Array, data: Uint8Array, labels: Uint8Array): void {
    for (const { record, from, take, at } of this.pieces) {
      if (record.kind === 'folded') {
        const whole = unfoldAttributes(meta.subarray(record.at - this.metaFrom, record.at - this.metaFrom + record.kept), record.fileIndex, record.time);
        if (whole === undefined) throw new FormatError('Read woven volume', { structure: 'segment', field: 'attributes', offset: record.at, expected: 'a folded attribute record' });
        this.#block.set(whole.subarray(from, from + take), at);
        continue;
      }
      const [bytes, start] = record.kind === 'data' ? [data, this.dataFrom] as const : record.kind === 'meta' ? [meta, this.metaFrom] as const : [labels, 0] as const;
      this.#block.set(bytes.subarray(record.at + from - start, record.at + from + take - start), at);
    }
  }
}

/** A usual block. */
const SCRATCH_BYTES = 65_536;
/** Further readers of the data part that one segment opens. */
const READERS_MAX = 15;
/** Blocks kept rendered, because readers' pieces end inside them. */
const BLOCKS_KEPT = 2;

class WovenSource implements BlockSource {
  readonly size: number;
  readonly sectorSize = 1;
  readonly #parts: WovenParts;
  readonly #blocks: readonly WovenBlock[];
  readonly #hasher: IHasher;
  readonly #kept = new Map<number, Promise<Uint8Array>>();
  #scratch: Uint8Array | undefined;
  readonly #openData: (() => Promise<BlockSource>) | undefined;
  /** By where the session's data begins. */
  readonly #readers = new Map<number, Promise<BlockSource>>();

  constructor(parts: WovenParts, table: Awaited<ReturnType<typeof readBlockTable>>, { hasher, openData }: { readonly hasher: IHasher; readonly openData: (() => Promise<BlockSource>) | undefined }) {
    this.#parts = parts;
    this.#openData = openData;
    this.size = table.size;
    this.#blocks = table.blocks;
    this.#hasher = hasher;
  }

  async readInto(offset: number, target: Uint8Array, options?: ReadOptions): Promise<void> {
    checkRange(this, offset, target.length, 'woven segment');
    let index = this.#find(offset);
    for (let done = 0; done < target.length; index += 1) {
      const block = this.#blocks[index] as WovenBlock;
      const skip = offset + done - block.start;
      const take = Math.min(block.size - skip, target.length - done);
      const piece = target.subarray(done, done + take);
      if (block.head === undefined) await this.#parts.data.readInto(block.dataAt + skip, piece, options);
      else if (take === block.size) await this.#render(block, block.head, piece, options);
      else piece.set((await this.#whole(index, block, block.head, options)).subarray(skip, skip + take));
      done += take;
    }
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    checkRange(this, offset, length, 'woven segment');
    if (length > 0) yield { offset, length, kind: 'data' };
  }

  async close(): Promise<void> {
    for (const part of [this.#parts.layout, this.#parts.heads, this.#parts.meta, this.#parts.data]) await part.close();
    for (const reader of this.#readers.values()) await reader.then((source) => source.close(), () => undefined);
  }

  /** Data of the session that begins at `start`: jobs that ran at once alternate, and each is read on from where it was. */
  #dataOf(start: number): BlockSource | Promise<BlockSource> {
    const known = this.#readers.get(start);
    if (known !== undefined) return known;
    if (start === 0 || this.#openData === undefined || this.#readers.size >= READERS_MAX) return this.#parts.data;
    const opened = this.#openData();
    this.#readers.set(start, opened);
    opened.catch(() => { this.#readers.delete(start); }); // the next reader tries again
    return opened;
  }

  #find(offset: number): number {
    let low = 0;
    let high = this.#blocks.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#blocks[middle] as WovenBlock).start <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  #whole(index: number, block: WovenBlock, head: WovenBlockHead, options: ReadOptions | undefined): Promise<Uint8Array> {
    const known = this.#kept.get(index);
    if (known !== undefined) return known;
    const bytes = new Uint8Array(block.size);
    const made = this.#render(block, head, bytes, options).then(() => bytes);
    this.#kept.set(index, made);
    made.catch(() => { this.#kept.delete(index); }); // the next reader tries again
    if (this.#kept.size > BLOCKS_KEPT) {
      const [oldest] = this.#kept.keys();
      this.#kept.delete(oldest as number);
    }
    return made;
  }

  async #render(block: WovenBlock, head: WovenBlockHead, target: Uint8Array, options: ReadOptions | undefined): Promise<void> {
    const { metaStart, dataStart, session } = head.cursor.parts;
    const headBytes = session.version === 'BB02' ? bb02Layout.size : bb03Layout.size;
    if (head.bits & ITEM.opaque) await (await this.#dataOf(dataStart)).readInto(dataStart + block.dataAt, target.subarray(headBytes), options);
    else {
      const writer = new BlockWriter(target, headBytes);
      head.cursor.copy().walk(block.size - headBytes, false, writer);
      const [metaBytes, dataBytes] = [Math.max(0, writer.metaTo - writer.metaFrom), Math.max(0, writer.dataTo - writer.dataFrom)];
      const scratch = this.#takeScratch(metaBytes + dataBytes);
      const [meta, data] = [scratch.subarray(0, metaBytes), scratch.subarray(metaBytes, metaBytes + dataBytes)];
      if (metaBytes > 0) await this.#parts.meta.readInto(metaStart + writer.metaFrom, meta, options);
      if (dataBytes > 0) await (await this.#dataOf(dataStart)).readInto(dataStart + writer.dataFrom, data, options);
      writer.write(meta, data, session.labels);
      this.#scratch = scratch;
    }
    this.#seal(head, target);
  }

  /** One buffer serves one reader; those beside it get their own. A buffer for each block would be garbage of the volume's size. */
  #takeScratch(bytes: number): Uint8Array {
    const scratch = this.#scratch;
    this.#scratch = undefined;
    return scratch !== undefined && scratch.length >= bytes ? scratch : new Uint8Array(Math.max(bytes, SCRATCH_BYTES));
  }

  /** Writes the block's head, with the checksum over all of it. */
  #seal({ cursor, bits, number, options, checksum }: WovenBlockHead, block: Uint8Array): void {
    const { version, id, time } = cursor.parts.session;
    const common = { BlockSize: block.length, BlockNumber: number, Id: utf8(version), VolSessionId: id, VolSessionTime: time };
    if (version === 'BB02') {
      block.set(bb02Layout.encode({ CheckSum: 0, ...common }));
      if (checksum !== undefined) block.set(checksum);
      else if ((bits & ITEM.options) === 0) new DataView(block.buffer, block.byteOffset).setUint32(0, crc32(block.subarray(4)));
      return;
    }
    block.set(bb03Layout.encode({ Options: options, ...common, CheckSum: new Uint8Array(8) }));
    if (checksum !== undefined) block.set(checksum, 24);
    else if (options & BB03_OPTIONS.checksum) block.set(this.#hasher.init().update(block).digest('binary'), 24);
  }
}

/**
 * Opens a segment that `splitSegment` took apart. The source owns the parts. Its table costs about 300 bytes a block. `openData` opens the data part once more: where a source is
 * fast only for one who reads on, each of several sessions gets its own.
 * @throws {FormatError} parts that do not belong together. @throws {LimitError} larger than any that is written.
 */
export async function weave(parts: WovenParts, openData?: () => Promise<BlockSource>): Promise<BlockSource> {
  return new WovenSource(parts, await readBlockTable(parts), { hasher: await sharedBlockHasher(), openData });
}
