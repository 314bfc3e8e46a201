/**
 * Checksums of ext4's metadata: CRC-32C that is neither inverted before nor after, seeded by filesystem and inode; CRC-16 of older group descriptors.
 * Source: Linux, Documentation/filesystems/ext4 (checksums).
 */
import { crc32c } from '../../../core/index.ts';

const number = new Uint8Array(8);
const words = new DataView(number.buffer);

/** Continues a raw CRC-32C, which begins as 0xffffffff, over `bytes`. */
export function chainCrc(crc: number, bytes: Uint8Array): number {
  return ~crc32c(bytes, ~crc >>> 0) >>> 0;
}

/** The same over one number of 32 bits. */
export function chainCrcOfU32(crc: number, value: number): number {
  words.setUint32(0, value, true);
  return chainCrc(crc, number.subarray(0, 4));
}

/** The same over a block's number, 64 bits. */
export function chainCrcOfU64(crc: number, value: number): number {
  words.setUint32(0, value >>> 0, true);
  words.setUint32(4, Math.floor(value / 2 ** 32), true);
  return chainCrc(crc, number);
}

/** The same over `bytes` in which the `length` bytes at `hole` count as zeroes: where the checksum itself is. */
export function chainCrcAround(crc: number, bytes: Uint8Array, hole: number, length: number): number {
  const before = chainCrc(crc, bytes.subarray(0, hole));
  return chainCrc(chainCrc(before, new Uint8Array(length)), bytes.subarray(hole + length));
}

/** The polynomial 0x8005, bits reversed. */
const CRC16_POLYNOMIAL = 0xa001;

/** Continues a CRC-16, which begins as 0xffff here. */
export function chainCrc16(crc: number, bytes: Uint8Array): number {
  let value = crc;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ CRC16_POLYNOMIAL : value >>> 1;
  }
  return value;
}
