/**
 * Attribute records without what changes from job to job though the file did not: their own FileIndex, which shifts when a file appears before
 * them, and `st_atime`, which the first backup itself moves. Source: Bacula Developer's Guide, "Unix Attributes"; LStat's fields as in `attributes.ts`.
 */
import { LSTAT } from '../attributes.ts';

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const digitOf: Int8Array = new Int8Array(256).fill(-1);
for (let digit = 0; digit < 64; digit += 1) digitOf[LETTERS.charCodeAt(digit)] = digit;

/** Radix-64 letters of a time that are kept apart: more than 2^53 seconds need. */
const TIME_LETTERS_MAX = 8;
/** Longer records are kept as they are: names end at 64 KiB. */
export const FOLDED_BYTES_MAX: number = 1 << 20;

/** A record that was folded. */
export interface Folded {
  /** What is left of the record; a new buffer. */
  readonly rest: Uint8Array;
  /** `st_atime`, from 0. */
  readonly time: number;
}

/** Place of `st_atime` in a record, or in what is left of one; -1 when there is none. */
function placeOfTime(bytes: Uint8Array): number {
  const name = bytes.indexOf(0);
  if (name < 0) return -1;
  let at = name + 1;
  for (let field = 0; field < LSTAT.atime; at += 1) {
    const byte = bytes[at];
    if (byte === undefined || byte === 0) return -1;
    if (byte === 0x20) field += 1;
  }
  return at;
}

function decimalDigits(value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits += 1;
  return digits;
}

function timeLetters(value: number): number {
  let letters = 1;
  for (let rest = value; rest >= 64; rest = Math.floor(rest / 64)) letters += 1;
  return letters;
}

function startsWithDecimal(bytes: Uint8Array, value: number, digits: number): boolean {
  let rest = value;
  for (let i = digits - 1; i >= 0; i -= 1) {
    if (bytes[i] !== 0x30 + rest % 10) return false;
    rest = Math.floor(rest / 10);
  }
  return bytes[digits] === 0x20;
}

/** Folds a record of the file `fileIndex` (from 0); undefined when {@link unfoldAttributes} would not give exactly its bytes back. */
export function foldAttributes(record: Uint8Array, fileIndex: number): Folded | undefined {
  const digits = decimalDigits(fileIndex);
  if (record.length > FOLDED_BYTES_MAX || !startsWithDecimal(record, fileIndex, digits)) return undefined;
  const start = placeOfTime(record);
  if (start < 0) return undefined;
  let end = start;
  let time = 0;
  for (; end < record.length && end - start <= TIME_LETTERS_MAX; end += 1) {
    const digit = digitOf[record[end] as number] as number;
    if (digit < 0) break;
    time = time * 64 + digit;
  }
  const letters = end - start;
  if (letters === 0 || letters > TIME_LETTERS_MAX || letters !== timeLetters(time) || record[end] !== 0x20) return undefined;
  const rest = new Uint8Array(record.length - digits - letters);
  rest.set(record.subarray(digits, start));
  rest.set(record.subarray(end), start - digits);
  return { rest, time };
}

/** Bytes that the whole record has. */
export function unfoldedLength(restLength: number, fileIndex: number, time: number): number {
  return restLength + decimalDigits(fileIndex) + timeLetters(time);
}

/** The record that was folded to `rest`; undefined when no record can have been. */
export function unfoldAttributes(rest: Uint8Array, fileIndex: number, time: number): Uint8Array | undefined {
  const at = placeOfTime(rest);
  if (at < 0) return undefined;
  const digits = decimalDigits(fileIndex);
  const letters = timeLetters(time);
  const record = new Uint8Array(rest.length + digits + letters);
  for (let i = digits - 1, left = fileIndex; i >= 0; i -= 1, left = Math.floor(left / 10)) record[i] = 0x30 + left % 10;
  record.set(rest.subarray(0, at), digits);
  for (let i = letters - 1, left = time; i >= 0; i -= 1, left = Math.floor(left / 64)) record[digits + at + i] = LETTERS.charCodeAt(left % 64);
  record.set(rest.subarray(at), digits + at + letters);
  return record;
}
