/**
 * A dataset or snapshot as a tree of files.
 * Source: OpenZFS `include/sys/zfs_znode.h` (master node, directory entries), `module/zfs/zfs_{znode,sa,dir}.c`.
 */
import {
  type BlockSource, checkLimit, type DirectoryEntry, FormatError, HoldfastError, type NodeId, type NodeStat, type TreeProblem, type TreeSupports, textOf, UnsupportedError, NotFoundError,
} from '../../../core/index.ts';
import { MappedSource } from '../../mapping/mapped-source.ts';
import { type Patch, PatchedSource } from '../../mapping/patched-source.ts';
import type { BlockMap } from '../../mapping/run.ts';
import { AttributeLayouts, attributeNumber, type AttributeValues, decodeZnode, ZNODE_BYTES } from './attributes.ts';
import { type Dnode, objectTypes } from './dnode.ts';
import type { LogRecord } from './intent-log.ts';
import type { FileChange, LogOverlay } from './log-overlay.ts';
import { LogReplay } from './log-replay.ts';
import { ZfsObject } from './object.ts';
import type { ObjectSet } from './object-set.ts';
import { statOf, typeOf } from './znode.ts';
import { extendedAttributes, fullAttributeName } from './xattr.ts';
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
  /** Records of the intent log that are not in the dataset yet. */
  readonly log: readonly LogRecord[];
}

/** One file: on the disk, in the log, or both. */
interface File {
  readonly object: number;
  readonly dnode: Dnode | undefined;
  readonly change: FileChange | undefined;
}

/** Entries of a page of names that the log adds. */
const PAGE_ENTRIES = 2_048;

