/**
 * Fast commits, replayed in memory: inodes, places of blocks and names that stand for what is on the disk.
 *
 * The log is taken as it is meant; docs/filesystems.md lists what Linux 6.18 replays otherwise, or does not mount. Directories have the times of their
 * last whole transaction, for fast commits don't hold them; the kernel gives them the time of the mount.
 * Source: Linux, Documentation/filesystems/ext4 (journal, "Fast commits"); what each record changes is as in fs/ext4/fast_commit.c.
 */
import { checkLimit, FormatError, UnsupportedError, type Limits } from '../../../core/index.ts';
import type { Contents } from './contents.ts';
import { DirectoryReader } from './directory.ts';
import type { FastChange } from './fast-commit-log.ts';
import { hashedBlocks } from './hash-index.ts';
import { EXTENT, I_BLOCK_BYTES, INODE, INODE_FLAG, ROOT_INODE } from './inode.layout.ts';
import { checkInode, sealInode } from './inode.ts';
import type { InodeTable } from './inode-table.ts';
import { type BlockRange, lastRanges } from './range-table.ts';
import type { ExtGeometry } from './superblock.ts';

const STRUCTURE = 'ext fast commit';
const TYPE = { mask: 0xf000, directory: 0x4000, file: 0x8000 } as const;
const LINKS_MAX = 0xffff;
/** Blocks that are read to find one name by its hash, about. */
const LOOKUP_BLOCKS = 4;

/** What changed in a directory. */
export interface DirectoryChanges {
  /** Nothing of what its blocks hold is there. */
  readonly isNew: boolean;
  /** Names, their bytes as Latin-1, with their inodes; 0 where the name was removed. */
  readonly names: ReadonlyMap<string, number>;
}

/** What stands for what is on the disk; all by inodes' numbers. */
export interface FastReplay {
  /** Whole inodes, with their checksums. */
  readonly inodes: ReadonlyMap<number, Uint8Array>;
  readonly ranges: ReadonlyMap<number, readonly BlockRange[]>;
  readonly directories: ReadonlyMap<number, DirectoryChanges>;
}

/** The filesystem after its last whole transaction. */
export interface FastCommitBase {
  readonly geometry: ExtGeometry;
  readonly inodes: InodeTable;
  readonly contents: Contents;
  readonly limits: Limits;
}

/** The key of a name. */
export function nameKey(name: Uint8Array): string {
  return Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1');
}

interface Directory {
  readonly isNew: boolean;
  readonly names: Map<string, number>;
  /** Of the names that the log speaks of, those that were there before; absent as long as nobody asked. */
  before?: ReadonlyMap<string, number>;
}

/** See the header. */
class Replay {
  readonly #base: FastCommitBase;
  readonly #reader: DirectoryReader;
  readonly #inodes = new Map<number, DataView>();
  /** Those of them that are not as they were. */
  readonly #changed = new Set<number>();
  readonly #ranges = new Map<number, BlockRange[]>();
  readonly #directories = new Map<number, Directory>();
  /** Names that the log speaks of, by directory. */
  readonly #wanted = new Map<number, Map<string, Uint8Array>>();
  #readBytes = 0;

  constructor(base: FastCommitBase, changes: readonly FastChange[]) {
    this.#base = base;
    this.#reader = new DirectoryReader(base.geometry);
    for (const change of changes) {
      if (!('name' in change)) continue;
      const names = this.#wanted.get(change.parent) ?? new Map<string, Uint8Array>();
      this.#wanted.set(change.parent, names.set(nameKey(change.name), change.name));
    }
  }

  async run(changes: readonly FastChange[]): Promise<void> {
    for (const [i, change] of changes.entries()) {
      if (change.kind === 'range') await this.#range(change);
      else if (change.kind === 'inode') await this.#replace(change.inode, change.bytes, isCreated(changes, i));
      else await this.#name(change);
    }
  }

