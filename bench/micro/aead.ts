/** Authenticated encryption: OpenSSL's ciphers in node:crypto against those of @noble/ciphers, and our sealed groups on top of the former. */
import { createCipheriv } from 'node:crypto';
import type { CipherGCM } from 'node:crypto';
import { gcm } from '@noble/ciphers/aes.js';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { defaultLimits } from '../../src/core/index.ts';
import { openGroup, sealGroup, type CipherName, type GroupContent, type GroupKey } from '../../src/engine/crypto/index.ts';
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

/** Sealing and opening of a group as containers have them: lengths and padding inside, ids authenticated. */
function groupCases(kib: number): Suite['cases'] {
  const payload = randomBytesOf(6, kib * KIB);
  const lengths = new Uint32Array(Math.max(1, kib / 8)).fill(16 * KIB); // chunks of 16 KiB that compress to half
  const content: GroupContent = { codec: 1, rawLength: lengths.length * 16 * KIB, lengths, payload };
  const expected = { count: lengths.length, limits: defaultLimits, where: 'a group' };
  const target = new Uint8Array(2 * payload.length + 64 * KIB);
  return (['aes-256-gcm', 'chacha20-poly1305'] as const).flatMap((cipher: CipherName) => {
    const groupKey: GroupKey = { cipher, subkey: key, sequence: 0, aad: randomBytesOf(8, 40 + lengths.length * 32) };
    const sealed = sealGroup(groupKey, content).slice();
    return [
      { name: `seal a group, ${cipher}`, group: `${kib} KiB`, amount: payload.length, run: () => { sealGroup(groupKey, content, target); } },
      { name: `open a group, ${cipher}`, group: `${kib} KiB`, amount: payload.length, run: () => { target.set(sealed); openGroup(groupKey, target.subarray(0, sealed.length), expected); } },
    ];
  });
}

/** Seals 16 KiB, 64 KiB and 1 MiB, the latter as groups too. */
export function aeadSuite(): Suite {
  const cases = [16, 64, 1024].flatMap((kib) => {
    const data = randomBytesOf(6, kib * KIB);
    const plain = ways.map(([name, work]) => ({ name, group: `${kib} KiB`, amount: data.length, run: () => { work(data); } }));
    return kib === 1024 ? [...plain, ...groupCases(kib)] : plain;
  });
  return { title: 'Authenticated encryption', unit: 'bytes', cases };
}
