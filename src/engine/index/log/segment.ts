/**
 * Reads an immutable sorted segment. Ids are uniform, so a position interpolated between two of 1,024 fences is wrong by
 * about half the square root of the entries between them: one or two pages are read, whatever the size. In memory: 4 KiB
 * of fences and, while the index's budget lasts, the filter.
 */
import { crc32c } from '../../../core/crc32c.ts';
import { equalBytes, ID_BYTES, IntegrityError, NotFoundError, PLACE_BYTES } from '../../../core/index.ts';
import type { Disk, DiskFile } from '../../../core/index.ts';
import { copyId, type EntryPage } from '../entry-page.ts';
import {
  ENTRIES_PER_PAGE, ENTRY_BYTES, FENCES, LOG_VERSION, logFileName, MAGIC, PAGE_BYTES, segmentFooter, segmentHeader,
} from './log.layout.ts';
import { copyPlace, hasMagic, isRemoved, isSealed, openPage, prefixAt, searchPage } from './page.ts';
import { BLOCK_BYTES, SegmentFilter } from './segment-filter.ts';

const SCAN_PAGES = 16;
// Interpolation that has not converged by then (ids that are no hashes) goes on as bisection.
const INTERPOLATIONS = 4;

/** The result of a lookup in one segment; `removed` hides what older segments hold. */
export type SegmentHit = 'found' | 'removed' | 'absent';

function damaged(segment: number, what: string): IntegrityError {
  return new IntegrityError(`Open index segment '${segment}': ${what}`, { file: logFileName('seg', segment) });
}

/** Reads 4 KiB at `offset`; a short file is damage. */
async function readPart(file: DiskFile, segment: number, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  if (offset < 0 || offset + length > file.size) throw damaged(segment, `the file has '${file.size}' bytes, expected at least '${offset + length}'`);
  await file.readInto(offset, bytes);
  return bytes;
}

interface Facts {
  readonly segment: number;
  readonly count: number;
  readonly tombstones: number;
  readonly pages: number;
  readonly digest: Uint8Array;
  readonly filterBytes: number;
  readonly filterCrc: number;
  readonly fences: DataView;
}

async function readFacts(file: DiskFile, segment: number): Promise<Facts> {
  const head = await readPart(file, segment, 0, PAGE_BYTES);
  const header = segmentHeader.view(head);
  if (!isSealed(head) || !hasMagic(head, MAGIC.segment)) throw damaged(segment, 'the header is damaged');
  if (header.version !== LOG_VERSION || header.entryBytes !== ENTRY_BYTES || header.pageBytes !== PAGE_BYTES || header.segment !== segment) {
    throw damaged(segment, `the header says version '${header.version}', segment '${header.segment}'; expected '${LOG_VERSION}' and '${segment}'`);
  }
  const foot = await readPart(file, segment, file.size - PAGE_BYTES, PAGE_BYTES);
  if (!isSealed(foot) || !hasMagic(foot, MAGIC.footer)) throw damaged(segment, 'the footer is damaged');
  const footer = segmentFooter.view(foot);
  const { count, pages } = footer;
  const filterBytes = footer.filterBlocks * BLOCK_BYTES;
  const size = (3 + pages + Math.ceil(filterBytes / PAGE_BYTES)) * PAGE_BYTES;
  if (footer.segment !== segment || pages !== Math.ceil(count / ENTRIES_PER_PAGE) || filterBytes === 0 || size !== file.size || footer.tombstones > count) {
    throw damaged(segment, `the footer of segment '${footer.segment}' says '${count}' entries in '${pages}' pages, the file has '${file.size}' bytes`);
  }
  const fences = await readPart(file, segment, (1 + pages) * PAGE_BYTES, FENCES * 4);
  if (crc32c(fences) !== footer.fencesCrc) throw damaged(segment, 'the checksum of the fences does not hold');
  return {
    segment, count, pages, tombstones: footer.tombstones, digest: footer.digest, filterBytes, filterCrc: footer.filterCrc, fences: new DataView(fences.buffer),
  };
}

/** Appends the entries of a data page to `target`; returns its new count. */
function unpackPage(page: Uint8Array, entries: number, target: EntryPage): number {
  for (let i = 0; i < entries; i += 1) {
    const to = target.count + i;
    copyId(page, i * ENTRY_BYTES, target.ids, to * ID_BYTES);
    copyPlace(page, i, target.places, to);
    target.tombstones[to] = isRemoved(page, i) ? 1 : 0;
  }
  return target.count + entries;
}

/** An open segment. Lookups may run at the same time, each with a {@link SegmentCursor} of its own. */
export class Segment {
  readonly #file: DiskFile;
  readonly #facts: Facts;
  #filter: SegmentFilter | undefined;

  private constructor(file: DiskFile, facts: Facts) {
    this.#file = file;
    this.#facts = facts;
  }

