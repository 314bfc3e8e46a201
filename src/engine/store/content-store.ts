/** What readers of content and a backup need of a store, be it local or behind a daemon. */
import type { ChunkPlace, IdBatch } from '../../core/index.ts';
import type { ContainerKind } from '../containers/container.layout.ts';
import type { Group, GroupCache } from './group-cache.ts';

/** How often a chunk may turn out to be elsewhere while it is read. */
export const READ_ATTEMPTS = 5;

/** Totals since a store was opened, in bytes and chunks. */
export interface StoreTotals {
  readonly chunks: Record<ContainerKind, number>;
  readonly rawBytes: Record<ContainerKind, number>;
  /** Bytes of group records written. */
  readonly storedBytes: Record<ContainerKind, number>;
  containers: number;
}

/** Chunks by their places: readers ask for places of many ids at once, then pin the groups that hold them. */
export interface ContentStore {
  readonly groups: GroupCache;
  /** Tells of `bytes` that will be read or written, so that threads are there in time. */
  expectWork(bytes: number): void;
  /** Places of chunks, `PLACE_BYTES` each. @throws {NotFoundError} naming the first id that is unknown. */
  locate(ids: IdBatch): Promise<Uint8Array>;
  /** Pins the group with a chunk; the caller releases it. @throws {NotFoundError} @throws {IntegrityError} */
  acquire(id: Uint8Array): Promise<{ readonly group: Group; readonly ordinal: number }>;
  /** Pins the group at a place; when `check` throws, it is not pinned. */
  acquireAt(place: ChunkPlace, check: (group: Group) => void): Promise<Group>;
  /**
   * Whether chunks are elsewhere than where a read has just failed, which was to give the first of `ids`: a collector moved them, or there are other copies.
   * Then places have to be asked for again.
   */
  isElsewhere(error: unknown, ids: IdBatch): Promise<boolean>;
}

/** What a backup needs beside. A store whose write failed is dead: each later call throws the first error. */
export interface IngestStore extends ContentStore {
  readonly totals: StoreTotals;
  /** A bitmap, least significant bit first: 1 = stored, and safe to refer to. */
  has(ids: IdBatch): Promise<Uint8Array>;
  /** Stores one chunk that `has` did not know; see `LocalStore.add`. @returns false when the chunk is already under way. */
  add(kind: ContainerKind, ids: Uint8Array, offset: number, data: Uint8Array): boolean | Promise<boolean>;
  /** Present where an answer takes a while: then `has` is called for content before the content ahead of it was added. */
  readonly answersLate?: true;
  /** Stores a metadata chunk unless it is there, perhaps later, but before anything is committed; `bytes` are copied. Absent where `has` answers at once. */
  offer?(id: Uint8Array, bytes: Uint8Array): Promise<void> | undefined;
  /** False when the chunk is surely not stored; true proves nothing. Absent where that can't be told at once: then {@link isPageIntact} is there. */
  mayKnow?(id: Uint8Array): boolean;
  /** Whether no chunk that the entries of a stored directory page refer to, at any depth, is surely lost. */
  isPageIntact?(id: Uint8Array): Promise<boolean>;
}
