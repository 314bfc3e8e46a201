/** FILETIME: 100 nanoseconds since 1601, signed. Source: Microsoft [MS-DTYP], section 2.3.3. */
import type { Timestamp } from '../../../core/index.ts';

const PER_SECOND = 10_000_000;
/** Seconds from 1601 to 1970. */
const EPOCH = 11_644_473_600;

/** The time at `at`; division by hand, since 2^63 does not fit a number. */
export function timeAt(view: DataView, at: number): Timestamp {
  const high = view.getInt32(at + 4, true);
  const low = view.getUint32(at, true);
  // floor(high / 10^7) first, then 16 bits at a time: no product leaves 2^53.
  const top = Math.floor(high / PER_SECOND);
  const middle = (high - top * PER_SECOND) * 65_536 + (low >>> 16);
  const second = Math.floor(middle / PER_SECOND);
  const bottom = (middle - second * PER_SECOND) * 65_536 + (low & 0xffff);
  const third = Math.floor(bottom / PER_SECOND);
  const seconds = (top * 65_536 + second) * 65_536 + third - EPOCH;
  return { seconds, nanoseconds: (bottom - third * PER_SECOND) * 100 };
}
