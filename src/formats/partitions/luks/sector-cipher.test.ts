/** Our chaining around ECB against Node's own XTS and CBC, sector by sector. */
import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import test from 'node:test';
import { UnsupportedError } from '../../../core/index.ts';
import { seededBytes } from '../../../core/testing/random.ts';
import { sectorCipher } from './sector-cipher.ts';

/** More than a slice of 64 KiB, and numbers of sectors that cross 32 bits. */
const PLAIN = seededBytes(200 << 10, 7);

function ivOf(number: number, plain32: boolean): Buffer {
  const iv = Buffer.alloc(16);
  if (plain32) iv.writeUInt32LE(number % 2 ** 32);
  else iv.writeBigUInt64LE(BigInt(number));
  return iv;
}

/** Each sector by one call of Node. */
function encrypted(name: string, key: Uint8Array, sectors: { readonly first: number; readonly bytes: number }, iv: (number: number) => Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < PLAIN.length; at += sectors.bytes) {
    const cipher = createCipheriv(name, key, iv(sectors.first + at / 512)).setAutoPadding(false);
    parts.push(cipher.update(PLAIN.subarray(at, at + sectors.bytes)), cipher.final());
  }
  return Buffer.concat(parts);
}

for (const first of [0, 12_345, 2 ** 32 - 64]) {
  for (const bytes of [512, 1024, 4096]) {
    test(`XTS and CBC of sectors of ${bytes} bytes from number ${first}`, () => {
      const cases = [
        ['aes-xts-plain64', 64, 'aes-256-xts', false], ['aes-xts-plain64', 32, 'aes-128-xts', false], ['aes-xts-plain', 64, 'aes-256-xts', true],
        ['aes-cbc-plain64', 32, 'aes-256-cbc', false], ['aes-cbc-plain', 16, 'aes-128-cbc', true],
      ] as const;
      for (const [encryption, keyBytes, name, plain32] of cases) {
        const key = seededBytes(keyBytes, first + bytes);
        const sealed = encrypted(name, key, { first, bytes }, (number) => ivOf(number, plain32));
        sectorCipher(encryption, key, bytes).decrypt(first, sealed);
        assert.ok(Buffer.compare(sealed, PLAIN) === 0, `${encryption} ${keyBytes}`);
      }
      const key = seededBytes(32, 5);
      const sealed = encrypted('aes-256-cbc', key, { first, bytes }, (number) => createCipheriv('aes-256-ecb', createHash('sha256').update(key).digest(), null).update(ivOf(number, false)));
      sectorCipher('aes-cbc-essiv:sha256', key, bytes).decrypt(first, sealed);
      assert.ok(Buffer.compare(sealed, PLAIN) === 0, 'essiv');
    });
  }
}

test('bytes that are not aligned in memory are decrypted alike', () => {
  const key = seededBytes(64, 1);
  const sealed = encrypted('aes-256-xts', key, { first: 3, bytes: 512 }, (number) => ivOf(number, false));
  const shifted = new Uint8Array(sealed.length + 1).subarray(1);
  shifted.set(sealed);
  sectorCipher('aes-xts-plain64', key, 512).decrypt(3, shifted);
  assert.ok(Buffer.compare(shifted, PLAIN) === 0);
});

test('ciphers that are not known are refused by name', () => {
  for (const name of ['serpent-xts-plain64', 'aes-xts-benbi', 'aes-cbc-essiv:none', 'aes-gcm-random', '']) assert.throws(() => sectorCipher(name, new Uint8Array(32), 512), UnsupportedError, name);
});
