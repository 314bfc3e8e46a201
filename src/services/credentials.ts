/** What opens an encrypted repository among the keys of a command line. Each layer takes the keys that fit it, so those of others are passed over. */
import { statSync } from 'node:fs';
import { UsageError, textOf } from '../core/index.ts';
import { Repository, keyCredential, passphraseCredential, type Credential, type OpenOptions } from '../engine/index.ts';
import type { NamedKey } from './locations/key-remarks.ts';

/** Longer ones are no passphrase. */
const secretBytesMax = 4_096;

/** Permissions of anybody but the owner. */
const OTHERS = 0o077;

/** Keys of Bacula clients and volumes. */
function isForAnotherLayer(bytes: Uint8Array): boolean {
  return /-----BEGIN |^\s*cipher_key\s*:/m.test(textOf(bytes));
}

function credentialOf({ name, bytes }: NamedKey): Credential {
  try {
    return keyCredential(bytes, `key '${name}'`);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    return passphraseCredential(bytes, `passphrase '${name}'`);
  }
}

/** 32 bytes, or their digits or base64, are a key; other short content is a passphrase. @throws {UsageError} an empty one. */
export function credentialsOf(keys: readonly NamedKey[]): readonly Credential[] {
  return keys.filter(({ bytes }) => bytes.length <= secretBytesMax && !isForAnotherLayer(bytes)).map(credentialOf);
}

/** Says which of the keys are files that others of this host may read. */
export function noteReadableKeys(keys: readonly NamedKey[], note: (text: string) => void): void {
  for (const { name } of keys) {
    const mode = statSync(name, { throwIfNoEntry: false })?.mode ?? 0;
    if ((mode & OTHERS) !== 0) note(`key file '${name}' can be read by others (mode ${(mode & 0o777).toString(8).padStart(4, '0')}): chmod 600 ${name}`);
  }
}

/** How to open a repository with the keys at hand. */
export interface KeyedOptions extends Partial<OpenOptions> {
  readonly keys?: readonly NamedKey[];
  /** The keys may be for something else: a repository that is not encrypted is opened without them, instead of refused. */
  readonly keysMayBeForOthers?: boolean;
}

/**
 * Options for `Repository.open` in `world`, with the credentials among the keys. Without `keysMayBeForOthers` a repository that is not encrypted will be
 * refused: who gives a key expects that nobody can read along.
 */
export async function withCredentials(world: Parameters<typeof Repository.open>[0], { keys = [], keysMayBeForOthers = false, ...options }: KeyedOptions): Promise<Partial<OpenOptions>> {
  const credentials = [...(options.credentials ?? []), ...credentialsOf(keys)];
  if (credentials.length === 0) return options;
  const isEncrypted = (await Repository.parameters(world, options.objects)).encryption !== 'none';
  if (isEncrypted) noteReadableKeys(keys, (text) => { options.onNote?.(text); });
  else if (keysMayBeForOthers) return options;
  return { ...options, credentials };
}
