/** Chunks by content id: local containers today, a daemon over the wire tomorrow. */
import type { IdBatch } from './id-batch.ts';

/** What a put did; bytes are raw (before compression). */
export interface PutCounts {
  readonly chunks: number;
  readonly chunksNew: number;
  readonly bytes: number;
  readonly bytesNew: number;
}

/**
 * Content-addressed chunks. A store whose write failed is dead: each later call throws the first error.
 * Conformance: `chunkStoreSuite`.
 */
export interface ChunkStore {
  /** A bitmap, least significant bit first: 1 = stored, and safe to refer to from a manifest written in this session. */
  has(ids: IdBatch): Promise<Uint8Array>;
  /** Stores what is missing. Payload `i` belongs to id `i`; buffers belong to the caller again once the promise resolves. */
  put(ids: IdBatch, payloads: readonly Uint8Array[]): Promise<PutCounts>;
  /**
   * Reads one chunk into `target` and checks it against its id.
   * @returns its length in bytes. @throws {NotFoundError} unknown id. @throws {IntegrityError} stored bytes are wrong.
   */
  readInto(ids: IdBatch, index: number, target: Uint8Array): Promise<number>;
  /** After it resolves, all chunks put before survive a crash. */
  flush(): Promise<void>;
  close(): Promise<void>;
}
