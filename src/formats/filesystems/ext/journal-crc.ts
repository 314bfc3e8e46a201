/** The CRC-32 of version 1 of the journal's checksums: highest bit first, inverted neither before nor after. Source: Linux, lib/crc32.c, `crc32_be`. */

const POLYNOMIAL = 0x04c1_1db7;
const table = new Uint32Array(256);
for (let value = 0; value < 256; value += 1) {
  let crc = value << 24;
  for (let bit = 0; bit < 8; bit += 1) crc = crc < 0 ? (crc << 1) ^ POLYNOMIAL : crc << 1;
  table[value] = crc;
}

/** Continues a CRC, which begins as 0xffffffff, over `bytes`. */
export function chainCrcBigEndian(crc: number, bytes: Uint8Array): number {
  let value = crc;
  for (const byte of bytes) value = (value << 8) ^ (table[((value >>> 24) ^ byte) & 0xff] as number);
  return value >>> 0;
}
