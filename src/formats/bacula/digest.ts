/** Digests of content as Bacula stores them: over the bytes that were stored, so holes of sparse files are not in them. */
import { createHash } from 'node:crypto';
import type { IHasher } from 'hash-wasm';
import { createXxh, type XxhKind } from './checksum.ts';
import type { DigestKind } from './stream.ts';

/** A digest being computed; after `finish` it must not be used. */
export interface ContentDigest {
  update(bytes: Uint8Array): void;
  finish(): Uint8Array;
}

const idle: Record<XxhKind, IHasher[]> = { 'xxh64': [], 'xxh3-64': [], 'xxh3-128': [] };

/** Starts a digest. xxHash states live in WebAssembly instances, which are kept for the next file. */
export async function startDigest(kind: DigestKind): Promise<ContentDigest> {
  if (kind === 'md5' || kind === 'sha1' || kind === 'sha256' || kind === 'sha512') {
    const hash = createHash(kind);
    return { update: (bytes) => { hash.update(bytes); }, finish: () => hash.digest() };
  }
  const hasher = (idle[kind].pop() ?? await createXxh(kind)).init();
  return {
    update: (bytes) => { hasher.update(bytes); },
    finish: () => {
      const digest = hasher.digest('binary');
      idle[kind].push(hasher);
      return digest;
    },
  };
}
