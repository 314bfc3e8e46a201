/**
 * An ext filesystem as a tree of files. A node's id is its inode's number.
 *
 * Known limits: encrypted names are listed as they are stored, encrypted content and targets are refused; a name that no path can hold is a problem.
 */
import {
  checkLimit, equalBytes, FormatError, HoldfastError, NotFoundError, readRange, UnsupportedError,
  type BlockSource, type DirectoryEntry, type Limits, type NodeId, type NodeStat, type TreeProblem, type TreeSupports,
} from '../../../core/index.ts';
import type { Filesystem, FilesystemFacts } from '../filesystem.ts';
import { inTurn } from '../in-turn.ts';
import type { BlockReader } from './block-reader.ts';
import type { Contents } from './contents.ts';
import { DirectoryReader, type Dirent } from './directory.ts';
import { nameKey, type DirectoryChanges } from './fast-commit.ts';
import { hashedBlocks } from './hash-index.ts';
import { ROOT_INODE } from './inode.layout.ts';
import type { InodeTable } from './inode-table.ts';
import type { Inode } from './inode.ts';
import type { ProblemList } from '../problem-list.ts';
import { INCOMPAT } from './superblock.layout.ts';
import { AttributeReader } from './xattr.ts';

/** Entries that are listed at a time: few, so that they are garbage before they are old. */
const PAGE_ENTRIES = 512;

/** What a tree is made of; it owns `source`. */
export interface ExtParts {
  readonly source: BlockSource;
  readonly blocks: BlockReader;
  readonly inodes: InodeTable;
  readonly contents: Contents;
  readonly problems: ProblemList;
  readonly limits: Limits;
  readonly facts: FilesystemFacts;
  /** Names that are not in the blocks of directories, by inode. */
  readonly changes?: ReadonlyMap<number, DirectoryChanges> | undefined;
}

/** Why a name cannot be part of a path; `undefined` when it can, '' for the two that every directory has. */
function wrongName(name: Uint8Array): string | undefined {
  if (name.length === 0) return 'it is empty';
  if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) return '';
  for (let i = 0; i < name.length; i += 1) if (name[i] === 0x2f || name[i] === 0) return 'it has a slash or NUL';
  return undefined;
}

/** See the header. */
export class ExtTree implements Filesystem {
  readonly format = 'ext';
  readonly supports: TreeSupports;
  readonly rootId: NodeId = ROOT_INODE as NodeId;
  readonly facts: FilesystemFacts;
  readonly #parts: ExtParts;
  readonly #directories: DirectoryReader;
  readonly #attributes: AttributeReader;

  constructor(parts: ExtParts) {
    this.#parts = parts;
    this.facts = parts.facts;
    this.#directories = new DirectoryReader(parts.blocks.geometry);
    const { blocks, limits } = parts;
    this.#attributes = new AttributeReader({ blocks, limits, inode: (number) => parts.inodes.get(number), content: (inode) => parts.contents.open(inode) });
    const wide = blocks.geometry.inodeBytes > 128;
    this.supports = { hardLinks: true, symlinks: true, devices: true, attributes: true, timestampNanoseconds: wide ? 1 : 1e9, sorted: false };
  }

  problems(): readonly TreeProblem[] {
    return this.#parts.problems.all;
  }

