/** The table that folds case, for the hashes of names. Source: exFAT specification, section 7.2.5. */
import { FormatError, IntegrityError } from '../../../core/index.ts';
import { tableChecksum } from './checksum.ts';

/** UTF-16 units, each with its own upper case. */
const UNITS = 0x1_0000;
/** Says that a count of units that stay as they are follows. */
const IDENTITY_RUN = 0xffff;

/** Bytes of the longest table: no run is shorter than what it stands for. */
export const UPCASE_BYTES_MAX: number = UNITS * 2;

/** Unpacks the table. @throws {IntegrityError} when its sum is not `checksum`. @throws {FormatError} when it says more than there is. */
export function readUpcaseTable(bytes: Uint8Array, checksum: number): Uint16Array {
  const sum = tableChecksum(bytes);
  if (sum !== checksum) throw new IntegrityError(`Read up-case table: its checksum is '${checksum}', its bytes give '${sum}'`, { structure: 'exFAT up-case table', field: 'TableChecksum' });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const table = Uint16Array.from({ length: UNITS }, (_, i) => i);
  let unit = 0;
  for (let at = 0; at + 2 <= bytes.length; at += 2) {
    const value = view.getUint16(at, true);
    if (value === IDENTITY_RUN && at + 4 <= bytes.length) {
      unit += view.getUint16(at + 2, true);
      at += 2;
      continue;
    }
    if (unit >= UNITS) throw new FormatError('Read up-case table', { structure: 'exFAT up-case table', field: 'length', offset: at, found: unit, expected: `at most ${UNITS}` });
    table[unit] = value;
    unit += 1;
  }
  return table;
}
