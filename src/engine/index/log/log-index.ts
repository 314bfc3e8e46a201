/**
 * Ids to places in plain TypeScript, everything through `World.disk`: a bounded table in memory on top of a write-ahead
 * log, immutable sorted segments below, and a create-once CURRENT file that says which of them rule.
 * Layout: docs/formats/index-log.md.
 *
 * Durability: `putMany` appends one checksummed batch without a sync; `flush` syncs the log. A full table becomes a
 * segment: segment, new log, their names, then CURRENT are made durable in this order, and only then is the old removed.
 * Whatever a crash leaves opens as the newest intact CURRENT and the whole batches of its log: an older consistent
 * state, or an IntegrityError that tells the caller to rebuild. Deletes are no exception: `flush` them before removing
 * what they pointed at.
 */
import assert from 'node:assert';
import { ID_BYTES, PLACE_BYTES, UsageError } from '../../../core/index.ts';
import type { ChunkIndex, Disk, IdBatch, Watermark } from '../../../core/index.ts';
import { pagesOf } from '../entry-page.ts';
import { idWords } from '../id-table.ts';
import { mergeRuns } from '../merge.ts';
import { checkWatermark } from '../watermark-map.ts';
import { writeCurrent } from './current.ts';
import { LOG_DIRECTORY, logFileName } from './log.layout.ts';
import { applyBatch, closeAll, defaultLogOptions, loadFilters, openLogState } from './log-state.ts';
import type { LogIndexOptions, LogState } from './log-state.ts';
import { prefixAt } from './page.ts';
import { Segment, SegmentCursor } from './segment.ts';
import { writeSegment } from './segment-writer.ts';
import { mergeExtent } from './tiers.ts';
import { WriteAheadLog } from './write-ahead-log.ts';
import type { Batch } from './write-ahead-log.ts';

/** Ids asked for at once from which on filters are loaded. A writer whose chunks are new asks for the few that its own filter is wrong about. */
const FILTER_IDS_MIN = 16;

const NO_IDS: IdBatch = { bytes: new Uint8Array(0), count: 0 };

/**
 * Opens the index in `index/log`, creating it in mode `write`. Mode `read` takes no lock, writes nothing and shows the
 * state at the time of the open.
 * @throws {BusyError} another process writes. @throws {IntegrityError} damaged, or absent in mode `read`: rebuild it.
 */
