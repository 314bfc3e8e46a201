/** FastCDC as a WebAssembly kernel over shared memory: the bytes that were read are cut where they lie. */
import assert from 'node:assert';
import { wasm, type WasmMemory } from '../workers/wasm.ts';
import type { Chunker } from './chunker.ts';
import { fastCdcWasm } from './fastcdc.wasm.ts';
import { GEAR_TABLES_BYTES, writeGearTables } from './gear.ts';
import { cutMasks } from './masks.ts';
import { checkChunkerParameters, type FastCdcParameters } from './parameters.ts';

/** Cuts that the kernel reports at once; 16 MiB of average chunks. */
const SCRATCH_CUTS = 1024;

/** Bytes of memory that a chunker keeps for itself: gear tables and a list of cuts. */
export const CHUNKER_SCRATCH_BYTES: number = GEAR_TABLES_BYTES + SCRATCH_CUTS * 4;

type Kernel = (...region: readonly [input: number, length: number, out: number, outMax: number, final: number]) => number;

let compiled: object | undefined;

/** The kernel in `fastcdc.wat`. */
export class WasmChunker implements Chunker {
  readonly maxBytes: number;
  readonly implementation = 'wasm';
  readonly #kernel: Kernel;
  readonly #cutsAt: number;
  readonly #found: Uint32Array;
  readonly #memoryBytes: number;

  /**
   * `memory` must be shared; `scratch` is the offset, a multiple of 8, of {@link CHUNKER_SCRATCH_BYTES} in it that belong to this
   * chunker alone. @throws {UsageError} when the parameters are not allowed.
   */
  constructor(parameters: FastCdcParameters, memory: WasmMemory, scratch: number) {
    checkChunkerParameters(parameters);
    assert(scratch % 8 === 0 && scratch + CHUNKER_SCRATCH_BYTES <= memory.buffer.byteLength, 'the scratch area lies aligned inside the memory');
    writeGearTables(new Uint8Array(memory.buffer, scratch, GEAR_TABLES_BYTES));
    compiled ??= new wasm.Module(Buffer.from(fastCdcWasm, 'base64'));
    const { minBytes: min, averageBytes: average, maxBytes: max } = parameters;
    const instance = new wasm.Instance(compiled, { env: { memory, gear: scratch, min, average, max, ...cutMasks(average) } });
    this.#kernel = instance.exports['cuts'] as Kernel;
    this.#cutsAt = scratch + GEAR_TABLES_BYTES;
    this.#found = new Uint32Array(memory.buffer, this.#cutsAt, SCRATCH_CUTS);
    this.#memoryBytes = memory.buffer.byteLength;
    this.maxBytes = max;
  }

  cuts(offset: number, length: number, final: boolean, out: Uint32Array): number {
    assert(offset >= 0 && length >= 0 && offset + length <= this.#memoryBytes, 'the region lies inside the memory');
    let count = 0;
    let start = 0;
    while (count < out.length) {
      const most = Math.min(SCRATCH_CUTS, out.length - count);
      const found = this.#kernel(offset + start, length - start, this.#cutsAt, most, final ? 1 : 0);
      for (let i = 0; i < found; i += 1) out[count + i] = start + (this.#found[i] as number);
      count += found;
      if (found < most) break;
      start = out[count - 1] as number;
    }
    return count;
  }
}
