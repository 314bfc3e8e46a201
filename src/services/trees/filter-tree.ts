/** A tree without the paths that a pattern excludes. */
import type { BlockSource, DirectoryEntry, FileTree, NodeId, NodeStat, TreeSupports } from '../../core/index.ts';
import type { PathMatcher } from './glob.ts';
import { childPath, type TreeView } from './walk.ts';

/**
 * Hides what `excluded` matches, with all below it; closing it closes the tree. A directory's path is remembered from the listing or
 * lookup that led to it, so memory grows with the number of directories seen.
 */
export class FilterTree implements FileTree {
  readonly format: string;
  readonly supports: TreeSupports;
  readonly rootId: NodeId;
  readonly #inner: FileTree;
  readonly #excluded: PathMatcher;
  readonly #paths: Map<NodeId, Uint8Array> = new Map<NodeId, Uint8Array>();

  /** Paths begin at `view`: only what is below it can be listed. */
  constructor(view: TreeView, excluded: PathMatcher) {
    const inner = view.tree;
    this.#inner = inner;
    this.#excluded = excluded;
    this.#paths.set(view.id, view.path);
    this.format = inner.format;
    this.supports = inner.supports;
    this.rootId = inner.rootId;
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    const path = this.#child(directory, name);
    if (this.#excluded(path)) return undefined;
    const id = await this.#inner.lookup(directory, name);
    if (id !== undefined && (await this.#inner.stat(id)).type === 'directory') this.#paths.set(id, path);
    return id;
  }

  stat(id: NodeId): Promise<NodeStat> {
    return this.#inner.stat(id);
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    for await (const page of this.#inner.list(directory)) {
      const kept: DirectoryEntry[] = [];
      for (const entry of page) {
        const path = this.#child(directory, entry.name);
        if (this.#excluded(path)) continue;
        const stat = entry.stat ?? (await this.#inner.stat(entry.id));
        if (stat.type === 'directory') this.#paths.set(entry.id, path);
        kept.push({ ...entry, stat });
      }
      if (kept.length > 0) yield kept;
    }
  }

  open(id: NodeId, stream?: string): Promise<BlockSource> {
    return stream === undefined ? this.#inner.open(id) : this.#inner.open(id, stream);
  }

  readLink(id: NodeId): Promise<Uint8Array> {
    return this.#inner.readLink(id);
  }

  attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>> {
    return this.#inner.attributes(id);
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #child(directory: NodeId, name: Uint8Array): Uint8Array {
    return childPath(this.#paths.get(directory) ?? new Uint8Array(), name);
  }
}
