/** Authenticated encryption of records: OpenSSL's ciphers in node:crypto against those of @noble/ciphers. */
import { createCipheriv } from 'node:crypto';
import type { CipherGCM } from 'node:crypto';
import { gcm } from '@noble/ciphers/aes.js';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { randomBytesOf } from './inputs.ts';
import type { Suite } from './suite.ts';

const KIB = 1024;
const key = randomBytesOf(4, 32);
const nonce = randomBytesOf(5, 12);

function seal(cipher: CipherGCM, data: Uint8Array): void {
  cipher.update(data);
  cipher.final();
  cipher.getAuthTag();
}

const ways: readonly (readonly [string, (data: Uint8Array) => void])[] = [
  ['aes-256-gcm node:crypto', (data) => { seal(createCipheriv('aes-256-gcm', key, nonce), data); }],
  ['chacha20-poly1305 node:crypto', (data) => { seal(createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 }), data); }],
  ['aes-256-gcm @noble/ciphers', (data) => { gcm(key, nonce).encrypt(data); }],
  ['chacha20-poly1305 @noble/ciphers', (data) => { chacha20poly1305(key, nonce).encrypt(data); }],
];

/** Seals 16 KiB, 64 KiB and 1 MiB. */
export function aeadSuite(): Suite {
  const cases = [16, 64, 1024].flatMap((kib) => {
    const data = randomBytesOf(6, kib * KIB);
    return ways.map(([name, work]) => ({ name, group: `${kib} KiB`, amount: data.length, run: () => { work(data); } }));
  });
  return { title: 'Authenticated encryption', unit: 'bytes', cases };
}
