/** Paths in messages. */
import { isUtf8, textOf } from '../../core/index.ts';

/** A path as text; bytes that are no UTF-8 are shown as `\xNN`. */
export function pathText(path: Uint8Array): string {
  if (isUtf8(path)) return textOf(path);
  return Array.from(path, (byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`)).join('');
}
