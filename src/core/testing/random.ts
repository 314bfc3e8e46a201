/** Seeded numbers and bytes for tests: the same seed gives the same run. */

/** Numbers from 0 to below 1 (mulberry32; its period of 2^32 is plenty for a test). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Bytes that do not compress. */
export function seededBytes(length: number, seed: number): Uint8Array {
  const next = seededRandom(seed);
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0; i < words.length; i += 1) words[i] = next() * 2 ** 32;
  return new Uint8Array(words.buffer, 0, length);
}
