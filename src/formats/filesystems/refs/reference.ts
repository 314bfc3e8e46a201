/** References to pages: up to four clusters and the checksum of what is in them. */
import { equalBytes, FormatError, IntegrityError, UnsupportedError } from '../../../core/index.ts';
import { checksumOf } from './checksum.ts';

const SLOTS = 4;
const ABSENT = 0xffff_ffff;
const DESCRIPTOR_AT = 32;
const KIND_AT = 34;
const DATA_OFFSET_AT = 35;
const DATA_LENGTH_AT = 36;

/** Bytes of the shortest reference. */
export const REFERENCE_BYTES_MIN = 40;

/** Clusters of one page, and the sum that its bytes must have. */
export interface PageReference {
  readonly clusters: readonly number[];
  readonly kind: number;
  readonly sum: Uint8Array;
  /** Where it was found, for errors. */
  readonly where: string;
}

function slot(view: DataView, at: number, where: string): number | undefined {
  const [low, high] = [view.getUint32(at, true), view.getUint32(at + 4, true)];
  if ((low === 0 && high === 0) || (low === ABSENT && high === ABSENT)) return undefined;
  if (high >= 1 << 16) throw new FormatError('Read ReFS page reference', { structure: where, field: 'cluster', found: `${high}·2^32+${low}`, expected: 'less than 2^48' });
  return high * 0x1_0000_0000 + low;
}

/** Reads a reference at `at` of `bytes`. @throws {FormatError} when it does not fit or names no cluster. */
export function readReference(bytes: Uint8Array, at: number, where: string): PageReference {
  if (at < 0 || at + REFERENCE_BYTES_MIN > bytes.length) throw new FormatError('Read ReFS page reference', { structure: where, field: 'reference', found: at, expected: `at most ${bytes.length - REFERENCE_BYTES_MIN}` });
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, bytes.length - at);
  const clusters: number[] = [];
  for (let i = 0; i < SLOTS; i += 1) {
    const cluster = slot(view, 8 * i, where);
    if (cluster !== undefined) clusters.push(cluster);
  }
  if (clusters.length === 0) throw new FormatError('Read ReFS page reference', { structure: where, field: 'cluster', found: 'none', expected: 'at least one' });
  const start = DESCRIPTOR_AT + view.getUint8(DATA_OFFSET_AT);
  const kind = view.getUint8(KIND_AT);
  const length = kind === 0 ? 0 : view.getUint16(DATA_LENGTH_AT, true);
  if (start + length > view.byteLength) throw new FormatError('Read ReFS page reference', { structure: where, field: 'checksum', found: start + length, expected: `at most ${view.byteLength} bytes` });
  return { clusters, kind, sum: bytes.slice(at + start, at + start + length), where };
}

/** @throws {IntegrityError} when the sum does not hold. @throws {UnsupportedError} when its kind is unknown. */
export function verifySum({ kind, sum, where }: Pick<PageReference, 'kind' | 'sum' | 'where'>, bytes: Uint8Array): void {
  const found = checksumOf(kind, bytes);
  if (found === undefined) throw new UnsupportedError(`Verify ${where}: checksums of kind '${kind}' are unknown`, { kind });
  if (!equalBytes(found, sum)) throw new IntegrityError(`Verify ${where}: its checksum is '${Buffer.from(sum).toString('hex')}', its bytes give '${Buffer.from(found).toString('hex')}'`, { structure: where, field: 'checksum' });
}
