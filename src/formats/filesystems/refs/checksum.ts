/** Checksums of ReFS. Sources: forefst, docs/concepts/checksum_architecture; RFC 3720 for CRC-32C; FIPS 180-4 for SHA-256. */
import { createHash } from 'node:crypto';
import { crc32c } from '../../../core/index.ts';

/** The reflected polynomial 0x9A6C9329AC4BC9B5 in two words; it is not that of ECMA-182. */
const POLYNOMIAL = { high: 0x9a6c_9329, low: 0xac4b_c9b5 } as const;
const tableHigh = new Uint32Array(256);
const tableLow = new Uint32Array(256);
for (let value = 0; value < 256; value += 1) {
  let high = 0;
  let low = value;
  for (let bit = 0; bit < 8; bit += 1) {
    const odd = low & 1;
    low = (low >>> 1 | high << 31) >>> 0;
    high >>>= 1;
    if (odd) {
      high ^= POLYNOMIAL.high;
      low ^= POLYNOMIAL.low;
    }
  }
  tableHigh[value] = high;
  tableLow[value] = low;
}

/** A sum that is written in place of another one. */
const REPLACED = { high: 0xabba_ffff, low: 0xabba_fffe } as const;

/** CRC-64 as eight bytes, little-endian. */
export function crc64(bytes: Uint8Array): Uint8Array {
  let high = ~0;
  let low = ~0;
  for (const byte of bytes) {
    const index = (low ^ byte) & 0xff;
    low = (low >>> 8 | high << 24) ^ (tableLow[index] as number);
    high = high >>> 8 ^ (tableHigh[index] as number);
  }
  high = ~high >>> 0;
  low = ~low >>> 0;
  if (high === REPLACED.high && low === REPLACED.low) low += 1;
  const sum = new Uint8Array(8);
  const view = new DataView(sum.buffer);
  view.setUint32(0, low, true);
  view.setUint32(4, high, true);
  return sum;
}

/** Kinds of sums in references to pages. */
export const CHECKSUM = { none: 0, crc32c: 1, crc64: 2, sha256: 4 } as const;

/** The sum of this kind; undefined where the kind is unknown. For `none` it is empty. */
export function checksumOf(kind: number, bytes: Uint8Array): Uint8Array | undefined {
  switch (kind) {
    case CHECKSUM.none: return new Uint8Array(0);
    case CHECKSUM.crc32c: {
      const sum = new Uint8Array(4);
      new DataView(sum.buffer).setUint32(0, crc32c(bytes), true);
      return sum;
    }
    case CHECKSUM.crc64: return crc64(bytes);
    case CHECKSUM.sha256: return new Uint8Array(createHash('sha256').update(bytes).digest());
    default: return undefined;
  }
}

/** The sum of the boot sector: bytes 3 to 511 but for its own two. */
export function bootChecksum(sector: Uint8Array): number {
  let sum = 0;
  for (let i = 3; i < 512; i += 1) if (i !== 0x16 && i !== 0x17) sum = (sum >> 1 | sum << 15) + (sector[i] as number) & 0xffff;
  return sum;
}
