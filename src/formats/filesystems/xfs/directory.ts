/**
 * Names in a directory, in the order in which they are stored. Entries of a large directory are in the blocks below 32 GiB of its data
 * fork, whatever index is above. Source: "XFS Algorithms & Data Structures", "Directories".
 */
import { type DirectoryEntry, FormatError, HoldfastError, type NodeId } from '../../../core/index.ts';
import type { Mapping } from './extent.ts';
import type { BlockFinder } from './file-map.ts';
import type { XfsGeometry } from './geometry.ts';
import type { Fork, XfsInode } from './inode.ts';
import type { MetadataReader, Piece, Wanted } from './metadata.ts';
import { wideOf } from './wide.ts';
import { DIRECTORY_LEAF_BYTES, FAMILY, MAGIC } from './xfs.layout.ts';

/** Entries that `list` hands over at a time: few, so that they are garbage before they are old. */
const PAGE_ENTRIES = 512;
const ENTRY_HEADER = 9;
const FREE_TAG = 0xffff;
const HEADER = { old: 16, v5: 64 } as const;

/** One name as it is stored; both are views of a shared buffer. */
export interface StoredName {
  readonly name: Uint8Array;
  /** Undefined when it is more than 2^53 − 1. */
  readonly inode: number | undefined;
}

/** Told of a name that no tree may have. */
export type Complain = (kind: string, message: string) => void;

/** One directory. */
export class XfsDirectory {
  readonly inode: XfsInode;
  readonly #metadata: MetadataReader;
  readonly #finder: BlockFinder;

  /** `finder` maps the data fork. */
  constructor(inode: XfsInode, metadata: MetadataReader, finder: BlockFinder) {
    this.inode = inode;
    this.#metadata = metadata;
    this.#finder = finder;
  }

