/**
 * X25519 with node:crypto, keys in and out as raw 32 bytes (RFC 7748). JSON Web Keys (RFC 8037) are the way in and out because they are the cheapest
 * one of Node 20: 1 µs out and 8 µs in, where DER costs 60 µs and 70 µs (`bench/micro/wire.ts`).
 */
import assert from 'node:assert';
import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, type JsonWebKey, type KeyObject, type X25519KeyPairOptions } from 'node:crypto';
import { ProtocolError } from '../../../core/index.ts';

/** Bytes of a private key, a public key and a shared secret. */
export const DH_BYTES = 32;

/** A pair of keys. The private one stays inside OpenSSL, which overwrites it when the object is collected. */
export interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: Uint8Array;
}

/** The types do not know that public keys can be encoded so; node does, since 15.9. */
const encodePublic = { publicKeyEncoding: { type: 'spki', format: 'jwk' } } as unknown as X25519KeyPairOptions<'der', 'der'>;

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');

const fromBase64url = (text: string | undefined): Uint8Array => {
  assert(text !== undefined, 'an X25519 key has its public part');
  return new Uint8Array(Buffer.from(text, 'base64url'));
};

/**
 * A fresh pair, from OpenSSL's random generator.
 *
 * Its private key must never be exported, and its public key leaves while the pair is made: node 20 keeps the job that made a pair until it is collected,
 * then takes the pair's mutex. An export holds the same mutex while it allocates; a collection in just that moment stops the process for ever.
 */
export function generateKeyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('x25519', encodePublic) as unknown as { readonly privateKey: KeyObject; readonly publicKey: JsonWebKey };
  return { privateKey, publicKey: fromBase64url(publicKey.x) };
}

/** The pair of a private key of {@link DH_BYTES}; the bytes are only read. */
export function keyPairOf(privateBytes: Uint8Array): KeyPair {
  assert(privateBytes.length === DH_BYTES, 'a private key has 32 bytes');
  // OpenSSL derives the public part from `d`; node only wants `x` to be there.
  const privateKey = createPrivateKey({ key: { kty: 'OKP', crv: 'X25519', d: base64url(privateBytes), x: '' }, format: 'jwk' });
  return { privateKey, publicKey: fromBase64url(createPublicKey(privateKey).export({ format: 'jwk' }).x) };
}

/** A public key of the peer, ready to agree with: one import serves several agreements. Any 32 bytes are one (RFC 7748, section 5). */
export function importPublicKey(publicKey: Uint8Array): KeyObject {
  assert(publicKey.length === DH_BYTES, 'a public key has 32 bytes');
  return createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: base64url(publicKey) }, format: 'jwk' });
}

/**
 * The shared secret; the caller overwrites it after use.
 * @throws {ProtocolError} the public key is of low order: the secret would be zero for everyone (RFC 7748, section 6.1).
 */
export function sharedSecret(privateKey: KeyObject, publicKey: KeyObject): Uint8Array {
  let secret: Buffer | undefined;
  try {
    secret = diffieHellman({ privateKey, publicKey });
  } catch { // OpenSSL refuses an all-zero secret; its message says nothing more
    secret = undefined;
  }
  if (secret === undefined || secret.every((byte) => byte === 0)) throw new ProtocolError('Agree on keys: the public key of the peer is of low order');
  return secret;
}
