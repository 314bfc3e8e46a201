/**
 * Client-side encryption of a file daemon: opens the session key of a file with a private key (the client's or the master's),
 * and checks signatures. Source: Bacula's public ASN.1 description of CryptoData and SignatureData; RFC 8017 (PKCS #1 v1.5).
 */
import { constants, createHash, createPrivateKey, createPublicKey, type KeyObject, privateDecrypt, publicDecrypt } from 'node:crypto';
import { equalBytes, NotFoundError, textOf, UnsupportedError } from '../../core/index.ts';
import { DER, derElements, derInside, derOid } from './der.ts';

/** Key of one file's content. */
export interface ContentKey {
  readonly cipher: string;
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
}

/** Digests of one content, by algorithm. */
export interface ContentDigests {
  readonly md5: Uint8Array;
  readonly sha1: Uint8Array;
  readonly sha256: Uint8Array;
  readonly sha512: Uint8Array;
}

const ciphers: ReadonlyMap<string, { readonly name: string; readonly keyBytes: number }> = new Map([
  ['2.16.840.1.101.3.4.1.2', { name: 'aes-128-cbc', keyBytes: 16 }],
  ['2.16.840.1.101.3.4.1.22', { name: 'aes-192-cbc', keyBytes: 24 }],
  ['2.16.840.1.101.3.4.1.42', { name: 'aes-256-cbc', keyBytes: 32 }],
]);

function privateKeys(keys: readonly Uint8Array[]): readonly KeyObject[] {
  const found: KeyObject[] = [];
  for (const bytes of keys) {
    for (const [block] of textOf(bytes).matchAll(/-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----/g)) {
      found.push(createPrivateKey(block));
    }
  }
  return found;
}

function publicKeys(keys: readonly Uint8Array[]): readonly KeyObject[] {
  const found = privateKeys(keys).map((key) => createPublicKey(key));
  for (const bytes of keys) {
    for (const [block] of textOf(bytes).matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)) found.push(createPublicKey(block));
  }
  return found;
}

/** PKCS #1 v1.5 by hand: 00 02, at least eight non-zero bytes, 00, message. Node refuses to do it because of timing; these are files. */
function unpad(padded: Uint8Array): Uint8Array | undefined {
  if (padded[0] !== 0 || padded[1] !== 2) return undefined;
  const end = padded.indexOf(0, 2);
  return end < 10 ? undefined : padded.subarray(end + 1);
}

/** The subjectKeyIdentifier of a key: SHA-1 of its public key's bits (RFC 5280, 4.2.1.2, method 1). */
function keyId(key: KeyObject): Uint8Array {
  const [, bits] = derInside(derElements(key.export({ type: 'spki', format: 'der' }))[0]);
  return createHash('sha1').update((bits?.content ?? new Uint8Array()).subarray(1)).digest();
}

/** The keys a caller gave, as far as they are PEM keys. */
export class Pki {
  readonly #private: readonly KeyObject[];
  readonly #public: readonly { readonly id: Uint8Array; readonly key: KeyObject }[];

  constructor(keys: readonly Uint8Array[]) {
    this.#private = privateKeys(keys);
    this.#public = publicKeys(keys).map((key) => ({ id: keyId(key), key }));
  }

  /** Whether there is any key that a signature could be checked with. */
  get canVerify(): boolean {
    return this.#public.length > 0;
  }

  /**
   * Opens a record of stream 22. @throws {NotFoundError} no key given fits. @throws {UnsupportedError} another cipher than AES-CBC.
   * @throws {FormatError}
   */
  contentKey(record: Uint8Array): ContentKey {
    const [, algorithm, iv, recipients] = derInside(derElements(record)[0]);
    const oid = derOid(algorithm);
    const cipher = ciphers.get(oid);
    if (cipher === undefined) throw new UnsupportedError(`Decrypt content: cipher '${oid}' is not supported, expected AES in CBC mode`, { oid });
    for (const recipient of derInside(recipients)) {
      const encrypted = derInside(recipient).findLast((element) => element.tag === DER.octets);
      for (const key of this.#private) {
        const opened = encrypted === undefined ? undefined : openKey(key, encrypted.content);
        if (opened?.length === cipher.keyBytes) return { cipher: cipher.name, key: opened, iv: (iv?.content ?? new Uint8Array()).slice() };
      }
    }
    const given = this.#private.length === 0 ? 'no private key was given' : `none of the '${this.#private.length}' private keys given fits`;
    throw new NotFoundError(`Decrypt content: ${given}; give the key of the client or the master key`, { keys: this.#private.length });
  }

  /** Checks a record of stream 19; `unknown` when it was made with a key that was not given. @throws {FormatError} */
  verify(record: Uint8Array, digests: ContentDigests): 'right' | 'wrong' | 'unknown' {
    const [, signers] = derInside(derElements(record)[0]);
    for (const signer of derInside(signers)) {
      const elements = derInside(signer);
      const id = elements.find((element) => element.tag === DER.octets);
      const signature = elements.findLast((element) => element.tag === DER.octets);
      const known = this.#public.find((candidate) => id !== undefined && equalBytes(candidate.id, id.content));
      if (known === undefined || signature === undefined) continue;
      return signs(known.key, signature.content, digests) ? 'right' : 'wrong';
    }
    return 'unknown';
  }
}

function openKey(key: KeyObject, encrypted: Uint8Array): Uint8Array | undefined {
  try {
    return unpad(privateDecrypt({ key, padding: constants.RSA_NO_PADDING }, encrypted));
  } catch {
    // The wrong key for these bytes, by length or value: a probe's answer, not a failure.
    return undefined;
  }
}

function signs(key: KeyObject, signature: Uint8Array, digests: ContentDigests): boolean {
  try {
    const [, digest] = derInside(derElements(publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature))[0]);
    return Object.values(digests).some((computed) => digest !== undefined && equalBytes(digest.content, computed));
  } catch {
    // Padding or DER inside does not hold: the signature is not of this key.
    return false;
  }
}