  async #directory(id: NodeId): Promise<Inode> {
    const inode = await this.#parts.inodes.get(id);
    if (inode.type !== 'directory') throw new FormatError(`List ext inode ${id}`, { structure: 'ext inode', field: 'i_mode', found: inode.type, expected: 'directory' });
    return inode;
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    if (wrongName(name) !== undefined || name.length > 255) return undefined;
    const inode = await this.#directory(directory);
    const changed = this.#parts.changes?.get(directory)?.names.get(nameKey(name));
    if (changed !== undefined) return changed === 0 ? undefined : changed as NodeId;
    for await (const entries of await this.#candidates(inode, name)) {
      for (const entry of entries) if (equalBytes(entry.name, name)) return entry.inode as NodeId;
    }
    return undefined;
  }

  /** Entries among which a name is, if it is there: those that its hash leads to, else all. */
  async #candidates(inode: Inode, name: Uint8Array): Promise<AsyncIterable<readonly Dirent[]>> {
    const { geometry } = this.#parts.blocks;
    if (this.#parts.changes?.get(inode.number)?.isNew === true) return this.#entries(inode);
    if (!inode.has('index') || inode.has('inline_data') || inode.has('casefold') || inode.has('encrypt')) return this.#entries(inode);
    const content = this.#parts.contents.open(inode);
    return await hashedBlocks({ directories: this.#directories, geometry, inode, content }, name) ?? this.#entries(inode);
  }

  async *#entries(inode: Inode): AsyncIterable<readonly Dirent[]> {
    const stored = this.#directories.all(inode, (one) => this.#parts.contents.open(one));
    const changes = this.#parts.changes?.get(inode.number);
    if (changes === undefined) {
      yield* stored;
      return;
    }
    const { isNew, names } = changes;
    yield [...names].filter(([, number]) => number !== 0).map(([name, number]) => ({ inode: number, name: Buffer.from(name, 'latin1'), type: undefined }));
    if (!isNew) for await (const entries of stored) yield entries.filter(({ name }) => !names.has(nameKey(name)));
  }

  async stat(id: NodeId): Promise<NodeStat> {
    return this.#parts.inodes.stat(id);
  }

  list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    return this.#pages(directory, 'stat');
  }

  names(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    return this.#pages(directory, 'type');
  }

  /** What is sound in a damaged directory comes first, then the error. */
  async *#pages(directory: NodeId, wanted: 'stat' | 'type'): AsyncIterable<readonly DirectoryEntry[]> {
    const inode = await this.#directory(directory);
    let page: Dirent[] = [];
    let failure: unknown;
    try {
      for await (const entries of this.#entries(inode)) {
        for (let from = 0; from < entries.length;) {
          from = this.#collect(inode, entries, from, page);
          if (page.length < PAGE_ENTRIES) continue;
          yield await this.#page(page, wanted);
          page = [];
        }
      }
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      failure = error;
    }
    if (page.length > 0) yield await this.#page(page, wanted);
    if (failure !== undefined) throw failure;
  }

  /** Adds entries to a page until it is full. Returns the index of the next one. */
  #collect(directory: Inode, entries: readonly Dirent[], from: number, page: Dirent[]): number {
    let next = from;
    for (; next < entries.length && page.length < PAGE_ENTRIES; next += 1) {
      const entry = entries[next] as Dirent;
      if (this.#isLegal(directory, entry)) page.push(entry);
    }
    return next;
  }

  #isLegal(directory: Inode, { name, inode }: Dirent): boolean {
    const reason = wrongName(name);
    if (reason !== undefined && reason !== '') {
      const stored = Buffer.from(name).toString('hex');
      this.#parts.problems.add('illegal-name', `directory inode ${directory.number}`, `Leave out the name with the bytes '${stored}' of inode ${inode}: ${reason}${directory.has('encrypt') ? ' (names are encrypted here)' : ''}`);
    }
    return reason === undefined;
  }

  #page(entries: readonly Dirent[], wanted: 'stat' | 'type'): Promise<readonly DirectoryEntry[]> {
    return inTurn(entries, wanted === 'type' ? (dirent) => this.#typedEntry(dirent) : (dirent) => this.#fullEntry(dirent));
  }

  #typedEntry(dirent: Dirent): DirectoryEntry | Promise<DirectoryEntry> {
    const { name, inode } = dirent;
    const id = inode as NodeId;
    // A fast commit may have given the inode's number to something else.
    if (dirent.type !== undefined && this.#parts.changes === undefined) return { name, id, type: dirent.type };
    try {
      const type = this.#parts.inodes.type(inode);
      return type instanceof Promise ? type.then((found) => ({ name, id, type: found }), (error: unknown) => this.#damagedEntry(dirent, error)) : { name, id, type };
    } catch (error) {
      return this.#damagedEntry(dirent, error);
    }
  }

  #fullEntry(dirent: Dirent): DirectoryEntry | Promise<DirectoryEntry> {
    const { name, inode } = dirent;
    const id = inode as NodeId;
    try {
      const stat = this.#parts.inodes.stat(inode);
      return stat instanceof Promise ? stat.then((found) => ({ name, id, stat: found }), (error: unknown) => this.#damagedEntry(dirent, error)) : { name, id, stat };
    } catch (error) {
      return this.#damagedEntry(dirent, error);
    }
  }

  /** An inode that is damaged says so when it is asked itself. */
  #damagedEntry({ name, inode }: Dirent, error: unknown): DirectoryEntry {
    this.#parts.problems.note(`inode ${inode}`, error);
    return { name, id: inode as NodeId };
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    if (stream !== undefined) throw new NotFoundError(`Open stream '${stream}' of inode ${id}: ext has no named streams`);
    const inode = await this.#parts.inodes.get(id);
    if (inode.type !== 'file') throw new UnsupportedError(`Open inode ${id}: it is a ${inode.type}, expected a file`);
    if (inode.has('encrypt')) throw new UnsupportedError(`Open inode ${id}: its content is encrypted (fscrypt)`);
    if (inode.has('compressed_blocks') && (this.#parts.blocks.geometry.incompat & INCOMPAT.compression) !== 0) {
      throw new UnsupportedError(`Open inode ${id}: its content is compressed (e2compr)`);
    }
    return this.#parts.contents.open(inode);
  }

  async readLink(id: NodeId): Promise<Uint8Array> {
    const inode = await this.#parts.inodes.get(id);
    const { contents, limits } = this.#parts;
    if (inode.type !== 'symlink') throw new UnsupportedError(`Read target of inode ${id}: it is a ${inode.type}, expected a symlink`);
    if (inode.has('encrypt')) throw new UnsupportedError(`Read target of inode ${id}: it is encrypted (fscrypt)`);
    checkLimit(limits, 'symlinkBytesMax', inode.size, `target of ext inode ${id}`);
    const short = contents.shortTarget(inode);
    if (short !== undefined) return short;
    const source = contents.open(inode);
    return readRange(source, 0, source.size);
  }

  async attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>> {
    return this.#attributes.read(await this.#parts.inodes.get(id));
  }

  close(): Promise<void> {
    return this.#parts.source.close();
  }
}
