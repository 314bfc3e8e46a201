/**
 * Recipes: which chunks make up a file. Few references stand in the directory entry itself; many become pages of references, pages of
 * pages and so on (a hash tree), so that a file has no size limit and writing one needs no more than a page of memory a level.
 */
import { ID_BYTES } from '../../core/index.ts';
import type { MetadataStore } from './metadata-store.ts';
import { REF_BYTES, RefList, type Content } from './refs.ts';

/** References that stand in the entry itself. */
const INLINE_MAX = 32;
/** References of a page: a page ends after one whose id has ten zero bits, so that an insertion changes one page and not all after it. */
const PAGE_MIN = 128;
const PAGE_MAX = 4096;

/** Takes references in order, gives back the content. */
export class RecipeWriter {
  readonly #store: MetadataStore;
  readonly #levels: RefList[] = [new RefList()];

  constructor(store: MetadataStore) {
    this.#store = store;
  }

  /** Adds a reference. @returns true when `flushPages` is due; going on without it is an error after `PAGE_MAX`. */
  push(ids: Uint8Array, offset: number, length: number): boolean {
    const leaf = this.#levels[0] as RefList;
    leaf.push(ids, offset, length);
    return this.#isDue(leaf);
  }

  /** Adds a hole. */
  pushHole(length: number): boolean {
    const leaf = this.#levels[0] as RefList;
    leaf.pushHole(length);
    return this.#isDue(leaf);
  }

  /** Writes each page that is full. */
  async flushPages(): Promise<void> {
    for (let level = 0; level < this.#levels.length; level += 1) {
      const list = this.#levels[level] as RefList;
      if (!this.#isDue(list)) return;
      await this.#writePage(level);
    }
  }

  /** The content; the writer is empty afterwards and can be used again. */
  async finish(): Promise<Content> {
    let depth = 0;
    for (;;) {
      const list = this.#levels[depth] as RefList;
      const isTop = depth === this.#levels.length - 1;
      if (isTop && list.count <= INLINE_MAX) {
        const content = { depth, refs: list.bytes.slice() };
        this.#levels.length = 1;
        (this.#levels[0] as RefList).clear();
        return content;
      }
      if (list.count > 0) await this.#writePage(depth);
      depth += 1;
    }
  }

  async #writePage(level: number): Promise<void> {
    const list = this.#levels[level] as RefList;
    const id = await this.#store.put(list.bytes);
    let above = this.#levels[level + 1];
    if (above === undefined) {
      above = new RefList();
      this.#levels.push(above);
    }
    above.push(id, 0, list.covered);
    list.clear();
  }

  #isDue(list: RefList): boolean {
    if (list.count < PAGE_MIN) return false;
    const end = list.count * REF_BYTES - REF_BYTES + ID_BYTES;
    const bytes = list.bytes;
    return list.count >= PAGE_MAX || ((bytes[end - 1] as number) | ((bytes[end - 2] as number) & 3)) === 0;
  }
}
