/** CRC-32 of bulk payloads: zlib's native one where Node has it (20.15 and newer, about 5 GB/s), else a table. */
import * as zlib from 'node:zlib';

const table = new Int32Array(256);
for (let i = 0; i < 256; i += 1) {
  let value = i;
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb8_8320 : value >>> 1;
  table[i] = value;
}

function plainCrc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (let i = 0; i < bytes.length; i += 1) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[i] as number)) & 0xff] as number);
  return ~crc >>> 0;
}

/** CRC-32 (IEEE 802.3, as in zlib) of all of `bytes`, 0…2^32 − 1. */
export const crc32: (bytes: Uint8Array) => number = (zlib as { crc32?: (bytes: Uint8Array) => number }).crc32 ?? plainCrc32;
