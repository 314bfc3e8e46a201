/**
 * Authenticated encryption with node:crypto (OpenSSL): AES-256-GCM (NIST SP 800-38D) and ChaCha20-Poly1305 (RFC 8439).
 *
 * A pair of key and nonce must never seal two different texts: with both ciphers a repetition gives away the XOR of the texts and the means to forge.
 * Nothing here can see to that, so every caller says in its header why its pairs are unique.
 */
import assert from 'node:assert';
import { createCipheriv, createDecipheriv, type CipherGCM, type DecipherGCM } from 'node:crypto';
import { MessageChannel } from 'node:worker_threads';

/** Ciphers by their number in our formats, from 1; 0 stands for none. */
export const cipherNames: readonly ['none', 'aes-256-gcm', 'chacha20-poly1305'] = ['none', 'aes-256-gcm', 'chacha20-poly1305'];
/** A cipher that encrypts. */
export type CipherName = Exclude<(typeof cipherNames)[number], 'none'>;

/** Bytes of a key of either cipher. */
export const KEY_BYTES = 32;
/** Bytes of a nonce. */
export const NONCE_BYTES = 12;
/** Bytes of the tag behind each ciphertext. */
export const TAG_BYTES = 16;

/** What seals and opens one text; buffers are only read. */
export interface AeadUse {
  readonly cipher: CipherName;
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
  /** Authenticated, not encrypted. */
  readonly aad: Uint8Array;
}

const OPTIONS = { authTagLength: TAG_BYTES } as const;

function encipher({ cipher, key, nonce }: AeadUse): CipherGCM {
  return cipher === 'aes-256-gcm' ? createCipheriv(cipher, key, nonce, OPTIONS) : createCipheriv(cipher, key, nonce, OPTIONS) as unknown as CipherGCM;
}

function decipher({ cipher, key, nonce }: AeadUse): DecipherGCM {
  return cipher === 'aes-256-gcm' ? createDecipheriv(cipher, key, nonce, OPTIONS) : createDecipheriv(cipher, key, nonce, OPTIONS) as unknown as DecipherGCM;
}

function checkUse(use: AeadUse): void {
  assert(use.key.length === KEY_BYTES && use.nonce.length === NONCE_BYTES, 'key and nonce have their lengths');
}

/** Bytes given to OpenSSL at once: its output is in the processor's cache when it is copied, and is given back at once. */
const SLICE_BYTES = 256 << 10;

const { port1: sink, port2: nowhere } = new MessageChannel();
nowhere.close();

/**
 * Gives memory back now. A buffer from OpenSSL is outside the heap, where the collector lets some 40 MB a thread pile up: a fifth of what we may use in all.
 * What is transferred to a port that nobody reads is freed at once.
 */
function release(output: Buffer): void {
  if (output.length === SLICE_BYTES) sink.postMessage(null, [output.buffer as ArrayBuffer]);
}

/** Passes the text through, slice by slice, where it is. */
function passThrough(through: CipherGCM | DecipherGCM, text: Uint8Array): void {
  for (let at = 0; at < text.length; at += SLICE_BYTES) {
    const output = through.update(text.subarray(at, at + SLICE_BYTES));
    text.set(output, at);
    release(output);
  }
}

/** Seals the text that `buffer` holds, all but its last {@link TAG_BYTES}, where it is; the tag comes behind it. */
export function sealInPlace(use: AeadUse, buffer: Uint8Array): void {
  checkUse(use);
  const length = buffer.length - TAG_BYTES;
  assert(length >= 0, 'there is room for the tag');
  const sealer = encipher(use);
  sealer.setAAD(use.aad, { plaintextLength: length });
  passThrough(sealer, buffer.subarray(0, length));
  sealer.final();
  buffer.set(sealer.getAuthTag(), length);
}

/**
 * Opens what `buffer` holds, ciphertext and tag, where it is.
 * @returns a view of the text; undefined when key, nonce, `aad` or a bit of it are not those it was sealed with: then the buffer holds nothing any more.
 */
export function openInPlace(use: AeadUse, buffer: Uint8Array): Uint8Array | undefined {
  checkUse(use);
  if (buffer.length < TAG_BYTES) return undefined;
  const text = buffer.subarray(0, buffer.length - TAG_BYTES);
  const opener = decipher(use);
  opener.setAAD(use.aad, { plaintextLength: text.length });
  opener.setAuthTag(buffer.slice(text.length));
  passThrough(opener, text);
  try {
    opener.final();
  } catch { // its only reason: the tag does not match
    text.fill(0);
    return undefined;
  }
  return text;
}
