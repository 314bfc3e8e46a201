/**
 * Keys of encrypted volumes (Bacula 15 SD "Volume Encryption") and the cipher of their blocks: AES-XTS with the block's
 * number and session as tweak. Source: observed on volumes of Bacula 15.0.3; the key file is what its key-manager script keeps.
 */
import { createDecipheriv } from 'node:crypto';
import { textOf, UnsupportedError } from '../../core/index.ts';

/** One key, as in a key file of `cipher:` and `cipher_key:` lines; `volumeName` selects it where the file says so. */
export interface VolumeKey {
  readonly cipher: 'aes-128-xts' | 'aes-256-xts';
  /** 32 bytes for AES-128-XTS, 64 for AES-256-XTS. */
  readonly key: Uint8Array;
  readonly volumeName?: string;
}

const KEY_BYTES = { 'aes-128-xts': 32, 'aes-256-xts': 64 } as const;

function field(text: string, name: string): string | undefined {
  return new RegExp(`^\\s*${name}\\s*:\\s*(\\S+)\\s*$`, 'm').exec(text)?.[1];
}

/**
 * Reads a volume key file; undefined when the bytes are not one.
 * @throws {UnsupportedError} when it is one, with a cipher or key length we do not know.
 */
export function parseVolumeKey(bytes: Uint8Array): VolumeKey | undefined {
  if (bytes.length > 65_536) return undefined;
  const text = textOf(bytes);
  const cipherName = field(text, 'cipher');
  const encoded = field(text, 'cipher_key');
  if (cipherName === undefined || encoded === undefined) return undefined;
  const cipher = cipherName.toLowerCase().replaceAll('_', '-');
  const key = new Uint8Array(Buffer.from(encoded, 'base64'));
  if ((cipher !== 'aes-128-xts' && cipher !== 'aes-256-xts') || key.length !== KEY_BYTES[cipher]) {
    throw new UnsupportedError(`Use volume key: cipher '${cipherName}' with a key of '${key.length}' bytes, expected AES_128_XTS (32) or AES_256_XTS (64)`, {
      cipher: cipherName, keyBytes: key.length,
    });
  }
  const volumeName = field(text, 'volume_name');
  return volumeName === undefined ? { cipher, key } : { cipher, key, volumeName };
}

/** Decrypts the bytes behind a block's head in place; `head` is the 32-byte head. */
export function decryptBlock(key: VolumeKey, head: Uint8Array, body: Uint8Array): void {
  const tweak = new Uint8Array(16);
  tweak.set(head.subarray(8, 12), 0);
  tweak.set(head.subarray(16, 24), 4);
  const decipher = createDecipheriv(key.cipher, key.key, tweak);
  body.set(decipher.update(body));
  decipher.final();
}
