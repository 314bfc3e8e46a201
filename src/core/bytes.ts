/** Names and paths as bytes: comparison, text and back without loss. */

/** Ascending byte order, as `memcmp` has it; the order of names in every sorted tree. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** Equal length and content. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** UTF-8 bytes of a text. */
export function utf8(text: string): Uint8Array {
  const buffer = Buffer.from(text, 'utf8');
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

/** Text of bytes for people; invalid UTF-8 becomes U+FFFD. Use {@link isUtf8} to know whether it is exact. */
export function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/** Whether the bytes are valid UTF-8, so that {@link textOf} loses nothing. */
export function isUtf8(bytes: Uint8Array): boolean {
  return equalBytes(utf8(textOf(bytes)), bytes);
}

/** `directory/name`, or only the name when the directory is empty. */
export function joinPath(directory: Uint8Array, name: Uint8Array): Uint8Array {
  if (directory.length === 0) return name;
  const path = new Uint8Array(directory.length + 1 + name.length);
  path.set(directory);
  path[directory.length] = 0x2f;
  path.set(name, directory.length + 1);
  return path;
}

/** Parts of a path between slashes; empty parts are dropped. */
export function splitPath(path: Uint8Array): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  let start = 0;
  for (let i = 0; i <= path.length; i += 1) {
    if (i === path.length || path[i] === 0x2f) {
      if (i > start) parts.push(path.subarray(start, i));
      start = i + 1;
    }
  }
  return parts;
}

/**
 * The text that stands for an attribute's name in maps: its UTF-8, and each byte that is none as a lone surrogate U+DC80…U+DCFF, so that
 * {@link attributeNameBytes} gives the same bytes back.
 */
export function attributeNameText(bytes: Uint8Array): string {
  if (isUtf8(bytes)) return textOf(bytes);
  return Array.from(bytes, (byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join('');
}

/** The bytes of a name that {@link attributeNameText} made. */
export function attributeNameBytes(text: string): Uint8Array {
  if (!/[\udc80-\udcff]/.test(text) || isWellFormed(text)) return utf8(text);
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0) & 0xff);
}

/** Without lone surrogates: then no byte stands for itself. */
function isWellFormed(text: string): boolean {
  return textOf(utf8(text)) === text;
}
