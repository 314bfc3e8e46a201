/** Sorts any number of records in bounded memory: sorted runs in temporary files, then merges of as many as memory allows. */
import assert from 'node:assert';
import { mergePages } from './merge-pages.ts';
import { RecordOutput, type Duplicates } from './record-output.ts';
import { assertRecordBytes, type RecordPage } from './record-page.ts';
import { RecordSorter } from './record-sorter.ts';
import { RunFile, type RunPlace } from './run-file.ts';

/** What to sort, and in how much memory. */
export interface SortOptions {
  /** A multiple of 4. */
  readonly recordBytes: number;
  /** Of equal records, whether one or all come out. */
  readonly duplicates: Duplicates;
  /** Bytes of all buffers together. Default {@link SORT_BUDGET_BYTES}. */
  readonly budgetBytes?: number;
}

/** 32 MiB. */
export const SORT_BUDGET_BYTES: number = 32 << 20;

/** Runs of one merge. With the default budget, 33 million ids are merged in one pass. */
const FAN_IN = 48;
const FIRST_RECORDS = 1024;

/** What a sort did. */
export interface SortStatistics {
  readonly records: number;
  /** Runs written, those of merges before the last included; 0 when all fitted into memory. */
  readonly runs: number;
  readonly bytesWritten: number;
}

/** One sort: `add` any number of times, `sorted` once. Always `close` it. */
export class ExternalSorter {
  readonly #place: RunPlace;
  readonly #recordBytes: number;
  readonly #duplicates: Duplicates;
  readonly #capacity: number;
  readonly #pageRecords: number;
  #buffer: Uint8Array = new Uint8Array(0);
  #count = 0;
  #sorter: RecordSorter | undefined;
  #runs: RunFile[] = [];
  #state: 'filling' | 'spilling' | 'done' = 'filling';
  #statistics = { records: 0, runs: 0, bytesWritten: 0 };

  constructor(place: RunPlace, options: SortOptions) {
    assertRecordBytes(options.recordBytes);
    this.#place = place;
    this.#recordBytes = options.recordBytes;
    this.#duplicates = options.duplicates;
    const budget = options.budgetBytes ?? SORT_BUDGET_BYTES;
    const perRecord = options.recordBytes + RecordSorter.overheadBytes;
    // While merging: for each run a page to read and its share of the window; and a page of output.
    this.#pageRecords = Math.max(1, Math.floor(budget / (FAN_IN * (options.recordBytes + perRecord) + options.recordBytes)));
    this.#capacity = Math.max(2, Math.floor((budget - this.#pageRecords * options.recordBytes) / perRecord));
  }

  get statistics(): SortStatistics {
    return this.#statistics;
  }

  /**
   * Takes records; `page.bytes` belongs to the caller again once the call returns, or the promise resolves where there is one: then a run
   * is being written, and the next call has to wait for it. @throws {ToolError} the disk is full or fails.
   */
  add(page: RecordPage): Promise<void> | undefined {
    assert(this.#state === 'filling', 'records are added one call after the other, and before the sorted ones are asked for');
    this.#statistics.records += page.count;
    const taken = this.#fill(page, 0);
    return taken === page.count ? undefined : this.#addRest(page, taken);
  }

  /**
   * All records in ascending order, in pages of one reused buffer. Removes its files when it ends or is left.
   * @throws {IntegrityError} a temporary file does not hold what was written. @throws {ToolError}
   */
  async *sorted(): AsyncIterable<RecordPage> {
    assert(this.#state === 'filling', 'the sorted records are asked for once');
    this.#state = 'done';
    try {
      if (this.#runs.length === 0) {
        yield* this.#sortBuffer();
        return;
      }
      await this.#spill();
      this.#release(); // the merge needs the memory
      while (this.#runs.length > FAN_IN) await this.#mergeSome();
      yield* this.#merge(this.#runs);
    } finally {
      await this.close();
    }
  }

  /** Frees memory and removes the temporary files. Can be called in any state, several times. */
  async close(): Promise<void> {
    this.#state = 'done';
    this.#release();
    const runs = this.#runs;
    this.#runs = [];
    for (const run of runs) await run.remove();
  }

  async #addRest(page: RecordPage, from: number): Promise<void> {
    this.#state = 'spilling';
    for (let taken = from; taken < page.count; taken = this.#fill(page, taken)) await this.#spill();
    if (this.#state === 'spilling') this.#state = 'filling'; // else it was closed meanwhile
  }

  /** Copies what fits, from record `from` on. @returns the first record that did not. */
  #fill(page: RecordPage, from: number): number {
    const end = Math.min(page.count, from + this.#capacity - this.#count);
    const needed = (this.#count + end - from) * this.#recordBytes;
    if (needed > this.#buffer.length) {
      const capacity = Math.min(this.#capacity, Math.max(FIRST_RECORDS, 2 * (this.#count + end - from)));
      const grown = new Uint8Array(capacity * this.#recordBytes);
      grown.set(this.#buffer.subarray(0, this.#count * this.#recordBytes));
      this.#buffer = grown;
    }
    this.#buffer.set(page.bytes.subarray(from * this.#recordBytes, end * this.#recordBytes), this.#count * this.#recordBytes);
    this.#count += end - from;
    return end;
  }

  *#sortBuffer(): Iterable<RecordPage> {
    const count = this.#count;
    this.#count = 0;
    if (count === 0) return;
    const sorter = this.#sorter ?? new RecordSorter(this.#recordBytes, count);
    if (count === this.#capacity) this.#sorter = sorter;
    const order = sorter.order({ bytes: this.#buffer, count });
    const output = new RecordOutput(this.#recordBytes, Math.min(count, this.#pageRecords), this.#duplicates);
    for (let next = 0; next < count;) {
      next = output.gather(this.#buffer, order, next);
      if (output.isFull) yield output.take();
    }
    const rest = output.take();
    if (rest.count > 0) yield rest;
  }

  #spill(): Promise<void> {
    return this.#write(this.#sortBuffer());
  }

  async #write(pages: AsyncIterable<RecordPage> | Iterable<RecordPage>): Promise<void> {
    const run = await RunFile.write(this.#place.disk, `${this.#place.prefix}-${this.#statistics.runs}`, this.#recordBytes, pages);
    this.#runs.push(run);
    this.#statistics.runs += 1;
    this.#statistics.bytesWritten += run.count * this.#recordBytes;
  }

  #merge(runs: readonly RunFile[]): AsyncIterable<RecordPage> {
    return mergePages(runs.map((run) => run.pages()), {
      recordBytes: this.#recordBytes, pageRecords: this.#pageRecords, inputRecordsMax: this.#pageRecords, duplicates: this.#duplicates,
    });
  }

  /** Turns the oldest runs into one, which queues up behind the others: all runs of a round have about the same size. */
  async #mergeSome(): Promise<void> {
    const some = this.#runs.slice(0, Math.min(FAN_IN, this.#runs.length - FAN_IN + 1));
    await this.#write(this.#merge(some));
    this.#runs.splice(0, some.length);
    for (const run of some) await run.remove();
  }

  #release(): void {
    this.#buffer = new Uint8Array(0);
    this.#count = 0;
    this.#sorter = undefined;
  }
}
