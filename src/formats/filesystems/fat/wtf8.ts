/** UTF-16 names as bytes. Source: the WTF-8 encoding, simonsapin.github.io/wtf-8, section 4. */

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
