/**
 * Chunk ids: BLAKE3-256 (default) or SHA-256 over a chunk's raw bytes. With a key, which encrypted repositories have, they are BLAKE3's keyed mode and
 * HMAC-SHA256 (RFC 2104): who lacks the key can't tell whether a known content is stored.
 *
 * BLAKE3 comes from the native `@napi-rs/blake-hash` where it loads, else from `hash-wasm`: the same ids either way. Both read views of shared memory
 * without a copy of ours. At 16 KiB the keyed mode has 0.90 of the speed of the plain one (with one hasher that is reset; a new one for each chunk is
 * several times slower), `hash-wasm` 0.18, HMAC-SHA256 0.89 of SHA-256 (`bench/micro/hash.ts`).
 */
import assert from 'node:assert';
import { createHash, createHmac, createSecretKey } from 'node:crypto';
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

/** Bytes of a key. */
const KEY_BYTES = 32;

interface NativeHasher {
  reset(): void;
  update(input: Buffer): this;
  digestBuffer(): Buffer;
}

interface NativeBlake {
  blake3(input: Buffer): Buffer;
  readonly Blake3Hasher: { newKeyed(key: Buffer): NativeHasher };
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

function sha256(key: Uint8Array | undefined): Hasher {
  const secret = key === undefined ? undefined : createSecretKey(key);
  const start = secret === undefined ? () => createHash('sha256') : () => createHmac('sha256', secret);
  return {
    name: 'sha256',
    implementation: 'openssl',
    digestInto: (bytes, target, offset) => { target.set(start().update(bytes).digest(), offset); },
  };
}

function nativeBlake3({ blake3, Blake3Hasher }: NativeBlake, key: Uint8Array | undefined): Hasher {
  const keyed = key === undefined ? undefined : Blake3Hasher.newKeyed(Buffer.from(key));
  const digest = keyed === undefined ? blake3 : (bytes: Buffer) => {
    keyed.reset();
    return keyed.update(bytes).digestBuffer();
  };
  return { name: 'blake3', implementation: 'native', digestInto: (bytes, target, offset) => { target.set(digest(asBuffer(bytes)), offset); } };
}

/** Makes a hasher for this thread; `key`, 32 bytes, makes its ids keyed, and is copied. */
export async function createHasher(name: HashName, key?: Uint8Array): Promise<Hasher> {
  assert(key === undefined || key.length === KEY_BYTES, 'a key of ids has 32 bytes');
  if (name === 'sha256') return sha256(key);
  const native = loadNative();
  if (native !== undefined) return nativeBlake3(native, key);
  const copy = key?.slice(); // now: its owner may overwrite it while we wait
  const { createBLAKE3 } = await import('hash-wasm'); // only here: it is large, and each thread would load it
  const wasm = await createBLAKE3(256, copy);
  return {
    name,
    implementation: 'wasm',
    digestInto: (bytes, target, offset) => { target.set(wasm.init().update(bytes).digest('binary'), offset); },
  };
}
