/**
 * The inner loop of the code, target += factor · source, over a work area of its own: in WebAssembly (`multiply.wat`), and as its readable
 * twin in TypeScript.
 */
import assert from 'node:assert';
import { wasm } from '../workers/wasm.ts';
import { multiply } from './galois.ts';
import { multiplyWasm } from './multiply.wasm.ts';

const PAGE_BYTES = 65_536;
/** For each factor 16 products of the low half of a byte and 16 of the high half. */
const TABLES_BYTES = 256 * 32;
/** A kernel up to this size waits for its next borrower: memory of WebAssembly is freed so late that one for each container would add up. */
const SPARE_BYTES_MAX = 8 << 20;

/** Memory with arithmetic. Belongs to one user at a time. */
export interface GaloisKernel {
  readonly implementation: 'wasm' | 'plain';
  /** The work area. */
  readonly memory: Uint8Array;
  /** Adds `factor` times the `length` bytes at `source` to those at `target`; a multiple of 32, ranges that do not overlap. */
  multiplyAdd(target: number, source: number, length: number, factor: number): void;
}

type MultiplyAdd = (target: number, source: number, length: number, tables: number) => void;

function checkRanges(memory: Uint8Array, target: number, source: number, length: number): void {
  assert(length % 32 === 0 && target >= 0 && source >= 0 && Math.max(target, source) + length <= memory.length && Math.abs(target - source) >= length,
    'both ranges lie apart inside the work area');
}

/** Products of one half of a byte with a factor; `shift` is 0 or 4. */
function halfProducts(factor: number, shift: number): readonly number[] {
  return Array.from({ length: 16 }, (_, half) => multiply(factor, half << shift));
}

/** Product of a factor and a byte at 256 · factor + byte. */
let products: Uint8Array | undefined;

class PlainKernel implements GaloisKernel {
  readonly implementation = 'plain';
  readonly memory: Uint8Array;

  constructor(bytes: number) {
    this.memory = new Uint8Array(bytes);
    products ??= Uint8Array.from({ length: 65_536 }, (_, i) => multiply(i >>> 8, i & 0xff));
  }

  multiplyAdd(target: number, source: number, length: number, factor: number): void {
    const { memory } = this;
    checkRanges(memory, target, source, length);
    const table = (products as Uint8Array).subarray(factor * 256, factor * 256 + 256);
    for (let i = 0; i < length; i += 1) {
      memory[target + i] = (memory[target + i] as number) ^ (table[memory[source + i] as number] as number);
    }
  }
}

let compiled: object | undefined;

class WasmKernel implements GaloisKernel {
  readonly implementation = 'wasm';
  readonly memory: Uint8Array;
  readonly #multiplyAdd: MultiplyAdd;

  constructor(bytes: number) {
    const pages = Math.ceil((TABLES_BYTES + bytes) / PAGE_BYTES);
    const memory = new wasm.Memory({ initial: pages, maximum: pages });
    const tables = new Uint8Array(memory.buffer, 0, TABLES_BYTES);
    for (let factor = 0; factor < 256; factor += 1) {
      tables.set(halfProducts(factor, 0), factor * 32);
      tables.set(halfProducts(factor, 4), factor * 32 + 16);
    }
    this.memory = new Uint8Array(memory.buffer, TABLES_BYTES);
    compiled ??= new wasm.Module(Buffer.from(multiplyWasm, 'base64'));
    this.#multiplyAdd = new wasm.Instance(compiled, { env: { memory } }).exports['multiplyAdd'] as MultiplyAdd;
  }

  multiplyAdd(target: number, source: number, length: number, factor: number): void {
    checkRanges(this.memory, target, source, length);
    this.#multiplyAdd(TABLES_BYTES + target, TABLES_BYTES + source, length, factor * 32);
  }
}

let spare: GaloisKernel | undefined;

/** A kernel whose work area has at least `bytes`, all zero. */
export function borrowKernel(bytes: number): GaloisKernel {
  const found = spare;
  if (found === undefined || found.memory.length < bytes) return new WasmKernel(bytes);
  spare = undefined;
  found.memory.fill(0, 0, bytes);
  return found;
}

/** Ends a borrower's use. A kernel that never comes back is only garbage. */
export function returnKernel(kernel: GaloisKernel): void {
  if (kernel.implementation === 'wasm' && kernel.memory.length <= SPARE_BYTES_MAX && kernel.memory.length > (spare?.memory.length ?? 0)) spare = kernel;
}

/** The twin in plain TypeScript: the same bytes, for tests and benchmarks. */
export function plainKernel(bytes: number): GaloisKernel {
  return new PlainKernel(bytes);
}
