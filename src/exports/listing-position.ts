/** Where a handle on a directory stands in its listing. */
import type { DirectoryEntry, FileTree, NodeId } from '../core/index.ts';

/** A directory's entries by their number. Going back begins again; going on costs nothing. One caller at a time. */
export class ListingPosition {
  readonly #tree: FileTree;
  readonly #directory: NodeId;
  #pages: AsyncIterator<readonly DirectoryEntry[]> | undefined;
  #page: readonly DirectoryEntry[] = [];
  /** Number of the page's first entry. */
  #start = 0;

  constructor(tree: FileTree, directory: NodeId) {
    this.#tree = tree;
    this.#directory = directory;
  }

  /** The entry with a number, or undefined behind the last. @throws what listing throws; the next call begins again. */
  async at(index: number): Promise<DirectoryEntry | undefined> {
    if (this.#pages === undefined || index < this.#start) {
      await this.close();
      this.#pages = this.#tree.list(this.#directory)[Symbol.asyncIterator]();
    }
    while (index >= this.#start + this.#page.length) {
      let step: IteratorResult<readonly DirectoryEntry[]>;
      try {
        step = await this.#pages.next();
      } catch (error) {
        this.#pages = undefined;
        this.#page = [];
        this.#start = 0;
        throw error;
      }
      if (step.done === true) return undefined;
      this.#start += this.#page.length;
      this.#page = step.value;
    }
    return this.#page[index - this.#start];
  }

  async close(): Promise<void> {
    const pages = this.#pages;
    this.#pages = undefined;
    this.#page = [];
    this.#start = 0;
    await pages?.return?.();
  }
}
