/**
 * Hosts that may connect with keys of their own: a directory with one file a host, named by its public key, so that each handshake reads one file and what
 * was changed counts from then on.
 */
import * as path from 'node:path';
import { BusyError, equalBytes, NotFoundError, UsageError, type World } from '../../../core/index.ts';
import { createSecretFile, listSecretFiles, makeSecretDirectory, readSecretFile, replaceSecretFile } from '../../world/secret-file.ts';
import { KEY_BYTES, keyPairOf } from '../noise/index.ts';
import type { EnrolledHost } from './channel.ts';
import { encodeKeyText, isKeyName, KEY_FILE_BYTES_MAX, keyKinds, keyText, KeyText } from './key-text.ts';

const SUFFIX = '.host';

/** A host as its file says. */
export interface HostRecord extends EnrolledHost {
  readonly revoked: boolean;
}

/** A host to be enrolled. */
export interface Enrollment {
  readonly name: string;
  readonly domain: string;
  /** The public key of the server that it will connect to. */
  readonly serverKey: Uint8Array;
  /** Where the host's identity is written: the file to carry to the host. */
  readonly identityFile: string;
}

function encodeRecord({ name, domain, publicKey, psk, revoked }: HostRecord): Uint8Array {
  return encodeKeyText(keyKinds.enrolled, { name, domain, public: keyText(publicKey), psk: keyText(psk), revoked: revoked ? 'yes' : 'no' });
}

/** The directory. Every call reads it anew. */
export class EnrolledHosts {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * The host with this public key; undefined when none is enrolled or it was revoked.
   * @throws {UsageError} others can read its file. @throws {FormatError} its file is damaged. Then the host is not let in either.
   */
  find(publicKey: Uint8Array): EnrolledHost | undefined {
    let record: HostRecord;
    try {
      record = this.#read(this.#fileOf(publicKey));
    } catch (error) {
      if (error instanceof NotFoundError) return undefined;
      throw error;
    }
    return record.revoked || !equalBytes(record.publicKey, publicKey) ? undefined : record;
  }

  /** All hosts, revoked ones too, by name. @throws {UsageError} @throws {FormatError} a file can't be read. */
  list(): readonly HostRecord[] {
    const files = listSecretFiles(this.#directory).filter((name) => name.endsWith(SUFFIX) && !name.startsWith('.'));
    return files.map((name) => this.#read(path.join(this.#directory, name))).sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /**
   * Makes keys for a host: its identity file, then its record here; durable when it returns.
   * @throws {UsageError} a name is none. @throws {BusyError} a live host has the name, or the identity file exists.
   */
  enroll({ name, domain, serverKey, identityFile }: Enrollment, { randomBytes }: Pick<World, 'randomBytes'>): EnrolledHost {
    for (const [what, text] of [['host', name], ['domain', domain]] as const) {
      if (!isKeyName(text)) throw new UsageError(`Enroll a host: '${text}' can't name a ${what}; expected 1…63 letters, digits, '.', '_' and '-'`);
    }
    makeSecretDirectory(this.#directory);
    if (this.#live(name) !== undefined) throw new BusyError(`Enroll host '${name}': a host of this name is enrolled; revoke it first`);
    const [secret, psk] = [randomBytes(KEY_BYTES), randomBytes(KEY_BYTES)];
    const { publicKey } = keyPairOf(secret);
    createSecretFile(identityFile, encodeKeyText(keyKinds.host, { private: keyText(secret), psk: keyText(psk), server: keyText(serverKey) }));
    secret.fill(0);
    const record: HostRecord = { name, domain, publicKey, psk, revoked: false };
    createSecretFile(this.#fileOf(publicKey), encodeRecord(record));
    return record;
  }

  /** Refuses the host from its next handshake on; durable when it returns. @throws {NotFoundError} no live host has the name. */
  revoke(name: string): void {
    const record = this.#live(name);
    if (record === undefined) {
      const was = this.list().some((one) => one.name === name) ? 'it was revoked before' : 'no host of this name is enrolled';
      throw new NotFoundError(`Revoke host '${name}': ${was} in '${this.#directory}'`);
    }
    replaceSecretFile(this.#fileOf(record.publicKey), encodeRecord({ ...record, revoked: true }));
  }

  #live(name: string): HostRecord | undefined {
    return this.list().find((record) => record.name === name && !record.revoked);
  }

  #fileOf(publicKey: Uint8Array): string {
    return path.join(this.#directory, `${Buffer.from(publicKey).toString('hex')}${SUFFIX}`);
  }

  #read(file: string): HostRecord {
    const text = new KeyText(file, readSecretFile(file, KEY_FILE_BYTES_MAX));
    text.expect(keyKinds.enrolled, 10);
    return { name: text.name('name'), domain: text.name('domain'), publicKey: text.key('public'), psk: text.key('psk'), revoked: text.flag('revoked') };
  }
}
