/** What key files are, as far as Bacula layers go, so that one that fits nothing is named instead of silently passed over. */
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { NotFoundError, textOf } from '../../core/index.ts';

/** A key as it was given; `name` is the file's name or what else the user knows it by. */
export interface NamedKey {
  readonly name: string;
  readonly bytes: Uint8Array;
}

type Kind = { readonly kind: 'private' | 'protected' | 'broken' | 'certificate' | 'unknown' } | { readonly kind: 'volume'; readonly volume: string | undefined };

/** Longer files are no keys; what is in them is none of our business. */
const keyBytesMax = 65_536;

function kindOf(bytes: Uint8Array): Kind {
  if (bytes.length > keyBytesMax) return { kind: 'unknown' };
  const text = textOf(bytes);
  if (/^\s*cipher_key\s*:\s*\S/m.test(text)) return { kind: 'volume', volume: /^\s*volume_name\s*:\s*(\S+)/m.exec(text)?.[1] };
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text)) return { kind: 'protected' };
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) return { kind: isReadable(text, createPrivateKey) ? 'private' : 'broken' };
  if (!text.includes('-----BEGIN CERTIFICATE-----')) return { kind: 'unknown' };
  return { kind: isReadable(text, createPublicKey) ? 'certificate' : 'broken' };
}

function isReadable(text: string, read: (text: string) => unknown): boolean {
  try {
    read(text);
    return true;
  } catch {
    // What is wrong inside is for openssl to tell; here it only can't be used.
    return false;
  }
}

/** Keys that a layer can be given: without those that nothing can be done with. */
export function usableKeys(keys: readonly NamedKey[]): readonly Uint8Array[] {
  return keys.filter(({ bytes }) => !['protected', 'broken'].includes(kindOf(bytes).kind)).map(({ bytes }) => bytes);
}

/**
 * Remarks on the keys that cannot open anything of volumes called `volumes` (their labels' names), one sentence each.
 * A certificate beside a private key is right: it checks signatures. `locked`: the volumes as such are encrypted and none of the keys
 * opened them, so that a client's key is no help either.
 */
export function keyRemarks(keys: readonly NamedKey[], volumes: readonly string[], locked = false): readonly string[] {
  const kinds = keys.map(({ name, bytes }) => ({ name, ...kindOf(bytes) }));
  const hasPrivate = kinds.some(({ kind }) => kind === 'private');
  return kinds.flatMap((one) => {
    const begin = `key '${one.name}'`;
    if (one.kind === 'unknown') return [`${begin} opens nothing here: it is neither a private key (PEM) nor a volume key`];
    if (one.kind === 'protected') return [`${begin} opens nothing: it is protected by a passphrase; give it without (openssl pkey -in FILE)`];
    if (one.kind === 'broken') return [`${begin} opens nothing: its PEM cannot be read`];
    if (one.kind === 'certificate') return hasPrivate ? [] : [`${begin} opens nothing: it is a certificate, which only checks signatures; give the private key that belongs to it`];
    if (one.kind === 'private' && locked) return [`${begin} is a private key, which opens files, not volumes`];
    if (one.kind !== 'volume') return [];
    if (one.volume === undefined || volumes.length === 0 || volumes.includes(one.volume)) return locked ? [`${begin} does not decrypt it`] : [];
    return [`${begin} opens nothing here: it is for volume '${one.volume}', not for ${volumes.map((name) => `'${name}'`).join(', ')}`];
  });
}

/** Whether Bacula layers know the kind of a key; others may be for containers on disks inside. */
export function isKnownKind({ bytes }: NamedKey): boolean {
  return kindOf(bytes).kind !== 'unknown';
}

/** What layers learn about keys on the way: a remark on a key of unknown kind waits until the last layer had its chance. */
export class KeyUse {
  #isOpened = false;
  readonly #waiting: string[] = [];

  /** An encrypted container was opened with one of the keys. */
  opened(): void {
    this.#isOpened = true;
  }

  wait(remark: string): void {
    this.#waiting.push(remark);
  }

  /** Remarks that turned out right, each only once. */
  take(): readonly string[] {
    const remarks = this.#waiting.splice(0);
    return this.#isOpened ? [] : remarks;
  }
}

/** Whether an encrypted container only lacks a key that fits: it is then what it should be, not damaged. */
export function isLocked(error: unknown): error is NotFoundError {
  return error instanceof NotFoundError && error.data['slots'] !== undefined;
}

/** The same with what to do about it. */
export function lockedError(error: NotFoundError): NotFoundError {
  return /--key/.test(error.message) ? error : new NotFoundError(`${error.message}; give its passphrase or key file with --key FILE`, error.data, error);
}

/** Names of the private keys: what was tried, where none of them fits. */
export function triedKeys(keys: readonly NamedKey[]): string {
  return keys.filter(({ bytes }) => kindOf(bytes).kind === 'private').map(({ name }) => `'${name}'`).join(', ');
}
