/**
 * Update sequences: the last two bytes of each stride of a record are kept in its head and replaced by a number that tells torn writes.
 * Source: libfsntfs project, "NTFS format specification", "The fix-up values".
 */
import { FormatError, IntegrityError } from '../../../core/index.ts';

/** A record and where it was read from. */
export interface Protected {
  readonly bytes: Uint8Array;
  /** Name of the structure, for errors. */
  readonly structure: string;
  /** Bytes from the start of whatever `structure` is kept in. */
  readonly offset: number;
}

/**
 * Puts the kept bytes back, in place. Offset and count of the sequence are at bytes 4 and 6 of every such record.
 * @throws {FormatError} when the sequence is not in the record. @throws {IntegrityError} when a part was not written with the others.
 */
export function applyFixups({ bytes, structure, offset }: Protected): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = view.getUint16(4, true);
  const count = view.getUint16(6, true);
  const stride = bytes.length / (count - 1);
  if (count < 2 || stride < 256 || stride > 4096 || !Number.isInteger(stride) || (stride & (stride - 1)) !== 0) {
    throw new FormatError('Read update sequence', { structure, field: 'fixupCount', offset: offset + 6, found: count, expected: 'one for each sector' });
  }
  if (at % 2 !== 0 || at < 8 || at + 2 * count > stride - 2) {
    throw new FormatError('Read update sequence', { structure, field: 'fixupOffset', offset: offset + 4, found: at, expected: 'an even offset in the first sector' });
  }
  const sequence = view.getUint16(at, true);
  for (let i = 1; i < count; i += 1) {
    const end = i * stride - 2;
    if (view.getUint16(end, true) !== sequence) {
      throw new IntegrityError(`Read ${structure} at offset ${offset}: sector ${i - 1} is not of the same write, its update sequence differs`, { structure, offset, sector: i - 1 });
    }
  }
  for (let i = 1; i < count; i += 1) {
    bytes[i * stride - 2] = bytes[at + 2 * i] as number;
    bytes[i * stride - 1] = bytes[at + 2 * i + 1] as number;
  }
}
