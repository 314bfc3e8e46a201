/**
 * Hashes of names in indexed directories: a legacy one, half of MD4, and TEA; each with bytes as signed or unsigned numbers.
 * Source: Linux, Documentation/filesystems/ext4 (directory, "Hash Tree Directories"); RFC 1320 for MD4's functions; e2fsprogs' debugfs `dx_hash` as the oracle.
 */

/** `hash_version` in a directory's index. */
export const HASH_VERSION = { legacy: 0, half_md4: 1, tea: 2, unsigned: 3 } as const;

const END_OF_HASHES = 0x7fff_ffff;

type Letter = (byte: number) => number;

const signed: Letter = (byte) => (byte << 24) >> 24;
const unsigned: Letter = (byte) => byte;

function legacyHash(name: Uint8Array, letter: Letter): number {
  let [before, hash] = [0x37ab_e8f9, 0x12a3_fe2d];
  for (const byte of name) {
    let next = (before + (hash ^ Math.imul(letter(byte), 7_152_373))) >>> 0;
    if (next >= 0x8000_0000) next -= 0x7fff_ffff;
    before = hash;
    hash = next;
  }
  return (hash << 1) >>> 0;
}

/** `count` words of the part of a name that begins at `from`; what is missing is filled with its length. */
function words(name: Uint8Array, from: number, count: number, letter: Letter): Uint32Array {
  const rest = name.length - from;
  const padding = (rest | (rest << 8) | (rest << 16) | (rest << 24)) >>> 0;
  const result = new Uint32Array(count).fill(padding);
  const used = Math.min(rest, count * 4);
  let value = padding;
  for (let i = 0; i < used; i += 1) {
    value = (letter(name[from + i] as number) + (value << 8)) >>> 0;
    if (i % 4 === 3 || i === used - 1) result[i >>> 2] = value;
    if (i % 4 === 3) value = padding;
  }
  return result;
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

const rounds = [
  { add: 0, order: [0, 1, 2, 3, 4, 5, 6, 7], turns: [3, 7, 11, 19], mix: (x: number, y: number, z: number) => z ^ (x & (y ^ z)) },
  { add: 0x5a82_7999, order: [1, 3, 5, 7, 0, 2, 4, 6], turns: [3, 5, 9, 13], mix: (x: number, y: number, z: number) => ((x & y) + ((x ^ y) & z)) | 0 },
  { add: 0x6ed9_eba1, order: [3, 7, 2, 6, 1, 5, 0, 4], turns: [3, 9, 11, 15], mix: (x: number, y: number, z: number) => x ^ y ^ z },
] as const;

function halfMd4(state: Uint32Array, input: Uint32Array): void {
  let [a, b, c, d] = state as unknown as [number, number, number, number];
  for (const { add, order, turns, mix } of rounds) {
    for (const [i, from] of order.entries()) {
      const mixed = rotate((a + mix(b, c, d) + (input[from] as number) + add) | 0, turns[i % 4] as number);
      [a, b, c, d] = [d, mixed, b, c];
    }
  }
  for (const [i, value] of [a, b, c, d].entries()) state[i] = (state[i] as number) + value;
}

function tea(state: Uint32Array, input: Uint32Array): void {
  const [a, b, c, d] = input as unknown as [number, number, number, number];
  let [x, y] = state as unknown as [number, number];
  for (let i = 0, sum = 0; i < 16; i += 1) {
    sum = (sum + 0x9e37_79b9) >>> 0;
    x = (x + (((y << 4) + a) ^ (y + sum) ^ ((y >>> 5) + b))) >>> 0;
    y = (y + (((x << 4) + c) ^ (x + sum) ^ ((x >>> 5) + d))) >>> 0;
  }
  state[0] = (state[0] as number) + x;
  state[1] = (state[1] as number) + y;
}

/**
 * The hash by which an index has the name, its last bit 0. `seed`: 16 bytes of the superblock.
 * @returns `undefined` for a version that is not known here.
 */
export function nameHash(name: Uint8Array, version: number, seed: Uint8Array): number | undefined {
  const letter = version >= HASH_VERSION.unsigned ? unsigned : signed;
  const kind = version % HASH_VERSION.unsigned;
  if (version > HASH_VERSION.unsigned + HASH_VERSION.tea) return undefined;
  let hash: number;
  if (kind === HASH_VERSION.legacy) hash = legacyHash(name, letter);
  else {
    const given = new Uint32Array(seed.slice().buffer);
    const state = given.some((word) => word !== 0) ? given : Uint32Array.of(0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476);
    const count = kind === HASH_VERSION.tea ? 4 : 8;
    for (let at = 0; at < name.length; at += count * 4) (kind === HASH_VERSION.tea ? tea : halfMd4)(state, words(name, at, count, letter));
    hash = state[kind === HASH_VERSION.tea ? 0 : 1] as number;
  }
  const even = (hash & ~1) >>> 0;
  return even === (END_OF_HASHES << 1) >>> 0 ? ((END_OF_HASHES - 1) << 1) >>> 0 : even;
}
