/** The filesystems of a ZFS pool as one tree, each in the place where it is mounted by default. */
import type { BlockSource, DirectoryEntry, FileTree, NodeId, NodeStat, TreeSupports } from '../../src/core/index.ts';
import { lookupPath, utf8 } from '../../src/core/index.ts';
import type { Filesystem } from '../../src/formats/filesystems/filesystem.ts';

/** Ids of different datasets are apart by it. */
const TREE_SPAN = 2 ** 40;

/** The composed tree; it owns the pool. */
export class PoolTree implements FileTree {
  readonly format = 'zfs pool';
  readonly supports: TreeSupports;
  readonly rootId: NodeId;
  readonly #trees = new Map<number, Filesystem>();
  /** Directories that something is mounted on, and what. */
  readonly #mounts = new Map<NodeId, NodeId>();
  readonly #root: Filesystem;

  private constructor(root: Filesystem) {
    this.#root = root;
    this.supports = root.supports;
    this.rootId = root.rootId;
    this.#trees.set(0, root);
  }

  /** Mounts all datasets that are filesystems and not in `without`, parents first. */
  static async open(root: Filesystem, without: readonly string[] = []): Promise<PoolTree> {
    const tree = new PoolTree(root);
    const pool = root.facts.label ?? '';
    for (const { kind, name } of await root.volumes?.() ?? []) {
      if (kind !== 'dataset' || name === pool || without.includes(name)) continue;
      const opened = await root.openVolume?.('dataset', name);
      if (opened === undefined || !opened.facts.version.includes('filesystem')) continue;
      tree.#trees.set(Math.floor(opened.rootId / TREE_SPAN), opened);
      const place = await lookupPath(tree, utf8(name.slice(pool.length + 1)));
      if (place !== undefined) tree.#mounts.set(place, opened.rootId);
    }
    return tree;
  }

  #treeOf(id: NodeId): Filesystem {
    return this.#trees.get(Math.floor(id / TREE_SPAN)) ?? this.#root;
  }

  #mounted(id: NodeId): NodeId {
    return this.#mounts.get(id) ?? id;
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    const found = await this.#treeOf(directory).lookup(directory, name);
    return found === undefined ? undefined : this.#mounted(found);
  }

  stat(id: NodeId): Promise<NodeStat> {
    return this.#treeOf(id).stat(id);
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    for await (const page of this.#treeOf(directory).list(directory)) yield page.map(({ name, id }) => ({ name, id: this.#mounted(id) }));
  }

  open(id: NodeId): Promise<BlockSource> {
    return this.#treeOf(id).open(id);
  }

  readLink(id: NodeId): Promise<Uint8Array> {
    return this.#treeOf(id).readLink(id);
  }

  attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>> {
    return this.#treeOf(id).attributes(id);
  }

  close(): Promise<void> {
    return this.#root.close();
  }
}
