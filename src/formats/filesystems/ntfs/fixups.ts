/**
 * Update sequences: the last two bytes of each stride of a record are kept in its head and replaced by a number that tells torn writes.
 * Source: libfsntfs project, "NTFS format specification", "The fix-up values".
 */
import { FormatError, IntegrityError } from '../../../core/index.ts';

/** A record and where it was read from. */
export interface Protected {
  readonly view: DataView;
  /** Offset of the record in `view`. */
  readonly at: number;
  /** Bytes of the record. */
  readonly length: number;
  /** Name of the structure, for errors. */
  readonly structure: string;
  /** Bytes from the start of whatever `structure` is kept in. */
  readonly offset: number;
}

/**
 * Puts the kept bytes back, in place. Offset and count of the sequence are at bytes 4 and 6 of every such record.
 * @throws {FormatError} when the sequence is not in the record. @throws {IntegrityError} when a part was not written with the others.
 */
export function applyFixups({ view, at, length, structure, offset }: Protected): void {
  const sequenceAt = view.getUint16(at + 4, true);
  const count = view.getUint16(at + 6, true);
  const stride = length / (count - 1);
  if (count < 2 || stride < 256 || stride > 4096 || !Number.isInteger(stride) || (stride & (stride - 1)) !== 0) {
    throw new FormatError('Read update sequence', { structure, field: 'fixupCount', offset: offset + 6, found: count, expected: 'one for each sector' });
  }
  if (sequenceAt % 2 !== 0 || sequenceAt < 8 || sequenceAt + 2 * count > stride - 2) {
    throw new FormatError('Read update sequence', { structure, field: 'fixupOffset', offset: offset + 4, found: sequenceAt, expected: 'an even offset in the first sector' });
  }
  const sequence = view.getUint16(at + sequenceAt, true);
  for (let i = 1; i < count; i += 1) {
    if (view.getUint16(at + i * stride - 2, true) !== sequence) {
      throw new IntegrityError(`Read ${structure} at offset ${offset}: sector ${i - 1} is not of the same write, its update sequence differs`, { structure, offset, sector: i - 1 });
    }
  }
  for (let i = 1; i < count; i += 1) view.setUint16(at + i * stride - 2, view.getUint16(at + sequenceAt + 2 * i, true), true);
}
