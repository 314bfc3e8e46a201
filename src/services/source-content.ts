/** Whether there is anything to store: a backup that reads nothing must not become the newest snapshot. */
import { AbortedError, type FileTree, type TreeProblem } from '../core/index.ts';
import { isFatal, problemFrom } from './entry-error.ts';
import { walk, type TreeView, type WalkEntry } from './trees/walk.ts';

/** What a look into sources found. */
export interface ContentLook {
  /** There is content that can be read; the look ended there. */
  readonly found: boolean;
  /** Files without content, links and special files before that. */
  readonly others: number;
  /** What could not be read before that. */
  readonly failures: number;
  readonly first?: TreeProblem;
}

/** Ends a walk early. */
class Enough extends Error {}

/** Looks until a byte of content could be read. */
class Looker {
  others = 0;
  failures = 0;
  first: TreeProblem | undefined;

  fail(path: Uint8Array, error: unknown): void {
    if (error instanceof AbortedError || isFatal(error)) throw error;
    this.first ??= problemFrom(path, error);
    this.failures += 1;
  }

  /** @throws {Enough} */
  async view(view: TreeView, signal: AbortSignal | undefined): Promise<void> {
    const stat = await view.tree.stat(view.id);
    if (stat.type !== 'directory') return this.#entry(view.tree, { path: view.path, name: view.path, id: view.id, stat });
    await walk(view, {
      page: async (entries) => { for (const entry of entries) await this.#entry(view.tree, entry); },
      failed: (path, error) => { this.fail(path, error); },
    }, signal);
  }

  async #entry(tree: FileTree, { id, path, stat }: WalkEntry): Promise<void> {
    if (stat.type === 'directory') return;
    if (stat.type !== 'file' || stat.size === 0) {
      this.others += 1;
      return;
    }
    try {
      const source = await tree.open(id);
      try {
        await source.readInto(0, new Uint8Array(Math.min(1, source.size))); // its size may have changed since
      } finally {
        await source.close();
      }
    } catch (error) {
      return this.fail(path, error);
    }
    throw new Enough();
  }
}

/** Reads from the views in turn until there is content; reads all names where there is none. @throws {AbortedError} */
export async function lookForContent(views: readonly TreeView[], signal?: AbortSignal): Promise<ContentLook> {
  const looker = new Looker();
  let found = false;
  for (const view of views) {
    try {
      await looker.view(view, signal);
    } catch (error) {
      if (error instanceof Enough) found = true;
      else looker.fail(view.path, error);
    }
    if (found) break;
  }
  const { others, failures, first } = looker;
  return { found, others, failures, ...(first === undefined ? {} : { first }) };
}
