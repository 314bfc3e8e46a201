/**
 * The gear table: one 64-bit random-looking number a byte value. It decides every cut of every repository, so it never changes;
 * `gear.test.ts` holds its digest.
 */
import { createHash } from 'node:crypto';

/** Bytes of the two tables as {@link writeGearTables} lays them out. */
export const GEAR_TABLES_BYTES: number = 2 * 256 * 8;

function deriveGear(): BigUint64Array {
  const table = new BigUint64Array(256);
  for (let value = 0; value < 256; value += 1) {
    table[value] = createHash('sha256').update('holdfast gear').update(Uint8Array.of(value)).digest().readBigUInt64LE(0);
  }
  return table;
}

/** Entry v is the first 8 bytes, little-endian, of SHA-256("holdfast gear" ‖ byte v). */
export const gear: BigUint64Array = deriveGear();

/** Writes 256 little-endian u64 and, for the first byte of each pair, the same 256 shifted left by one. */
export function writeGearTables(target: Uint8Array): void {
  const view = new DataView(target.buffer, target.byteOffset, GEAR_TABLES_BYTES);
  for (const [value, number] of gear.entries()) {
    view.setBigUint64(value * 8, number, true);
    view.setBigUint64((256 + value) * 8, number << 1n, true);
  }
}
