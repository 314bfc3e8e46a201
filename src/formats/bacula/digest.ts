/** Digests of content as Bacula stores them: over the bytes that were stored, so holes of sparse files are not in them. */
import { createHash } from 'node:crypto';
import { createMD5, createSHA1, createSHA256, createSHA512, type IHasher } from 'hash-wasm';
import { createXxh } from './checksum.ts';
import type { DigestKind } from './stream.ts';

/** A native hash is faster, and an object with memory of its own for each file: a million of those are what collecting garbage is about. */
const NATIVE_BYTES_MIN = 256 << 10;

/** A digest being computed; after `finish` it must not be used. */
export interface ContentDigest {
  update(bytes: Uint8Array): void;
  finish(): Uint8Array;
}

/** States live in WebAssembly instances, which are kept for the next file. */
const idle: Record<DigestKind, IHasher[]> = { md5: [], sha1: [], sha256: [], sha512: [], xxh64: [], 'xxh3-64': [], 'xxh3-128': [] };

function createHasher(kind: DigestKind): Promise<IHasher> {
  switch (kind) {
    case 'md5': return createMD5();
    case 'sha1': return createSHA1();
    case 'sha256': return createSHA256();
    case 'sha512': return createSHA512();
    default: return createXxh(kind);
  }
}

/** Starts a digest of about `bytes` of content. */
export async function startDigest(kind: DigestKind, bytes: number): Promise<ContentDigest> {
  if (bytes >= NATIVE_BYTES_MIN && (kind === 'md5' || kind === 'sha1' || kind === 'sha256' || kind === 'sha512')) {
    const hash = createHash(kind);
    return { update: (bytes) => { hash.update(bytes); }, finish: () => hash.digest() };
  }
  const hasher = (idle[kind].pop() ?? await createHasher(kind)).init();
  return {
    update: (bytes) => { hasher.update(bytes); },
    finish: () => {
      const digest = hasher.digest('binary');
      idle[kind].push(hasher);
      return digest;
    },
  };
}
