/** Going through a tree from any of its nodes, page by page, in bounded memory. */
import { AbortedError, isUtf8, splitPath, textOf } from '../../core/index.ts';
import type { DirectoryEntry, FileTree, NodeId, NodeStat, NodeType } from '../../core/index.ts';

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

/** What `listed` yields of a directory; a failure of the tree is reported and ends only this directory. */
async function* pages(view: TreeView, listed: AsyncIterable<readonly DirectoryEntry[]>, visitor: Pick<Visitor, 'failed'>): AsyncIterable<readonly DirectoryEntry[]> {
  const iterator = listed[Symbol.asyncIterator]();
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
  for await (const page of pages(view, view.tree.list(view.id), visitor)) {
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

/** A name met on the way, with its type. */
export interface NamedEntry {
  readonly name: Uint8Array;
  readonly id: NodeId;
  readonly type: NodeType;
}

/** Callbacks of {@link walkNames}, as those of {@link Visitor}. */
export interface NameVisitor extends Pick<Visitor, 'failed'> {
  /** Names of one page of the directory whose path is `directory`, before anything below them. */
  names(directory: Uint8Array, entries: readonly NamedEntry[]): Promise<void> | void;
  /** Whether to go into directories. */
  readonly below: boolean;
}

/** The entries whose type is known; most trees tell all of them, and then nothing is made anew. */
async function withTypes(view: TreeView, page: readonly DirectoryEntry[], visitor: NameVisitor): Promise<readonly NamedEntry[]> {
  const entries: NamedEntry[] = [];
  for (const { name, id, type, stat } of page) {
    try {
      entries.push({ name, id, type: type ?? stat?.type ?? (await view.tree.stat(id)).type });
    } catch (error) {
      visitor.failed(childPath(view.path, name), error);
    }
  }
  return entries;
}

/** Apart, as all work on each entry is: V8 takes long to optimise a loop inside an asynchronous function. */
function directoriesIn(entries: readonly NamedEntry[]): readonly NamedEntry[] {
  return entries.filter(({ type }) => type === 'directory');
}

function isTyped(page: readonly DirectoryEntry[]): page is readonly NamedEntry[] {
  return page.every(({ type }) => type !== undefined);
}

/**
 * Visits the names below a directory in the order of {@link walk}, without the facts and without a path for each.
 * @throws {AbortedError} when `signal` fires between two pages.
 */
export async function walkNames(view: TreeView, visitor: NameVisitor, signal?: AbortSignal): Promise<void> {
  const { tree, id, path } = view;
  for await (const page of pages(view, tree.names?.(id) ?? tree.list(id), visitor)) {
    for (let start = 0; start < page.length; start += ENTRIES_AT_ONCE) {
      if (signal?.aborted === true) throw new AbortedError();
      const part = page.slice(start, start + ENTRIES_AT_ONCE);
      const entries = isTyped(part) ? part : await withTypes(view, part, visitor);
      await visitor.names(path, entries);
      for (const { name, id: below } of visitor.below ? directoriesIn(entries) : []) await walkNames({ tree, id: below, path: childPath(path, name) }, visitor, signal);
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
