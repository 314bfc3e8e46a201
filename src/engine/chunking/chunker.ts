/** Finds where a stream is cut. Which chunker made a dataset is recorded with it; all implementations of one algorithm agree. */

/** Cuts a region of the memory that it was made for. Not reentrant; one per thread. */
export interface Chunker {
  /** The longest chunk, in bytes: the caller's buffer must hold at least this much, plus what it reads at once. */
  readonly maxBytes: number;
  /** 'wasm', 'plain' or 'fixed': for `info` and benchmarks. */
  readonly implementation: string;
  /**
   * Cuts `length` bytes at `offset` of the memory; the region starts where a chunk starts. Writes the end of each chunk, relative
   * to `offset`, ascending, to `out` and returns how many. It stops early when `out` is full: call again behind the last cut.
   *
   * Bytes behind the last cut are an unfinished chunk (fewer than `maxBytes` unless `out` was full): hand them in again, in front of
   * what follows. With `final` the stream ends with the region and its rest is a chunk. How a stream is dealt out over calls never
   * changes its cuts.
   */
  cuts(offset: number, length: number, final: boolean, out: Uint32Array): number;
}
