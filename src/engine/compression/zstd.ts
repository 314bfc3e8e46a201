/**
 * Zstandard for container payloads, from the first of three that works here: Node's own zlib (22.15 and newer), the system's libzstd through koffi, WebAssembly
 * (`@bokuweb/zstd-wasm`). All write standard frames with the content size in them, so any one reads what another wrote.
 *
 * Level 3 uses smaller match tables than zstd's own (they stay in a core's L2 cache): on 2 MiB groups of /usr 380 instead of 315 MB/s for
 * 1.5 % more bytes. Decompression runs at about 1,570 MB/s per core. WebAssembly is about a third of both.
 */
import assert from 'node:assert';
import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import * as zlib from 'node:zlib';
import { IntegrityError } from '../../core/errors.ts';

/** One per thread; not reentrant. */
export interface Zstd {
  /** 'node', 'libzstd' or 'wasm'. */
  readonly implementation: string;
  /** @returns stored length, or 0 when the frame does not fit into `target`. */
  compress(source: Uint8Array, target: Uint8Array, level: number): number;
  /**
   * Fills exactly `target`.
   * @throws {IntegrityError} on a damaged frame or another length.
   */
  decompress(source: Uint8Array, target: Uint8Array): void;
}

const require = createRequire(import.meta.url);

/** Parameters beside the level, by their names in zstd's interface (`ZSTD_c_…`) and its numbers. */
const tuning: Readonly<Record<number, readonly (readonly [name: string, parameter: number, value: number])[]>> = {
  3: [['ZSTD_c_hashLog', 102, 16], ['ZSTD_c_chainLog', 103, 15]],
};
const LEVEL_PARAMETER = 100;

function damaged(detail: string): IntegrityError {
  return new IntegrityError(`Decompress group: zstd says '${detail}'`);
}

interface NodeZstd {
  zstdCompressSync?(source: Uint8Array, options: object): Buffer;
  zstdDecompressSync?(source: Uint8Array, options: object): Buffer;
  constants: Record<string, number>;
}

function nodeZstd(): Zstd | undefined {
  const node = zlib as unknown as NodeZstd;
  const { zstdCompressSync, zstdDecompressSync } = node;
  const levelKey = node.constants['ZSTD_c_compressionLevel'];
  if (zstdCompressSync === undefined || zstdDecompressSync === undefined || levelKey === undefined) return undefined;
  return {
    implementation: 'node',
    compress(source, target, level) {
      const tuned = (tuning[level] ?? []).map(([name, , value]) => [node.constants[name] as number, value]);
      const frame = zstdCompressSync(source, { params: { [levelKey]: level, ...Object.fromEntries(tuned) as Record<number, number> } });
      if (frame.length > target.length) return 0;
      target.set(frame);
      return frame.length;
    },
    decompress(source, target) {
      let raw: Buffer;
      try {
        raw = zstdDecompressSync(source, { maxOutputLength: target.length });
      } catch (error) {
        throw damaged((error as Error).message);
      }
      if (raw.length !== target.length) throw damaged(`length ${raw.length} instead of ${target.length}`);
      target.set(raw);
    },
  };
}

type NativeFunction = (...values: unknown[]) => unknown;

interface Koffi {
  load(name: string): { func(prototype: string): NativeFunction };
}

