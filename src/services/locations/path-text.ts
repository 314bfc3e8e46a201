/**
 * Paths as text on the command line and in listings. Node hands over arguments as UTF-16, so bytes that are not UTF-8
 * need an escape: `\xHH` is one byte and `\\` a backslash; any other backslash stands for itself.
 */
import { isUtf8, textOf, utf8 } from '../../core/index.ts';

/** A path for people and for JSON; `pathBase64` is there when the bytes are not UTF-8. */
export interface PathText {
  readonly path: string;
  readonly pathBase64?: string;
}

/** Bytes of a path step as the user typed it. */
export function parsePathText(text: string): Uint8Array {
  if (!text.includes('\\')) return utf8(text);
  const parts: Uint8Array[] = [];
  let start = 0;
  for (const match of text.matchAll(/\\(?:x([0-9a-fA-F]{2})|\\)/g)) {
    parts.push(utf8(text.slice(start, match.index)));
    parts.push(Uint8Array.of(match[1] === undefined ? 0x5c : Number.parseInt(match[1], 16)));
    start = match.index + match[0].length;
  }
  parts.push(utf8(text.slice(start)));
  return new Uint8Array(Buffer.concat(parts));
}

/** Whether a byte is printed as it is: most are, and listings are long. */
export function isPlainByte(byte: number): boolean {
  return byte >= 0x20 && byte <= 0x7e && byte !== 0x5c;
}

function isPlain(path: Uint8Array): boolean {
  for (const byte of path) if (!isPlainByte(byte)) return false;
  return true;
}

/** The inverse of {@link parsePathText}, on one line and safe for a terminal: control and foreign bytes are escaped. */
export function formatPathText(path: Uint8Array): string {
  if (isPlain(path)) return Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('latin1');
  if (isUtf8(path)) {
    return textOf(path).replace(/\\/g, '\\\\').replace(/[\u0000-\u001f\u007f-\u009f]/g, escapeText);
  }
  // Runs of valid text between the foreign bytes stay readable: each byte above 0x7f is escaped.
  let text = '';
  for (const byte of path) {
    if (byte === 0x5c) text += '\\\\';
    else text += byte < 0x20 || byte > 0x7e ? escapeByte(byte) : String.fromCharCode(byte);
  }
  return text;
}

function escapeByte(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

function escapeText(character: string): string {
  return [...utf8(character)].map(escapeByte).join('');
}

/** The JSON form of a path: exact text where the bytes are UTF-8, otherwise U+FFFD in the text and the bytes in base64. */
export function jsonPath(path: Uint8Array): PathText {
  const text = textOf(path);
  return isUtf8(path) ? { path: text } : { path: text, pathBase64: Buffer.from(path).toString('base64') };
}
