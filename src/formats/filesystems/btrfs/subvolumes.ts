/** Subvolumes and snapshots: their trees, names and paths. Source: btrfs documentation, "On-disk format", root item, root ref and backref. */
import { checkLimit, FormatError, joinPath, LimitError, type Limits } from '../../../core/index.ts';
import { ITEM, OBJECT, rootLayout } from './btrfs.layout.ts';
import { extendedReferences, inodeReferences, namedEntries, type NameReference, rootReference } from './names.ts';
import { type Item, itemBytes } from './node.ts';
import type { NodeStore } from './node-store.ts';
import { DiskTree, type ItemTree, type TreeRoot } from './tree.ts';

/** Subvolumes that can be told apart by the ids of their inodes. */
const INDEXES = 2 ** 13 - 1;
const READ_ONLY = 1;

/** A tree of files. */
export interface Subvolume {
  readonly id: number;
  /** Small number in the order in which subvolumes were met. */
  readonly index: number;
  readonly tree: ItemTree;
  /** Inode of its top directory. */
  readonly directory: number;
  readonly readOnly: boolean;
}

/** Reads a ROOT_ITEM: where the tree begins. `tree` is what its blocks name as their owner. @throws {FormatError} */
export function rootOf(item: Item, tree: number): TreeRoot & { readonly refs: number; readonly directory: number; readonly readOnly: boolean } {
  const view = rootLayout.view(itemBytes(item));
  const { bytenr: logical, level, generation, refs } = view;
  if (level > 7) throw new FormatError('Read btrfs root', { structure: `btrfs_root_item ${tree}`, field: 'level', found: level, expected: 'at most 7' });
  if (logical % 512 !== 0) throw new FormatError('Read btrfs root', { structure: `btrfs_root_item ${tree}`, field: 'bytenr', found: logical, expected: 'a multiple of 512' });
  return { tree, logical, level, generation, refs, directory: view.root_dirid, readOnly: view.flags % 2 === READ_ONLY };
}

/** The subvolumes of a filesystem. */
export class SubvolumeTable {
  readonly #roots: DiskTree;
  readonly #store: NodeStore;
  readonly #limits: Limits;
  readonly #replayed = new Map<number, ItemTree>();
  readonly #known = new Map<number, Promise<Subvolume | undefined>>();
  readonly #indexed: Subvolume[] = [];

  /** `roots` is the root tree. */
  constructor(roots: DiskTree, store: NodeStore, limits: Limits) {
    this.#roots = roots;
    this.#store = store;
    this.#limits = limits;
  }

  /** From now on, `tree` stands for the tree of subvolume `id`, which nobody has asked for yet. */
  replace(id: number, tree: ItemTree): void {
    this.#replayed.set(id, tree);
  }

  /** Where a tree begins; undefined when there is none, or when it was deleted. */
  async root(id: number): Promise<ReturnType<typeof rootOf> | undefined> {
    const item = await this.#roots.floor({ objectid: id, type: ITEM.ROOT_ITEM, offset: -1 });
    const root = item === undefined ? undefined : rootOf(item, id);
    return root === undefined || root.refs === 0 ? undefined : root;
  }

  /** Subvolume `id`; undefined as for `root`. @throws {LimitError} when too many are in use. */
  get(id: number): Promise<Subvolume | undefined> {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    if (this.#known.size > this.#limits.filesystemVolumesMax) return Promise.reject(new LimitError('filesystemVolumesMax', this.#known.size, this.#limits.filesystemVolumesMax, 'btrfs subvolumes'));
    const loading = this.#load(id);
    this.#known.set(id, loading);
    loading.catch(() => this.#known.delete(id));
    return loading;
  }

  async #load(id: number): Promise<Subvolume | undefined> {
    const root = await this.root(id);
    if (root === undefined) return undefined;
    const index = this.#indexed.length;
    if (index > INDEXES) throw new LimitError('btrfs subvolumes in use', index, INDEXES, `subvolume ${id}`);
    const tree = this.#replayed.get(id) ?? new DiskTree(this.#store, root);
    const subvolume = { id, index, tree, directory: root.directory, readOnly: root.readOnly };
    this.#indexed.push(subvolume);
    return subvolume;
  }

  /** The subvolume with this index, if there is one. */
  at(index: number): Subvolume | undefined {
    return this.#indexed[index];
  }

  /** Where `parent` says that `child` stands in it. */
  async reference(parent: number, child: number): Promise<NameReference | undefined> {
    const item = await this.#roots.find({ objectid: parent, type: ITEM.ROOT_REF, offset: child });
    return item === undefined ? undefined : rootReference(item);
  }

  /** The subvolume that is mounted when none is named. */
  async defaultId(directory: number): Promise<number> {
    for await (const page of this.#roots.pages({ objectid: directory, type: ITEM.DIR_ITEM, first: 0, last: -1 })) {
      for (const { name, objectid } of page.flatMap(namedEntries)) if (Buffer.from(name).toString('latin1') === 'default') return objectid;
    }
    return OBJECT.FS_TREE;
  }

  /** Paths of all subvolumes from the top level, by id, but for those that cannot be reached. @throws {LimitError} */
  async paths(): Promise<ReadonlyMap<number, Uint8Array>> {
    const links = new Map<number, { readonly tree: number; readonly reference: NameReference }>();
    for await (const page of this.#roots.scan({ objectid: OBJECT.FIRST_FREE, type: ITEM.ROOT_BACKREF, offset: 0 }, { objectid: -257, type: 255, offset: -1 })) {
      for (const item of page) if (item.type === ITEM.ROOT_BACKREF) links.set(item.objectid, { tree: item.offset, reference: rootReference(item) });
      checkLimit(this.#limits, 'filesystemVolumesMax', links.size, 'btrfs root backrefs');
    }
    const paths = new Map<number, Uint8Array>();
    for (const id of links.keys()) {
      const parts: Uint8Array[] = [];
      let reached = id;
      for (let depth = 0; reached !== OBJECT.FS_TREE && depth <= this.#limits.treeDepthMax; depth += 1) {
        const link = links.get(reached);
        const directory = link === undefined ? undefined : await this.#directoryPath(link.tree, link.reference.parent);
        if (link === undefined || directory === undefined) break;
        parts.unshift(joinPath(directory, link.reference.name));
        reached = link.tree;
      }
      if (reached === OBJECT.FS_TREE && await this.root(id) !== undefined) paths.set(id, parts.reduce(joinPath));
    }
    return paths;
  }

  /** Path of a directory inside of its subvolume. */
  async #directoryPath(subvolume: number, inode: number): Promise<Uint8Array | undefined> {
    const found = await this.get(subvolume);
    let path: Uint8Array = new Uint8Array(0);
    let at = inode;
    for (let depth = 0; found !== undefined && depth <= this.#limits.treeDepthMax; depth += 1) {
      if (at === found.directory) return path;
      const reference = await firstReference(found.tree, at);
      if (reference === undefined) return undefined;
      path = path.length === 0 ? reference.name : joinPath(reference.name, path);
      at = reference.parent;
    }
    return undefined;
  }
}

async function firstReference(tree: ItemTree, inode: number): Promise<NameReference | undefined> {
  for (const [type, read] of [[ITEM.INODE_REF, inodeReferences], [ITEM.INODE_EXTREF, extendedReferences]] as const) {
    for await (const page of tree.pages({ objectid: inode, type, first: 0, last: -1 })) {
      for (const item of page) for (const reference of read(item)) return reference;
    }
  }
  return undefined;
}
