/** UTF-16 names as bytes and back. Source: the WTF-8 encoding, simonsapin.github.io/wtf-8, section 4. */
import { equalBytes, textOf, utf8 } from '../../core/index.ts';

/**
 * The first `length` units as UTF-8; a surrogate without its partner becomes three bytes, so that different names stay different.
 */
export function wtf8(units: Uint16Array, length: number): Uint8Array {
  const bytes = new Uint8Array(length * 3);
  let size = 0;
  for (let i = 0; i < length; i += 1) {
    let code = units[i] as number;
    if (code < 0x80) {
      bytes[size] = code;
      size += 1;
      continue;
    }
    const next = i + 1 < length ? units[i + 1] as number : 0;
    if ((code & 0xfc00) === 0xd800 && (next & 0xfc00) === 0xdc00) {
      code = 0x1_0000 + ((code & 0x3ff) << 10) + (next & 0x3ff);
      i += 1;
    }
    if (code < 0x800) bytes[size++] = 0xc0 | code >> 6;
    else {
      if (code < 0x1_0000) bytes[size++] = 0xe0 | code >> 12;
      else {
        bytes[size++] = 0xf0 | code >> 18;
        bytes[size++] = 0x80 | code >> 12 & 0x3f;
      }
      bytes[size++] = 0x80 | code >> 6 & 0x3f;
    }
    bytes[size++] = 0x80 | code & 0x3f;
  }
  return bytes.subarray(0, size);
}

/** Bytes of a code unit sequence, as {@link wtf8} makes them. */
export function wtf8Of(units: string): Uint8Array {
  const bytes = utf8(units);
  // U+FFFD stands for each lone surrogate; only then is the slow way needed.
  if (!/[\ud800-\udfff]/.test(units) || textOf(bytes) === units) return bytes;
  return wtf8(Uint16Array.from({ length: units.length }, (_, i) => units.charCodeAt(i)), units.length);
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
