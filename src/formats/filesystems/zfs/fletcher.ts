/**
 * The Fletcher sums of ZFS, modulo 2^64, in ordinary floating-point numbers: the sums are linear in the words of the block, so a piece of
 * the block is summed exactly in 53 bits, halves of words apart, and pieces are joined by the binomial formulas with BigInt.
 * Source: OpenZFS `module/zcommon/zfs_fletcher.c`, comment "Fletcher-2 and Fletcher-4".
 */
import { viewOf } from './words.ts';

const WORD_MASK = 0xffff_ffff_ffff_ffffn;

/** Words of a piece: its fourth-order sum of 16-bit halves is below 2^16 · n^4 / 24 · (1 + small) < 2^52. */
const PIECE_WORDS = 1024;

function pack(words: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = viewOf(bytes);
  words.forEach((word, i) => view.setBigUint64(8 * i, word & WORD_MASK, true));
  return bytes;
}

/** 16-bit halves; a copy only when the bytes don't lie on an even address. */
function halvesOf(bytes: Uint8Array): Uint16Array {
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : bytes.slice();
  return new Uint16Array(aligned.buffer, aligned.byteOffset, bytes.length >> 1);
}

/** First- to fourth-order sums of one piece, for low and high halves of its words. */
const sums = new Float64Array(8);

/** `from`, `to`: words. */
function sumPiece(halves: Uint16Array, from: number, to: number): void {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let e = 0;
  let f = 0;
  let g = 0;
  let h = 0;
  for (let i = 2 * from, end = 2 * to; i < end; i += 2) {
    a += halves[i] as number;
    b += a;
    c += b;
    d += c;
    e += halves[i + 1] as number;
    f += e;
    g += f;
    h += g;
  }
  sums[0] = a;
  sums[1] = b;
  sums[2] = c;
  sums[3] = d;
  sums[4] = e;
  sums[5] = f;
  sums[6] = g;
  sums[7] = h;
}

const joined = (index: number): bigint => BigInt(sums[index] as number) + (BigInt(sums[index + 4] as number) << 16n);

/** Fletcher-4 over little-endian 32-bit words; `bytes.length` is a multiple of 4. @returns 32 bytes, as a block pointer has them. */
export function fletcher4(bytes: Uint8Array): Uint8Array {
  const halves = halvesOf(bytes);
  const words = halves.length >> 1;
  let a = 0n;
  let b = 0n;
  let c = 0n;
  let d = 0n;
  for (let at = 0; at < words; at += PIECE_WORDS) {
    const end = Math.min(words, at + PIECE_WORDS);
    sumPiece(halves, at, end);
    const n = BigInt(end - at);
    const n2 = n * (n + 1n) / 2n;
    const n3 = n2 * (n + 2n) / 3n;
    d = d + n * c + n2 * b + n3 * a + joined(3) & WORD_MASK;
    c = c + n * b + n2 * a + joined(2) & WORD_MASK;
    b = b + n * a + joined(1) & WORD_MASK;
    a = a + joined(0) & WORD_MASK;
  }
  return pack([a, b, c, d]);
}

/** Fletcher-2 over pairs of little-endian 64-bit words; `bytes.length` is a multiple of 16. @returns 32 bytes, as a block pointer has them. */
export function fletcher2(bytes: Uint8Array): Uint8Array {
  const view = viewOf(bytes);
  let a0 = 0n;
  let a1 = 0n;
  let b0 = 0n;
  let b1 = 0n;
  for (let at = 0; at + 16 <= bytes.length; at += 16) {
    a0 = a0 + view.getBigUint64(at, true) & WORD_MASK;
    a1 = a1 + view.getBigUint64(at + 8, true) & WORD_MASK;
    b0 = b0 + a0 & WORD_MASK;
    b1 = b1 + a1 & WORD_MASK;
  }
  return pack([a0, a1, b0, b1]);
}
