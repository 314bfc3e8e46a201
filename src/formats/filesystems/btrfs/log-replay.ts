/**
 * The log: what was synced (fsync) after the last commit, merged over the trees of files in memory, by the same steps and in the same order as the
 * kernel at the next mount. Source: kernel `fs/btrfs/tree-log.c`, comments on the stages of replay.
 *
 * A log tree holds copies of items: inodes, their names, attributes and extents, checksums of the new data, entries of directories, and ranges of
 * a directory's indexes within which what the log doesn't name was removed.
 */
import { equalBytes, FormatError, type Limits } from '../../../core/index.ts';
import { inodeLayout, ITEM, OBJECT } from './btrfs.layout.ts';
import { addName, addReference, cutEntries, entryAt, entryNamed, namesOf, referenceTo, removeName } from './directory-edit.ts';
import { dropExtents, extentEnd, isHole, isInline } from './extent-edit.ts';
import { extendedReferences, inodeReferences, type NamedEntry, namedEntries, type NameReference } from './names.ts';
import { type Item, itemBytes, type Key } from './node.ts';
import type { NodeStore } from './node-store.ts';
import { ReplayedTree } from './replayed-tree.ts';
import { rootOf, type SubvolumeTable } from './subvolumes.ts';
import { DiskTree, type ItemTree, type TreeRoot } from './tree.ts';
import { exactAt, wideAt } from './wide.ts';

/** What replaying needs. */
export interface ReplayParts {
  /** The tree of log trees. */
  readonly root: TreeRoot;
  readonly store: NodeStore;
  readonly subvolumes: SubvolumeTable;
  readonly limits: Limits;
  readonly noHoles: boolean;
  readonly sectorBytes: number;
}

/** What replaying leaves besides the trees of the subvolumes. */
export interface ReplayedLogs {
  /** Trees with the checksums of the new data. */
  readonly sums: readonly ItemTree[];
}

const DIRECTORY = 0o040_000;
const REGULAR = 0o100_000;
const HIGHEST: Key = { objectid: -1, type: 255, offset: -1 };
const LOWEST: Key = { objectid: 0, type: 0, offset: 0 };

function typeOf(inode: Item): number {
  return inode.view.getUint32(inode.at + inodeLayout.offsets.mode, true) & 0o170_000;
}

/** One log over its subvolume. */
class Replay {
  readonly #log: DiskTree;
  readonly #tree: ReplayedTree;
  readonly #parts: ReplayParts;
  /** Inodes whose links are counted at the end. */
  readonly #touched = new Set<number>();

  constructor(log: DiskTree, tree: ReplayedTree, parts: ReplayParts) {
    this.#log = log;
    this.#tree = tree;
    this.#parts = parts;
  }

