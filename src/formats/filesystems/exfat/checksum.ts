/** The three sums of exFAT: each turns its value right by one bit and adds a byte. Source: exFAT specification, figures 1 to 4. */
import { ENTRY_BYTES } from './exfat.layout.ts';

/** Bytes of the boot sector that change while the volume is in use: VolumeFlags and PercentInUse. */
const VOLATILE = new Set([106, 107, 112]);

/** The sum of the first eleven sectors of a boot region, section 3.4. */
export function bootChecksum(sectors: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < sectors.length; i += 1) {
    if (!VOLATILE.has(i)) sum = (sum << 31 | sum >>> 1) + (sectors[i] as number) >>> 0;
  }
  return sum;
}

/** The sum of the up-case table, section 7.2.2. */
export function tableChecksum(bytes: Uint8Array): number {
  let sum = 0;
  for (const byte of bytes) sum = (sum << 31 | sum >>> 1) + byte >>> 0;
  return sum;
}

function turn16(sum: number, byte: number): number {
  return (sum << 15 & 0x8000 | sum >>> 1) + byte & 0xffff;
}

/** The sum of an entry set, section 6.3.3; its own two bytes do not count. */
export function setChecksum(set: Uint8Array): number {
  let sum = 0;
  for (let i = 0; i < set.length; i += 1) if (i !== 2 && i !== 3) sum = turn16(sum, set[i] as number);
  return sum;
}

/** The hash of a name in upper case, section 7.6.4. */
export function nameHash(units: Uint16Array, length: number, upcase: Uint16Array): number {
  let sum = 0;
  for (let i = 0; i < length; i += 1) {
    const unit = upcase[units[i] as number] as number;
    sum = turn16(turn16(sum, unit & 0xff), unit >> 8);
  }
  return sum;
}

/** Whole entries of a set with so many secondary ones. */
export function setBytes(secondaryCount: number): number {
  return (1 + secondaryCount) * ENTRY_BYTES;
}
