/** Content-defined and fixed chunking. */
export type { Chunker } from './chunker.ts';
export { createChunker } from './create-chunker.ts';
export type { ChunkerMemory } from './create-chunker.ts';
export { FixedChunker } from './fixed-chunker.ts';
export { checkChunkerParameters, defaultFastCdc } from './parameters.ts';
export type { ChunkerParameters, FastCdcParameters, FixedParameters } from './parameters.ts';
export { PlainChunker } from './plain-chunker.ts';
export { CHUNKER_SCRATCH_BYTES, WasmChunker } from './wasm-chunker.ts';
