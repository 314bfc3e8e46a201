/** An open XFS filesystem as a tree of files. */
import {
  type BlockSource, checkLimit, type DirectoryEntry, equalBytes, FormatError, HoldfastError, IntegrityError, type Limits, NotFoundError, type NodeId, type NodeStat, type NodeType,
  type TreeProblem, type TreeSupports, UnsupportedError,
} from '../../../core/index.ts';
import { MappedSource } from '../../mapping/mapped-source.ts';
import type { Filesystem, FilesystemFacts } from '../filesystem.ts';
import { inTurn } from '../in-turn.ts';
import { ProblemList } from '../problem-list.ts';
import { readAttributes } from './attributes.ts';
import { type Complain, shortEntries, shortNames, XfsDirectory } from './directory.ts';
import { DirectoryIndex } from './directory-index.ts';
import { type BlockFinder, FileMap } from './file-map.ts';
import { ForkMap } from './fork-map.ts';
import type { XfsGeometry } from './geometry.ts';
import { type Fork, readInode, readInodeType, type XfsInode } from './inode.ts';
import type { LogState } from './log/replay.ts';
import { changedFinder } from './mapping-changes.ts';
import { MetadataReader } from './metadata.ts';
import { readRemote } from './remote.ts';
import { FAMILY, FORK, MAGIC } from './xfs.layout.ts';

/** What an open filesystem is made of. */
export interface XfsParts {
  readonly log: LogState;
  readonly geometry: XfsGeometry;
  readonly facts: FilesystemFacts;
  readonly limits: Limits;
}

/** The tree; ids are inode numbers. It owns the device. */
export class XfsFilesystem implements Filesystem {
  readonly format = 'xfs';
  readonly facts: FilesystemFacts;
  readonly rootId: NodeId;
  readonly supports: TreeSupports = { hardLinks: true, symlinks: true, devices: true, attributes: true, timestampNanoseconds: 1, sorted: false };
  readonly #log: LogState;
  readonly #device: BlockSource;
  readonly #geometry: XfsGeometry;
  readonly #limits: Limits;
  readonly #metadata: MetadataReader;
  readonly #problems = new ProblemList();
  #closing: Promise<void> | undefined;

  constructor({ log, geometry, facts, limits }: XfsParts) {
    this.facts = facts;
    this.rootId = geometry.facts.rootInode as NodeId;
    this.#log = log;
    this.#device = log.source;
    this.#geometry = geometry;
    this.#limits = limits;
    this.#metadata = new MetadataReader(this.#device, geometry, log, limits);
  }

  problems(): readonly TreeProblem[] {
    return this.#problems.all;
  }

  #complain(inode: number): Complain {
    return (kind, message) => { this.#problems.add(kind, `inode ${inode}`, message); };
  }

  #map(inode: XfsInode, fork: Fork): ForkMap {
    return new ForkMap(this.#metadata, inode, fork, { limits: this.#limits, changedOwner: this.#log.changedOwners.has(inode.number) });
  }

