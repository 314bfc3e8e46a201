/**
 * Directories: entries in blocks, checked. A hash tree's own blocks look like blocks of deleted entries, so that all directories read alike.
 * Source: Linux, Documentation/filesystems/ext4 (directory); fs/ext4/namei.c for what is under a checksum.
 */
import { FormatError, HoldfastError, IntegrityError, type BlockSource, type FormatFault, type NodeType } from '../../../core/index.ts';
import { chainCrc, chainCrcOfU32 } from './checksum.ts';
import { inlineDirectory } from './inline-data.ts';
import { DIRENT } from './inode.layout.ts';
import type { Inode } from './inode.ts';
import type { ExtGeometry } from './superblock.ts';
import { INCOMPAT } from './superblock.layout.ts';

const STRUCTURE = 'ext directory entry';
/** Bytes of a directory that are read at a time. */
const PIECE_BYTES = 64 << 10;

/** What `file_type` says, from 1. */
const fileTypes: readonly (NodeType | undefined)[] = [undefined, 'file', 'directory', 'character', 'block', 'fifo', 'socket', 'symlink'];

/** A name, as a view, and its inode's number. */
export interface Dirent {
  readonly inode: number;
  readonly name: Uint8Array;
  /** The type that the entry says itself, where a checksum vouches for it. */
  readonly type: NodeType | undefined;
}

/** `rec_len` in bytes: blocks of 64 KiB need more than 16 bits. */
export function recordBytes(stored: number, blockBytes: number): number {
  if (blockBytes < 0x1_0000) return stored;
  return stored === 0xffff || stored === 0 ? blockBytes : (stored & 0xfffc) | ((stored & 3) << 16);
}

/** Reads entries of directories of one filesystem. */
export class DirectoryReader {
  readonly #geometry: ExtGeometry;
  readonly #isTyped: boolean;

  constructor(geometry: ExtGeometry) {
    this.#geometry = geometry;
    this.#isTyped = geometry.checksums === 'crc32c' && (geometry.incompat & INCOMPAT.filetype) !== 0;
  }