  async run(): Promise<void> {
    await this.#stage((item) => (item.type === ITEM.INODE_ITEM ? this.#inode(item) : undefined));
    await this.#stage((item) => (item.type === ITEM.DIR_INDEX ? this.#entry(item) : undefined));
    await this.#stage((item) => {
      switch (item.type) {
        case ITEM.XATTR: return this.#tree.put(item, itemBytes(item).slice());
        case ITEM.INODE_REF: return this.#names(item, inodeReferences(item));
        case ITEM.INODE_EXTREF: return this.#names(item, extendedReferences(item));
        case ITEM.EXTENT_DATA: return this.#extent(item);
        default: return undefined;
      }
    });
    for (const inode of this.#touched) await this.#countLinks(inode);
  }

  /** All items of the log, but for those of inodes without a name: nobody can reach them. */
  async #stage(work: (item: Item) => Promise<void> | void): Promise<void> {
    let ignored: number | undefined;
    for await (const page of this.#log.scan(LOWEST, HIGHEST)) {
      for (const item of page) {
        if (item.objectid < OBJECT.FIRST_FREE) continue;
        if (item.type === ITEM.INODE_ITEM) {
          if (item.size < inodeLayout.size) throw new FormatError('Replay btrfs log', { structure: `btrfs_inode_item ${item.objectid}`, field: 'size', found: item.size, expected: inodeLayout.size });
          ignored = item.view.getUint32(item.at + inodeLayout.offsets.nlink, true) === 0 ? item.objectid : undefined;
        }
        if (item.objectid !== ignored) await work(item);
      }
    }
  }

  #inodeItem(inode: number): Item | undefined | Promise<Item | undefined> {
    return this.#tree.find({ objectid: inode, type: ITEM.INODE_ITEM, offset: 0 });
  }

  async #inode(item: Item): Promise<void> {
    const { objectid: inode } = item;
    await this.#dropAttributes(inode);
    if (typeOf(item) === DIRECTORY) await this.#dropEntries(inode);
    await this.#writeInode(item);
    this.#touched.add(inode);
    const written = await this.#inodeItem(inode);
    if (written === undefined || typeOf(item) !== REGULAR) return;
    const size = exactAt(written.view, written.at + inodeLayout.offsets.size, `btrfs_inode_item ${inode}`, 'size');
    await dropExtents(this.#tree, inode, { start: Math.ceil(size / this.#parts.sectorBytes) * this.#parts.sectorBytes, end: Infinity }, this.#parts.sectorBytes);
  }

  async #writeInode(item: Item): Promise<void> {
    const known = await this.#inodeItem(item.objectid);
    const logged = wideAt(item.view, item.at + inodeLayout.offsets.generation) !== 0;
    if (known === undefined || logged) {
      this.#tree.put(item, itemBytes(item).slice());
      return;
    }
    // Without a generation the inode was only noted as existing: of all its facts, a size that is not zero counts.
    const size = itemBytes(item).slice(inodeLayout.offsets.size, inodeLayout.offsets.size + 8);
    if (typeOf(item) !== REGULAR || typeOf(known) !== REGULAR || size.every((byte) => byte === 0)) return;
    const bytes = itemBytes(known).slice();
    bytes.set(size, inodeLayout.offsets.size);
    this.#tree.put(item, bytes);
  }

  /** An inode's attributes are in the log as a whole: others were removed. */
  async #dropAttributes(inode: number): Promise<void> {
    for await (const page of this.#tree.pages({ objectid: inode, type: ITEM.XATTR, first: 0, last: -1 })) {
      for (const item of page) {
        const logged = await this.#log.find(item);
        const names = logged === undefined ? [] : namedEntries(logged);
        cutEntries(this.#tree, item, (entry) => !names.some(({ name }) => equalBytes(name, entry.name)));
      }
    }
  }

  /** Entries in the ranges that the log covers, and not in the log, were removed. */
  async #dropEntries(directory: number): Promise<void> {
    for await (const ranges of this.#log.pages({ objectid: directory, type: ITEM.DIR_LOG_INDEX, first: 0, last: -1 })) {
      for (const range of ranges) {
        if (range.size < 8) throw new FormatError('Replay btrfs log', { structure: 'btrfs_dir_log_item', field: 'size', found: range.size, expected: 8 });
        for await (const page of this.#tree.pages({ objectid: directory, type: ITEM.DIR_INDEX, first: range.offset, last: wideAt(range.view, range.at) })) {
          for (const item of page) await this.#dropUnlogged(directory, item);
        }
      }
    }
  }

  async #dropUnlogged(directory: number, item: Item): Promise<void> {
    for (const entry of namedEntries(item)) {
      if (entry.type === ITEM.INODE_ITEM && await entryAt(this.#log, directory, item.offset, entry.name) === undefined) await this.#unlink(directory, entry);
    }
  }

  async #unlink(directory: number, { objectid, name }: NamedEntry): Promise<void> {
    await removeName(this.#tree, directory, objectid, name);
    this.#touched.add(objectid);
  }

  /** An entry of a directory; one whose inode has a reference in the log is left to that. */
  async #entry(item: Item): Promise<void> {
    const directory = item.objectid;
    if (await this.#inodeItem(directory) === undefined) throw new FormatError('Replay btrfs log', { structure: 'btrfs_dir_item', field: 'directory', found: directory, expected: 'a directory of the subvolume' });
    for (const entry of namedEntries(item)) {
      const { objectid: inode, name } = entry;
      if (entry.type !== ITEM.INODE_ITEM) continue;
      const exists = await this.#inodeItem(inode) !== undefined;
      const same = (one: NamedEntry | undefined): boolean => one !== undefined && one.objectid === inode && one.type === entry.type;
      const byName = await entryNamed(this.#tree, directory, name);
      if (byName !== undefined && !same(byName) && exists) await this.#unlink(directory, byName);
      const byIndex = await entryAt(this.#tree, directory, item.offset, name);
      if (byIndex !== undefined && !same(byIndex) && exists) await this.#unlink(directory, byIndex);
      if (same(byName) && same(byIndex)) continue;
      if (!exists || await referenceTo(this.#log, inode, directory, name) !== undefined || await entryNamed(this.#tree, directory, name) !== undefined) continue;
      const link = { directory, inode, name, index: item.offset };
      await addName(this.#tree, link);
      await addReference(this.#tree, link);
      this.#touched.add(inode);
    }
  }

  /** References of an inode: its names in directories that are known. */
  async #names(item: Item, references: readonly NameReference[]): Promise<void> {
    const inode = item.objectid;
    if (await this.#inodeItem(inode) === undefined) throw new FormatError('Replay btrfs log', { structure: 'btrfs_inode_ref', field: 'inode', found: inode, expected: 'an inode of the subvolume' });
    let known = item.type === ITEM.INODE_EXTREF;
    for (const reference of references) {
      // A directory that was not logged and is not there: the name cannot be shown.
      if (await this.#inodeItem(reference.parent) === undefined) continue;
      known = true;
      await this.#name(inode, reference);
    }
    if (!known) return;
    const old = await this.#tree.find(item);
    const read = item.type === ITEM.INODE_REF ? inodeReferences : extendedReferences;
    for (const { parent, name } of old === undefined ? [] : read(old)) {
      if (!references.some((one) => one.parent === parent && equalBytes(one.name, name))) await this.#unlink(parent, { objectid: inode, type: ITEM.INODE_ITEM, name, value: name, kind: 0 });
    }
    this.#tree.put(item, itemBytes(item).slice());
    this.#touched.add(inode);
  }

  async #name(inode: number, { parent, index, name }: NameReference): Promise<void> {
    const byName = await entryNamed(this.#tree, parent, name);
    const byIndex = await entryAt(this.#tree, parent, index, name);
    if (byName?.objectid === inode && byIndex?.objectid === inode) return;
    await this.#dropOldNames(inode, parent);
    for (const find of [() => entryAt(this.#tree, parent, index, name), () => entryNamed(this.#tree, parent, name)]) {
      const other = await find();
      if (other !== undefined) await this.#unlink(parent, other);
    }
    await addName(this.#tree, { directory: parent, inode, name, index });
  }

  /** Names of the inode in this directory that the log doesn't have: they may stand where the new ones go. */
  async #dropOldNames(inode: number, parent: number): Promise<void> {
    const item = await this.#tree.find({ objectid: inode, type: ITEM.INODE_REF, offset: parent });
    for (const { name } of item === undefined ? [] : inodeReferences(item)) {
      if (await referenceTo(this.#log, inode, parent, name) === undefined) await removeName(this.#tree, parent, inode, name);
    }
  }

  async #extent(item: Item): Promise<void> {
    const { objectid: inode, offset: start } = item;
    if (await this.#inodeItem(inode) === undefined) throw new FormatError('Replay btrfs log', { structure: 'btrfs_file_extent_item', field: 'inode', found: inode, expected: 'an inode of the subvolume' });
    const known = await this.#tree.find(item);
    if (known !== undefined && !isInline(item) && equalBytes(itemBytes(known), itemBytes(item))) return;
    await dropExtents(this.#tree, inode, { start, end: extentEnd(item, this.#parts.sectorBytes) }, this.#parts.sectorBytes);
    if (!(isHole(item) && this.#parts.noHoles)) this.#tree.put(item, itemBytes(item).slice());
  }

  async #countLinks(inode: number): Promise<void> {
    const item = await this.#inodeItem(inode);
    if (item === undefined) return;
    const links = await namesOf(this.#tree, inode);
    const at = inodeLayout.offsets.nlink;
    if (item.size < inodeLayout.size || item.view.getUint32(item.at + at, true) === links) return;
    const bytes = itemBytes(item).slice();
    new DataView(bytes.buffer).setUint32(at, links, true);
    this.#tree.put(item, bytes);
  }
}

/**
 * Replays all logs; the subvolumes then show what they add.
 * @throws {FormatError} @throws {IntegrityError} @throws {LimitError} when a log cannot be replayed as a whole: then no subvolume was changed.
 */
export async function replayLogs(parts: ReplayParts): Promise<ReplayedLogs> {
  const { store, subvolumes, limits } = parts;
  const sums: ItemTree[] = [];
  const replayed = new Map<number, ReplayedTree>();
  const logs = new DiskTree(store, parts.root);
  for await (const page of logs.scan(LOWEST, HIGHEST)) {
    for (const item of page) {
      if (item.objectid !== OBJECT.TREE_LOG || item.type !== ITEM.ROOT_ITEM) continue;
      const root = await subvolumes.root(item.offset);
      // A subvolume that was deleted meanwhile needs its log no longer.
      if (root === undefined) continue;
      const log = new DiskTree(store, rootOf(item, OBJECT.TREE_LOG));
      const tree = new ReplayedTree(new DiskTree(store, root), limits);
      await new Replay(log, tree, parts).run();
      replayed.set(item.offset, tree);
      sums.push(log);
    }
  }
  for (const [id, tree] of replayed) subvolumes.replace(id, tree);
  return { sums };
}