  async #directory(id: NodeId): Promise<XfsInode> {
    const inode = await readInode(this.#metadata, id);
    if (inode.type !== 'directory') throw new NotFoundError(`List inode '${id}': it is a ${inode.type}, expected a directory`);
    return inode;
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    const inode = await this.#directory(directory);
    if (name.length === 0 || name.length > 255 || (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) || name.includes(0) || name.includes(0x2f)) return undefined;
    if (inode.dataFork().format === FORK.local) {
      for (const stored of shortNames(inode, inode.dataFork(), this.#geometry)) if (equalBytes(stored.name, name)) return stored.inode as NodeId | undefined;
      return undefined;
    }
    const blocks = new XfsDirectory(inode, this.#metadata, this.#map(inode, inode.dataFork()));
    // Where names that differ in case are one, the hash depends on the kernel's version.
    if (this.#geometry.facts.caseInsensitive) return this.#search(blocks, name);
    try {
      return (await new DirectoryIndex(blocks, this.#metadata, this.#limits).find(name))?.inode as NodeId | undefined;
    } catch (error) {
      if (!(error instanceof FormatError || error instanceof IntegrityError)) throw error;
      this.#complain(directory)('damaged-directory', error.message);
      return this.#search(blocks, name);
    }
  }

  /** Without the index, which only speeds things up. @throws what a damaged block throws, when the name may be in it. */
  async #search(blocks: XfsDirectory, name: Uint8Array): Promise<NodeId | undefined> {
    let failure: HoldfastError | undefined;
    for await (const at of blocks.dataPlaces()) {
      try {
        for (const stored of blocks.namesIn(await blocks.dataBlock(at))) if (equalBytes(stored.name, name)) return stored.inode as NodeId | undefined;
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        failure ??= error;
      }
    }
    if (failure !== undefined) throw failure;
    return undefined;
  }

  async stat(id: NodeId): Promise<NodeStat> {
    return (await readInode(this.#metadata, id)).stat();
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    const inode = await this.#directory(directory);
    const complain = this.#complain(directory);
    if (inode.dataFork().format === FORK.local) yield shortEntries(inode, this.#geometry, complain);
    else yield* new XfsDirectory(inode, this.#metadata, this.#map(inode, inode.dataFork())).list(complain);
  }

  async *names(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    for await (const page of this.list(directory)) yield inTurn(page, (entry) => this.#typed(entry));
  }

  /** With its type, if that can be told; else `stat` is what says why not. */
  #typed(entry: DirectoryEntry): DirectoryEntry | Promise<DirectoryEntry> {
    const withType = (type: NodeType | undefined): DirectoryEntry => (type === undefined ? entry : { name: entry.name, id: entry.id, type });
    try {
      const type = readInodeType(this.#metadata, entry.id);
      return type instanceof Promise ? type.then(withType, () => entry) : withType(type);
    } catch {
      return entry;
    }
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    const inode = await readInode(this.#metadata, id);
    if (stream !== undefined) throw new NotFoundError(`Open stream '${stream}' of inode '${id}': XFS has no streams`);
    if (inode.type !== 'file') throw new NotFoundError(`Open inode '${id}': it is a ${inode.type}, expected a file`);
    if (this.#log.exchanges.has(id)) throw new UnsupportedError(`Open inode '${id}': its content was being exchanged with another file's when the system stopped`);
    const fork = inode.dataFork();
    if (inode.isRealtime && fork.extents > 0) throw new UnsupportedError(`Open inode '${id}': its content is on a realtime device, which is not read`);
    const changes = this.#log.maps.get(id);
    const stored: BlockFinder = this.#map(inode, fork);
    const finder = changes === undefined ? stored : await changedFinder(stored, changes, { geometry: this.#geometry, limits: this.#limits });
    return new MappedSource(inode.size, this.#geometry.facts.sectorBytes, {
      what: `inode '${id}'`, map: new FileMap(finder, this.#geometry, this.#device), owned: [], place: { structure: 'xfs_bmbt_rec', field: 'startblock' },
    });
  }

  async readLink(id: NodeId): Promise<Uint8Array> {
    const inode = await readInode(this.#metadata, id);
    if (inode.type !== 'symlink') throw new NotFoundError(`Read link '${id}': it is a ${inode.type}, expected a symlink`);
    checkLimit(this.#limits, 'symlinkBytesMax', inode.size, `target of inode '${id}'`);
    const fork = inode.dataFork();
    if (fork.format === FORK.local) {
      if (inode.size > fork.bytes.length) throw inode.fault('di_size', inode.size, `at most ${fork.bytes.length}, as the target is in the inode`);
      return fork.bytes.slice(0, inode.size);
    }
    return readRemote(this.#metadata, this.#map(inode, fork), {
      family: FAMILY.symlink, magic: MAGIC.symlink, owner: id, block: 0, length: inode.size, lengthMax: this.#limits.symlinkBytesMax, limit: 'symlinkBytesMax', runs: true,
    });
  }

  async attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>> {
    const inode = await readInode(this.#metadata, id);
    if (this.#log.attributes.has(id)) throw new UnsupportedError(`Read attributes of inode '${id}': they were being changed when the system stopped`);
    return readAttributes(inode, { metadata: this.#metadata, limits: this.#limits, finder: (fork) => this.#map(inode, fork) });
  }

  close(): Promise<void> {
    this.#closing ??= this.#device.close();
    return this.#closing;
  }
}
