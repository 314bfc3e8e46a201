/** Reparse points. Source: Microsoft [MS-FSCC], sections 2.1.2.1, 2.1.2.4 (symbolic link) and 2.1.2.5 (mount point). */
import { checkLimit, FormatError, type Limits } from '../../../core/index.ts';
import { unitsOf } from './names.ts';
import { REPARSE_TAG } from './ntfs.layout.ts';

const HEAD_BYTES = 8;
/** Section 2.1.2: 16 KiB of data. */
export const REPARSE_BYTES_MAX: number = (16 << 10) + 24;

/** A reparse point. */
export interface ReparsePoint {
  readonly tag: number;
  /** What follows the header. */
  readonly data: Uint8Array;
  /** All of it. */
  readonly bytes: Uint8Array;
}

/** Where a link of Windows leads, in its own words. */
export interface WindowsLink {
  readonly path: string;
  /** From the directory that the link is in. */
  readonly relative: boolean;
}

function fault(field: string, found: number, expected: string): FormatError {
  return new FormatError('Read reparse point', { structure: 'NTFS reparse point', field, found, expected });
}

/** Splits header and data. @throws {FormatError} */
export function parseReparse(bytes: Uint8Array): ReparsePoint {
  if (bytes.length < HEAD_BYTES) throw fault('size', bytes.length, 'at least 8');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint16(4, true);
  if (HEAD_BYTES + length > bytes.length) throw fault('ReparseDataLength', length, `at most ${bytes.length - HEAD_BYTES}`);
  return { tag: view.getUint32(0, true), data: bytes.subarray(HEAD_BYTES, HEAD_BYTES + length), bytes };
}

/** The name in link data at a pair of offset and length, counted from `base`. */
function nameAt(data: Uint8Array, at: number, base: number): string {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const offset = base + view.getUint16(at, true);
  const length = view.getUint16(at + 2, true);
  if (offset + length > data.length) throw fault('SubstituteNameOffset', offset, `a name of ${length} bytes in ${data.length}`);
  return unitsOf(data.subarray(offset, offset + length));
}

/** The path of a symbolic link or mount point; undefined for other tags. @throws {FormatError} @throws {LimitError} */
export function windowsLink({ tag, data }: ReparsePoint, limits: Limits): WindowsLink | undefined {
  if (tag !== REPARSE_TAG.symlink && tag !== REPARSE_TAG.mountPoint) return undefined;
  const base = tag === REPARSE_TAG.symlink ? 12 : 8;
  if (data.length < base) throw fault('ReparseDataLength', data.length, `at least ${base}`);
  const path = nameAt(data, 0, base);
  checkLimit(limits, 'symlinkBytesMax', path.length * 3, 'target of a link');
  return { path, relative: tag === REPARSE_TAG.symlink && ((data[8] as number) & 1) !== 0 };
}

/** The target of a symbolic link of WSL: a version of 4 bytes, then bytes. @throws {FormatError} */
export function linuxLink({ data }: ReparsePoint): Uint8Array {
  if (data.length < 4 || data[0] !== 2) throw fault('Version', data[0] ?? 0, '2');
  return data.slice(4);
}
