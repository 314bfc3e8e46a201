/**
 * Attribute records: type, name and LStat of one entry.
 * Source: Bacula Developer's Guide, "Storage Media Output Format", Unix Attributes; numbers are radix 64:
 * alphabet A–Z a–z 0–9 + /, most significant digit first, no padding, `-` in front of a negative number.
 */
import { FormatError } from '../../core/index.ts';

/** File types by their Bacula names, without the `FT_` prefix. */
export const FILE_TYPE = {
  LNKSAVED: 1, REGE: 2, REG: 3, LNK: 4, DIREND: 5, SPEC: 6, NOACCESS: 7, NOFOLLOW: 8, NOSTAT: 9, NOCHG: 10, DIRNOCHG: 11, ISARCH: 12,
  NORECURSE: 13, NOFSCHG: 14, NOOPEN: 15, RAW: 16, FIFO: 17, DIRBEGIN: 18, INVALIDFS: 19, INVALIDDT: 20, REPARSE: 21, PLUGIN: 22,
  DELETED: 23, BASE: 24, RESTORE_FIRST: 25, JUNCTION: 26, PLUGIN_CONFIG: 27, PLUGIN_CONFIG_FILLED: 28,
} as const;

/** Fields of LStat in their order; {@link LSTAT} gives their places. */
export const LSTAT = {
  dev: 0, ino: 1, mode: 2, nlink: 3, uid: 4, gid: 5, rdev: 6, size: 7, blksize: 8, blocks: 9, atime: 10, mtime: 11, ctime: 12,
  LinkFI: 13, flags: 14, data_stream: 15,
} as const;
const LSTAT_FIELDS = 16;
/** Older daemons leave out the last fields; LinkFI is the last that every one writes. */
const LSTAT_FIELDS_MIN = 14;

/** One parsed record; `name` and `link` are views of the record, `lstat` is reused by the parser's owner. */
export interface AttributeRecord {
  fileIndex: number;
  type: number;
  name: Uint8Array;
  /** Target of a symlink, or name of the file that a hard link belongs to; else empty. */
  link: Uint8Array;
  /** Numbers in the order of {@link LSTAT}; absent fields are 0. */
  readonly lstat: Float64Array;
}

/** A record to fill, so that a scan of millions allocates none. */
export function newAttributeRecord(): AttributeRecord {
  return { fileIndex: 0, type: 0, name: new Uint8Array(), link: new Uint8Array(), lstat: new Float64Array(LSTAT_FIELDS + 1) };
}

const digitOf: Int8Array = new Int8Array(256).fill(-1);
for (const [digit, letter] of [...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'].entries()) digitOf[letter.charCodeAt(0)] = digit;

function fault(field: string, offset: number, found: string | number): FormatError {
  return new FormatError('Read attribute record', { structure: 'attributes', field, offset, found });
}

/** Decimal number at `at`, up to a space; returns the offset behind the space and leaves the value in `decimal.value`. */
const decimal = { value: 0 };
function readDecimal(bytes: Uint8Array, at: number, field: string): number {
  let value = 0;
  let i = at;
  for (; i < bytes.length && bytes[i] !== 0x20; i += 1) {
    const digit = (bytes[i] as number) - 0x30;
    if (digit < 0 || digit > 9 || value > 0xffff_ffff) throw fault(field, i, bytes[i] as number);
    value = value * 10 + digit;
  }
  if (i === at || i >= bytes.length) throw fault(field, at, 'no number');
  decimal.value = value;
  return i + 1;
}

/**
 * Reads LStat in `bytes[start, end)` into `lstat`.
 * @throws {FormatError} on a foreign character, a number above 2^53 − 1, or too few or too many fields.
 */
export function parseLstat(bytes: Uint8Array, start: number, end: number, lstat: Float64Array): void {
  let fields = 0;
  let i = start;
  while (i < end && fields < lstat.length) {
    const negative = bytes[i] === 0x2d;
    if (negative) i += 1;
    let value = 0;
    const first = i;
    for (; i < end && bytes[i] !== 0x20; i += 1) {
      const digit = digitOf[bytes[i] as number] as number;
      if (digit < 0) throw fault('LStat', i, bytes[i] as number);
      value = value * 64 + digit;
    }
    // Inode and device numbers use all 64 bits: their low digits may be lost, which is why nothing compares them.
    if (i === first || (value > Number.MAX_SAFE_INTEGER && fields > LSTAT.ino)) throw fault('LStat', first, value);
    lstat[fields] = negative ? -value : value;
    fields += 1;
    i += 1;
  }
  if (fields < LSTAT_FIELDS_MIN || i < end) throw fault('LStat', start, `${fields} fields`);
  lstat.fill(0, fields);
}

/**
 * Parses the text "FileIndex Type Name NUL LStat NUL Link NUL …" into `record`.
 * @throws {FormatError} when it is not one.
 */
export function parseAttributes(bytes: Uint8Array, record: AttributeRecord): void {
  let at = readDecimal(bytes, 0, 'FileIndex');
  record.fileIndex = decimal.value;
  at = readDecimal(bytes, at, 'Type');
  record.type = decimal.value;
  const nameEnd = bytes.indexOf(0, at);
  const lstatEnd = nameEnd < 0 ? -1 : bytes.indexOf(0, nameEnd + 1);
  const linkEnd = lstatEnd < 0 ? -1 : bytes.indexOf(0, lstatEnd + 1);
  if (linkEnd < 0) throw fault('Name', at, 'a record without its three NULs');
  record.name = bytes.subarray(at, nameEnd);
  record.link = bytes.subarray(lstatEnd + 1, linkEnd);
  parseLstat(bytes, nameEnd + 1, lstatEnd, record.lstat);
}
