import assert from 'node:assert/strict';
import { hkdfSync } from 'node:crypto';
import { describe, it } from 'node:test';
import { hkdf } from '@noble/hashes/hkdf.js';
import { scrypt as nobleScrypt } from '@noble/hashes/scrypt.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { LimitError, defaultLimits, utf8 } from '../../core/index.ts';
import { checkScryptCost, defaultScryptCost, deriveKey, stretch } from './kdf.ts';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));

describe('derivation of keys', () => {
  it('rests on an HKDF that gives the results of RFC 5869, appendix A.1 to A.3', () => {
    const sequence = (from: number, to: number): Uint8Array => Uint8Array.from({ length: to - from + 1 }, (_, i) => from + i);
    const cases: readonly (readonly [Uint8Array, Uint8Array, Uint8Array, string])[] = [
      [new Uint8Array(22).fill(0x0b), sequence(0, 0x0c), sequence(0xf0, 0xf9), '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865'],
      [sequence(0, 0x4f), sequence(0x60, 0xaf), sequence(0xb0, 0xff), `b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09
        da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87`],
      [new Uint8Array(22).fill(0x0b), new Uint8Array(0), new Uint8Array(0), '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8'],
    ];
    for (const [key, salt, info, expected] of cases) assert.deepEqual(new Uint8Array(hkdfSync('sha256', key, salt, info, bytes(expected).length)), bytes(expected));
  });

  it('takes purpose and context into HKDF as documented, and @noble/hashes derives the same', () => {
    const [key, salt, context] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2), new Uint8Array(9).fill(3)];
    const info = new Uint8Array([...utf8('holdfast/1 container'), 0, ...context]);
    assert.deepEqual(deriveKey(key, salt, 'container', { context, length: 48 }), hkdf(sha256, key, salt, info, 48));
    assert.notDeepEqual(deriveKey(key, salt, 'container'), deriveKey(key, salt, 'object'));
  });

  it('gives the results of RFC 7914, section 12, and those of @noble/hashes', async () => {
    assert.deepEqual(await stretch(new Uint8Array(0), new Uint8Array(0), { logN: 4, r: 1, p: 1 }, 64),
      bytes(`77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442 fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906`));
    assert.deepEqual(await stretch(utf8('password'), utf8('NaCl'), { logN: 10, r: 8, p: 16 }, 64),
      bytes(`fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162 2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640`));
    const other = nobleScrypt(utf8('pässword'), utf8('salt'), { N: 1024, r: 4, p: 3, dkLen: 33 });
    assert.deepEqual(await stretch(utf8('pässword'), utf8('salt'), { logN: 10, r: 4, p: 3 }, 33), other);
  });

  it('refuses costs beyond the limits before it allocates', () => {
    checkScryptCost(defaultScryptCost, defaultLimits, 'test');
    assert.throws(() => { checkScryptCost({ logN: 30, r: 8, p: 1 }, defaultLimits, 'test'); }, LimitError);
    assert.throws(() => { checkScryptCost({ logN: 14, r: 1024, p: 1 }, defaultLimits, 'test'); }, LimitError);
    assert.throws(() => { checkScryptCost({ logN: 16, r: 8, p: 17 }, defaultLimits, 'test'); }, LimitError);
  });
});
