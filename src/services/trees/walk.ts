/** Going through a tree from any of its nodes, page by page, in bounded memory. */
import { AbortedError, isUtf8, splitPath, textOf } from '../../core/index.ts';
import type { DirectoryEntry, FileTree, NodeId, NodeStat } from '../../core/index.ts';

/** A node of a tree together with the path that it shows to people. */
export interface TreeView {
  readonly tree: FileTree;
  readonly id: NodeId;
  /** `/a/b`, bytes; empty for the root of a tree. */
  readonly path: Uint8Array;
}

/** An entry met on the way. */
export interface WalkEntry {
  readonly path: Uint8Array;
  readonly name: Uint8Array;
  readonly id: NodeId;
  readonly stat: NodeStat;
}

/** Entries whose facts are held at a time: with whole pages, the collector of garbage did most of the work of a long listing. */
const ENTRIES_AT_ONCE = 128;

/** Callbacks, awaited one after the other. What they throw ends the walk; what the tree throws goes to `failed`. */
export interface Visitor {
  /** Entries of one page of a directory, before anything below them. */
  page(entries: readonly WalkEntry[]): Promise<void> | void;
  /** Whether to go into a directory; all of them without it. */
  into?(directory: WalkEntry): boolean;
  /** All below a directory is done. */
  leave?(directory: WalkEntry): Promise<void> | void;
  /** A directory or entry that can't be read; the walk goes on beside it. */
  failed(path: Uint8Array, error: unknown): void;
}

/** `directory/name`, always with a slash between, so that a path shows that it is one. */
export function childPath(directory: Uint8Array, name: Uint8Array): Uint8Array {
  const path = new Uint8Array(directory.length + 1 + name.length);
  path.set(directory);
  path[directory.length] = 0x2f;
  path.set(name, directory.length + 1);
  return path;
}

/** A path as one string for maps and sets: exact also for bytes that are not UTF-8. */
export function pathKey(path: Uint8Array): string {
  return isUtf8(path) ? textOf(path) : `\u0000${Buffer.from(path).toString('latin1')}`;
}

async function withStats(tree: FileTree, directory: Uint8Array, page: readonly DirectoryEntry[], visitor: Visitor): Promise<WalkEntry[]> {
  const entries: WalkEntry[] = [];
  for (const { name, id, stat } of page) {
    const path = childPath(directory, name);
    try {
      entries.push({ path, name, id, stat: stat ?? (await tree.stat(id)) });
    } catch (error) {
      visitor.failed(path, error);
    }
  }
  return entries;
}

/** Pages of a directory; a failure of the tree is reported and ends only this directory. */
async function* pages(view: TreeView, visitor: Visitor): AsyncIterable<readonly DirectoryEntry[]> {
  const iterator = view.tree.list(view.id)[Symbol.asyncIterator]();
  try {
    for (;;) {
      let step: IteratorResult<readonly DirectoryEntry[]>;
      try {
        step = await iterator.next();
      } catch (error) {
        visitor.failed(view.path, error);
        return;
      }
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    await iterator.return?.();
  }
}

/**
 * Visits all below a directory, depth first; the directory itself is not visited.
 * @throws {AbortedError} when `signal` fires between two pages.
 */
export async function walk(view: TreeView, visitor: Visitor, signal?: AbortSignal): Promise<void> {
  for await (const page of pages(view, visitor)) {
    for (let start = 0; start < page.length; start += ENTRIES_AT_ONCE) {
      if (signal?.aborted === true) throw new AbortedError();
      const entries = await withStats(view.tree, view.path, page.slice(start, start + ENTRIES_AT_ONCE), visitor);
      await visitor.page(entries);
      for (const entry of entries) {
        if (entry.stat.type !== 'directory' || visitor.into?.(entry) === false) continue;
        await walk({ tree: view.tree, id: entry.id, path: entry.path }, visitor, signal);
        await visitor.leave?.(entry);
      }
    }
  }
}

/** Resolves a path below what a view shows, without following symlinks; undefined when a part is absent. */
export async function lookupBelow(view: TreeView, path: Uint8Array): Promise<NodeId | undefined> {
  let id: NodeId | undefined = view.id;
  for (const part of splitPath(path)) {
    if (id === undefined || (await view.tree.stat(id)).type !== 'directory') return undefined;
    id = await view.tree.lookup(id, part);
  }
  return id;
}
