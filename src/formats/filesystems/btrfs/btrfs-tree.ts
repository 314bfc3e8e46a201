/**
 * One subvolume as the tree that people see; others stand inside of it where they were made, as in the kernel. An id is the index of a
 * subvolume × 2^40 + the inode.
 */
import {
  type BlockSource, checkLimit, type DirectoryEntry, equalBytes, FormatError, type Limits, attributeNameBytes, attributeNameText, LimitError, type NodeId, type NodeStat, NotFoundError, readRange,
  splitPath, textOf, type TreeProblem, type TreeSupports, UnsupportedError,
} from '../../../core/index.ts';
import { MappedSource } from '../../mapping/mapped-source.ts';
import type { Filesystem, FilesystemFacts, FilesystemVolume } from '../filesystem.ts';
import { ITEM, OBJECT } from './btrfs.layout.ts';
import { type ExtentParts, FileExtents } from './file-extents.ts';
import { type Inode, inodeOf } from './inode.ts';
import { type NamedEntry, namedEntries, nameHash } from './names.ts';
import type { Item } from './node.ts';
import type { ProblemList } from '../problem-list.ts';
import type { Subvolume, SubvolumeTable } from './subvolumes.ts';

/** What the trees of one filesystem share. */
export interface BtrfsParts {
  readonly facts: FilesystemFacts;
  readonly limits: Limits;
  readonly sectorBytes: number;
  readonly subvolumes: SubvolumeTable;
  readonly problems: ProblemList;
  readonly extents: ExtentParts;
  /** Data by logical address, with and without checksums. */
  readonly verified: BlockSource;
  readonly unverified: BlockSource;
  /** Closes the devices. */
  close(): Promise<void>;
}

/** Inodes of one subvolume. */
const INODES = 2 ** 40;
/** Ids from here on stand for directories in the place of subvolumes that a snapshot left out. */
const FIRST_EMPTY = 2 ** 39;
/** The inode that the kernel gives such directories. */
const EMPTY_INODE = 2;
/** The kind of a directory's entry that is encrypted has this bit. */
const ENCRYPTED = 0x80;
const ENTRY_NAMES_MAX = 255;

/** Where an id leads. `parent` is the directory that an empty one stands in. */
interface Place {
  readonly subvolume: Subvolume;
  readonly inode: number;
  readonly parent?: number;
}

/** The tree. */
export class BtrfsTree implements Filesystem {
  readonly format = 'btrfs';
  readonly supports: TreeSupports = { hardLinks: true, symlinks: true, devices: true, attributes: true, timestampNanoseconds: 1, sorted: false };
  readonly rootId: NodeId;
  readonly facts: FilesystemFacts;
  readonly #parts: BtrfsParts;
  readonly #owner: boolean;
  /** Directories in the place of absent subvolumes: by subvolume, directory and name of what is absent; shared with the trees that were opened from here. */
  readonly #empty: Map<string, number>;
  readonly #emptyParents: number[];

  /** A tree that `owner` is given for shares its sources, and doesn't close them. */
  constructor(parts: BtrfsParts, subvolume: Subvolume, owner?: BtrfsTree) {
    this.#parts = parts;
    this.facts = parts.facts;
    this.#owner = owner === undefined;
    this.#empty = owner === undefined ? new Map() : owner.#empty;
    this.#emptyParents = owner === undefined ? [] : owner.#emptyParents;
    this.rootId = idOf(subvolume, subvolume.directory);
  }

  problems(): readonly TreeProblem[] {
    return this.#parts.problems.all;
  }

