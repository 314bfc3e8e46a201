/** Checksums of blocks and XXH digests of files: xxHash from hash-wasm. */
import { createXXHash3, createXXHash64, createXXHash128, type IHasher } from 'hash-wasm';

/** The three kinds of xxHash that Bacula 15 stores. */
export type XxhKind = 'xxh64' | 'xxh3-64' | 'xxh3-128';

/** Seed-0 hasher, ready for `init()`; each caller owns its instance, because the state lives in it. */
export function createXxh(kind: XxhKind): Promise<IHasher> {
  switch (kind) {
    case 'xxh64': return createXXHash64(0, 0);
    case 'xxh3-64': return createXXHash3(0, 0);
    case 'xxh3-128': return createXXHash128(0, 0);
  }
}

let blockHasher: Promise<IHasher> | undefined;

/** The hasher of block checksums, shared: a checksum is computed without yielding, so its state is never interleaved. */
export function sharedBlockHasher(): Promise<IHasher> {
  blockHasher ??= createXxh('xxh3-64');
  return blockHasher;
}
