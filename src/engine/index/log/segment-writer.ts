/** Writes one immutable segment from a sorted stream of entries: header, data pages, fences, filter, footer. */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { crc32c } from '../../../core/crc32c.ts';
import { ID_BYTES } from '../../../core/index.ts';
import type { Disk, DiskFile } from '../../../core/index.ts';
import type { EntryPage } from '../entry-page.ts';
import {
  ENTRIES_PER_PAGE, ENTRY_BYTES, FENCES, LOG_VERSION, logFileName, MAGIC, PAGE_BYTES, segmentFooter, segmentHeader,
} from './log.layout.ts';
import { finishPage, framePage, setEntry } from './page.ts';
import { BLOCK_BYTES, filterBlocks, SegmentFilter } from './segment-filter.ts';

const BUFFER_PAGES = 64;

class SegmentWriter {
  readonly #file: DiskFile;
  readonly #segment: number;
  readonly #digest: Hash = createHash('sha256');
  readonly #buffer: Uint8Array = new Uint8Array(BUFFER_PAGES * PAGE_BYTES);
  readonly #fences: Uint32Array = new Uint32Array(FENCES);
  readonly #filter: SegmentFilter;
  /** Under construction. */
  #page: Uint8Array = this.#buffer.subarray(0, PAGE_BYTES);
  #offset = 0;
  #buffered = 0; // whole pages
  #inPage = 0; // entries of the page under construction
  #pages = 0;
  #count = 0;
  #tombstones = 0;
  #fence = 0; // fences that are set

  constructor(file: DiskFile, segment: number, countMax: number) {
    this.#file = file;
    this.#segment = segment;
    this.#filter = new SegmentFilter(new Uint8Array(filterBlocks(countMax) * BLOCK_BYTES));
  }

  async #append(bytes: Uint8Array): Promise<void> {
    this.#digest.update(bytes);
    await this.#file.writeFrom(this.#offset, bytes);
    this.#offset += bytes.length;
  }

  async begin(): Promise<void> {
    await this.#append(framePage(segmentHeader.encode({
      magic: MAGIC.segment, version: LOG_VERSION, entryBytes: ENTRY_BYTES, pageBytes: PAGE_BYTES, segment: this.#segment,
    })));
  }

  async add(run: EntryPage): Promise<void> {
    for (let i = 0; i < run.count; i += 1) {
      setEntry(this.#page, this.#inPage, run, i);
      this.#note(run, i);
      this.#inPage += 1;
      if (this.#inPage === ENTRIES_PER_PAGE) this.#endPage();
      if (this.#buffered === BUFFER_PAGES) await this.#drain();
    }
  }

  #note({ ids, tombstones }: EntryPage, i: number): void {
    const at = i * ID_BYTES;
    this.#filter.add(ids, at);
    const top = (ids[at] as number) << 2 | (ids[at + 1] as number) >> 6;
    for (; this.#fence <= top; this.#fence += 1) this.#fences[this.#fence] = this.#count;
    this.#count += 1;
    if (tombstones[i] === 1) this.#tombstones += 1;
  }

  #endPage(): void {
    finishPage(this.#page, this.#inPage, { segment: this.#segment, page: this.#pages });
    this.#pages += 1;
    this.#moveTo(this.#buffered + 1);
    this.#inPage = 0;
  }

  #moveTo(page: number): void {
    this.#buffered = page;
    this.#page = this.#buffer.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
  }

  async #drain(): Promise<void> {
    await this.#append(this.#buffer.subarray(0, this.#buffered * PAGE_BYTES));
    this.#buffer.fill(0);
    this.#moveTo(0);
    // A large merge takes seconds: everyone else in the process gets a turn.
    await setImmediate();
  }

  async end(): Promise<void> {
    if (this.#inPage > 0) this.#endPage();
    if (this.#buffered > 0) await this.#drain();
    const fences = new Uint8Array(FENCES * 4);
    const view = new DataView(fences.buffer);
    for (let i = 0; i < FENCES; i += 1) view.setUint32(i * 4, i < this.#fence ? this.#fences[i] as number : this.#count);
    await this.#append(fences);
    const filter = this.#filter.bytes;
    await this.#append(filter);
    await this.#append(new Uint8Array((PAGE_BYTES - filter.length % PAGE_BYTES) % PAGE_BYTES));
    await this.#file.writeFrom(this.#offset, framePage(segmentFooter.encode({
      magic: MAGIC.footer, segment: this.#segment, count: this.#count, tombstones: this.#tombstones, pages: this.#pages,
      filterBlocks: filter.length / BLOCK_BYTES, fencesCrc: crc32c(fences), filterCrc: crc32c(filter), digest: this.#digest.digest(),
    })));
    await this.#file.sync();
  }
}

/** What to write: at most `countMax` (< 2^32) distinct entries in ascending order. */
export interface SegmentContent {
  readonly countMax: number;
  readonly pages: AsyncIterable<EntryPage> | Iterable<EntryPage>;
}

/**
 * Creates the segment file. On resolve its bytes are durable, its name is not (sync the directory). Memory: a buffer of
 * 256 KiB and the filter, at most 4 MiB.
 */
export async function writeSegment(disk: Disk, segment: number, content: SegmentContent): Promise<void> {
  const file = await disk.create(logFileName('seg', segment));
  try {
    const writer = new SegmentWriter(file, segment, content.countMax);
    await writer.begin();
    for await (const page of content.pages) await writer.add(page);
    await writer.end();
  } finally {
    await file.close();
  }
}