/** Names that a tree may have. */
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
  #overlay: LogOverlay | undefined;

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
    const tree = new FilesystemTree(parts, { version, root: await master.required('ROOT'), layouts });
    await tree.#replay();
    return tree;
  }

  /** Plays the log as far as it goes: a record that cannot be is told, and ends it. */
  async #replay(): Promise<void> {
    if (this.#parts.log.length === 0) return;
    const replay = new LogReplay({
      supply: this.#parts.objects.supply,
      values: async (object) => {
        const file = await this.#find(object);
        return file === undefined ? undefined : this.#values(file, true);
      },
      entry: async (directory, name) => {
        const entry = (await this.#find(directory))?.dnode === undefined ? undefined : await (await this.#zap(await this.#file(this.#idOf(directory))))?.find(name);
        return entry === undefined ? undefined : { object: entryObject(entry), type: entry.high >>> 28 };
      },
    });
    this.#overlay = replay.overlay;
    for (const [i, record] of this.#parts.log.entries()) {
      try {
        await replay.apply(record);
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        this.#parts.problem({ kind: 'log-not-replayed', where: `intent log, record ${i + 1} of ${this.#parts.log.length}`, message: error.message });
        return;
      }
    }
  }

  #idOf(object: number): NodeId {
    if (object < 1 || object >= TREE_SPAN) throw new FormatError('Read ZFS directory', { structure: 'zfs_dirent', field: 'object', found: object, expected: `1 to ${TREE_SPAN - 1}` });
    return this.#parts.tree * TREE_SPAN + object as NodeId;
  }

  #objectOf(id: NodeId): number {
    return id - this.#parts.tree * TREE_SPAN;
  }

  async #find(object: number): Promise<File | undefined> {
    const change = this.#overlay?.files.get(object);
    if (change?.created === true) return { object, dnode: undefined, change };
    const dnode = object < 1 || object >= TREE_SPAN ? undefined : await this.#parts.objects.find(object);
    if (dnode === undefined || (dnode.bonusType !== objectTypes.attributes && dnode.bonusType !== objectTypes.znode)) return undefined;
    return { object, dnode, change };
  }

  async #file(id: NodeId): Promise<File> {
    const object = this.#objectOf(id);
    const file = await this.#find(object);
    if (file === undefined) throw new NotFoundError(`Read ZFS file: there is no inode '${object}'`, { inode: object });
    return file;
  }

  /** Attributes of a file: those in its dnode; with `all`, those in its spill block, too. */
  async #values({ dnode, change }: File, all: boolean): Promise<AttributeValues> {
    const values = dnode === undefined ? new Map() : await this.#storedValues(dnode, all);
    for (const [name, value] of change?.values ?? []) values.set(name, value);
    return values;
  }

  async #storedValues(dnode: Dnode, all: boolean): Promise<AttributeValues> {
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

  async #statWith(file: File): Promise<NodeStat> {
    const values = await this.#values(file, false);
    const type = typeOf(values);
    const complete = (type === 'character' || type === 'block') && !values.has('ZPL_RDEV') ? await this.#values(file, true) : values;
    return statOf(complete, file.object);
  }

  async stat(id: NodeId): Promise<NodeStat> {
    return this.#statWith(await this.#file(id));
  }

  /** The names of a directory on the disk; undefined when the log has just made it. */
  async #zap({ dnode, change }: File): Promise<Zap | undefined> {
    if (dnode === undefined) {
      if (change !== undefined && typeOf(change.values) === 'directory') return undefined;
      throw new FormatError('Read ZFS directory', { structure: 'znode', field: 'ZPL_MODE', found: 'another type', expected: 'a directory' });
    }
    if (dnode.type !== objectTypes.directory) throw new FormatError('Read ZFS directory', { structure: 'dnode_phys', field: 'dn_type', found: dnode.type, expected: objectTypes.directory });
    return Zap.open(new ZfsObject(this.#parts.objects.supply, dnode, 'metadata'));
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    const file = await this.#file(directory);
    const zap = await this.#zap(file);
    if (!isLegal(name)) return undefined;
    const change = this.#overlay?.nameOf(file.object, name);
    if (change?.known === true) return change.entry === undefined ? undefined : this.#idOf(change.entry.object);
    const entry = await zap?.find(name);
    return entry === undefined ? undefined : this.#idOf(entryObject(entry));
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    const file = await this.#file(directory);
    const zap = await this.#zap(file);
    const { limits } = this.#parts.objects.supply.reader;
    if (zap !== undefined) {
      for await (const page of zap.entries()) {
        const entries: DirectoryEntry[] = [];
        for (const entry of page) {
          checkLimit(limits, 'nameBytesMax', entry.name.length, 'name in a ZFS directory');
          if (this.#overlay?.nameOf(file.object, entry.name).known === true) continue;
          if (isLegal(entry.name)) entries.push({ name: entry.name, id: this.#idOf(entryObject(entry)) });
          else this.#parts.problem({ kind: 'unreadable', where: `directory with inode ${file.object}`, message: `Read ZFS directory: the name '${textOf(entry.name)}' is not possible` });
        }
        if (entries.length > 0) yield entries;
      }
    }
    yield* this.#addedNames(file.object);
  }

  /** Names of a directory that only the log has. */
  *#addedNames(object: number): Iterable<readonly DirectoryEntry[]> {
    let page: DirectoryEntry[] = [];
    for (const [key, entry] of this.#overlay?.namesOf(object) ?? []) {
      const name = new Uint8Array(Buffer.from(key, 'latin1'));
      if (entry !== undefined && isLegal(name)) page.push({ name, id: this.#idOf(entry.object) });
      if (page.length < PAGE_ENTRIES) continue;
      yield page;
      page = [];
    }
    if (page.length > 0) yield page;
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    const file = await this.#file(id);
    const { type, size } = await this.#statWith(file);
    if (type !== 'file') throw new UnsupportedError(`Open ZFS file: inode '${file.object}' is a ${type}`, { type });
    if (stream !== undefined) throw new NotFoundError(`Open ZFS file: inode '${file.object}' has no stream '${stream}'`, { stream });
    return this.#content(file, size);
  }

  #content({ dnode, change }: File, size: number): BlockSource {
    const map: BlockMap = dnode === undefined ? { runAt: (_offset, lengthMax) => ({ kind: 'hole', length: lengthMax }) } : new ZfsObject(this.#parts.objects.supply, dnode, 'data');
    const kept = Math.min(size, change?.keptBytes ?? size);
    const stored = new MappedSource(kept, 512, { what: 'ZFS file', map, owned: [], place: { structure: 'blkptr', field: 'dva' } });
    return change === undefined ? stored : new PatchedSource(stored, cutPatches(change.patches, size), size);
  }

  async readLink(id: NodeId): Promise<Uint8Array> {
    const file = await this.#file(id);
    const values = await this.#values(file, true);
    if (typeOf(values) !== 'symlink') throw new UnsupportedError(`Read ZFS symbolic link: inode '${file.object}' is a ${typeOf(values)}`);
    const size = attributeNumber(values, 'ZPL_SIZE') ?? 0;
    checkLimit(this.#parts.objects.supply.reader.limits, 'symlinkBytesMax', size, 'ZFS symbolic link');
    const inline = values.get('ZPL_SYMLINK');
    if (inline !== undefined) return inline.slice(0, size);
    const { dnode } = file;
    if (dnode === undefined) throw new FormatError('Read ZFS symbolic link', { structure: 'zil', field: 'target', found: 'nothing', expected: 'a text' });
    if (dnode.bonusType === objectTypes.znode && ZNODE_BYTES + size <= OLD_BONUS_BYTES) return dnode.bonusRoom.slice(ZNODE_BYTES, ZNODE_BYTES + size);
    return new ZfsObject(this.#parts.objects.supply, dnode, 'metadata').bytes(0, size);
  }

  async attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>> {
    const file = await this.#file(id);
    const found = await extendedAttributes(await this.#values(file, true), this.#parts.objects.supply.reader.limits, (object) => this.#filesOf(object));
    if (file.change === undefined || file.change.attributes.size === 0) return found;
    const merged = new Map(found);
    for (const [name, value] of file.change.attributes) {
      if (value === undefined) merged.delete(fullAttributeName(name));
      else merged.set(fullAttributeName(name), value);
    }
    return merged;
  }

  /** The files of a directory that holds extended attributes: name and content. */
  async *#filesOf(object: number): AsyncIterable<{ readonly name: Uint8Array; readonly content: BlockSource }> {
    for await (const page of this.list(this.#idOf(object))) {
      for (const { name, id } of page) yield { name, content: await this.open(id) };
    }
  }
}

/** The object of a directory's entry is in the lower 48 bits. */
function entryObject({ high, low }: ZapEntry): number {
  return (high & 0xffff) * 0x1_0000_0000 + low;
}

/** Patches as far as the file goes. */
function cutPatches(patches: readonly Patch[], size: number): readonly Patch[] {
  return patches.filter(({ offset, length }) => offset < size && length > 0).map((patch) => {
    const length = Math.min(patch.length, size - patch.offset);
    return { offset: patch.offset, length, ...(patch.bytes === undefined ? {} : { bytes: patch.bytes.subarray(0, length) }) };
  });
}
