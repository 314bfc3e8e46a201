/** Files of a flat store that can be written: what {@link StoreFilesystem} shows as a directory. */
import type { AppendLane } from './append-lane.ts';

/** One file of a store. */
export interface StoredFile {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970: the last change of the content. */
  readonly modified: number;
}

/** An open file. Calls may overlap and take effect in the order in which they were made. After a failure every later write and `sync` fails too. */
export interface OpenStoredFile extends StoredFile {
  /** Fills all of `target`; what was never written reads as zeroes. @throws {RangeError} behind the end. */
  readInto(offset: number, target: Uint8Array): Promise<void>;
  /** Takes all of `bytes`, which may be reused when it resolves. Durable after {@link sync}. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Cuts or extends. */
  truncate(size: number): Promise<void>;
  /** When it resolves, everything done before survives a crash. */
  sync(): Promise<void>;
  /** Gives the handle back after a {@link sync}. Its lane is closed. */
  close(): Promise<void>;
  /**
   * Called after a write: the file may open the lane, so that the next appends reach it without a call. It closes the lane before anything else changes
   * the file, and everything that is asked of it sees what was appended. Durable after {@link sync}.
   */
  offer?(lane: AppendLane): void;
}

/** A store of files without directories. Several handles of one file see each other's writes at once. */
export interface FileStore {
  list(): readonly StoredFile[];
  /** @throws {NotFoundError} unless `create`. @throws {UsageError} a name that the store does not take. */
  open(name: string, options?: { readonly create?: boolean }): Promise<OpenStoredFile>;
  /** Durable when it resolves. @throws {BusyError} it is open. */
  remove(name: string): Promise<void>;
  /** Replaces what had the new name; durable when it resolves. @throws {BusyError} one of them is open. */
  rename(from: string, to: string): Promise<void>;
}
