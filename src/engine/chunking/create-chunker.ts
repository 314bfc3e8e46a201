/** Chooses the implementation; the cuts are the same either way. */
import { wasm, type WasmMemory } from '../workers/wasm.ts';
import type { Chunker } from './chunker.ts';
import { FixedChunker } from './fixed-chunker.ts';
import type { ChunkerParameters } from './parameters.ts';
import { PlainChunker } from './plain-chunker.ts';
import { WasmChunker } from './wasm-chunker.ts';

/** Where a chunker works: `memory` as a whole, of which `CHUNKER_SCRATCH_BYTES` at `scratch` (a multiple of 8) are its own. */
export interface ChunkerMemory {
  readonly memory: WasmMemory;
  readonly scratch: number;
}

/**
 * A chunker for `parameters`: the WASM kernel when `memory` is a real WebAssembly memory (there is none under `--jitless`), else its
 * TypeScript twin over `memory.buffer`.
 * @throws {UsageError} when the parameters are not allowed.
 */
export function createChunker(parameters: ChunkerParameters, where: ChunkerMemory): Chunker {
  if (parameters.algorithm === 'fixed') return new FixedChunker(parameters);
  const { memory, scratch } = where;
  const hasKernel = (wasm as typeof wasm | undefined) !== undefined && memory instanceof wasm.Memory;
  if (hasKernel) return new WasmChunker(parameters, memory, scratch);
  return new PlainChunker(parameters, new Uint8Array(memory.buffer));
}
