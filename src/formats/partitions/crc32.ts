/** CRC-32 (IEEE 802.3, reflected) that can start anywhere: GPT's tables, LVM's texts. A byte a step: tables of volumes are small. Source: RFC 1952, section 8. */

const table = Uint32Array.from({ length: 256 }, (_, value) => {
  let crc = value;
  for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) !== 0 ? (crc >>> 1) ^ 0xedb8_8320 : crc >>> 1;
  return crc;
});

/** The register after `bytes` when it was `register` before; neither is inverted. 0…2^32 − 1. */
export function crc32Register(register: number, bytes: Uint8Array): number {
  let crc = register;
  for (let i = 0; i < bytes.length; i += 1) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[i] as number)) & 0xff] as number);
  return crc >>> 0;
}

/** The usual CRC-32 of `bytes`. */
export function crc32(bytes: Uint8Array): number {
  return ~crc32Register(0xffff_ffff, bytes) >>> 0;
}
