/**
 * Chunk ids: BLAKE3-256 (default) or SHA-256 over a chunk's raw bytes.
 *
 * BLAKE3 comes from the native `@napi-rs/blake-hash` (about 3 GB/s at 16 KiB) where it loads, else from `hash-wasm`
 * (about 0.7 GB/s): the same ids either way. Both read views of shared memory without a copy of ours.
 */
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';

/** Names as stored in a repository's configuration. */
export type HashName = 'blake3' | 'sha256';

/** Hashes `bytes` and writes the 32-byte id to `target` at `offset`. Not reentrant; one per thread. */
export interface Hasher {
  readonly name: HashName;
  /** 'native', 'wasm' or 'openssl': for `info` and benchmarks. */
  readonly implementation: string;
  digestInto(bytes: Uint8Array, target: Uint8Array, offset: number): void;
}

const require = createRequire(import.meta.url);

interface NativeBlake {
  blake3(input: Buffer): Buffer;
}

function loadNative(): NativeBlake | undefined {
  if (process.env['HOLDFAST_NO_NATIVE'] === '1') return undefined;
  try {
    return require('@napi-rs/blake-hash') as NativeBlake;
  } catch {
    return undefined; // an optional dependency: no binary for this platform
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Makes a hasher for this thread. */
export async function createHasher(name: HashName): Promise<Hasher> {
  if (name === 'sha256') {
    return {
      name,
      implementation: 'openssl',
      digestInto: (bytes, target, offset) => { target.set(createHash('sha256').update(bytes).digest(), offset); },
    };
  }
  const native = loadNative();
  if (native !== undefined) {
    return {
      name,
      implementation: 'native',
      digestInto: (bytes, target, offset) => { target.set(native.blake3(asBuffer(bytes)), offset); },
    };
  }
  const { createBLAKE3 } = await import('hash-wasm'); // only here: it is large, and each thread would load it
  const wasm = await createBLAKE3();
  return {
    name,
    implementation: 'wasm',
    digestInto: (bytes, target, offset) => { target.set(wasm.init().update(bytes).digest('binary'), offset); },
  };
}
