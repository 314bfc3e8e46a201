/**
 * A dataset or snapshot as a tree of files.
 * Source: OpenZFS `include/sys/zfs_znode.h` (master node, directory entries), `module/zfs/zfs_{znode,sa,dir}.c`.
 */
import {
  type BlockSource, checkLimit, type DirectoryEntry, FormatError, type NodeId, type NodeStat, type TreeProblem, type TreeSupports, textOf, UnsupportedError, NotFoundError,
} from '../../../core/index.ts';
import { MappedSource } from '../../mapping/mapped-source.ts';
import { AttributeLayouts, attributeNumber, type AttributeValues, decodeZnode, ZNODE_BYTES } from './attributes.ts';
import { type Dnode, objectTypes } from './dnode.ts';
import { ZfsObject } from './object.ts';
import type { ObjectSet } from './object-set.ts';
import { statOf, typeOf } from './znode.ts';
import { extendedAttributes } from './xattr.ts';
import { Zap, type ZapEntry } from './zap.ts';

/** Object of the master node. */
const MASTER_OBJECT = 1;
const VERSION_LAST = 5;
/** Versions from it on keep attributes in layouts that the dataset registers. */
const VERSION_LAYOUTS = 5;
/** Inode numbers of one tree; the trees of a pool have different multiples of it added. */
export const TREE_SPAN: number = 2 ** 40;
/** Bytes of the bonus of a dnode of 512 bytes: old symbolic links that fit stand there. */
const OLD_BONUS_BYTES = 320;

/** What a tree of files is made from. */
export interface FilesystemParts {
  readonly objects: ObjectSet;
  /** Number of the tree among those of its pool. */
  readonly tree: number;
  readonly problem: (found: TreeProblem) => void;
}

/** Names that no tree may have. */
function isLegal(name: Uint8Array): boolean {
  return name.length > 0 && !name.includes(0) && !name.includes(0x2f) && !(name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e)));
}

/** The files of one dataset or snapshot. */
export class FilesystemTree {
  readonly supports: TreeSupports = { hardLinks: true, symlinks: true, devices: true, attributes: true, timestampNanoseconds: 1, sorted: false };
  readonly rootId: NodeId;
  readonly version: number;
  readonly #parts: FilesystemParts;
  readonly #layouts: AttributeLayouts | undefined;

  private constructor(parts: FilesystemParts, facts: { readonly version: number; readonly root: number; readonly layouts: AttributeLayouts | undefined }) {
    this.#parts = parts;
    this.version = facts.version;
    this.#layouts = facts.layouts;
    this.rootId = this.#idOf(facts.root);
  }

  /** Reads what all files need. @throws {FormatError} @throws {UnsupportedError} @throws {IntegrityError} @throws {LimitError} */
  static async open(parts: FilesystemParts): Promise<FilesystemTree> {
    const { objects } = parts;
    const master = await Zap.open(await objects.object(MASTER_OBJECT));
    const version = await master.required('VERSION');
    if (version < 1 || version > VERSION_LAST) throw new UnsupportedError(`Open ZFS filesystem: version '${version}' is not supported`, { version });
    const attributes = version < VERSION_LAYOUTS ? undefined : await master.number('SA_ATTRS');
    let layouts: AttributeLayouts | undefined;
    if (attributes !== undefined && attributes !== 0) {
      const zap = await Zap.open(await objects.object(attributes));
      const registry = await zap.number('REGISTRY');
      const table = await zap.number('LAYOUTS');
      if (registry !== undefined && table !== undefined) {
        layouts = await AttributeLayouts.read(await Zap.open(await objects.object(registry)), await Zap.open(await objects.object(table)), objects.supply.reader.limits);
      }
    }
    return new FilesystemTree(parts, { version, root: await master.required('ROOT'), layouts });
  }

