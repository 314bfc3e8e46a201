/** Damage to bytes, described by a few numbers so that a property test can print, replay and shrink it. */

/** One damage; `at` and `length` are fractions of the volume, so that one description fits any volume. */
export interface Mutation {
  readonly kind: 'flip' | 'zero' | 'noise' | 'remove' | 'repeat' | 'truncate' | 'move';
  /** 0 ≤ at < 1. */
  readonly at: number;
  /** Bytes. */
  readonly length: number;
  /** Seed of noise, bit of a flip, distance of a move in bytes. */
  readonly value: number;
}

/** A damaged copy. */
export function mutate(volume: Uint8Array, mutation: Mutation): Uint8Array {
  const at = Math.min(volume.length - 1, Math.floor(mutation.at * volume.length));
  const end = Math.min(volume.length, at + mutation.length);
  const copy = Buffer.from(volume);
  switch (mutation.kind) {
    case 'flip':
      copy[at] = (copy[at] as number) ^ (1 << (mutation.value & 7));
      return copy;
    case 'zero': return copy.fill(0, at, end);
    case 'noise': {
      let state = mutation.value | 1;
      for (let i = at; i < end; i += 1) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        copy[i] = state >>> 24;
      }
      return copy;
    }
    case 'remove': return Buffer.concat([copy.subarray(0, at), copy.subarray(end)]);
    case 'repeat': return Buffer.concat([copy.subarray(0, end), copy.subarray(at)]);
    case 'truncate': return copy.subarray(0, at);
    case 'move': {
      const to = Math.max(0, Math.min(volume.length - (end - at), at + mutation.value));
      copy.copyWithin(to, at, end);
      return copy;
    }
  }
}