  #place(id: NodeId): Place {
    const subvolume = this.#parts.subvolumes.at(Math.floor(id / INODES));
    if (subvolume === undefined) throw new NotFoundError(`Find inode: no inode has the id '${id}'`, { id });
    const inode = id % INODES;
    if (inode < FIRST_EMPTY) return { subvolume, inode };
    const parent = this.#emptyParents[inode - FIRST_EMPTY];
    if (parent === undefined) throw new NotFoundError(`Find inode: no inode has the id '${id}'`, { id });
    return { subvolume, inode: EMPTY_INODE, parent };
  }

  async #inode({ subvolume, inode, parent }: Place): Promise<Inode> {
    const key = { objectid: parent ?? inode, type: ITEM.INODE_ITEM, offset: 0 };
    const found = subvolume.tree.find(key);
    const item = found instanceof Promise ? await found : found;
    if (item === undefined) throw new FormatError('Read btrfs inode', { structure: `tree ${subvolume.id}`, field: 'INODE_ITEM', found: 'none', expected: `inode ${key.objectid}` });
    const read = inodeOf(item, subvolume.id);
    return parent === undefined ? read : emptyDirectory(read);
  }

  async stat(id: NodeId): Promise<NodeStat> {
    return (await this.#inode(this.#place(id))).stat;
  }

  async #directory(id: NodeId): Promise<Place> {
    const place = this.#place(id);
    const { stat } = await this.#inode(place);
    if (stat.type !== 'directory') throw new UnsupportedError(`List inode '${place.inode}': it is a ${stat.type}, not a directory`, { inode: place.inode });
    return place;
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    const place = await this.#directory(directory);
    if (place.parent !== undefined || !isName(name)) return undefined;
    const item = await place.subvolume.tree.find({ objectid: place.inode, type: ITEM.DIR_ITEM, offset: nameHash(name) });
    const entry = item === undefined ? undefined : namedEntries(item).find((one) => equalBytes(one.name, name));
    return entry === undefined ? undefined : this.#entryId(place, entry);
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    const place = await this.#directory(directory);
    if (place.parent !== undefined) return;
    for await (const items of place.subvolume.tree.pages({ objectid: place.inode, type: ITEM.DIR_INDEX, first: 0, last: -1, salvage: true })) {
      const page: DirectoryEntry[] = [];
      for (const item of items) {
        for (const entry of namedEntries(item)) {
          const id = await this.#listedId(place, item, entry);
          // A copy: the name must not keep its whole leaf in memory.
          if (id !== undefined) page.push({ name: entry.name.slice(), id });
        }
      }
      if (page.length > 0) yield page;
    }
  }

  /** The id of an entry, or undefined when it cannot be shown, which is a problem. */
  async #listedId(place: Place, item: Item, entry: NamedEntry): Promise<NodeId | undefined> {
    const where = `tree ${place.subvolume.id}, directory ${place.inode}, index ${item.offset}`;
    if (!isName(entry.name)) {
      this.#parts.problems.add('name', where, `The name '${textOf(entry.name)}' is not allowed`);
      return undefined;
    }
    try {
      // Most entries are inodes of the same tree: then no promise is made.
      return entry.type === ITEM.INODE_ITEM ? this.#inodeId(place.subvolume, entry) : await this.#entryId(place, entry);
    } catch (error) {
      if (!(error instanceof FormatError || error instanceof LimitError || error instanceof UnsupportedError)) throw error;
      this.#parts.problems.add('unreadable', where, error.message);
      return undefined;
    }
  }

  #inodeId(subvolume: Subvolume, { objectid, kind, name }: NamedEntry): NodeId {
    if (objectid < OBJECT.FIRST_FREE || objectid >= FIRST_EMPTY) {
      throw new FormatError('Read btrfs directory', { structure: `btrfs_dir_item '${textOf(name)}'`, field: 'location.objectid', found: objectid, expected: `256 to ${FIRST_EMPTY - 1}` });
    }
    if ((kind & ENCRYPTED) !== 0) throw new UnsupportedError(`Read btrfs directory: the name of inode '${objectid}' is encrypted`, { inode: objectid });
    return idOf(subvolume, objectid);
  }

  async #entryId(place: Place, entry: NamedEntry): Promise<NodeId> {
    const { subvolume, inode } = place;
    if (entry.type === ITEM.INODE_ITEM) return this.#inodeId(subvolume, entry);
    if (entry.type !== ITEM.ROOT_ITEM) {
      throw new FormatError('Read btrfs directory', { structure: `btrfs_dir_item '${textOf(entry.name)}'`, field: 'location.type', found: entry.type, expected: '1 or 132' });
    }
    const { subvolumes } = this.#parts;
    const reference = await subvolumes.reference(subvolume.id, entry.objectid);
    const child = reference === undefined || reference.parent !== inode || !equalBytes(reference.name, entry.name) ? undefined : await subvolumes.get(entry.objectid);
    return child === undefined ? this.#emptyId(place, entry.name) : idOf(child, child.directory);
  }

  /** A snapshot has empty directories where its origin has subvolumes. */
  #emptyId({ subvolume, inode }: Place, name: Uint8Array): NodeId {
    const key = `${subvolume.id}/${inode}/${Buffer.from(name).toString('latin1')}`;
    let index = this.#empty.get(key);
    if (index === undefined) {
      index = this.#emptyParents.length;
      checkLimit(this.#parts.limits, 'filesystemVolumesMax', index, 'btrfs directories of absent subvolumes');
      this.#empty.set(key, index);
      this.#emptyParents.push(inode);
    }
    return idOf(subvolume, FIRST_EMPTY + index);
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    const place = this.#place(id);
    if (stream !== undefined) throw new NotFoundError(`Open stream '${stream}' of inode '${place.inode}': btrfs has no named streams`, { inode: place.inode });
    const inode = await this.#inode(place);
    if (inode.stat.type !== 'file') throw new UnsupportedError(`Open inode '${place.inode}': it is a ${inode.stat.type}, not a file`, { inode: place.inode });
    return this.#content(place, inode);
  }

  #content({ subvolume, inode }: Place, { size, verified }: Inode): BlockSource {
    const { extents, sectorBytes } = this.#parts;
    const data = verified ? this.#parts.verified : this.#parts.unverified;
    const map = new FileExtents(extents, { tree: subvolume.tree, inode, size, data });
    return new MappedSource(size, sectorBytes, { what: `btrfs inode ${inode} of tree ${subvolume.id}`, map, owned: [], place: { structure: 'btrfs_file_extent_item', field: 'disk_bytenr' } });
  }

  async readLink(id: NodeId): Promise<Uint8Array> {
    const place = this.#place(id);
    const inode = await this.#inode(place);
    if (inode.stat.type !== 'symlink') throw new UnsupportedError(`Read link '${place.inode}': it is a ${inode.stat.type}`, { inode: place.inode });
    checkLimit(this.#parts.limits, 'symlinkBytesMax', inode.size, `btrfs inode ${place.inode}`);
    return readRange(this.#content(place, inode), 0, inode.size);
  }

  async attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>> {
    const { subvolume, inode, parent } = this.#place(id);
    const found = new Map<string, Uint8Array>();
    if (parent !== undefined) return found;
    for await (const page of subvolume.tree.pages({ objectid: inode, type: ITEM.XATTR, first: 0, last: -1 })) {
      for (const { name, value } of page.flatMap(namedEntries)) {
        if (name.length === 0 || name.includes(0)) this.#parts.problems.add('name', `tree ${subvolume.id}, inode ${inode}`, `The name of an attribute, '${textOf(name)}', is not allowed`);
        else found.set(attributeNameText(name), value.slice());
      }
      checkLimit(this.#parts.limits, 'xattrsMax', found.size, `btrfs inode ${inode}`);
    }
    return found;
  }

  /** Paths from the top level; the top level itself is `/`. */
  async volumes(): Promise<readonly FilesystemVolume[]> {
    const { subvolumes } = this.#parts;
    const top = await subvolumes.root(OBJECT.FS_TREE);
    const found: FilesystemVolume[] = top === undefined ? [] : [{ kind: 'subvol', name: '/', readOnly: top.readOnly }];
    for (const [id, path] of await subvolumes.paths()) found.push({ kind: 'subvol', name: attributeNameText(path), readOnly: (await subvolumes.root(id))?.readOnly ?? false });
    return found;
  }

  async openVolume(kind: FilesystemVolume['kind'], name: string): Promise<Filesystem> {
    const { subvolumes } = this.#parts;
    const top = await subvolumes.get(OBJECT.FS_TREE);
    if (kind === 'subvol' && top !== undefined) {
      let id: NodeId | undefined = idOf(top, top.directory);
      for (const part of splitPath(attributeNameBytes(name))) {
        const stat: NodeStat | undefined = id === undefined ? undefined : await this.stat(id);
        id = id === undefined || stat?.type !== 'directory' ? undefined : await this.lookup(id, part);
      }
      const place = id === undefined ? undefined : this.#place(id);
      if (place?.parent === undefined && place?.inode === place?.subvolume.directory && place !== undefined) return new BtrfsTree(this.#parts, place.subvolume, this);
    }
    const names = (await this.volumes()).slice(0, 50).map((volume) => `'${volume.name}'`);
    throw new NotFoundError(`Open ${kind} '${name}' of btrfs: there are the subvolumes ${names.join(', ')}`, { kind, name });
  }

  async close(): Promise<void> {
    if (this.#owner) await this.#parts.close();
  }
}

function idOf({ index }: Subvolume, inode: number): NodeId {
  return index * INODES + inode as NodeId;
}

function isName(name: Uint8Array): boolean {
  if (name.length === 0 || name.length > ENTRY_NAMES_MAX || name.includes(0x2f) || name.includes(0)) return false;
  return !(name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e)));
}

/** As the kernel makes it up from the directory that it stands in. */
function emptyDirectory({ stat }: Inode): Inode {
  return { size: 0, verified: true, stat: { ...stat, mode: 0o755, links: 1, inode: EMPTY_INODE } };
}
