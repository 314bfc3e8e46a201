/** Numbers of 64 bits that may be larger than what a number holds exactly. */

/** A big-endian 64-bit number; undefined when it is more than 2^53 − 1, as null values are. */
export function wide(bytes: Uint8Array, at: number): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return wideOf(view, at);
}

/** The same from a view. */
export function wideOf(view: DataView, at: number): number | undefined {
  const high = view.getUint32(at);
  return high < 0x20_0000 ? high * 0x1_0000_0000 + view.getUint32(at + 4) : undefined;
}
