/** Noise SymmetricState with SHA-256: what both ends agreed on so far. Source: The Noise Protocol Framework, revision 34, sections 4.3, 5.2 and 12.7. */
import assert from 'node:assert';
import { createHash, createHmac } from 'node:crypto';
import { ProtocolError, utf8 } from '../../../core/index.ts';
import { CipherState, TAG_BYTES } from './cipher-state.ts';

const HASH_BYTES = 32;
const EMPTY = new Uint8Array(0);
const [ONE, TWO, THREE] = [Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)];

const hmac = (key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer => {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
};

/** Two outputs of HKDF (RFC 5869 without `info`), and a third for {@link SymmetricState.mixKeyAndHash}. */
function derive(chainingKey: Uint8Array, material: Uint8Array, count: 2 | 3): readonly [Buffer, Buffer, Buffer?] {
  const secret = hmac(chainingKey, material);
  const first = hmac(secret, ONE);
  const second = hmac(secret, first, TWO);
  const third = count === 3 ? hmac(secret, second, THREE) : undefined;
  secret.fill(0);
  return third === undefined ? [first, second] : [first, second, third];
}

/** Chaining key, hash of all that was said, and the key of the handshake once there is one. Dead after `split` or `destroy`. */
export class SymmetricState {
  #hash: Uint8Array;
  #chainingKey: Uint8Array;
  #cipher: CipherState | undefined;

  constructor(protocolName: string) {
    const name = utf8(protocolName);
    assert(name.length > HASH_BYTES, 'the names of our protocols are hashed, not padded');
    this.#hash = createHash('sha256').update(name).digest();
    this.#chainingKey = Uint8Array.from(this.#hash);
  }

  /** The hash of the handshake: the same on both ends, and for no other handshake. Copied. */
  get handshakeHash(): Uint8Array {
    return Uint8Array.from(this.#hash);
  }

  /** Whether payloads are sealed already. */
  get keyed(): boolean {
    return this.#cipher !== undefined;
  }

  mixHash(data: Uint8Array): void {
    this.#hash = createHash('sha256').update(this.#hash).update(data).digest();
  }

  mixKey(material: Uint8Array): void {
    const [chainingKey, key] = derive(this.#chainingKey, material, 2);
    this.#replace(chainingKey, key);
  }

  mixKeyAndHash(material: Uint8Array): void {
    const [chainingKey, hashed, key] = derive(this.#chainingKey, material, 3);
    assert(key !== undefined, 'three outputs were asked for');
    this.mixHash(hashed);
    this.#replace(chainingKey, key);
  }

  /** Seals (from the first key on) and hashes. */
  encryptAndHash(text: Uint8Array): Uint8Array {
    const sealed = this.#cipher === undefined ? text : this.#cipher.seal(this.#hash, text);
    this.mixHash(sealed);
    return sealed;
  }

  /** @throws {ProtocolError} the peer has other keys, or someone changed a bit. */
  decryptAndHash(sealed: Uint8Array): Uint8Array {
    const text = this.#cipher === undefined ? sealed : this.#cipher.open(this.#hash, sealed);
    if (text === undefined) throw new ProtocolError('Agree on keys: a message of the handshake does not authenticate, so the peer has another key');
    this.mixHash(sealed);
    return text;
  }

  /** Bytes that {@link encryptAndHash} makes of a text. */
  sealedBytes(length: number): number {
    return length + (this.keyed ? TAG_BYTES : 0);
  }

  /** The keys from initiator to responder and back; this state is overwritten. */
  split(): readonly [CipherState, CipherState] {
    const [first, second] = derive(this.#chainingKey, EMPTY, 2);
    this.destroy();
    return [new CipherState(first), new CipherState(second)];
  }

  /** Overwrites what is secret. */
  destroy(): void {
    this.#chainingKey.fill(0);
    this.#cipher?.destroy();
    this.#cipher = undefined;
  }

  #replace(chainingKey: Uint8Array, key: Uint8Array): void {
    this.#chainingKey.fill(0);
    this.#chainingKey = chainingKey;
    this.#cipher?.destroy();
    this.#cipher = new CipherState(key);
  }
}
