/** Checksums of blocks and XXH digests of files: CRC-32 from zlib where Node has it, xxHash from hash-wasm. */
import * as zlib from 'node:zlib';
import { createXXHash3, createXXHash64, createXXHash128, type IHasher } from 'hash-wasm';

const native = (zlib as { crc32?: (data: Uint8Array, value?: number) => number }).crc32;

/** Eight tables of 256: table `k` advances a byte by `k` more zero bytes. */
function makeTables(): Uint32Array {
  const tables = new Uint32Array(8 * 256);
  for (let n = 0; n < 256; n += 1) {
    let c = n;
    for (let bit = 0; bit < 8; bit += 1) c = (c & 1) !== 0 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    tables[n] = c;
  }
  for (let n = 256; n < tables.length; n += 1) {
    const before = tables[n - 256] as number;
    tables[n] = (before >>> 8) ^ (tables[before & 255] as number);
  }
  return tables;
}

let tables: Uint32Array | undefined;

/**
 * CRC-32 (IEEE 802.3, reflected) in TypeScript, eight bytes a step; used where `zlib.crc32` is missing (Node before 20.15).
 * Source: RFC 1952, section 8; slicing as described in Kounavis and Berry, "Novel Table Lookup-Based Algorithms …" (2008).
 */
export function crc32Plain(bytes: Uint8Array): number {
  const t = (tables ??= makeTables());
  let c = 0xffffffff;
  let i = 0;
  for (; i + 8 <= bytes.length; i += 8) {
    const low = c ^ ((bytes[i] as number) | ((bytes[i + 1] as number) << 8) | ((bytes[i + 2] as number) << 16) | ((bytes[i + 3] as number) << 24));
    c = (t[1792 + (low & 255)] as number) ^ (t[1536 + ((low >>> 8) & 255)] as number) ^ (t[1280 + ((low >>> 16) & 255)] as number)
      ^ (t[1024 + (low >>> 24)] as number) ^ (t[768 + (bytes[i + 4] as number)] as number) ^ (t[512 + (bytes[i + 5] as number)] as number)
      ^ (t[256 + (bytes[i + 6] as number)] as number) ^ (t[bytes[i + 7] as number] as number);
  }
  for (; i < bytes.length; i += 1) c = (c >>> 8) ^ (t[(c ^ (bytes[i] as number)) & 255] as number);
  return (c ^ 0xffffffff) >>> 0;
}

/** CRC-32 (zlib polynomial) of `bytes`. */
export const crc32: (bytes: Uint8Array) => number = native === undefined ? crc32Plain : (bytes) => native(bytes);

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
