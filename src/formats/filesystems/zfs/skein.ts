/**
 * Skein-512 with a key and 256 bits of output, in halves of 64-bit words.
 * Source: "The Skein Hash Function Family", version 1.3, sections 3.3 (Threefish), 3.4 (UBI), 3.5 (arguments).
 */

const BLOCK_BYTES = 64;
const ROUNDS = 72;
/** Rotations of the four mixes of eight rounds (table 4). */
const rotations = Uint8Array.of(
  46, 36, 19, 37, 33, 27, 14, 42, 17, 49, 36, 39, 44, 9, 54, 56, 39, 30, 34, 24, 13, 50, 10, 17, 25, 29, 39, 43, 8, 35, 56, 22,
);
/** Where word i of a round comes from (table 3). */
const permutation = Uint8Array.of(2, 1, 4, 7, 6, 5, 0, 3);

/** Types of arguments (table 6). */
const types = { key: 0, config: 4, message: 48, output: 63 } as const;

const keyLow = new Int32Array(9);
const keyHigh = new Int32Array(9);
const tweakLow = new Int32Array(3);
const tweakHigh = new Int32Array(3);
const low = new Int32Array(8);
const high = new Int32Array(8);
const nextLow = new Int32Array(8);
const nextHigh = new Int32Array(8);

/** `low[i], high[i] += addLow, addHigh`. */
function add(i: number, addLow: number, addHigh: number): void {
  const sum = (low[i] as number >>> 0) + (addLow >>> 0);
  low[i] = sum;
  high[i] = (high[i] as number) + addHigh + (sum > 0xffff_ffff ? 1 : 0);
}

function addSubkey(number: number): void {
  for (let i = 0; i < 8; i += 1) {
    const at = (number + i) % 9;
    add(i, keyLow[at] as number, keyHigh[at] as number);
  }
  add(5, tweakLow[number % 3] as number, tweakHigh[number % 3] as number);
  add(6, tweakLow[(number + 1) % 3] as number, tweakHigh[(number + 1) % 3] as number);
  add(7, number, 0);
}

function mix(pair: number, rotation: number): void {
  const a = 2 * pair;
  const b = a + 1;
  add(a, low[b] as number, high[b] as number);
  const bLow = low[b] as number;
  const bHigh = high[b] as number;
  const by = rotation & 31;
  const x = rotation < 32 ? bLow : bHigh;
  const y = rotation < 32 ? bHigh : bLow;
  low[b] = (x << by | y >>> 32 - by) ^ (low[a] as number);
  high[b] = (y << by | x >>> 32 - by) ^ (high[a] as number);
}

/** One block of `state` (16 words of 32 bits): Threefish with the state as key, then the block is added bit by bit. */
function compress(state: Int32Array, block: Int32Array): void {
  keyLow[8] = 0xa9fc_1a22 | 0;
  keyHigh[8] = 0x1bd1_1bda;
  for (let i = 0; i < 8; i += 1) {
    keyLow[i] = state[2 * i] as number;
    keyHigh[i] = state[2 * i + 1] as number;
    keyLow[8] = (keyLow[8] as number) ^ (keyLow[i] as number);
    keyHigh[8] = (keyHigh[8] as number) ^ (keyHigh[i] as number);
    low[i] = block[2 * i] as number;
    high[i] = block[2 * i + 1] as number;
  }
  tweakLow[2] = (tweakLow[0] as number) ^ (tweakLow[1] as number);
  tweakHigh[2] = (tweakHigh[0] as number) ^ (tweakHigh[1] as number);
  for (let round = 0; round < ROUNDS; round += 1) {
    if (round % 4 === 0) addSubkey(round / 4);
    for (let pair = 0; pair < 4; pair += 1) mix(pair, rotations[round % 8 * 4 + pair] as number);
    for (let i = 0; i < 8; i += 1) {
      nextLow[i] = low[permutation[i] as number] as number;
      nextHigh[i] = high[permutation[i] as number] as number;
    }
    low.set(nextLow);
    high.set(nextHigh);
  }
  addSubkey(ROUNDS / 4);
  for (let i = 0; i < 8; i += 1) {
    state[2 * i] = (low[i] as number) ^ (block[2 * i] as number);
    state[2 * i + 1] = (high[i] as number) ^ (block[2 * i + 1] as number);
  }
}

/** Unique block iteration over one argument. */
function iterate(state: Int32Array, type: number, message: Uint8Array): void {
  const padded = new Uint8Array(BLOCK_BYTES);
  const block = new Int32Array(padded.buffer);
  for (let at = 0, first = true; first || at < message.length; at += BLOCK_BYTES, first = false) {
    const part = message.subarray(at, at + BLOCK_BYTES);
    padded.set(part);
    padded.fill(0, part.length);
    const final = at + BLOCK_BYTES >= message.length;
    tweakLow[0] = at + part.length;
    tweakHigh[0] = 0;
    tweakLow[1] = 0;
    tweakHigh[1] = type << 24 | (first ? 1 << 30 : 0) | (final ? 1 << 31 : 0);
    compress(state, block);
  }
}

/** The MAC of a message of less than 2^31 bytes. An empty `key` gives the plain hash. @returns 32 bytes. */
export function skein512mac(key: Uint8Array, message: Uint8Array): Uint8Array {
  const state = new Int32Array(16);
  if (key.length > 0) iterate(state, types.key, key);
  const config = new Uint8Array(32);
  // The identifier of the schema, its version, and the bits of output.
  config.set([0x53, 0x48, 0x41, 0x33, 1, 0, 0, 0, 0, 1]);
  iterate(state, types.config, config);
  iterate(state, types.message, message);
  iterate(state, types.output, new Uint8Array(8));
  return new Uint8Array(state.buffer).slice(0, 32);
}
