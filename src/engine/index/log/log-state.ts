/** What an open log index holds in memory, and how it comes from the files that a crash may have left. */
import { IntegrityError, NotFoundError } from '../../../core/index.ts';
import type { Disk } from '../../../core/index.ts';
import { IdTable, idWords } from '../id-table.ts';
import { WatermarkMap } from '../watermark-map.ts';
import { findCurrent, settleCurrent, writeCurrent } from './current.ts';
import type { Current } from './current.ts';
import { LOG_DIRECTORY, LOG_PARENT, logFileName, parseLogFileName } from './log.layout.ts';
import { Segment } from './segment.ts';
import { openLog, replayLog, WriteAheadLog } from './write-ahead-log.ts';
import type { Batch } from './write-ahead-log.ts';

/** Sizes in memory; tests make them small. */
export interface LogIndexOptions {
  /** Entries of the table in memory before it becomes a segment. */
  readonly tableEntries: number;
  /** Bytes of filters kept in memory; segments beyond, oldest first, are looked up without one. */
  readonly filterBytesMax: number;
}

/**
 * 60 Ki entries and a batch of 4 Ki on top fill a table of 4 MB; 6 MiB of filters serve 5 million ids. More would not pay: the chunk filter has denied what is new before a
 * writer asks here, and the oldest segments, which are the ones beyond, are asked last.
 */
export const defaultLogOptions: LogIndexOptions = { tableEntries: 60 << 10, filterBytesMax: 6 << 20 };
const OPEN_ATTEMPTS = 5;

/** Everything of an open index that changes. */
export interface LogState {
  readonly table: IdTable;
  readonly marks: WatermarkMap;
  /** Newest first. */
  segments: readonly Segment[];
  /** The ruling CURRENT file. */
  current: number;
  /** The highest number of any file so far; the next file takes the next one. */
  number: number;
  /** Undefined in mode `read`. */
  log: WriteAheadLog | undefined;
}

/** Applies a batch that is in the log to the table in memory. */
export function applyBatch(state: Pick<LogState, 'table' | 'marks'>, batch: Batch): void {
  const puts = idWords(batch.puts);
  for (let i = 0; i < batch.puts.count; i += 1) state.table.put(puts, i, batch.places);
  const deletes = idWords(batch.deletes);
  for (let i = 0; i < batch.deletes.count; i += 1) state.table.remove(deletes, i, true);
  for (const mark of batch.marks) state.marks.set(mark);
}

/** Loads filters from the newest segment on until the budget is used up. */
export async function loadFilters(segments: readonly Segment[], bytesMax: number): Promise<void> {
  let left = bytesMax;
  for (const segment of segments) {
    if (segment.filterBytes <= left) {
      await segment.loadFilter();
      left -= segment.filterBytes;
    } else segment.dropFilter();
  }
}

/** Closes segments that nobody reads. */
export async function closeAll(segments: readonly Segment[]): Promise<void> {
  for (const segment of segments) await segment.close();
}

async function loadState(disk: Disk, current: Current, mode: 'read' | 'write', options: LogIndexOptions): Promise<LogState> {
  const state: LogState = { table: new IdTable(options.tableEntries * 2), marks: new WatermarkMap(), segments: [], current: current.number, number: current.number, log: undefined };
  const segments: Segment[] = [];
  try {
    for (const ref of current.segments) segments.push(await Segment.open(disk, ref.segment, ref.digest));
    await loadFilters(segments, options.filterBytesMax);
    for (const mark of current.marks) state.marks.set(mark);
    const file = await openLog(disk, current.log, mode);
    try {
      const end = await replayLog(file, current.log, (batch) => applyBatch(state, batch));
      if (mode === 'write') {
        // The torn tail goes away durably before anything is appended, so it can never follow a new batch.
        if (end < file.size) {
          await file.truncate(end);
          await file.sync();
        }
        state.log = new WriteAheadLog(file, current.log, end);
      }
    } finally {
      if (state.log === undefined) await file.close();
    }
  } catch (error) {
    await closeAll(segments);
    throw error;
  }
  state.segments = segments;
  return state;
}

/** Removes what the ruling state does not name: leftovers of a crash. */
async function removeOrphans(disk: Disk, current: Current, state: LogState): Promise<void> {
  const live = new Set([logFileName('CURRENT', current.number), logFileName('wal', current.log), ...current.segments.map((ref) => logFileName('seg', ref.segment))]);
  const orphans: string[] = [];
  for (const entry of await disk.list(LOG_DIRECTORY)) {
    const name = parseLogFileName(entry.name);
    if (name === undefined) continue;
    state.number = Math.max(state.number, name.number);
    if (!live.has(`${LOG_DIRECTORY}/${entry.name}`)) orphans.push(`${LOG_DIRECTORY}/${entry.name}`);
  }
  if (orphans.length === 0) return;
  await settleCurrent(disk, current);
  for (const orphan of orphans) await disk.remove(orphan);
}

async function createState(disk: Disk, options: LogIndexOptions): Promise<LogState> {
  for (const entry of await disk.list(LOG_DIRECTORY)) {
    if (parseLogFileName(entry.name) !== undefined) await disk.remove(`${LOG_DIRECTORY}/${entry.name}`);
  }
  const log = await WriteAheadLog.create(disk, 1);
  // A directory is a name in its parent: without these a power cut would take the whole index, however often it was flushed.
  for (const directory of [LOG_DIRECTORY, LOG_PARENT, '']) await disk.syncDirectory(directory);
  await writeCurrent(disk, { number: 2, log: 1, segments: [], marks: [] });
  return { table: new IdTable(options.tableEntries * 2), marks: new WatermarkMap(), segments: [], current: 2, number: 2, log };
}

/** Opens or creates; see `openLogIndex`, which holds the lock. */
export async function openLogState(disk: Disk, mode: 'read' | 'write', options: LogIndexOptions): Promise<LogState> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const current = await findCurrent(disk);
      if (current === undefined) {
        if (mode === 'write') return await createState(disk, options);
        throw new IntegrityError(`Open chunk index: '${LOG_DIRECTORY}' holds none`);
      }
      const state = await loadState(disk, current, mode, options);
      if (mode === 'write') await removeOrphans(disk, current, state);
      return state;
    } catch (error) {
      // A writer that merges at this moment removes files that this reader is about to open: look again.
      const moved = error instanceof NotFoundError || error instanceof IntegrityError;
      if (mode === 'write' || !moved || attempt === OPEN_ATTEMPTS) throw error;
    }
  }
}
