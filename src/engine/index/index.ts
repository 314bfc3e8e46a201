/** Where each chunk is: three implementations of `ChunkIndex` and the opener that chooses among them. */
export { LogIndex, openLogIndex } from './log/log-index.ts';
export type { LogIndexOptions } from './log/log-state.ts';
export { MemoryIndex } from './memory.ts';
export { openIndex, removeIndex } from './open.ts';
export type { IndexKind, IndexRequest, OpenedIndex } from './open.ts';
export { OverlayIndex } from './overlay.ts';
export { openRocksIndex, probeRocks, RocksIndex } from './rocks.ts';
export type { RocksVerdict } from './rocks.ts';
export { timedIndex, type TimeLookup } from './timed-index.ts';
