/** What a shelf of volumes offers to whoever writes and reads them: a FUSE mount, a tail, a FIFO. */

import type { AppendLane } from '../../exports/index.ts';

/** One volume of a shelf. */
export interface VolumeFacts {
  readonly name: string;
  /** Bytes, as the last write or truncation left it. */
  readonly size: number;
  /** Milliseconds since 1970: the last write or truncation. */
  readonly modified: number;
  /** Bytes from the start that are in the repository exactly as they are now. */
  readonly committed: number;
}

/**
 * A volume that is open. Calls may overlap: they take effect in the order in which they were made, and a read sees all writes made before it.
 * Several handles of one volume see each other's writes at once. A failed write or `sync` fails every later one: what could not be made durable never looks
 * as if it were. A commit is still possible after a write of which nothing reached the spool's log: it stores what was done before.
 */
export interface ShelfVolume {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** Fills `target` from the spool or the repository; what was never written reads as zeroes. @throws {RangeError} behind the end. */
  readInto(offset: number, target: Uint8Array): Promise<void>;
  /**
   * Writes at any offset, also behind the end. `bytes` are taken when the promise resolves, and may then be reused; durable after {@link sync}.
   * Waits while the spool is full and a commit is making room. @throws {ToolError} disk full, …
   */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Called after a write: from then on a thread may append through `lane`, until something else changes the volume or the handle is closed. */
  offer(lane: AppendLane): void;
  /** Cuts or extends. */
  truncate(size: number): Promise<void>;
  /** When it resolves, everything done before survives a crash of the process and of the machine. */
  sync(): Promise<void>;
  /** When it resolves, everything done before is in the repository, and was read back from there; the spool no longer holds it. */
  commit(): Promise<void>;
  /** Gives the handle back after a {@link sync}. What is not in the repository goes there later, at the latest when the shelf closes. */
  close(): Promise<void>;
}

/** The volumes of one repository, as `VolumeShelf` keeps them. */
export interface Shelf {
  /** All volumes, by name. */
  list(): readonly VolumeFacts[];
  /** Opens a volume. @throws {NotFoundError} unless `create`. @throws {UsageError} a name with `/`, NUL or control characters, `.`, `..`, or over 128 bytes. */
  open(name: string, options?: { readonly create?: boolean }): Promise<ShelfVolume>;
  /** Removes a volume and its snapshots; durable when it resolves. @throws {BusyError} it is open. @throws {NotFoundError} */
  remove(name: string): Promise<void>;
  /** Renames a volume, replacing what had the new name; durable when it resolves. @throws {BusyError} one of them is open. @throws {NotFoundError} */
  rename(from: string, to: string): Promise<void>;
  /** Commits everything and closes. @throws what a commit throws; the spool then keeps what is not in the repository. */
  close(): Promise<void>;
}
