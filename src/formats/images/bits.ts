/** Bitmaps of sectors. */
import { FormatError } from '../../core/index.ts';

/**
 * How many bits from `bit` on are equal, at most `countMax` and at most those of the view.
 * `highFirst`: bit 0 is the highest of its byte (VHD) instead of the lowest (VHDX).
 * @throws {FormatError} when the bitmap ends before `bit`: the file was cut.
 */
export function bitRun(view: DataView, { bit, countMax, highFirst }: { readonly bit: number; readonly countMax: number; readonly highFirst: boolean }): { readonly set: boolean; readonly count: number } {
  if (bit >= view.byteLength * 8) throw new FormatError('Read bitmap of disk image', { structure: 'sector bitmap', field: 'size', found: view.byteLength, expected: `more than ${Math.floor(bit / 8)}` });
  const valueAt = (index: number): number => (view.getUint8(index >>> 3) >>> (highFirst ? 7 - (index & 7) : index & 7)) & 1;
  const value = valueAt(bit);
  const whole = value === 1 ? 0xff : 0;
  const end = Math.min(bit + countMax, view.byteLength * 8);
  let at = bit + 1;
  while (at < end) {
    if ((at & 7) === 0 && end - at >= 8 && view.getUint8(at >>> 3) === whole) at += 8;
    else if (valueAt(at) === value) at += 1;
    else break;
  }
  return { set: value === 1, count: at - bit };
}
