/** Writes one directory: entries in ascending order of names become pages, pages become the directory's content. */
import type { Limits } from '../../core/index.ts';
import { EntryEncoder, type Entry } from './entry.ts';
import type { MetadataStore } from './metadata-store.ts';
import { RecipeWriter } from './recipe.ts';
import type { Content } from './refs.ts';

/** A page ends after a name whose hash has eight zero bits: a new name changes one page. */
const PAGE_BYTES_MIN = 8_192;
const PAGE_BYTES_MAX = 262_144;

const encoder = new EntryEncoder();

/** Collects entries of one directory; memory is one page. */
export class DirectoryWriter {
  readonly #store: MetadataStore;
  readonly #limits: Limits;
  readonly #recipe: RecipeWriter;
  #page = new Uint8Array(4096);
  #length = 0;
  /** Bytes of all pages so far. */
  bytes = 0;

  constructor(store: MetadataStore, limits: Limits) {
    this.#store = store;
    this.#limits = limits;
    this.#recipe = new RecipeWriter(store);
  }

  /**
   * Adds the next entry.
   * @returns a promise when a page was full, so that a directory of small files costs no promise per file.
   * @throws {LimitError} when the entry alone is too large.
   */
  add(entry: Entry): Promise<void> | undefined {
    return this.addEncoded(encoder.encode(entry, this.#limits), entry.name);
  }

  /** The same for an entry that is encoded already, as one of an earlier snapshot is. `bytes` are copied. */
  addEncoded(bytes: Uint8Array, name: Uint8Array): Promise<void> | undefined {
    if (this.#length > 0 && this.#length + bytes.length > PAGE_BYTES_MAX) {
      const copy = bytes.slice();
      return this.#writePage().then(() => { this.#append(copy); });
    }
    this.#append(bytes);
    return this.#length >= PAGE_BYTES_MIN && (hashName(name) & 255) === 0 ? this.#writePage() : undefined;
  }

  /** Writes what is left. */
  async finish(): Promise<Content> {
    if (this.#length > 0) await this.#writePage();
    return this.#recipe.finish();
  }

  #append(bytes: Uint8Array): void {
    if (this.#length + bytes.length > this.#page.length) {
      const grown = new Uint8Array(Math.max(this.#page.length * 2, this.#length + bytes.length));
      grown.set(this.#page.subarray(0, this.#length));
      this.#page = grown;
    }
    this.#page.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  async #writePage(): Promise<void> {
    const length = this.#length;
    const id = await this.#store.put(this.#page.subarray(0, length));
    this.#length = 0;
    this.bytes += length;
    if (this.#recipe.push(id, 0, length)) await this.#recipe.flushPages();
  }
}

/** FNV-1a, 32 bits, its high half folded in. */
function hashName(name: Uint8Array): number {
  let hash = 0x811c_9dc5;
  for (let i = 0; i < name.length; i += 1) hash = Math.imul(hash ^ (name[i] as number), 0x0100_0193);
  return (hash ^ (hash >>> 15)) >>> 0;
}
