/**
 * Which chunks the snapshots reach, in bounded memory: the metadata is read level by level. The ids of one level are sorted, those of
 * earlier levels are left out, and the rest is read in the order in which it lies in the containers, so that a group is decompressed once a
 * level. What can't be read ends the mark: treating it as empty would give away what lies below it.
 */
import {
  AbortedError, ID_BYTES, PLACE_BYTES, type Disk, type IdBatch, type Limits,
} from '../../core/index.ts';
import { decodeEntries, type Entry } from '../snapshots/entry.ts';
import { REF_BYTES, isHole, refLength, refStarts, type Content } from '../snapshots/refs.ts';
import { ExternalSorter, RunFile, SORT_BUDGET_BYTES, filterPages, mergePages, type RecordPage, type SortOptions } from '../sort/index.ts';

/** What a mark works with. */
export interface MarkParts {
  readonly disk: Disk;
  /** Names of temporary files begin so, such as `temporary/<writer>-mark1`; a mark whose result is still there has another one. */
  readonly prefix: string;
  /** Places of chunks, as `LocalStore.locate` gives them. */
  readonly store: { locate(ids: IdBatch): Promise<Uint8Array> };
  /** Whole metadata chunks, checked against their ids, as `MetadataStore.get` gives them. */
  readonly metadata: { get(id: Uint8Array): Promise<Uint8Array> };
  readonly limits: Limits;
  /** Bytes of all sort buffers together. Default {@link SORT_BUDGET_BYTES}. */
  readonly budgetBytes?: number;
  readonly signal?: AbortSignal;
  /** Sees each entry of each directory page that is read, and the roots. */
  onEntry?(entry: Entry): void;
  /** Told of metadata chunks twice: how many bytes a reference says that one covers, and how many it does cover. */
  onCovered?(id: Uint8Array, bytes: number): Promise<void> | undefined;
  /** After each level and now and then within one. */
  onProgress?(progress: MarkProgress): void;
}

/** How far a mark is. */
export interface MarkProgress {
  readonly level: number;
  /** Metadata chunks that were read. */
  readonly metadataRead: number;
  /** References to content, repeated ones included. */
  readonly references: number;
}

/** The reachable chunks. */
export interface MarkResult extends MarkProgress {
  /** Ids of all reachable chunks, data and metadata, ascending, each once. The caller removes it. */
  readonly reachable: RunFile;
}

/** A metadata chunk to read: its id, then what it is, so that one id in two roles is read in both. */
const ITEM_BYTES = ID_BYTES + 4;
/** An item behind its place: sorted, that is the order of reading. */
const PLACED_BYTES = PLACE_BYTES + ITEM_BYTES;
const PAGE_RECORDS = 1024;
/** Pages of a directory say what is below them; those of a file only lead to content. */
const KIND = { file: 0, directory: 1 } as const;
type Kind = (typeof KIND)[keyof typeof KIND];

/** Collects single records for a sorter. */
class Batch {
  readonly #sorter: ExternalSorter;
  readonly #recordBytes: number;
  readonly #bytes: Uint8Array;
  #count = 0;

  constructor(sorter: ExternalSorter, recordBytes: number) {
    this.#sorter = sorter;
    this.#recordBytes = recordBytes;
    this.#bytes = new Uint8Array(recordBytes * PAGE_RECORDS);
  }

  /** Appends one record made of `parts`. @returns true when `flush` is due. */
  push(...parts: readonly Uint8Array[]): boolean {
    let at = this.#count * this.#recordBytes;
    for (const part of parts) {
      this.#bytes.set(part, at);
      at += part.length;
    }
    this.#count += 1;
    return this.#count === PAGE_RECORDS;
  }

  async flush(): Promise<void> {
    await this.#sorter.add({ bytes: this.#bytes, count: this.#count });
    this.#count = 0;
  }
}

/** One run of a mark. */
class Mark {
  readonly #parts: MarkParts;
  readonly #budget: number;
  /** All that is reachable. */
  readonly #reached: ExternalSorter;
  readonly #leaves: Batch;
  /** Sorted items of earlier levels; each list is at least twice as long as the next one. */
  #seen: RunFile[] = [];
  #open: { close(): Promise<void> }[] = [];
  #files = 0;
  #progress = { level: 0, metadataRead: 0, references: 0 };