  /** Where the names are, and whether the checksum of their block covers an index at its end. */
  get #wanted(): Wanted {
    const magics = this.#metadata.geometry.isV5 ? [MAGIC.directoryDataCrc, MAGIC.directoryBlockCrc] : [MAGIC.directoryData, MAGIC.directoryBlock];
    return { family: FAMILY.directoryData, magics, owner: this.inode.number };
  }

  /** What the directory's blocks from `block` on are; blocks of the filesystem, not of the directory. */
  find(block: number): Mapping | Promise<Mapping> {
    return this.#finder.find(block);
  }

  /** Places of the directory block at byte `at` of the directory. @throws {FormatError} when part of it is missing. */
  async pieces(at: number): Promise<readonly Piece[]> {
    const { geometry } = this.#metadata;
    const { blockBytes, directoryBytes } = geometry.facts;
    const pieces: { at: number; length: number }[] = [];
    for (let done = 0; done < directoryBytes;) {
      const { count, block } = await this.#finder.find((at + done) / blockBytes);
      if (block === undefined) throw this.#fault('directory block', at + done, 'no hole inside a directory block');
      const length = Math.min(directoryBytes - done, count * blockBytes);
      const place = geometry.blockAt(block);
      const last = pieces.at(-1);
      if (last !== undefined && last.at + last.length === place) last.length += length;
      else pieces.push({ at: place, length });
      done += length;
    }
    return pieces;
  }

  #fault(field: string, found: string | number, expected: string): FormatError {
    return new FormatError(`Read XFS directory '${this.inode.number}'`, { structure: 'xfs_dir2_data_entry', field, found, expected });
  }

  /** The block of names at byte `at` of the directory. */
  async dataBlock(at: number): Promise<DataView> {
    return this.#metadata.block(await this.pieces(at), this.#wanted);
  }

  /** Places in the directory that hold names, in order. @throws {FormatError} when there are more blocks than on the device, or none. */
  async *dataPlaces(): AsyncIterable<number> {
    const { blockBytes, directoryBytes, blocks } = this.#metadata.geometry.facts;
    const end = Math.min(this.inode.size, DIRECTORY_LEAF_BYTES);
    const most = Math.ceil(blocks * blockBytes / directoryBytes);
    let found = 0;
    for (let at = 0; at < end;) {
      const { count, block } = await this.#finder.find(at / blockBytes);
      if (block === undefined) {
        at = Math.ceil((at + count * blockBytes) / directoryBytes) * directoryBytes;
        continue;
      }
      if ((found += 1) > most) throw this.#fault('di_size', this.inode.size, 'fewer blocks than on the device');
      yield at;
      at += directoryBytes;
    }
    if (found === 0) throw this.#fault('di_size', this.inode.size, 'at least one block of names');
  }

  /** Names of a block of names. @throws {FormatError} */
  *namesIn(view: DataView): Iterable<StoredName> {
    const { isV5 } = this.#metadata.geometry;
    const end = namesEnd(view);
    for (let at = isV5 ? HEADER.v5 : HEADER.old; at < end;) {
      if (at + 8 > end) throw this.#fault('length', end - at, 'at least 8 bytes');
      if (view.getUint16(at) === FREE_TAG) {
        const length = view.getUint16(at + 2);
        if (length === 0 || length % 8 !== 0 || at + length > end) throw this.#fault('freetag length', length, `8 to ${end - at}, whole units of 8`);
        at += length;
        continue;
      }
      const entry = this.nameAt(view, at, end);
      yield entry;
      at += entryBytes(entry.name.length, this.#metadata.geometry);
    }
  }

  /** The name at byte `at` of a block. @throws {FormatError} when it leaves the block. */
  nameAt(view: DataView, at: number, end: number): StoredName {
    const length = at + ENTRY_HEADER > end ? 0 : view.getUint8(at + 8);
    if (length === 0 || at + entryBytes(length, this.#metadata.geometry) > end) throw this.#fault('namelen', length, `1 to ${Math.max(1, end - at - ENTRY_HEADER - 2)}`);
    return { name: new Uint8Array(view.buffer, view.byteOffset + at + ENTRY_HEADER, length), inode: wideOf(view, at) };
  }

  /** Every name but `.` and `..`, block by block; damaged blocks come last, as the error of the first one. */
  async *list(complain: Complain): AsyncIterable<readonly DirectoryEntry[]> {
    const page: DirectoryEntry[] = [];
    let failure: HoldfastError | undefined;
    for await (const at of this.dataPlaces()) {
      try {
        for (const stored of this.namesIn(await this.dataBlock(at))) addEntry(page, stored, complain);
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        complain('damaged-directory', error.message);
        failure ??= error;
      }
      while (page.length >= PAGE_ENTRIES) yield page.splice(0, PAGE_ENTRIES);
    }
    if (page.length > 0) yield page;
    if (failure !== undefined) throw failure;
  }
}

/** Bytes of an entry with a name of `length` bytes, its tag and what aligns it included. */
function entryBytes(length: number, geometry: XfsGeometry): number {
  return Math.ceil((ENTRY_HEADER + length + (geometry.facts.fileTypes ? 1 : 0) + 2) / 8) * 8;
}

/** Where names end: before the index at the end of a block that is the whole directory. */
export function namesEnd(view: DataView): number {
  const magic = view.getUint32(0);
  if (magic !== MAGIC.directoryBlock && magic !== MAGIC.directoryBlockCrc) return view.byteLength;
  const count = view.getUint32(view.byteLength - 8);
  const end = view.byteLength - 8 - count * 8;
  if (end < HEADER.old) throw new FormatError('Read XFS directory', { structure: 'xfs_dir2_block_tail', field: 'count', found: count, expected: `at most ${Math.floor((view.byteLength - 8 - HEADER.old) / 8)}` });
  return end;
}

function isLegal(name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i += 1) if (name[i] === 0 || name[i] === 0x2f) return false;
  return name.length > 0;
}

/** Adds a name to a page; names that no tree may have are complained about. */
function addEntry(page: DirectoryEntry[], { name, inode }: StoredName, complain: Complain): void {
  if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) return;
  if (!isLegal(name)) complain('illegal-name', `the name '${Buffer.from(name).toString('latin1')}' is left out: it has a slash or NUL`);
  else if (inode === undefined) complain('illegal-inode', `the name '${Buffer.from(name).toString('latin1')}' is left out: its inode number is more than 2^53`);
  else page.push({ name, id: inode as NodeId });
}

/** The names of a directory that is in its inode. @throws {FormatError} */
export function* shortNames(inode: XfsInode, fork: Fork, geometry: XfsGeometry): Iterable<StoredName> {
  const { bytes } = fork;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const end = Math.min(bytes.length, inode.size);
  if (end < 6) throw inode.fault('di_size', inode.size, 'at least 6 bytes of a short directory');
  const wideNumbers = view.getUint8(1) > 0;
  const count = wideNumbers ? view.getUint8(1) : view.getUint8(0);
  const numberBytes = wideNumbers ? 8 : 4;
  let at = 2 + numberBytes;
  for (let i = 0; i < count; i += 1) {
    const length = at < end ? view.getUint8(at) : 0;
    const numberAt = at + 3 + length + (geometry.facts.fileTypes ? 1 : 0);
    if (length === 0 || numberAt + numberBytes > end) throw inode.fault('namelen', length, `1 to ${Math.max(1, end - at - 3 - numberBytes)}`);
    yield { name: bytes.subarray(at + 3, at + 3 + length), inode: wideNumbers ? wideOf(view, numberAt) : view.getUint32(numberAt) };
    at = numberAt + numberBytes;
  }
}

/** The entries of a directory that is in its inode. */
export function shortEntries(inode: XfsInode, geometry: XfsGeometry, complain: Complain): readonly DirectoryEntry[] {
  const page: DirectoryEntry[] = [];
  for (const stored of shortNames(inode, inode.dataFork(), geometry)) addEntry(page, stored, complain);
  return page;
}