  #idOf(object: number): NodeId {
    if (object < 1 || object >= TREE_SPAN) throw new FormatError('Read ZFS directory', { structure: 'zfs_dirent', field: 'object', found: object, expected: `1 to ${TREE_SPAN - 1}` });
    return this.#parts.tree * TREE_SPAN + object as NodeId;
  }

  #objectOf(id: NodeId): number {
    return id - this.#parts.tree * TREE_SPAN;
  }

  async #dnode(id: NodeId): Promise<Dnode> {
    const object = this.#objectOf(id);
    const dnode = object < 1 || object >= TREE_SPAN ? undefined : await this.#parts.objects.find(object);
    if (dnode === undefined || (dnode.bonusType !== objectTypes.attributes && dnode.bonusType !== objectTypes.znode)) throw new NotFoundError(`Read ZFS file: there is no inode '${object}'`, { inode: object });
    return dnode;
  }

  /** Attributes of a file: those in its dnode; with `all`, those in its spill block, too. */
  async #values(dnode: Dnode, all: boolean): Promise<AttributeValues> {
    if (dnode.bonusType === objectTypes.znode) return decodeZnode(dnode.bonus);
    if (this.#layouts === undefined) throw new FormatError('Read ZFS file', { structure: 'master node', field: 'SA_ATTRS', found: 'nothing', expected: 'layouts of attributes' });
    const values: AttributeValues = new Map();
    this.#layouts.decode(dnode.bonus, values);
    const { spill } = dnode;
    if (spill !== undefined && !spill.hole && (all || !values.has('ZPL_MTIME') || !values.has('ZPL_GID') || !values.has('ZPL_LINKS'))) {
      const { reader, cipher } = this.#parts.objects.supply;
      this.#layouts.decode(await reader.read(spill, 'metadata', cipher), values);
    }
    return values;
  }

  async #statWith(dnode: Dnode, id: NodeId): Promise<NodeStat> {
    const values = await this.#values(dnode, false);
    const type = typeOf(values);
    const complete = (type === 'character' || type === 'block') && !values.has('ZPL_RDEV') ? await this.#values(dnode, true) : values;
    return statOf(complete, this.#objectOf(id));
  }

  async stat(id: NodeId): Promise<NodeStat> {
    return this.#statWith(await this.#dnode(id), id);
  }

  async #directory(id: NodeId): Promise<Zap> {
    const dnode = await this.#dnode(id);
    if (dnode.type !== objectTypes.directory) throw new FormatError('Read ZFS directory', { structure: 'dnode_phys', field: 'dn_type', found: dnode.type, expected: objectTypes.directory });
    return Zap.open(new ZfsObject(this.#parts.objects.supply, dnode, 'metadata'));
  }

  /** The object of a directory's entry is in the lower 48 bits. */
  #entryId({ high, low }: ZapEntry): NodeId {
    return this.#idOf((high & 0xffff) * 0x1_0000_0000 + low);
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    const zap = await this.#directory(directory);
    const entry = isLegal(name) ? await zap.find(name) : undefined;
    return entry === undefined ? undefined : this.#entryId(entry);
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    for await (const page of (await this.#directory(directory)).entries()) {
      const entries: DirectoryEntry[] = [];
      for (const entry of page) {
        checkLimit(this.#parts.objects.supply.reader.limits, 'nameBytesMax', entry.name.length, 'name in a ZFS directory');
        if (isLegal(entry.name)) entries.push({ name: entry.name, id: this.#entryId(entry) });
        else this.#parts.problem({ kind: 'unreadable', where: `directory with inode ${this.#objectOf(directory)}`, message: `Read ZFS directory: the name '${textOf(entry.name)}' is not possible` });
      }
      if (entries.length > 0) yield entries;
    }
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    const dnode = await this.#dnode(id);
    const { type, size } = await this.#statWith(dnode, id);
    if (type !== 'file') throw new UnsupportedError(`Open ZFS file: inode '${this.#objectOf(id)}' is a ${type}`, { type });
    if (stream !== undefined) throw new NotFoundError(`Open ZFS file: inode '${this.#objectOf(id)}' has no stream '${stream}'`, { stream });
    return this.#content(dnode, size);
  }

  #content(dnode: Dnode, size: number): BlockSource {
    const map = new ZfsObject(this.#parts.objects.supply, dnode, 'data');
    return new MappedSource(size, 512, { what: 'ZFS file', map, owned: [], place: { structure: 'blkptr', field: 'dva' } });
  }

  async readLink(id: NodeId): Promise<Uint8Array> {
    const dnode = await this.#dnode(id);
    const values = await this.#values(dnode, true);
    if (typeOf(values) !== 'symlink') throw new UnsupportedError(`Read ZFS symbolic link: inode '${this.#objectOf(id)}' is a ${typeOf(values)}`);
    const size = attributeNumber(values, 'ZPL_SIZE') ?? 0;
    checkLimit(this.#parts.objects.supply.reader.limits, 'symlinkBytesMax', size, 'ZFS symbolic link');
    const inline = values.get('ZPL_SYMLINK');
    if (inline !== undefined) return inline.slice(0, size);
    if (dnode.bonusType === objectTypes.znode && ZNODE_BYTES + size <= OLD_BONUS_BYTES) return dnode.bonusRoom.slice(ZNODE_BYTES, ZNODE_BYTES + size);
    return new ZfsObject(this.#parts.objects.supply, dnode, 'metadata').bytes(0, size);
  }

  async attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>> {
    const values = await this.#values(await this.#dnode(id), true);
    return extendedAttributes(values, this.#parts.objects.supply.reader.limits, (object) => this.#filesOf(object));
  }

  /** The files of a directory that holds extended attributes: name and content. */
  async *#filesOf(object: number): AsyncIterable<{ readonly name: Uint8Array; readonly content: BlockSource }> {
    for await (const page of this.list(this.#idOf(object))) {
      for (const { name, id } of page) yield { name, content: await this.open(id) };
    }
  }
}