  constructor(parts: MarkParts) {
    this.#parts = parts;
    this.#budget = parts.budgetBytes ?? SORT_BUDGET_BYTES;
    this.#reached = this.#sorter(ID_BYTES, 2);
    this.#leaves = new Batch(this.#reached, ID_BYTES);
  }

  async run(roots: AsyncIterable<Entry> | Iterable<Entry>): Promise<MarkResult> {
    try {
      let next = this.#sorter(ITEM_BYTES, 4);
      let items = new Batch(next, ITEM_BYTES);
      for await (const root of roots) await this.#expandEntry(root, items);
      for (;;) {
        await items.flush();
        const fresh = await this.#withoutSeen(next);
        if (fresh.count === 0) break;
        next = this.#sorter(ITEM_BYTES, 4);
        items = new Batch(next, ITEM_BYTES);
        await this.#readLevel(fresh, items);
        this.#progress.level += 1;
        this.#parts.onProgress?.({ ...this.#progress });
      }
      await this.#leaves.flush();
      const reachable = await this.#write(ID_BYTES, this.#reached.sorted());
      return { ...this.#progress, reachable };
    } finally {
      for (const one of this.#open) await one.close();
      for (const run of this.#seen) await run.remove();
    }
  }

  /** @param share the part of the budget, as a divisor. */
  #sorter(recordBytes: number, share: number): ExternalSorter {
    this.#files += 1;
    const options: SortOptions = { recordBytes, duplicates: 'unique', budgetBytes: Math.floor(this.#budget / share) };
    const sorter = new ExternalSorter({ disk: this.#parts.disk, prefix: `${this.#parts.prefix}-${this.#files}` }, options);
    this.#open.push(sorter);
    return sorter;
  }

  #write(recordBytes: number, pages: AsyncIterable<RecordPage>): Promise<RunFile> {
    this.#files += 1;
    return RunFile.write(this.#parts.disk, `${this.#parts.prefix}-${this.#files}-list`, recordBytes, pages);
  }

  /** The items of a level that no earlier level had; from now on they are among the seen. */
  async #withoutSeen(level: ExternalSorter): Promise<RunFile> {
    const seen = { pages: this.#merged(this.#seen), recordBytes: ITEM_BYTES };
    const fresh = filterPages({ pages: level.sorted(), recordBytes: ITEM_BYTES }, seen, { prefixBytes: ITEM_BYTES, keep: 'absent' });
    const run = await this.#write(ITEM_BYTES, this.#packed(fresh));
    await level.close();
    this.#open = this.#open.filter((one) => one !== level);
    this.#seen.push(run);
    return run;
  }

  #merged(runs: readonly RunFile[]): AsyncIterable<RecordPage> {
    return mergePages(runs.map((run) => run.pages()), { recordBytes: ITEM_BYTES, pageRecords: PAGE_RECORDS, inputRecordsMax: PAGE_RECORDS, duplicates: 'unique' });
  }

  /** Full pages of what a filter left over. */
  async *#packed(pages: AsyncIterable<RecordPage>): AsyncIterable<RecordPage> {
    const bytes = new Uint8Array(PAGE_RECORDS * ITEM_BYTES);
    let filled = 0;
    for await (const page of pages) {
      for (let taken = 0; taken < page.count;) {
        const count = Math.min(page.count - taken, PAGE_RECORDS - filled);
        bytes.set(page.bytes.subarray(taken * ITEM_BYTES, (taken + count) * ITEM_BYTES), filled * ITEM_BYTES);
        taken += count;
        filled += count;
        if (filled < PAGE_RECORDS) continue;
        yield { bytes, count: filled };
        filled = 0;
      }
    }
    if (filled > 0) yield { bytes, count: filled };
  }

  async #readLevel(fresh: RunFile, items: Batch): Promise<void> {
    const placed = this.#sorter(PLACED_BYTES, 4);
    const rows = new Batch(placed, PLACED_BYTES);
    for await (const page of fresh.pages()) await this.#place(page, rows);
    await rows.flush();
    await this.#compactSeen();
    for await (const { bytes, count } of placed.sorted()) {
      for (let i = 0; i < count; i += 1) {
        if (this.#parts.signal?.aborted === true) throw new AbortedError();
        const at = i * PLACED_BYTES + PLACE_BYTES;
        await this.#expandItem(bytes.subarray(at, at + ITEM_BYTES), items);
      }
      this.#parts.onProgress?.({ ...this.#progress });
    }
    await placed.close();
    this.#open = this.#open.filter((one) => one !== placed);
  }

  /** Looks up where a page of items lies; they are reachable themselves. */
  async #place(page: RecordPage, rows: Batch): Promise<void> {
    const ids = new Uint8Array(page.count * ID_BYTES);
    for (let i = 0; i < page.count; i += 1) ids.set(page.bytes.subarray(i * ITEM_BYTES, i * ITEM_BYTES + ID_BYTES), i * ID_BYTES);
    await this.#reached.add({ bytes: ids, count: page.count });
    const places = await this.#parts.store.locate({ bytes: ids, count: page.count });
    for (let i = 0; i < page.count; i += 1) {
      const place = places.subarray(i * PLACE_BYTES, (i + 1) * PLACE_BYTES);
      if (rows.push(place, page.bytes.subarray(i * ITEM_BYTES, (i + 1) * ITEM_BYTES))) await rows.flush();
    }
  }

  /** Merges the youngest lists of seen items while they are of similar length: few lists, and none is written often. */
  async #compactSeen(): Promise<void> {
    for (;;) {
      const [older, younger] = this.#seen.slice(-2);
      if (older === undefined || younger === undefined || older.count >= 2 * younger.count) return;
      const merged = await this.#write(ITEM_BYTES, this.#merged([older, younger]));
      this.#seen.splice(-2, 2, merged);
      await older.remove();
      await younger.remove();
    }
  }

  async #expandItem(item: Uint8Array, items: Batch): Promise<void> {
    const bytes = await this.#parts.metadata.get(item.subarray(0, ID_BYTES));
    const kind = item[ID_BYTES] as Kind;
    const depth = item[ID_BYTES + 1] as number;
    this.#progress.metadataRead += 1;
    if (depth > 0) {
      const covered = refStarts(bytes, 0).at(-1) as number; // and its shape
      await this.#parts.onCovered?.(item.subarray(0, ID_BYTES), covered);
      await this.#expand({ depth: depth - 1, refs: bytes }, kind, items);
      return;
    }
    await this.#parts.onCovered?.(item.subarray(0, ID_BYTES), bytes.length);
    for (const entry of decodeEntries(bytes, this.#parts.limits)) await this.#expandEntry(entry, items);
  }

  async #expandEntry(entry: Entry, items: Batch): Promise<void> {
    this.#parts.onEntry?.(entry);
    await this.#expand(entry.content, entry.stat.type === 'directory' ? KIND.directory : KIND.file, items);
  }

  async #expand({ depth, refs }: Content, kind: Kind, items: Batch): Promise<void> {
    const isContent = depth === 0 && kind === KIND.file;
    const role = Uint8Array.of(kind, depth, 0, 0);
    const count = refs.length / REF_BYTES;
    for (let i = 0; i < count; i += 1) {
      if (isHole(refs, i)) continue;
      const id = refs.subarray(i * REF_BYTES, i * REF_BYTES + ID_BYTES);
      if (!isContent) {
        await this.#parts.onCovered?.(id, refLength(refs, i));
        if (items.push(id, role)) await items.flush();
        continue;
      }
      this.#progress.references += 1;
      if (this.#leaves.push(id)) await this.#leaves.flush();
    }
  }
}

/**
 * Finds all chunks that the given root directories (of manifests) reach. Changes nothing but temporary files, which are gone when it ends,
 * also by an error; only the result is left. Whether content chunks exist is not looked at: join the result with the index for that.
 * @throws {NotFoundError} a metadata chunk is missing. @throws {IntegrityError} one is damaged. @throws {FormatError} one says nonsense.
 * @throws {AbortedError} by the signal.
 */
export function mark(roots: AsyncIterable<Entry> | Iterable<Entry>, parts: MarkParts): Promise<MarkResult> {
  return new Mark(parts).run(roots);
}