  result(): FastReplay {
    const inodes = new Map<number, Uint8Array>();
    for (const number of this.#changed) {
      const view = this.#inodes.get(number) as DataView;
      // A name that still leads to it is damage.
      if (view.getUint16(INODE.i_links_count, true) === 0) view.setUint16(INODE.i_mode, 0, true);
      const bytes = new Uint8Array(view.buffer);
      sealInode(bytes, number, this.#base.geometry);
      inodes.set(number, bytes);
    }
    return { inodes, ranges: new Map([...this.#ranges].map(([number, ranges]) => [number, lastRanges(ranges)])), directories: this.#directories };
  }

  #fault(field: string, found: string | number, expected: string): FormatError {
    return new FormatError('Replay fast commits of the ext journal', { structure: STRUCTURE, field, found, expected });
  }

  /** An inode, which may be none yet. */
  async #inode(number: number): Promise<DataView> {
    const known = this.#inodes.get(number);
    if (known !== undefined) return known;
    const { geometry, inodes, limits } = this.#base;
    if ((number < geometry.firstInode && number !== ROOT_INODE) || number > geometry.inodes) throw this.#fault('fc_ino', number, `2, or ${geometry.firstInode} to ${geometry.inodes}`);
    checkLimit(limits, 'filesystemJournalBytesMax', (this.#inodes.size + 1) * geometry.inodeBytes, 'inodes in fast commits of the ext journal');
    const view = new DataView((await inodes.raw(number)).buffer);
    this.#inodes.set(number, view);
    return view;
  }

  /** Counts `by` more names of an inode. */
  #addLinks(number: number, view: DataView, by: number): void {
    // Until here nobody looked at what the disk has.
    if (!this.#changed.has(number)) checkInode({ view, at: 0 }, number, this.#base.geometry);
    const links = view.getUint16(INODE.i_links_count, true) + by;
    if (links > LINKS_MAX) throw this.#fault('i_links_count', links, `at most ${LINKS_MAX}`);
    view.setUint16(INODE.i_links_count, Math.max(isType(view, TYPE.directory) ? 1 : 0, links), true);
    this.#changed.add(number);
  }

  /** The names of a directory; `undefined` when that inode is none: one that came and went between two commits. */
  async #directory(number: number): Promise<Directory | undefined> {
    const view = await this.#inode(number);
    if (!isAlive(view) || !isType(view, TYPE.directory)) return undefined;
    const directory = this.#directories.get(number) ?? { isNew: false, names: new Map<string, number>() };
    this.#directories.set(number, directory);
    return directory;
  }

  /** Only what the log gives is taken over: where the blocks are is said elsewhere, and attributes behind the fields are not logged. */
  async #replace(number: number, bytes: Uint8Array, isCreatedHere: boolean): Promise<void> {
    if (number === ROOT_INODE) throw this.#fault('fc_ino', number, `at least ${this.#base.geometry.firstInode}`);
    const view = await this.#inode(number);
    const inode = new Uint8Array(view.buffer);
    const wasInline = (view.getUint32(INODE.i_flags, true) & INODE_FLAG.inline_data) !== 0;
    if (isCreatedHere) {
      inode.fill(0);
      this.#ranges.delete(number);
    }
    inode.set(bytes.subarray(0, INODE.i_block));
    inode.set(bytes.subarray(INODE.i_generation), INODE.i_generation);
    this.#changed.add(number);
    if (isCreatedHere && isType(view, TYPE.directory)) this.#directories.set(number, { isNew: true, names: new Map() });
    const flags = view.getUint32(INODE.i_flags, true);
    if ((flags & INODE_FLAG.extents) !== 0) {
      // Content that was in the inode may look like the root of a tree.
      if (wasInline || view.getUint16(INODE.i_block + EXTENT.eh_magic, true) !== EXTENT.magic) emptyExtents(view);
    } else if ((flags & INODE_FLAG.inline_data) !== 0 || !(isType(view, TYPE.file) || isType(view, TYPE.directory))) {
      // Content, a target or a device's number.
      inode.set(bytes.subarray(INODE.i_block, INODE.i_block + I_BLOCK_BYTES), INODE.i_block);
    }
  }

  async #name({ kind, inode: number, parent, name }: FastChange & { readonly kind: 'create' | 'link' | 'unlink' }): Promise<void> {
    const view = await this.#inode(number);
    const directory = await this.#directory(parent);
    const key = nameKey(name);
    const found = directory === undefined ? undefined : await this.#find(directory, parent, key);
    if (kind === 'unlink') {
      if (found === undefined || found === 0) return;
      if (found === number) directory?.names.set(key, 0);
      this.#addLinks(number, view, -1);
      return;
    }
    if (kind === 'link' && !isAlive(view)) return;
    if (found === 0) {
      directory?.names.set(key, number);
      if (kind === 'link') this.#addLinks(number, view, 1);
    }
    if (kind === 'create' && isAlive(view)) this.#addLinks(number, view, 1 - view.getUint16(INODE.i_links_count, true));
  }

  async #range({ inode: number, from, blocks, start }: FastChange & { readonly kind: 'range' }): Promise<void> {
    const { firstDataBlock, blocks: blocksMax } = this.#base.geometry;
    const view = await this.#inode(number);
    if (!isAlive(view)) return;
    if (blocks === 0 || from + blocks > 2 ** 32) throw this.#fault('fc_len', blocks, `1 to ${2 ** 32 - from} blocks`);
    if (start !== undefined && (start < firstDataBlock || start + blocks > blocksMax)) throw this.#fault('ee_start', start, `${firstDataBlock} to ${blocksMax - blocks}: blocks of the filesystem`);
    if (isType(view, TYPE.directory)) throw this.#fault('fc_ino', number, 'a file');
    // Content that was in the inode until now may go to blocks: the inode follows.
    if ((view.getUint32(INODE.i_flags, true) & (INODE_FLAG.extents | INODE_FLAG.inline_data)) === 0) throw new UnsupportedError(`Replay fast commits of the ext journal: inode ${number} has no extents, but ranges`, { inode: number });
    const ranges = this.#ranges.get(number) ?? [];
    ranges.push({ from, to: from + blocks, ...(start === undefined ? {} : { start }) });
    this.#ranges.set(number, ranges);
  }

