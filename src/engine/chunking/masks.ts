/**
 * The two masks of normalised chunking: a cut falls where `hash & mask` is 0.
 *
 * A gear hash moves up one bit a byte, so bit b depends on the last b + 1 bytes: bits near the top look back furthest. All
 * effective bits are therefore spread over the 48 positions 15…62. Bit 63 stays out, because the kernel tests the first byte
 * of a pair on the hash shifted left once more, where bit 63 would be lost.
 *
 * Positions are taken in a fixed order: every third one first, by bit-reversed count (as far from each other as can be), then those
 * between. So any number of them is spread evenly, and a mask with fewer bits is a subset of one with more: a cut of the strict mask
 * is also one of the loose mask.
 * Source: Xia et al., FastCDC (USENIX ATC 2016), sections 4.2 and 4.4; The Design of Fast Content-Defined Chunking (IEEE TPDS 2020).
 */

/** Normalisation level: bits added before the average and taken away after it. */
const NORMALISATION = 2;
const HIGHEST_BIT = 62n;

/** Masks as 64-bit integers. */
export interface CutMasks {
  /** Before the average: two bits more than log2(average), cuts are rare. */
  readonly maskSmall: bigint;
  /** From the average on: two bits fewer, cuts are frequent. */
  readonly maskLarge: bigint;
}

/** The i-th position, 0…47, counted down from the highest bit. */
function position(i: number): number {
  const reversed = (i & 1) << 3 | (i & 2) << 1 | (i & 4) >> 1 | (i & 8) >> 3;
  return 3 * reversed + (i >> 4);
}

/** A mask of `bits` effective bits, 1…48. */
export function spreadMask(bits: number): bigint {
  let mask = 0n;
  for (let i = 0; i < bits; i += 1) mask |= 1n << (HIGHEST_BIT - BigInt(position(i)));
  return mask;
}

/** The masks of an average chunk size, a power of two in bytes. */
export function cutMasks(averageBytes: number): CutMasks {
  const bits = Math.log2(averageBytes);
  return { maskSmall: spreadMask(bits + NORMALISATION), maskLarge: spreadMask(bits - NORMALISATION) };
}
