/** CRC-32 (IEEE 802.3, reflected): Bacula's blocks, GPT's tables, LVM's texts. From zlib where Node has it. Source: RFC 1952, section 8. */
import * as zlib from 'node:zlib';

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
 * CRC-32 in TypeScript, eight bytes a step; used where `zlib.crc32` is missing (Node before 20.15). `before` is the CRC-32 of what stands in front.
 * Source: slicing as described in Kounavis and Berry, "Novel Table Lookup-Based Algorithms …" (2008).
 */
export function crc32Plain(bytes: Uint8Array, before = 0): number {
  const t = (tables ??= makeTables());
  let c = ~before;
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

const crc32From = native ?? crc32Plain;

/** CRC-32 of `bytes`. 0…2^32 − 1. */
export function crc32(bytes: Uint8Array): number {
  return crc32From(bytes);
}

/** The register after `bytes` when it was `register` before; neither is inverted. 0…2^32 − 1. */
export function crc32Register(register: number, bytes: Uint8Array): number {
  return ~crc32From(bytes, ~register >>> 0) >>> 0;
}
