/**
 * Keys from keys (HKDF-SHA256, RFC 5869) and from passphrases (scrypt, RFC 7914).
 *
 * scrypt and not Argon2id: OpenSSL brings it, it runs on a thread of libuv, and its memory goes back to the system (`docs/decisions.md`).
 */
import assert from 'node:assert';
import { hkdfSync, scrypt } from 'node:crypto';
import { LimitError, utf8, type Limits } from '../../core/index.ts';

/** Bytes of the salts that we choose: so long that random ones never meet. */
export const SALT_BYTES = 32;

/** What a key is for: part of its derivation, so that no key serves two purposes. */
export type KeyPurpose = 'container' | 'kept pages' | 'object' | 'ring' | 'root id' | 'slot key' | 'slot passphrase';

/**
 * `length` bytes that follow from `key`, `salt`, the purpose and `context`, and tell nothing about the key.
 * The info of HKDF is the text `holdfast/1 <purpose>`, a zero byte, and `context`.
 */
export function deriveKey(key: Uint8Array, salt: Uint8Array, purpose: KeyPurpose, { context = new Uint8Array(0), length = 32 }: { readonly context?: Uint8Array; readonly length?: number } = {}): Uint8Array {
  const info = Buffer.concat([utf8(`holdfast/1 ${purpose}\0`), context]);
  return new Uint8Array(hkdfSync('sha256', key, salt, info, length));
}

/** Cost of scrypt: 128·N·r bytes of memory with N = 2^`logN`, gone through `p` times. */
export interface ScryptCost {
  readonly logN: number;
  readonly r: number;
  readonly p: number;
}

/**
 * Cost of new slots: 64 MiB, two passes.
 * Source: OWASP Password Storage Cheat Sheet, scrypt, second of its equivalent settings; the first one's 128 MiB would be most of our memory bound.
 */
export const defaultScryptCost: ScryptCost = Object.freeze({ logN: 16, r: 8, p: 2 });
/** The least that a new slot may have. */
export const SCRYPT_LOG_N_MIN = 14;

const BLOCK_BYTES = 128;

/** Compares what a derivation would take with the limits, before anything is allocated. @throws {LimitError} naming `where`. */
export function checkScryptCost({ logN, r, p }: ScryptCost, limits: Limits, where: string): void {
  const memory = BLOCK_BYTES * r * 2 ** logN;
  if (memory > limits.kdfMemoryBytesMax) throw new LimitError('kdfMemoryBytesMax', memory, limits.kdfMemoryBytesMax, where);
  if (memory * p > limits.kdfWorkBytesMax) throw new LimitError('kdfWorkBytesMax', memory * p, limits.kdfWorkBytesMax, where);
}

/** `length` bytes from a passphrase; the caller has checked the cost. Off the main thread. */
export async function stretch(passphrase: Uint8Array, salt: Uint8Array, { logN, r, p }: ScryptCost, length: number): Promise<Uint8Array> {
  const N = 2 ** logN;
  assert(logN >= 1 && r >= 1 && p >= 1, 'scrypt needs a cost');
  const options = { N, r, p, maxmem: BLOCK_BYTES * (N * r + r * p) + (1 << 20) };
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, length, options, (error, key) => {
      if (error === null) resolve(new Uint8Array(key.buffer, key.byteOffset, key.byteLength));
      else reject(error);
    });
  });
}
