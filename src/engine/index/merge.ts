/** Merges sorted runs of entries into one; where several runs hold an id, the newest run wins. */
import { ID_BYTES, PLACE_BYTES } from '../../core/index.ts';
import { PAGE_ENTRIES, copyId, copyPlaceBytes } from './entry-page.ts';
import type { EntryPage } from './entry-page.ts';

class Head {
  readonly #pages: AsyncIterator<EntryPage> | Iterator<EntryPage>;
  #page: EntryPage | undefined;
  #at = 0;
  /** First 32 bits of the current id, which decide nearly every comparison; infinite at the end. */
  prefix: number = Number.POSITIVE_INFINITY;

  constructor(pages: AsyncIterable<EntryPage> | Iterable<EntryPage>) {
    this.#pages = Symbol.asyncIterator in pages ? pages[Symbol.asyncIterator]() : pages[Symbol.iterator]();
  }

  /** Moves inside the current page; false when the next page must be awaited. */
  step(): boolean {
    this.#at += 1;
    return this.#show();
  }

  async nextPage(): Promise<void> {
    do {
      const next = await this.#pages.next();
      this.#page = next.done === true ? undefined : next.value;
      this.#at = 0;
    } while (this.#page !== undefined && this.#page.count === 0);
    if (this.#page === undefined) this.prefix = Number.POSITIVE_INFINITY;
    else this.#show();
  }

  #show(): boolean {
    const page = this.#page;
    if (page === undefined || this.#at >= page.count) return false;
    const at = this.#at * ID_BYTES;
    this.prefix = (page.ids[at] as number) * 0x1000000 + ((page.ids[at + 1] as number) << 16 | (page.ids[at + 2] as number) << 8 | (page.ids[at + 3] as number));
    return true;
  }

  get id(): Uint8Array {
    return (this.#page as EntryPage).ids.subarray(this.#at * ID_BYTES, (this.#at + 1) * ID_BYTES);
  }

  get removed(): boolean {
    return (this.#page as EntryPage).tombstones[this.#at] === 1;
  }

  copyTo(target: EntryPage, index: number): void {
    const page = this.#page as EntryPage;
    copyId(page.ids, this.#at * ID_BYTES, target.ids, index * ID_BYTES);
    copyPlaceBytes(page.places, this.#at * PLACE_BYTES, target.places, index * PLACE_BYTES);
    target.tombstones[index] = page.tombstones[this.#at] as number;
  }

  async close(): Promise<void> {
    await this.#pages.return?.();
  }
}

function isBefore(a: Head, b: Head): boolean {
  return a.prefix < b.prefix || a.prefix === b.prefix && a.prefix !== Number.POSITIVE_INFINITY && Buffer.compare(a.id, b.id) < 0;
}

function smallest(heads: readonly Head[]): Head | undefined {
  let best: Head | undefined;
  for (const head of heads) if (head.prefix !== Number.POSITIVE_INFINITY && (best === undefined || isBefore(head, best))) best = head;
  return best;
}

function emptyPage(): EntryPage & { count: number } {
  return { count: 0, ids: new Uint8Array(PAGE_ENTRIES * ID_BYTES), places: new Uint8Array(PAGE_ENTRIES * PLACE_BYTES), tombstones: new Uint8Array(PAGE_ENTRIES) };
}

/** What to do with tombstones. */
export interface MergeOptions {
  /** False when no older run lies below the given ones. */
  readonly keepTombstones: boolean;
}

/**
 * Yields the union in ascending id order. All pages are the same buffers, valid until the next one is asked for: with new ones, millions of entries
 * would be tens of megabytes of garbage. Memory is one page for each run. @param runs newest first.
 */
export async function* mergeRuns(runs: readonly (AsyncIterable<EntryPage> | Iterable<EntryPage>)[], { keepTombstones }: MergeOptions): AsyncIterable<EntryPage> {
  const heads = runs.map((run) => new Head(run));
  try {
    for (const head of heads) await head.nextPage();
    const page = emptyPage();
    for (let best = smallest(heads); best !== undefined; best = smallest(heads)) {
      if (keepTombstones || !best.removed) {
        best.copyTo(page, page.count);
        page.count += 1;
      }
      // `smallest` prefers the first of equals, which is the newest; the older ones are passed over.
      const { prefix } = best;
      for (const head of heads) {
        if (head === best || head.prefix !== prefix || Buffer.compare(head.id, best.id) !== 0) continue;
        if (!head.step()) await head.nextPage();
      }
      if (!best.step()) await best.nextPage();
      if (page.count === PAGE_ENTRIES) {
        yield page;
        page.count = 0;
      }
    }
    if (page.count > 0) yield page;
  } finally {
    for (const head of heads) await head.close();
  }
}
