/** The part of WebAssembly that the engine uses. Node has it, `lib.es2023` does not declare it. */

/** Memory that all threads share when made with `shared`. */
export interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
}

/** An instantiated module. */
export interface WasmInstance {
  readonly exports: Readonly<Record<string, unknown>>;
}

interface WasmApi {
  readonly Memory: new (descriptor: { initial: number; maximum?: number; shared?: boolean }) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object, imports?: Record<string, Record<string, unknown>>) => WasmInstance;
}

/** The global, typed. */
export const wasm: WasmApi = (globalThis as unknown as { readonly WebAssembly: WasmApi }).WebAssembly;