export async function openLogIndex(disk: Disk, mode: 'read' | 'write', options: LogIndexOptions = defaultLogOptions): Promise<LogIndex> {
  if (mode === 'read') return new LogIndex(disk, await openLogState(disk, mode, options), options);
  await disk.makeDirectory(LOG_DIRECTORY);
  const lock = await disk.lock(`${LOG_DIRECTORY}.lock`, 'chunk index');
  try {
    return new LogIndex(disk, await openLogState(disk, mode, options), options, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** See {@link openLogIndex}. A writer whose write failed is dead: later writes throw the first error. Conformance: `chunkIndexSuite`. */
export class LogIndex implements ChunkIndex {
  readonly kind: string = 'log';
  readonly #disk: Disk;
  readonly #state: LogState;
  readonly #options: LogIndexOptions;
  readonly #lock: { release(): Promise<void> } | undefined;
  #queue: Promise<void> = Promise.resolve();
  #failed: unknown;
  #readers = 0;
  /** Loading of the segments' filters; undefined when there are segments since whose filters nobody needed. */
  #filters: Promise<void> | undefined = Promise.resolve();
  #retired: readonly Segment[] = [];
  #closed: Promise<void> | undefined;

  constructor(disk: Disk, state: LogState, options: LogIndexOptions, lock?: { release(): Promise<void> }) {
    this.#disk = disk;
    this.#state = state;
    this.#options = options;
    this.#lock = lock;
  }

  /** @throws {IntegrityError} a page is damaged: the index must be rebuilt. */
  async getMany(ids: IdBatch, places: Uint8Array): Promise<Uint8Array> {
    assert(places.length >= ids.count * PLACE_BYTES, 'there is room for each place');
    const found = new Uint8Array((ids.count + 7) >> 3);
    const { table, segments } = this.#state;
    const words = idWords(ids);
    const rest: number[] = [];
    for (let i = 0; i < ids.count; i += 1) {
      const slot = table.find(words, i);
      if (slot < 0) rest.push(i);
      else if (!table.isTombstone(slot)) {
        table.copyPlace(slot, places, i);
        found[i >> 3] = (found[i >> 3] as number) | 1 << (i & 7);
      }
    }
    if (rest.length > 0 && segments.length > 0) {
      await this.#reading(async () => {
        if (rest.length >= FILTER_IDS_MIN) await (this.#filters ??= loadFilters(segments, this.#options.filterBytesMax));
        await findInSegments(segments, { ids, rest, places, found });
      });
    }
    return found;
  }

  async putMany(ids: IdBatch, places: Uint8Array, watermarks: readonly Watermark[]): Promise<void> {
    assert(places.length >= ids.count * PLACE_BYTES, 'there is a place for each id');
    watermarks.forEach(checkWatermark);
    await this.#write({ puts: ids, places, deletes: NO_IDS, marks: watermarks });
  }

  async deleteMany(ids: IdBatch): Promise<void> {
    await this.#write({ puts: NO_IDS, places: new Uint8Array(0), deletes: ids, marks: [] });
  }

  async watermarks(): Promise<readonly Watermark[]> {
    return this.#state.marks.list();
  }

  /** Pages of the state at the first step. @throws {IntegrityError} a page is damaged. */
  async *scan(): AsyncIterable<{ readonly ids: IdBatch; readonly places: Uint8Array }> {
    const { table, segments } = this.#state;
    const runs = [pagesOf(table.sorted(false)), ...segments.map((segment) => segment.entries())];
    this.#readers += 1;
    try {
      for await (const page of mergeRuns(runs, { keepTombstones: false })) yield { ids: { bytes: page.ids, count: page.count }, places: page.places };
    } finally {
      await this.#doneReading();
    }
  }

  /** Ids that were put again since the last merge count twice. */
  async count(): Promise<number> {
    return this.#state.segments.reduce((sum, segment) => sum + segment.count - segment.tombstones, this.#state.table.live);
  }

  flush(): Promise<void> {
    return this.#enqueue(() => this.#writableLog().sync());
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await this.#queue;
    await this.#state.log?.close();
    await closeAll([...this.#state.segments, ...this.#retired]);
    await this.#lock?.release();
  }

  #writableLog(): WriteAheadLog {
    if (this.#state.log === undefined) throw new UsageError('Write chunk index: it was opened for reading');
    return this.#state.log;
  }

  #write(batch: Batch): Promise<void> {
    return this.#enqueue(async () => {
      await this.#writableLog().append(batch);
      applyBatch(this.#state, batch);
      if (this.#state.table.entries >= this.#options.tableEntries) await this.#rotate();
    });
  }

  /** Writes run one after the other; after the first failure none runs. */
  #enqueue(work: () => Promise<void>): Promise<void> {
    const result = this.#queue.then(async () => {
      if (this.#failed !== undefined) throw this.#failed;
      try {
        await work();
      } catch (error) {
        if (!(error instanceof UsageError)) this.#failed = error;
        throw error;
      }
    });
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** Makes the table a segment, merged with the newest ones where tiers say so, and starts a new log. */
  async #rotate(): Promise<void> {
    const state = this.#state;
    const older = state.segments;
    const counts = [state.table.entries, ...older.map((segment) => segment.count)];
    const merged = Math.max(0, mergeExtent(counts, this.#options.tableEntries) - 1);
    const gone = older.slice(0, merged);
    const kept = older.slice(merged);
    const runs = [state.table.pages(), ...gone.map((segment) => segment.entries())];
    const number = this.#nextNumber();
    const countMax = counts.slice(0, merged + 1).reduce((sum, count) => sum + count, 0);
    await writeSegment(this.#disk, number, { countMax, pages: mergeRuns(runs, { keepTombstones: kept.length > 0 }) });
    const segment = await Segment.open(this.#disk, number);
    const segments = [segment, ...kept];
    const log = await WriteAheadLog.create(this.#disk, this.#nextNumber());
    await this.#disk.syncDirectory(LOG_DIRECTORY);
    const previous = [logFileName('CURRENT', state.current), logFileName('wal', this.#writableLog().number), ...gone.map((one) => logFileName('seg', one.number))];
    const current = this.#nextNumber();
    await writeCurrent(this.#disk, {
      number: current, log: log.number, marks: state.marks.list(),
      segments: segments.map((one) => ({ segment: one.number, digest: one.digest })),
    });
    await state.log?.close();
    state.current = current;
    state.log = log;
    // In one step for readers: the table's entries move below it.
    state.segments = segments;
    state.table.clear();
    this.#filters = undefined;
    for (const name of previous) await this.#disk.remove(name);
    // A scan may hold on to them for hours, and to more with each merge.
    for (const one of gone) one.dropFilter();
    this.#retired = [...this.#retired, ...gone];
    await this.#closeRetired();
  }

  #nextNumber(): number {
    this.#state.number += 1;
    return this.#state.number;
  }

  // Lookups and scans hold on to the segments that were live when they began.
  async #reading<T>(work: () => Promise<T>): Promise<T> {
    this.#readers += 1;
    try {
      return await work();
    } finally {
      await this.#doneReading();
    }
  }

  async #doneReading(): Promise<void> {
    this.#readers -= 1;
    await this.#closeRetired();
  }

  async #closeRetired(): Promise<void> {
    if (this.#readers > 0 || this.#retired.length === 0) return;
    const retired = this.#retired;
    this.#retired = [];
    await closeAll(retired);
  }
}

interface Search {
  readonly ids: IdBatch;
  /** Positions in the batch that the table does not know. */
  readonly rest: readonly number[];
  readonly places: Uint8Array;
  readonly found: Uint8Array;
}

/** In id order, so that neighbours share pages; each id goes down the segments until one knows it. */
async function findInSegments(segments: readonly Segment[], { ids, rest, places, found }: Search): Promise<void> {
  const cursors = segments.map((segment) => new SegmentCursor(segment));
  for (const i of inIdOrder(ids, rest)) {
    const at = i * ID_BYTES;
    for (const cursor of cursors) {
      if (!cursor.segment.maybe(ids.bytes, at)) continue;
      const hit = await cursor.find(ids.bytes.subarray(at, at + ID_BYTES), places, i);
      if (hit === 'found') found[i >> 3] = (found[i >> 3] as number) | 1 << (i & 7);
      if (hit !== 'absent') break;
    }
  }
}

function inIdOrder(ids: IdBatch, positions: readonly number[]): Uint32Array {
  // 32 bits of the id and 21 of the position fill a number's 53; larger batches keep their order.
  const span = 2 ** 21;
  if (positions.length >= span || ids.count >= span) return Uint32Array.from(positions);
  const keys = Float64Array.from(positions, (i) => Math.floor(prefixAt(ids.bytes, i * ID_BYTES) / 0x10000) * span + i);
  return Uint32Array.from(keys.sort(), (key) => key % span);
}
