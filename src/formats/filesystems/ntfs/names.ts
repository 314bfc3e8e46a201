/** Names: UTF-16 as stored, WTF-8 outside, so that names with lone surrogates keep apart. */
import { equalBytes, textOf, utf8 } from '../../../core/index.ts';

/** UTF-16LE bytes as a string of code units; nothing is lost. */
export function unitsOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength & ~1).toString('utf16le');
}

/** Bytes of a code unit sequence: UTF-8, a lone surrogate as its three bytes. */
export function wtf8Of(units: string): Uint8Array {
  const bytes = utf8(units);
  // U+FFFD stands for each lone surrogate; only then is the slow way needed.
  if (!/[\ud800-\udfff]/.test(units) || textOf(bytes) === units) return bytes;
  const parts: Uint8Array[] = [];
  for (const letter of units) {
    const code = letter.charCodeAt(0);
    if (letter.length === 1 && code >= 0xd800 && code <= 0xdfff) parts.push(Uint8Array.of(0xed, 0x80 | ((code >> 6) & 0x3f), 0x80 | (code & 0x3f)));
    else parts.push(utf8(letter));
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** The code units of bytes that {@link wtf8Of} could have made, else undefined. */
export function unitsOfWtf8(bytes: Uint8Array): string | undefined {
  const text = textOf(bytes);
  if (equalBytes(utf8(text), bytes)) return text;
  let units = '';
  for (let at = 0; at < bytes.length;) {
    const surrogate = bytes[at] === 0xed && (bytes[at + 1] ?? 0) >= 0xa0;
    let end = at + 1;
    if (surrogate) {
      end = at + 3;
      units += String.fromCharCode(0xd000 | (((bytes[at + 1] as number) & 0x3f) << 6) | ((bytes[at + 2] ?? 0) & 0x3f));
    } else {
      while (end < bytes.length && !(bytes[end] === 0xed && (bytes[end + 1] ?? 0) >= 0xa0)) end += 1;
      units += textOf(bytes.subarray(at, end));
    }
    at = end;
  }
  return equalBytes(wtf8Of(units), bytes) ? units : undefined;
}

/** Whether a tree may show a name: not empty, no `.` or `..`, without `/` and NUL. */
export function isShowable(units: string): boolean {
  return units !== '' && units !== '.' && units !== '..' && !units.includes('/') && !units.includes('\0');
}
