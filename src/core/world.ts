/**
 * Disk, clock and randomness of the engine. Everything that owns durable state goes through a World, so that a
 * deterministic simulator can stop it at any point. Nothing in `src/engine` touches `node:fs`, `Date` or `Math.random`.
 */

/** One name of a directory. */
export interface DiskEntry {
  readonly name: string;
  readonly directory: boolean;
  /** Bytes; 0 of a directory. */
  readonly size: number;
  /** When its content last changed, milliseconds since 1970 by the disk's clock; 0 of a directory. */
  readonly modified: number;
}

/** Paths are relative to the disk's root, `/`-separated, ASCII, without `.` and `..`. */
export interface Disk {
  /** Opens an existing file. @throws {NotFoundError} */
  open(path: string, mode: 'read' | 'write'): Promise<DiskFile>;
  /** Creates a file that must not exist yet. @throws {BusyError} when it does. */
  create(path: string): Promise<DiskFile>;
  /** Replaces `to` in one step if it exists. Durable after `syncDirectory` of both parents. */
  rename(from: string, to: string): Promise<void>;
  /**
   * Gives an existing file a second name, failing when `to` exists: the create-once step. @throws {BusyError} when `to` exists.
   */
  link(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  removeTree(path: string): Promise<void>;
  makeDirectory(path: string): Promise<void>;
  /** Names in a directory, in ascending order; empty when the directory is absent. */
  list(path: string): Promise<readonly DiskEntry[]>;
  exists(path: string): Promise<boolean>;
  syncDirectory(path: string): Promise<void>;
  /** The real path for native code that cannot go through a World (RocksDB); undefined in a simulation. */
  nativePath(path: string): string | undefined;
  /**
   * Takes an advisory lock that ends with the process. @throws {BusyError} naming the holder where known.
   */
  lock(path: string, description: string): Promise<DiskLock>;
}

/** A lock that was taken. */
export interface DiskLock {
  /** False once someone removed or took it over: then the holder must not commit anything. */
  isHeld(): Promise<boolean>;
  release(): Promise<void>;
}

/** An open file. A failed `sync` is final: the caller must treat everything unsynced as lost. */
export interface DiskFile {
  /** Bytes; as of open, plus what this handle wrote. */
  readonly size: number;
  /** Fills all of `target`. @throws {RangeError} past the end. */
  readInto(offset: number, target: Uint8Array): Promise<void>;
  /** Writes all of `parts` back to back at `offset`. */
  writeFrom(offset: number, ...parts: readonly Uint8Array[]): Promise<void>;
  truncate(size: number): Promise<void>;
  /** After it resolves, this file's bytes and size survive a crash (its name needs `syncDirectory`). */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** All that the engine takes from outside. */
export interface World {
  readonly disk: Disk;
  /** Milliseconds since 1970. */
  now(): number;
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  randomBytes(count: number): Uint8Array;
}
