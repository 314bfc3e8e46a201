/** Chooses and opens an index. An index is a cache of what the containers say, so damage costs a replay, never data. */
import { IntegrityError, NotFoundError } from '../../core/index.ts';
import type { ChunkIndex, Disk, HoldfastError, World } from '../../core/index.ts';
import { LOG_DIRECTORY } from './log/log.layout.ts';
import { openLogIndex } from './log/log-index.ts';
import { MemoryIndex } from './memory.ts';
import { OverlayIndex } from './overlay.ts';
import { openRocksIndex, probeRocks, ROCKS_DIRECTORY } from './rocks.ts';

/** `auto` is `log`: on the sizes measured it is faster, smaller and opens sooner than RocksDB (docs/decisions.md), and needs no native code. */
export type IndexKind = 'auto' | 'rocks' | 'log' | 'memory';

/** How to open. */
export interface IndexRequest {
  readonly kind: IndexKind;
  /** `read` takes no lock and writes nothing to disk; what is put then stays in memory. */
  readonly mode: 'read' | 'write';
}

/** An open index; `notes` are sentences for people: why RocksDB is not used, what was thrown away. */
export interface OpenedIndex {
  readonly index: ChunkIndex;
  readonly notes: readonly string[];
}

type StoredKind = 'rocks' | 'log';

function openStored(disk: Disk, kind: StoredKind, mode: 'read' | 'write'): Promise<ChunkIndex> {
  return kind === 'rocks' ? openRocksIndex(disk, mode) : openLogIndex(disk, mode);
}

function isDamage(error: unknown): error is HoldfastError {
  return error instanceof IntegrityError || error instanceof NotFoundError;
}

async function openForReading(disk: Disk, kind: StoredKind, notes: string[]): Promise<ChunkIndex> {
  try {
    return new OverlayIndex(await openStored(disk, kind, 'read'));
  } catch (error) {
    if (!isDamage(error)) throw error;
    notes.push(`The chunk index cannot be read, so this process builds one in memory from the containers: ${error.message}`);
    return new MemoryIndex();
  }
}

async function openForWriting(disk: Disk, kind: StoredKind, notes: string[]): Promise<ChunkIndex> {
  try {
    return await openStored(disk, kind, 'write');
  } catch (error) {
    if (!isDamage(error)) throw error;
    const directory = kind === 'rocks' ? ROCKS_DIRECTORY : LOG_DIRECTORY;
    notes.push(`The chunk index was removed and is built again from the containers: ${error.message}`);
    await disk.removeTree(directory);
    return openStored(disk, kind, 'write');
  }
}

function choose(disk: Disk, kind: Exclude<IndexKind, 'memory'>, notes: string[]): StoredKind {
  if (kind !== 'rocks') return 'log';
  const verdict = probeRocks(disk);
  if (verdict.available) return 'rocks';
  notes.push(`The chunk index is '${LOG_DIRECTORY}' instead of RocksDB: ${verdict.reason}`);
  return 'log';
}

/**
 * Opens the index of a repository. Its watermarks tell what the caller must replay from containers: all of them when the
 * index is new, was damaged and removed (mode `write`), or cannot be read (mode `read`: an empty one in memory).
 * An IntegrityError of a later call means the same: close it, call {@link removeIndex} and open again in mode `write`.
 * @throws {BusyError} another process writes. @throws {ToolError} the system refuses.
 */
export async function openIndex(world: World, request: IndexRequest): Promise<OpenedIndex> {
  const notes: string[] = [];
  if (request.kind === 'memory') return { index: new MemoryIndex(), notes };
  const kind = choose(world.disk, request.kind, notes);
  const open = request.mode === 'read' ? openForReading : openForWriting;
  return { index: await open(world.disk, kind, notes), notes };
}

/** Removes all stored indexes of a repository; none may be open. The next {@link openIndex} starts empty. */
export async function removeIndex(disk: Disk): Promise<void> {
  await disk.removeTree(ROCKS_DIRECTORY);
  await disk.removeTree(LOG_DIRECTORY);
}