  /** The inode that a name of the log leads to by now; 0 when there is none. */
  async #find(directory: Directory, parent: number, name: string): Promise<number> {
    const known = directory.names.get(name);
    if (known !== undefined) return known;
    if (directory.isNew) return 0;
    directory.before ??= await this.#namesBefore(parent);
    return directory.before.get(name) ?? 0;
  }

  /** Reads a directory once, or of a large one with an index a little for each name. */
  async #namesBefore(number: number): Promise<ReadonlyMap<string, number>> {
    const { geometry, inodes, contents, limits } = this.#base;
    const inode = await inodes.get(number);
    if (inode.type !== 'directory') throw this.#fault('fc_parent_ino', number, 'a directory');
    if (inode.has('casefold')) throw new UnsupportedError(`Replay fast commits of the ext journal: directory ${number} folds names`, { inode: number });
    const wanted = this.#wanted.get(number) ?? new Map<string, Uint8Array>();
    const [all, some] = [inode.size, wanted.size * LOOKUP_BLOCKS * geometry.blockBytes];
    this.#readBytes += Math.min(all, some);
    checkLimit(limits, 'filesystemJournalBytesMax', this.#readBytes, 'directories in fast commits of the ext journal');
    const found = new Map<string, number>();
    const note = (entries: readonly { readonly name: Uint8Array; readonly inode: number }[]): void => {
      for (const entry of entries) {
        const key = nameKey(entry.name);
        if (wanted.has(key)) found.set(key, entry.inode);
      }
    };
    const isIndexed = inode.has('index') && !inode.has('inline_data') && !inode.has('encrypt');
    if (!isIndexed || all <= some) {
      for await (const entries of this.#reader.all(inode, (one) => contents.open(one))) note(entries);
      return found;
    }
    const directory = { directories: this.#reader, geometry, inode, content: contents.open(inode) };
    for (const name of wanted.values()) {
      for await (const entries of await hashedBlocks(directory, name) ?? this.#reader.all(inode, (one) => contents.open(one))) note(entries);
    }
    return found;
  }
}

function isType(view: DataView, type: number): boolean {
  return (view.getUint16(INODE.i_mode, true) & TYPE.mask) === type;
}

function isAlive(view: DataView): boolean {
  return view.getUint16(INODE.i_mode, true) !== 0 && view.getUint16(INODE.i_links_count, true) !== 0;
}

function emptyExtents(view: DataView): void {
  const at = INODE.i_block;
  for (let i = 0; i < EXTENT.headerBytes; i += 4) view.setUint32(at + i, 0, true);
  view.setUint16(at + EXTENT.eh_magic, EXTENT.magic, true);
  view.setUint16(at + EXTENT.eh_max, (I_BLOCK_BYTES - EXTENT.headerBytes) / EXTENT.entryBytes, true);
}

/** Whether the inode at `i` is new: then its name follows, after its ranges, and nothing that was in its place before belongs to it. */
function isCreated(changes: readonly FastChange[], i: number): boolean {
  const { inode } = changes[i] as FastChange;
  let next = i + 1;
  while (changes[next]?.kind === 'range' && changes[next]?.inode === inode) next += 1;
  return changes[next]?.kind === 'create' && changes[next]?.inode === inode;
}

/**
 * What `changes` make of the filesystem; names and inodes are copies.
 * @throws {FormatError} @throws {IntegrityError} @throws {UnsupportedError} @throws {LimitError}: then nothing of them is to be shown.
 */
export async function replayFastCommits(base: FastCommitBase, changes: readonly FastChange[]): Promise<FastReplay> {
  const replay = new Replay(base, changes);
  await replay.run(changes);
  return replay.result();
}
