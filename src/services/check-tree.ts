/** Looking for damage in a tree: by reading all of it, or all but the content of files. */
import type { BlockSource, FileTree, NodeId, TreeProblem } from '../core/index.ts';
import type { NamedStream } from '../formats/filesystems/index.ts';
import { isFatal, problemFrom } from './entry-error.ts';
import { pieceBytes, readContent } from './trees/content.ts';
import { walk, type TreeView, type WalkEntry } from './trees/walk.ts';

/** What was read. `bytes`: content, without holes. */
export interface TreeCounts {
  files: number;
  directories: number;
  bytes: number;
}

/** How a tree is read, and who is told. */
export interface TreeCheck {
  /** Also the content of files and their named streams; else only where it lies. */
  readonly content: boolean;
  readonly counts: TreeCounts;
  readonly signal?: AbortSignal | undefined;
  problem(problem: TreeProblem): void;
  /** After each file. */
  progress?(): void;
}

/** Trees of guests may have named streams. */
interface Streams {
  streams?(id: NodeId): Promise<readonly NamedStream[]>;
}

class Reader {
  readonly #tree: FileTree & Streams;
  readonly #check: TreeCheck;
  readonly #buffer = new Uint8Array(pieceBytes);

  constructor(tree: FileTree, check: TreeCheck) {
    this.#tree = tree;
    this.#check = check;
  }

  fail(path: Uint8Array, error: unknown): void {
    if (isFatal(error)) throw error;
    this.#check.problem(problemFrom(path, error));
  }

  async one(entry: WalkEntry): Promise<void> {
    const { type } = entry.stat;
    const { counts } = this.#check;
    try {
      if (this.#tree.supports.attributes) await this.#tree.attributes(entry.id);
      if (type === 'symlink') await this.#tree.readLink(entry.id);
      if (type === 'file' || type === 'directory') await this.#streams(entry.id);
      if (type === 'directory') counts.directories += 1;
      if (type !== 'file') return;
      await this.#read(await this.#tree.open(entry.id));
      counts.files += 1;
      this.#check.progress?.();
    } catch (error) {
      this.fail(entry.path, error);
    }
  }

  async #streams(id: NodeId): Promise<void> {
    for (const { name } of await this.#tree.streams?.(id) ?? []) await this.#read(await this.#tree.open(id, name));
  }

  async #read(source: BlockSource): Promise<void> {
    const { content, counts, signal } = this.#check;
    try {
      if (content) await readContent(source, { data: (_, bytes) => { counts.bytes += bytes.length; }, empty: () => undefined }, this.#buffer, { signal });
      else await mapOf(source);
    } finally {
      await source.close();
    }
  }
}

/** Follows the maps of where content lies, which are metadata too. */
async function mapOf(source: BlockSource): Promise<void> {
  for await (const { length } of source.extents(0, source.size)) if (length === 0) break;
}

/** Reads what a view shows; what can't be read is a problem, and the check goes on. @throws {AbortedError} */
export async function checkTree(view: TreeView, check: TreeCheck): Promise<void> {
  const reader = new Reader(view.tree, check);
  const stat = await view.tree.stat(view.id);
  await reader.one({ path: view.path, name: view.path, id: view.id, stat });
  if (stat.type !== 'directory') return;
  await walk(view, { page: async (entries) => { for (const entry of entries) await reader.one(entry); }, failed: (path, error) => { reader.fail(path, error); } }, check.signal);
}
