/** 64-bit integers as numbers: those with the highest bit set are negative, so that small and "minus" object ids are exact. */
import { FormatError } from '../../../core/index.ts';

/** The little-endian integer at `at`; above 2^53 it is near enough to compare, and never equal to an exact one. */
export function wideAt(view: DataView, at: number): number {
  return view.getInt32(at + 4, true) * 0x1_0000_0000 + view.getUint32(at, true);
}

/** Unsigned order. */
export function compareWide(a: number, b: number): number {
  if (a === b) return 0;
  return a < 0 === b < 0 ? a - b : b - a;
}

/** An address, count or size, which must be at most 2^53 − 1. @throws {FormatError} */
export function exactAt(view: DataView, at: number, structure: string, field: string): number {
  const value = wideAt(view, at);
  if (value < 0 || value > Number.MAX_SAFE_INTEGER) throw new FormatError('Read btrfs', { structure, field, found: value, expected: 'at most 2^53-1' });
  return value;
}
