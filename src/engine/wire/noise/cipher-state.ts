/**
 * Noise CipherState with ChaCha20-Poly1305: one key, a counter for nonces. Source: The Noise Protocol Framework, revision 34, sections 5.1 and 12.3.
 *
 * A pair of key and nonce seals one text only: the counter rises with each text, and a key belongs to one direction of one handshake.
 */
import assert from 'node:assert';
import { createCipheriv, createDecipheriv, type CipherChaCha20Poly1305, type DecipherChaCha20Poly1305 } from 'node:crypto';

/** Bytes of a key. */
export const KEY_BYTES = 32;
/** Bytes of the tag behind each ciphertext. */
export const TAG_BYTES = 16;

const NONCE_BYTES = 12;
const OPTIONS = { authTagLength: TAG_BYTES } as const;
/** The types ask for a length, which only CCM needs. */
const AAD_OPTIONS = { plaintextLength: 0 } as const;
const cipher = 'chacha20-poly1305';
/** OpenSSL copies a nonce at once, so all states write theirs here. */
const nonce = new Uint8Array(NONCE_BYTES);
const counterOf = new DataView(nonce.buffer, 4);

/** One direction of a connection, or the key of a handshake in progress. */
export class CipherState {
  readonly #key: Uint8Array;
  #counter = 0;

  /** `key` is the state's from now on, which overwrites it. */
  constructor(key: Uint8Array) {
    assert(key.length === KEY_BYTES, 'a key has 32 bytes');
    this.#key = key;
  }

  /** A sealer for the next text, its additional data set; the caller runs `update`, `final` and `getAuthTag`. */
  sealer(aad: Uint8Array): CipherChaCha20Poly1305 {
    return createCipheriv(cipher, this.#key, this.#nextNonce(), OPTIONS).setAAD(aad, AAD_OPTIONS);
  }

  /** An opener for the next text: nothing of what its `update` gives may be believed before `setAuthTag` and `final`. */
  opener(aad: Uint8Array): DecipherChaCha20Poly1305 {
    return createDecipheriv(cipher, this.#key, this.#nextNonce(), OPTIONS).setAAD(aad, AAD_OPTIONS);
  }

  /** Ciphertext and tag of a short text. */
  seal(aad: Uint8Array, text: Uint8Array): Uint8Array {
    const sealer = this.sealer(aad);
    const sealed = new Uint8Array(text.length + TAG_BYTES);
    sealed.set(sealer.update(text));
    sealer.final();
    sealed.set(sealer.getAuthTag(), text.length);
    return sealed;
  }

  /** The text of {@link seal}; undefined when key, counter, `aad` or a bit of it differ. */
  open(aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length < TAG_BYTES) return undefined;
    const opener = this.opener(aad);
    const text = opener.update(sealed.subarray(0, sealed.length - TAG_BYTES));
    opener.setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
    try {
      opener.final();
    } catch { // its only reason: the tag does not match
      text.fill(0);
      return undefined;
    }
    return text;
  }

  /** Replaces the key by one that does not lead back to it; the counter goes on. Source: section 4.2, REKEY. */
  rekey(): void {
    const last = new Uint8Array(NONCE_BYTES).fill(0xff, 4);
    const sealer = createCipheriv(cipher, this.#key, last, OPTIONS);
    const key = sealer.update(new Uint8Array(KEY_BYTES));
    sealer.final();
    this.#key.set(key);
    key.fill(0);
  }

  /** Overwrites the key; nothing can be sealed or opened any more. */
  destroy(): void {
    this.#key.fill(0);
    this.#counter = Number.MAX_SAFE_INTEGER;
  }

  #nextNonce(): Uint8Array {
    // 2^53 texts are out of reach; were they not, a nonce would come twice.
    assert(this.#counter < Number.MAX_SAFE_INTEGER, 'a nonce is used once');
    counterOf.setUint32(0, this.#counter % 2 ** 32, true);
    counterOf.setUint32(4, Math.floor(this.#counter / 2 ** 32), true);
    this.#counter += 1;
    return nonce;
  }
}