  /**
   * Opens and checks header, footer and fences; data pages are checked when they are read.
   * @param digest the digest that the footer must show. @throws {IntegrityError} damaged or absent.
   */
  static async open(disk: Disk, segment: number, digest?: Uint8Array): Promise<Segment> {
    let file: DiskFile;
    try {
      file = await disk.open(logFileName('seg', segment), 'read');
    } catch (error) {
      if (error instanceof NotFoundError) throw new IntegrityError(`Open index segment '${segment}': the file is missing`, { segment }, error);
      throw error;
    }
    try {
      const facts = await readFacts(file, segment);
      if (digest !== undefined && !equalBytes(digest, facts.digest)) throw damaged(segment, 'the digest is not the one that CURRENT names');
      return new Segment(file, facts);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get number(): number {
    return this.#facts.segment;
  }

  /** SHA-256 of all bytes before the footer. */
  get digest(): Uint8Array {
    return this.#facts.digest;
  }

  /** Entries, tombstones included. */
  get count(): number {
    return this.#facts.count;
  }

  get tombstones(): number {
    return this.#facts.tombstones;
  }

  get pages(): number {
    return this.#facts.pages;
  }

  /** Bytes that {@link loadFilter} takes. */
  get filterBytes(): number {
    return this.#facts.filterBytes;
  }

  /** Keeps the filter in memory from now on. @throws {IntegrityError} */
  async loadFilter(): Promise<void> {
    const { segment, pages, filterBytes, filterCrc } = this.#facts;
    if (this.#filter !== undefined) return;
    const bytes = await readPart(this.#file, segment, (2 + pages) * PAGE_BYTES, filterBytes);
    if (crc32c(bytes) !== filterCrc) throw damaged(segment, 'the checksum of the filter does not hold');
    this.#filter = new SegmentFilter(bytes);
  }

  /** Forgets the filter; lookups read pages instead. */
  dropFilter(): void {
    this.#filter = undefined;
  }

  /** False when the id at offset `at` is surely not here. */
  maybe(ids: Uint8Array, at: number): boolean {
    return this.#filter === undefined || this.#filter.maybe(ids, at);
  }

  /** Reads and checks data pages from `page` on into `target`, as many as it holds. @throws {IntegrityError} */
  async readPages(page: number, target: Uint8Array): Promise<void> {
    await this.#file.readInto((1 + page) * PAGE_BYTES, target);
    for (let at = 0; at < target.length; at += PAGE_BYTES) {
      const number = page + at / PAGE_BYTES;
      openPage(target.subarray(at, at + PAGE_BYTES), { segment: this.#facts.segment, page: number }, this.entriesOf(number));
    }
  }

  /** Entries of a data page. */
  entriesOf(page: number): number {
    return Math.min(ENTRIES_PER_PAGE, this.#facts.count - page * ENTRIES_PER_PAGE);
  }

  /** Ranks between which an id must be, from the fences, and the interpolated rank. */
  estimate(id: Uint8Array): { readonly low: number; readonly high: number; readonly rank: number } {
    const { fences, count } = this.#facts;
    const prefix = prefixAt(id, 0);
    const bin = Math.floor(prefix / 2 ** 38);
    const low = Math.min(count, fences.getUint32(bin * 4));
    const high = bin + 1 < FENCES ? Math.min(count, fences.getUint32(bin * 4 + 4)) : count;
    return { low, high, rank: low + Math.floor((high - low) * (prefix % 2 ** 38) / 2 ** 38) };
  }

  /** All entries in order, checked. A page is valid until the next one is asked for; memory is 128 KiB. @throws {IntegrityError} */
  async *entries(): AsyncIterable<EntryPage> {
    const bytes = new Uint8Array(SCAN_PAGES * PAGE_BYTES);
    const entries = SCAN_PAGES * ENTRIES_PER_PAGE;
    const target = { ids: new Uint8Array(entries * ID_BYTES), places: new Uint8Array(entries * PLACE_BYTES), tombstones: new Uint8Array(entries) };
    for (let page = 0; page < this.#facts.pages; page += SCAN_PAGES) {
      const pages = Math.min(SCAN_PAGES, this.#facts.pages - page);
      await this.readPages(page, bytes.subarray(0, pages * PAGE_BYTES));
      let count = 0;
      for (let i = 0; i < pages; i += 1) {
        count = unpackPage(bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES), this.entriesOf(page + i), { ...target, count });
      }
      yield { ...target, count };
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Lookups in one segment by one caller; it remembers the last page, so that sorted ids share reads. */
export class SegmentCursor {
  readonly segment: Segment;
  readonly #page: Uint8Array = new Uint8Array(PAGE_BYTES);
  #loaded = -1;

  constructor(segment: Segment) {
    this.segment = segment;
  }

  /** Looks up one id; its place goes to position `to` of `places`. @throws {IntegrityError} a page is damaged. */
  async find(id: Uint8Array, places: Uint8Array, to: number): Promise<SegmentHit> {
    const { low, high, rank } = this.segment.estimate(id);
    if (low >= high) return 'absent';
    let first = Math.floor(low / ENTRIES_PER_PAGE);
    let last = Math.floor((high - 1) / ENTRIES_PER_PAGE);
    let page = Math.min(last, Math.floor(rank / ENTRIES_PER_PAGE));
    for (let step = 0; first <= last; step += 1) {
      if (page !== this.#loaded) await this.#load(page);
      const hit = searchPage(this.#page, this.segment.entriesOf(page), id);
      if (hit === 'absent') return 'absent';
      if (typeof hit === 'object') return this.#take(hit.index, places, to);
      if (hit === 'before') last = page - 1;
      else first = page + 1;
      // The estimate is off by few pages: walk to the neighbour first, bisect when that does not end.
      if (step >= INTERPOLATIONS) page = (first + last) >> 1;
      else page += hit === 'before' ? -1 : 1;
    }
    return 'absent';
  }

  #take(index: number, places: Uint8Array, to: number): SegmentHit {
    if (isRemoved(this.#page, index)) return 'removed';
    copyPlace(this.#page, index, places, to);
    return 'found';
  }

  async #load(page: number): Promise<void> {
    this.#loaded = -1;
    await this.segment.readPages(page, this.#page);
    this.#loaded = page;
  }
}
