/**
 * Padmé: sizes are rounded up to few values, so that a size tells little about the content.
 * A length L keeps only its top ⌊log2 ⌊log2 L⌋⌋ + 1 bits behind the first: overhead at most 12 %, 6.3 % from 16 KiB on, 3.2 % from 64 KiB on, and only O(log log L) bits leak.
 * Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", PETS 2019, section 4, algorithm 1.
 */
import assert from 'node:assert';

/** The padded length: the least allowed size that takes `length` bytes; never less than `minimum`. */
export function padme(length: number, minimum: number): number {
  assert(Number.isInteger(length) && length >= 0 && length < 2 ** 32, 'a length in bytes');
  if (length <= minimum) return minimum;
  if (length < 2) return length;
  const exponent = 31 - Math.clz32(length);
  const kept = 32 - Math.clz32(exponent);
  const step = 2 ** Math.max(0, exponent - kept);
  return Math.ceil(length / step) * step;
}