  #fault(inode: Inode, fault: Omit<FormatFault, 'structure'>): FormatError {
    return new FormatError(`Read directory, ext inode ${inode.number}`, { structure: STRUCTURE, ...fault });
  }

  /**
   * The entries in `bytes`, which stand at `offset` in the directory, added to `found`. `.` and `..` are among them.
   * @throws {FormatError} at the first entry that is wrong; those before it have been added.
   */
  entries(inode: Inode, bytes: Uint8Array, offset: number, found: Dirent[] = []): readonly Dirent[] {
    const { blockBytes, inodes } = this.#geometry;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.length;) {
      if (at + DIRENT.headerBytes > bytes.length) throw this.#fault(inode, { field: 'rec_len', offset: offset + at, found: bytes.length - at, expected: 'room for an entry' });
      const length = recordBytes(view.getUint16(at + DIRENT.rec_len, true), blockBytes);
      const number = view.getUint32(at + DIRENT.inode, true);
      // Without the feature `filetype` the next byte belongs to it, but the kernel leaves anything there.
      const nameLength = view.getUint8(at + DIRENT.name_len);
      if (length < DIRENT.headerBytes || length % 4 !== 0 || at + length > bytes.length) {
        throw this.#fault(inode, { field: 'rec_len', offset: offset + at, found: length, expected: `a multiple of 4, 8 to ${bytes.length - at}` });
      }
      if (number !== 0) {
        if (nameLength > length - DIRENT.headerBytes) throw this.#fault(inode, { field: 'name_len', offset: offset + at, found: nameLength, expected: `at most ${length - DIRENT.headerBytes}` });
        if (number > inodes) throw this.#fault(inode, { field: 'inode', offset: offset + at, found: number, expected: `at most ${inodes}` });
        found.push({
          inode: number, name: new Uint8Array(bytes.buffer, bytes.byteOffset + at + DIRENT.headerBytes, nameLength),
          type: this.#isTyped ? fileTypes[view.getUint8(at + DIRENT.file_type)] : undefined,
        });
      }
      at += length;
    }
    return found;
  }

  /** All entries of a directory, wherever it keeps them; `content` opens what is in blocks. @throws as {@link pieces} does. */
  async *all(inode: Inode, content: (inode: Inode) => BlockSource): AsyncIterable<readonly Dirent[]> {
    if (!inode.has('inline_data')) yield* this.pieces(inode, content(inode));
    else for (const [i, part] of inlineDirectory(inode).entries()) yield this.entries(inode, part, i * part.length);
  }

  /** Whether a block of a directory with an index is a node of it. */
  isIndexBlock(inode: Inode, block: Uint8Array, index: number): boolean {
    if (!inode.has('index')) return false;
    if (index === 0) return true;
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    return view.getUint32(DIRENT.inode, true) === 0 && recordBytes(view.getUint16(DIRENT.rec_len, true), block.length) === block.length;
  }

  /** Checks a block's checksum, where the filesystem has them. @throws {IntegrityError} @throws {FormatError} */
  verify(inode: Inode, block: Uint8Array, index: number): void {
    if (this.#geometry.checksums !== 'crc32c') return;
    const view = new DataView(block.buffer, block.byteOffset, block.byteLength);
    const [stored, found] = this.isIndexBlock(inode, block, index) ? this.#indexCrc(inode, view, index) : this.#leafCrc(inode, view, index);
    if (stored === found) return;
    throw new IntegrityError(`Read directory, ext inode ${inode.number}, block ${index}: its checksum is '${stored}', its bytes give '${found}'`, { structure: STRUCTURE, field: 'det_checksum', inode: inode.number, block: index });
  }

  #leafCrc(inode: Inode, view: DataView, index: number): readonly [number, number] {
    const end = view.byteLength - DIRENT.tailBytes;
    const isTail = view.getUint32(end, true) === 0 && view.getUint32(end + 4, true) === ((DIRENT.tailType << 24) | DIRENT.tailBytes) >>> 0;
    if (!isTail) throw this.#fault(inode, { field: 'det_reserved_ft', offset: index * view.byteLength + end, expected: 'a checksum at the end of the block' });
    return [view.getUint32(end + 8, true), chainCrc(inode.seed, new Uint8Array(view.buffer, view.byteOffset, end))];
  }

  #indexCrc(inode: Inode, view: DataView, index: number): readonly [number, number] {
    const entries = index === 0 ? DIRENT.rootEntries : DIRENT.nodeEntries;
    const limit = view.getUint16(entries, true);
    const count = view.getUint16(entries + 2, true);
    const tail = entries + limit * DIRENT.indexEntryBytes;
    if (tail + 8 > view.byteLength) throw this.#fault(inode, { field: 'limit', offset: index * view.byteLength + entries, found: limit, expected: `at most ${Math.floor((view.byteLength - 8 - entries) / DIRENT.indexEntryBytes)}` });
    if (count > limit) throw this.#fault(inode, { field: 'count', offset: index * view.byteLength + entries + 2, found: count, expected: `at most ${limit}` });
    const used = new Uint8Array(view.buffer, view.byteOffset, entries + count * DIRENT.indexEntryBytes);
    const body = chainCrc(chainCrc(inode.seed, used), new Uint8Array(view.buffer, view.byteOffset + tail, 4));
    return [view.getUint32(tail + 4, true), chainCrcOfU32(body, 0)];
  }

  /**
   * All entries of a directory whose bytes are `content`, a list for each piece that is read. What is sound comes, whatever else is not.
   * @throws {FormatError} @throws {IntegrityError} the first damage, after everything else.
   */
  async *pieces(inode: Inode, content: BlockSource): AsyncIterable<readonly Dirent[]> {
    const { blockBytes, blocks } = this.#geometry;
    let failure: HoldfastError | undefined;
    if (content.size % blockBytes !== 0) failure = inode.fault('i_size_lo', content.size, `a multiple of ${blockBytes}`);
    const step = Math.max(PIECE_BYTES, blockBytes);
    let left = blocks * blockBytes;
    const whole = content.size - content.size % blockBytes;
    // In a small directory, holes are not looked for: they read as zeroes, which are no entries.
    for await (const { offset, length, kind } of whole <= step ? [{ offset: 0, length: whole, kind: 'data' }] : content.extents(0, whole)) {
      if (kind !== 'data') failure ??= this.#fault(inode, { field: 'block', offset, expected: 'a directory without holes' });
      for (let at = offset; kind === 'data' && at < offset + length; at += step) {
        const bytes = new Uint8Array(Math.min(step, offset + length - at));
        left -= bytes.length;
        if (left < 0) throw inode.fault('i_size_lo', content.size, 'a directory that is not larger than the filesystem');
        const entries: Dirent[] = [];
        const damage = await this.#piece(inode, content, { at, bytes, entries });
        failure ??= damage;
        yield entries;
      }
    }
    if (failure !== undefined) throw failure;
  }

  /** Adds the entries of the blocks that are sound to `entries`; the first damage, if there is some. */
  async #piece(inode: Inode, content: BlockSource, { at, bytes, entries }: { readonly at: number; readonly bytes: Uint8Array; readonly entries: Dirent[] }): Promise<HoldfastError | undefined> {
    const { blockBytes } = this.#geometry;
    let failure: HoldfastError | undefined;
    try {
      await content.readInto(at, bytes);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      return error;
    }
    for (let from = 0; from < bytes.length; from += blockBytes) {
      const damage = this.#block(inode, bytes.subarray(from, from + blockBytes), (at + from) / blockBytes, entries);
      failure ??= damage;
    }
    return failure;
  }

  /** Adds the entries of a block; its damage, if there is some. */
  #block(inode: Inode, block: Uint8Array, index: number, entries: Dirent[]): HoldfastError | undefined {
    try {
      this.verify(inode, block, index);
      this.entries(inode, block, index * block.length, entries);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      return error;
    }
    return undefined;
  }
}
