/** Chooses and opens an index. An index is a cache of what the containers say, so damage costs a replay, never data. */
import { BusyError, IntegrityError, NotFoundError } from '../../core/index.ts';
import type { ChunkIndex, Disk, HoldfastError, World } from '../../core/index.ts';
import { LOG_DIRECTORY } from './log/log.layout.ts';
import { openLogIndex } from './log/log-index.ts';
import { subDisk } from '../world/sub-disk.ts';
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
  /** Where a writer keeps an index of its own while another process holds the repository's; removed on close. Default: it is refused. */
  readonly privateDirectory?: string;
}

/** An open index; `notes` are sentences for people: why RocksDB is not used, what was thrown away. */
export interface OpenedIndex {
  readonly index: ChunkIndex;
  /** False when another process holds the repository's index and this one is private. */
  readonly isHeld: boolean;
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
    return new OverlayIndex(await openStored(disk, kind, 'read'), new MemoryIndex());
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

/** What others wrote below, what this process finds and stores on top, in files, so that memory stays bounded. */
async function openPrivate(disk: Disk, kind: StoredKind, directory: string): Promise<ChunkIndex> {
  const own = subDisk(disk, directory);
  await disk.makeDirectory(`${directory}/index`);
  const top = await openLogIndex(own, 'write');
  const remove = (): Promise<void> => disk.removeTree(directory);
  try {
    return new OverlayIndex(await openStored(disk, kind, 'read'), top, remove);
  } catch (error) {
    if (isDamage(error)) return new OverlayIndex(new MemoryIndex(), top, remove); // all of it is replayed
    await top.close();
    await remove();
    throw error;
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
  if (request.kind === 'memory') return { index: new MemoryIndex(), isHeld: false, notes };
  const kind = choose(world.disk, request.kind, notes);
  if (request.mode === 'read') return { index: await openForReading(world.disk, kind, notes), isHeld: false, notes };
  try {
    return { index: await openForWriting(world.disk, kind, notes), isHeld: true, notes };
  } catch (error) {
    if (!(error instanceof BusyError) || request.privateDirectory === undefined) throw error;
    return { index: await openPrivate(world.disk, kind, request.privateDirectory), isHeld: false, notes };
  }
}

/** Removes all stored indexes of a repository; none may be open. The next {@link openIndex} starts empty. */
export async function removeIndex(disk: Disk): Promise<void> {
  await disk.removeTree(ROCKS_DIRECTORY);
  await disk.removeTree(LOG_DIRECTORY);
}
