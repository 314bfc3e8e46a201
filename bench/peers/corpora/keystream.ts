/** Deterministic bytes and numbers from a seed: the AES-256-CTR keystream. */
import { createCipheriv, createHash } from 'node:crypto';
import type { Cipher } from 'node:crypto';

const POOL_BYTES = 64 * 1024;
const U32_RANGE = 2 ** 32;

/** A stream of pseudo-random bytes. Same seed, same stream; not for secrets. */
export class Keystream {
  readonly #cipher: Cipher;
  #pool: Buffer = Buffer.alloc(0);
  #used = 0;

  constructor(seed: string) {
    this.#cipher = createCipheriv('aes-256-ctr', createHash('sha256').update(seed).digest(), Buffer.alloc(16));
  }

  /** The next `length` bytes, owned by the caller. Bytes and numbers come from one stream, in call order. */
  bytes(length: number): Buffer {
    return this.#cipher.update(Buffer.alloc(length));
  }

  /** A number in [0, 1) with 32 random bits. */
  fraction(): number {
    if (this.#used === this.#pool.length) {
      this.#pool = this.bytes(POOL_BYTES);
      this.#used = 0;
    }
    const value = this.#pool.readUInt32LE(this.#used);
    this.#used += 4;
    return value / U32_RANGE;
  }

  /** An integer in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.fraction() * bound);
  }
}
