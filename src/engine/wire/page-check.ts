/**
 * What metadata refers to. A page that a client puts may only refer to chunks that are stored, so that each page of the store stands on stored chunks, and
 * a manifest whose root is known has no hole.
 */
import { HoldfastError, ID_BYTES, IntegrityError, idToHex, type IdBatch, type Limits } from '../../core/index.ts';
import { decodeEntries, type Entry } from '../snapshots/entry.ts';
import type { MetadataStore } from '../snapshots/metadata-store.ts';
import { REF_BYTES, isHole, refId, type Content } from '../snapshots/refs.ts';
import { IdSet } from '../store/id-table.ts';
import type { IngestStore } from '../store/content-store.ts';
import { IDS_MAX } from './message.layout.ts';

/** References that one question may look at; where more are needed, the answer is no. */
const REFS_MAX = 4_000_000;
/** Pages of references remembered as intact. */
const PAGES_KEPT = 65_536;

function entriesOf(page: Uint8Array, limits: Limits): readonly Entry[] | undefined {
  try {
    return decodeEntries(page, limits);
  } catch (error) {
    if (error instanceof HoldfastError || error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The references in a metadata chunk: those of its entries when it is a page of a directory, else itself. @throws {IntegrityError} it is neither. */
function referencesIn(page: Uint8Array, limits: Limits): readonly Uint8Array[] {
  const entries = entriesOf(page, limits);
  if (entries !== undefined) return entries.map(({ content }) => content.refs);
  if (page.length % REF_BYTES !== 0) throw new IntegrityError(`Put metadata: a chunk of '${page.length}' bytes is neither a page of a directory nor one of references`);
  return [page];
}

/** Checks that metadata pages refer only to chunks that are stored, or stand before them in the same group. */
export async function checkPages(store: IngestStore, pages: Iterable<Uint8Array>, ids: IdBatch, limits: Limits): Promise<void> {
  const own = new IdSet(ids.count);
  const asked = new Uint8Array(IDS_MAX * ID_BYTES);
  let count = 0;
  const ask = async (): Promise<void> => {
    if (count > 0) await checkKnown(store, { bytes: asked, count }, 'Put metadata');
    count = 0;
  };
  let page = 0;
  for (const bytes of pages) {
    for (const refs of referencesIn(bytes, limits)) {
      for (let i = 0; i < refs.length / REF_BYTES; i += 1) {
        if (isHole(refs, i) || own.has(refs, i * REF_BYTES)) continue;
        asked.set(refId(refs, i), count * ID_BYTES);
        count += 1;
        if (count === IDS_MAX) await ask();
      }
    }
    own.add(ids.bytes, page * ID_BYTES);
    page += 1;
  }
  await ask();
}

/** @throws {IntegrityError} naming the first chunk that is not stored. */
export async function checkKnown(store: IngestStore, ids: IdBatch, what: string): Promise<void> {
  const known = await store.has(ids);
  for (let i = 0; i < ids.count; i += 1) {
    if (((known[i >> 3] as number) & (1 << (i & 7))) === 0) {
      throw new IntegrityError(`${what}: it refers to chunk '${idToHex(ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES))}', which is not stored`);
    }
  }
}

/** Says which pages of an earlier snapshot can be taken over: files in others must be read again. */
export class IntactPages {
  readonly #store: IngestStore;
  readonly #metadata: MetadataStore;
  readonly #limits: Limits;
  #intact = new IdSet(16);

  constructor(parts: { readonly store: IngestStore; readonly metadata: MetadataStore; readonly limits: Limits }) {
    this.#store = parts.store;
    this.#metadata = parts.metadata;
    this.#limits = parts.limits;
  }

  /** Whether no chunk below the files of a directory's page is surely lost; false for other chunks. */
  async isIntact(page: Uint8Array): Promise<boolean> {
    const entries = entriesOf(page, this.#limits);
    if (entries === undefined) return false;
    const budget = { left: REFS_MAX };
    for (const { stat, content } of entries) {
      if (stat.type === 'file' && !(await this.#isContentIntact(content, budget))) return false;
    }
    return true;
  }

  async #isContentIntact({ depth, refs }: Content, budget: { left: number }): Promise<boolean> {
    const count = refs.length / REF_BYTES;
    budget.left -= count;
    if (budget.left < 0 || depth > this.#limits.recipeDepthMax) return false;
    for (let i = 0; i < count; i += 1) {
      if (!isHole(refs, i) && this.#store.mayKnow?.(refId(refs, i)) === false) return false;
    }
    for (let i = 0; depth > 0 && i < count; i += 1) if (!(await this.#isPageIntact(refId(refs, i), depth - 1, budget))) return false;
    return true;
  }

  async #isPageIntact(id: Uint8Array, depth: number, budget: { left: number }): Promise<boolean> {
    if (this.#intact.has(id, 0)) return true;
    const refs = await this.#metadata.get(id);
    if (refs.length % REF_BYTES !== 0 || !(await this.#isContentIntact({ depth, refs }, budget))) return false;
    if (this.#intact.count >= PAGES_KEPT) this.#intact = new IdSet(16);
    this.#intact.add(id, 0);
    return true;
  }
}
