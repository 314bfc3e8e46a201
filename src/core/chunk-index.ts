/** Where each chunk is. The containers are the truth: an index may lag behind them, never lead, and can be deleted at any time. */
import type { IdBatch } from './id-batch.ts';

/** Bytes of an encoded {@link ChunkPlace}. */
export const PLACE_BYTES = 20;

/**
 * Place of one chunk, encoded big-endian in {@link PLACE_BYTES}: u64 container (its random 64-bit number, as two u32),
 * u32 offset of the group record in the container, u32 length of that record, u16 ordinal of the chunk in the group,
 * u16 zero.
 */
export interface ChunkPlace {
  readonly containerHigh: number;
  readonly containerLow: number;
  readonly offset: number;
  readonly length: number;
  readonly ordinal: number;
}

/** How far into a container the index reflects it. `sealed` once the container is complete and all of it is indexed. */
export interface Watermark {
  /** 16 lower-case hexadecimal digits. */
  readonly container: string;
  /** Bytes of the container that are reflected. */
  readonly offset: number;
  readonly sealed: boolean;
}

/**
 * Ids to places. One process writes; `RocksIndex`, `LogIndex` and `MemoryIndex` behave the same.
 * Conformance: `chunkIndexSuite`.
 */
export interface ChunkIndex {
  readonly kind: string;
  /**
   * Looks up ids; `places` receives `PLACE_BYTES` per id, in order, untouched where the id is unknown.
   * @returns a bitmap, least significant bit first: 1 = found. It belongs to the caller.
   */
  getMany(ids: IdBatch, places: Uint8Array): Promise<Uint8Array>;
  /**
   * Adds or replaces ids together with watermarks: after a crash either all of the batch is visible or an older state is.
   * `places` holds `PLACE_BYTES` per id. Buffers belong to the caller again once the promise resolves.
   * Visible to `getMany` on resolve; durable only after `flush`.
   */
  putMany(ids: IdBatch, places: Uint8Array, watermarks: readonly Watermark[]): Promise<void>;
  deleteMany(ids: IdBatch): Promise<void>;
  watermarks(): Promise<readonly Watermark[]>;
  /** Pages in ascending id order, each valid until the next is asked for; memory stays bounded. */
  scan(): AsyncIterable<{ readonly ids: IdBatch; readonly places: Uint8Array }>;
  /** An estimate is allowed; 0 only when empty. */
  count(): Promise<number>;
  /** After it resolves, earlier batches survive a crash. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/** Writes one place at `index` of a buffer of places. */
export function encodePlace(places: Uint8Array, index: number, place: ChunkPlace): void {
  const view = new DataView(places.buffer, places.byteOffset + index * PLACE_BYTES, PLACE_BYTES);
  view.setUint32(0, place.containerHigh);
  view.setUint32(4, place.containerLow);
  view.setUint32(8, place.offset);
  view.setUint32(12, place.length);
  view.setUint16(16, place.ordinal);
  view.setUint16(18, 0);
}

/** Reads the place at `index` of a buffer of places. */
export function decodePlace(places: Uint8Array, index: number): ChunkPlace {
  const view = new DataView(places.buffer, places.byteOffset + index * PLACE_BYTES, PLACE_BYTES);
  return {
    containerHigh: view.getUint32(0),
    containerLow: view.getUint32(4),
    offset: view.getUint32(8),
    length: view.getUint32(12),
    ordinal: view.getUint16(16),
  };
}
