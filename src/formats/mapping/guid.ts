/** GUIDs and UUIDs as text. */

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** Microsoft's order: the first three parts are little-endian integers. Lower case, without braces. */
export function guidText(bytes: Uint8Array): string {
  const swapped = Uint8Array.from(bytes);
  swapped.subarray(0, 4).reverse();
  swapped.subarray(4, 6).reverse();
  swapped.subarray(6, 8).reverse();
  return uuidText(swapped);
}

/** The bytes of a text that {@link guidText} gave. */
export function guidBytes(text: string): Uint8Array {
  const bytes = Uint8Array.from(Buffer.from(text.replaceAll('-', ''), 'hex'));
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}

/** Network order: bytes as they stand. */
export function uuidText(bytes: Uint8Array): string {
  const text = hex(bytes);
  return `${text.slice(0, 8)}-${text.slice(8, 12)}-${text.slice(12, 16)}-${text.slice(16, 20)}-${text.slice(20)}`;
}
