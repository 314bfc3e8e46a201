/** The vocabulary: contracts and byte plumbing, no I/O. Read `block-source.ts` and `file-tree.ts` first. */
export * from './block-source.ts';
export * from './bytes.ts';
export * from './chunk-index.ts';
export * from './chunk-store.ts';
export * from './crc32c.ts';
export * from './errors.ts';
export * from './file-sink.ts';
export * from './file-tree.ts';
export * from './format.ts';
export * from './id-batch.ts';
export * from './layout.ts';
export * from './limits.ts';
export * from './source-path.ts';
export * from './sources/memory.ts';
export * from './sources/slice.ts';
export * from './tree-walk.ts';
export * from './world.ts';
