/** What opens a key slot: a passphrase, or a key of 32 bytes. Secrets stay in buffers, never in texts that errors or logs could carry. */
import { UsageError, isUtf8, textOf, utf8 } from '../../core/index.ts';
import { KEY_BYTES } from './aead.ts';

/** Kinds of slots. */
export type CredentialKind = 'passphrase' | 'key';

/** One thing that may open a slot. */
export interface Credential {
  readonly kind: CredentialKind;
  /** What messages call it: "passphrase of --key-cmd", "key file 'backup.key'". */
  readonly name: string;
  /** A passphrase as typed, or 32 bytes; the caller's, who may overwrite it when the keys are open. */
  readonly secret: Uint8Array;
}

/**
 * A passphrase from the output of a command or a terminal: one line end behind it is none of it, and text is taken in Unicode's form NFC, so that
 * keyboards that compose letters differently type the same passphrase.
 * @throws {UsageError} nothing is left.
 */
export function passphraseCredential(typed: Uint8Array, name: string): Credential {
  let end = typed.length;
  if (end > 0 && typed[end - 1] === 0x0a) end -= 1;
  if (end > 0 && end < typed.length && typed[end - 1] === 0x0d) end -= 1;
  const line = typed.subarray(0, end);
  if (line.length === 0) throw new UsageError(`Use ${name}: it is empty`);
  return { kind: 'passphrase', name, secret: isUtf8(line) ? utf8(textOf(line).normalize('NFC')) : line.slice() };
}

const HEX = /^[0-9a-fA-F]{64}$/;
const BASE64 = /^[A-Za-z0-9+/_-]{43}=?$/;

/**
 * A key from the content of a key file: 32 bytes as they are, or as 64 hexadecimal digits, or as base64; white space around the digits is none of it.
 * @throws {UsageError} anything else, and 32 bytes that read as text: they are a passphrase, too weak to be used without a derivation.
 */
export function keyCredential(content: Uint8Array, name: string): Credential {
  const expected = 'expected 32 random bytes, or their 64 hexadecimal digits, or their base64';
  if (content.length === KEY_BYTES) {
    // Of 32 random bytes all are printable once in 10^13 files.
    if (content.every((byte) => byte >= 0x20 && byte < 0x7f || byte === 0x0a || byte === 0x0d || byte === 0x09)) {
      throw new UsageError(`Use ${name} as a key: its 32 bytes read as text, perhaps a passphrase; ${expected}`);
    }
    return { kind: 'key', name, secret: content.slice() };
  }
  const text = content.length <= 4 * KEY_BYTES ? textOf(content).trim() : '';
  if (HEX.test(text)) return { kind: 'key', name, secret: new Uint8Array(Buffer.from(text, 'hex')) };
  const decoded = BASE64.test(text) ? new Uint8Array(Buffer.from(text, 'base64')) : undefined;
  if (decoded?.length === KEY_BYTES) return { kind: 'key', name, secret: decoded };
  throw new UsageError(`Use ${name} as a key: found ${content.length} bytes that are no key; ${expected}`);
}
