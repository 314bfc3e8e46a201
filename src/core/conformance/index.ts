/** Conformance suites: one for each contract, run by every implementation, here and by integrators. They need `node:test`. */
export * from './block-source.ts';
export * from './chunk-index.ts';
export * from './chunk-store.ts';
export * from './file-sink.ts';
export * from './file-tree.ts';
export * from './object-store.ts';