function systemZstd(): Zstd | undefined {
  let library: { func(prototype: string): NativeFunction } | undefined;
  try {
    const koffi = require('koffi') as Koffi;
    for (const name of ['libzstd.so.1', 'libzstd.1.dylib']) {
      try {
        library = koffi.load(name);
        break;
      } catch {
        // not this platform's name
      }
    }
  } catch {
    return undefined; // koffi has no binary here
  }
  if (library === undefined) return undefined;
  const create = library.func('void *ZSTD_createCCtx()');
  const createReader = library.func('void *ZSTD_createDCtx()');
  const compressFrame = library.func('size_t ZSTD_compress2(void *context, void *target, size_t capacity, const void *source, size_t length)');
  const setParameter = library.func('size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value)');
  const resetContext = library.func('size_t ZSTD_CCtx_reset(void *context, int directive)');
  const decompressFrame = library.func('size_t ZSTD_decompressDCtx(void *context, void *target, size_t capacity, const void *source, size_t length)');
  const isError = library.func('unsigned int ZSTD_isError(size_t code)');
  const errorName = library.func('const char *ZSTD_getErrorName(size_t code)');
  const free = library.func('size_t ZSTD_freeCCtx(void *context)');
  const freeReader = library.func('size_t ZSTD_freeDCtx(void *context)');
  const context = create();
  const readContext = createReader();
  assert(context !== null && readContext !== null, 'libzstd gives contexts');
  // A thread's end frees what JavaScript knows of, and no more.
  if (!isMainThread) {
    process.once('exit', () => {
      free(context);
      freeReader(readContext);
    });
  }
  let current = 0;
  const useLevel = (level: number): void => {
    if (level === current) return;
    resetContext(context, 3); // session and parameters
    for (const [parameter, value] of [[LEVEL_PARAMETER, level], ...(tuning[level] ?? []).map((one) => [one[1], one[2]])]) setParameter(context, parameter, value);
    current = level;
  };
  return {
    implementation: 'libzstd',
    compress(source, target, level) {
      useLevel(level);
      const result = compressFrame(context, target, target.length, source, source.length) as number;
      return isError(result) === 0 ? Number(result) : 0;
    },
    decompress(source, target) {
      const result = decompressFrame(readContext, target, target.length, source, source.length);
      if (isError(result) !== 0) throw damaged(String(errorName(result)));
      if (Number(result) !== target.length) throw damaged(`length ${String(result)} instead of ${target.length}`);
    },
  };
}

interface WasmModule {
  init(): Promise<void>;
  compress(source: Uint8Array, level: number): Uint8Array;
  decompress(source: Uint8Array, options?: { defaultHeapSize?: number }): Uint8Array;
}

/**
 * The content size that a frame announces; undefined when it has none or is no frame.
 * Source: RFC 8878, section 3.1.1.1.
 */
export function contentSizeOf(frame: Uint8Array): number | undefined {
  if (frame.length < 5 || frame[0] !== 0x28 || frame[1] !== 0xb5 || frame[2] !== 0x2f || frame[3] !== 0xfd) return undefined;
  const descriptor = frame[4] as number;
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeCode = descriptor >>> 6;
  const sizeBytes = sizeCode === 0 ? (isSingle ? 1 : 0) : 1 << sizeCode;
  const at = 5 + (isSingle ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] as number);
  if (sizeBytes === 0 || at + sizeBytes > frame.length) return undefined;
  let size = 0;
  for (let i = sizeBytes - 1; i >= 0; i -= 1) size = size * 256 + (frame[at + i] as number);
  return sizeBytes === 2 ? size + 256 : size;
}

let wasmReady: Promise<void> | undefined;

async function wasmZstd(): Promise<Zstd> {
  const wasm = require('@bokuweb/zstd-wasm') as WasmModule;
  // Once a thread: a second initialisation gives the package another memory under the first one's feet.
  await (wasmReady ??= wasm.init());
  return {
    implementation: 'wasm',
    compress(source, target, level) {
      const frame = wasm.compress(source, level);
      if (frame.length > target.length) return 0;
      target.set(frame);
      return frame.length;
    },
    decompress(source, target) {
      const announced = contentSizeOf(source);
      // The package allocates what the frame announces before it looks at a byte of it.
      if (announced !== target.length) throw damaged(`a frame of ${announced ?? 'unknown'} bytes instead of ${target.length}`);
      let raw: Uint8Array;
      try {
        raw = wasm.decompress(source, { defaultHeapSize: target.length });
      } catch (error) {
        throw damaged(String(error));
      }
      if (raw.length !== target.length) throw damaged(`length ${raw.length} instead of ${target.length}`);
      target.set(raw);
    },
  };
}

let own: Promise<Zstd> | undefined;

/**
 * The codec of this thread: one for all, because its native contexts take megabytes. `HOLDFAST_NO_NATIVE=1` forces WebAssembly (tests, odd platforms).
 */
export function createZstd(): Promise<Zstd> {
  if (process.env['HOLDFAST_NO_NATIVE'] === '1') return wasmZstd();
  own ??= Promise.resolve(nodeZstd() ?? systemZstd() ?? wasmZstd());
  return own;
}
