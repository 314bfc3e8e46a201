/** Key files of clients and servers. All are of mode 0600 or stricter, written once and in one step. */
import type { World } from '../../../core/index.ts';
import { createSecretFile, readSecretFile } from '../../world/secret-file.ts';
import { KEY_BYTES, keyPairOf, type KeyPair } from '../noise/index.ts';
import type { ClientCredentials, ServerCredentials } from './channel.ts';
import { EnrolledHosts } from './enrolled-hosts.ts';
import { encodeKeyText, KEY_FILE_BYTES_MAX, keyKinds, keyText, KeyText } from './key-text.ts';

type Randomness = Pick<World, 'randomBytes'>;

function readKeyText(file: string): KeyText {
  return new KeyText(file, readSecretFile(file, KEY_FILE_BYTES_MAX));
}

function pairOf(text: KeyText): KeyPair {
  const secret = text.key('private');
  try {
    return keyPairOf(secret);
  } finally {
    secret.fill(0);
  }
}

/** Creates the key that the clients of one domain share. @throws {BusyError} the file exists. */
export function createSiteKey(file: string, { randomBytes }: Randomness): void {
  const key = randomBytes(KEY_BYTES);
  createSecretFile(file, encodeKeyText(keyKinds.site, keyText(key)));
  key.fill(0);
}

/** Creates a server's identity. @returns its public key, which hosts are enrolled with. @throws {BusyError} the file exists. */
export function createServerIdentity(file: string, { randomBytes }: Randomness): Uint8Array {
  const secret = randomBytes(KEY_BYTES);
  const { publicKey } = keyPairOf(secret);
  createSecretFile(file, encodeKeyText(keyKinds.server, { private: keyText(secret), public: keyText(publicKey) }));
  secret.fill(0);
  return publicKey;
}

/** @throws {NotFoundError} @throws {UsageError} others can read the file. @throws {FormatError} it is no site key. */
export function readSiteKey(file: string): Uint8Array {
  const text = readKeyText(file);
  text.expect(keyKinds.site, 1);
  return text.onlyKey();
}

/** @throws {NotFoundError} @throws {UsageError} others can read the file. @throws {FormatError} it is no identity of a server. */
export function readServerIdentity(file: string): KeyPair {
  const text = readKeyText(file);
  text.expect(keyKinds.server, 4);
  return pairOf(text);
}

/**
 * What a client connects with: a site key or the identity of an enrolled host, whichever the file is.
 * @throws {NotFoundError} @throws {UsageError} others can read the file. @throws {FormatError} it is neither.
 */
export function readClientCredentials(file: string): ClientCredentials {
  const text = readKeyText(file);
  if (text.kind !== keyKinds.host) {
    if (text.kind !== keyKinds.site) throw text.fault('kind', `the word '${keyKinds.site}' or '${keyKinds.host}'`);
    text.expect(keyKinds.site, 1);
    return { kind: 'site', key: text.onlyKey() };
  }
  text.expect(keyKinds.host, 6);
  return { kind: 'host', identity: pairOf(text), psk: text.key('psk'), serverKey: text.key('server') };
}

/** Where a server's keys are. */
export interface ServerKeyFiles {
  /** Domain → file of its site key. */
  readonly siteKeys: ReadonlyMap<string, string>;
  readonly identity?: string;
  /** Directory of {@link EnrolledHosts}; read again at each handshake. */
  readonly hosts?: string;
}

/** Reads the keys of a server. @throws what {@link readSiteKey} and {@link readServerIdentity} throw. */
export function readServerCredentials({ siteKeys, identity, hosts }: ServerKeyFiles): ServerCredentials {
  const enrolled = hosts === undefined ? undefined : new EnrolledHosts(hosts);
  return {
    siteKeys: [...siteKeys].map(([domain, file]) => ({ domain, key: readSiteKey(file) })),
    identity: identity === undefined ? undefined : readServerIdentity(identity),
    findHost: async (publicKey) => enrolled?.find(publicKey),
  };
}
