import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gcm } from '@noble/ciphers/aes.js';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import fc from 'fast-check';
import { TAG_BYTES, openInPlace, sealInPlace, type AeadUse, type CipherName } from './aead.ts';

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));
const noble = { 'aes-256-gcm': gcm, 'chacha20-poly1305': chacha20poly1305 } as const;

function seal(use: AeadUse, text: Uint8Array = new Uint8Array(0)): Uint8Array {
  const buffer = new Uint8Array(text.length + TAG_BYTES);
  buffer.set(text);
  sealInPlace(use, buffer);
  return buffer;
}

const open = (use: AeadUse, sealed: Uint8Array): Uint8Array | undefined => openInPlace(use, sealed.slice());

describe('authenticated encryption', () => {
  it('gives the ciphertext and tag of RFC 8439, section 2.8.2', () => {
    const use: AeadUse = {
      cipher: 'chacha20-poly1305', key: bytes('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f'),
      nonce: bytes('070000004041424344454647'), aad: bytes('50515253c0c1c2c3c4c5c6c7'),
    };
    const text = Buffer.from("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.");
    const sealed = seal(use, text);
    assert.deepEqual(sealed, bytes(`d31a8d34648e60db7b86afbc53ef7ec2 a4aded51296e08fea9e2b5a736ee62d6 3dbea45e8ca9671282fafb69da92728b
      1a71de0a9e060b2905d6a5b67ecd3b36 92ddbd7f2d778b8c9803aee328091b58 fab324e4fad675945585808b4831d7bc 3ff4def08e4b7a9de576d26586cec64b
      6116 1ae10b594f09e26a7e902ecbd0600691`));
    assert.deepEqual(Buffer.from(open(use, sealed) ?? []), text);
  });

  // McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B, test cases 13, 14 and 16: the vectors that NIST refers to.
  it('gives the ciphertexts and tags of the GCM submission for 256-bit keys', () => {
    const zero = { cipher: 'aes-256-gcm', key: new Uint8Array(32), nonce: new Uint8Array(12), aad: new Uint8Array(0) } as const;
    assert.deepEqual(seal(zero), bytes('530f8afbc74536b9a963b4f1c4cb738b'));
    assert.deepEqual(seal(zero, new Uint8Array(16)), bytes('cea7403d4d606b6e074ec5d3baf39d18 d0d1c8a799996bf0265b98b5d48ab919'));
    const case16: AeadUse = {
      cipher: 'aes-256-gcm', key: bytes('feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308'),
      nonce: bytes('cafebabefacedbaddecaf888'), aad: bytes('feedfacedeadbeeffeedfacedeadbeefabaddad2'),
    };
    const text = bytes('d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39');
    assert.deepEqual(seal(case16, text), bytes(`522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa 8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662
      76fc6ece0f4e1768cddf8853bb2d551b`));
  });

  it('agrees with @noble/ciphers on any key, nonce and data', () => {
    const buffer = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length });
    fc.assert(fc.property(
      fc.constantFrom<CipherName>('aes-256-gcm', 'chacha20-poly1305'), buffer(32), buffer(12),
      fc.record({ aad: fc.uint8Array({ maxLength: 80 }), text: fc.uint8Array({ maxLength: 500 }) }),
      (cipher, key, nonce, { aad, text }) => {
        const use: AeadUse = { cipher, key, nonce, aad };
        const sealed = seal(use, text);
        assert.deepEqual(Buffer.from(sealed), Buffer.from(noble[cipher](key, nonce, aad).encrypt(text)));
        assert.deepEqual(Buffer.from(open(use, sealed) ?? []), Buffer.from(text));
      },
    ), { numRuns: 200 });
  });

  it('goes over texts of several slices as over one, also in memory that threads share', () => {
    for (const cipher of ['aes-256-gcm', 'chacha20-poly1305'] as const) {
      const use: AeadUse = { cipher, key: new Uint8Array(32).fill(1), nonce: new Uint8Array(12).fill(2), aad: new Uint8Array(5).fill(3) };
      for (const length of [262_143, 262_144, 262_145, 600_000]) {
        const text = Uint8Array.from({ length }, (_, i) => i * 7 >>> 3);
        const shared = new Uint8Array(new SharedArrayBuffer(length + TAG_BYTES));
        shared.set(text);
        sealInPlace(use, shared);
        assert.equal(Buffer.compare(shared, noble[cipher](use.key, use.nonce, use.aad).encrypt(text)), 0);
        assert.equal(Buffer.compare(openInPlace(use, shared) ?? new Uint8Array(0), text), 0);
      }
    }
  });

  it('leaves nothing of a text that does not authenticate', () => {
    const use: AeadUse = { cipher: 'aes-256-gcm', key: new Uint8Array(32), nonce: new Uint8Array(12), aad: new Uint8Array(0) };
    const sealed = seal(use, new Uint8Array(300_000).fill(9));
    sealed[299_999] = (sealed[299_999] as number) ^ 1;
    assert.equal(openInPlace(use, sealed), undefined);
    assert.ok(sealed.subarray(0, 300_000).every((byte) => byte === 0));
  });

  it('opens nothing when any bit of key, nonce, additional data, text or tag differs', () => {
    for (const cipher of ['aes-256-gcm', 'chacha20-poly1305'] as const) {
      const use: AeadUse = { cipher, key: new Uint8Array(32).fill(1), nonce: new Uint8Array(12).fill(2), aad: new Uint8Array(5).fill(3) };
      const sealed = seal(use, new Uint8Array(20).fill(4));
      for (const field of ['key', 'nonce', 'aad', 'sealed'] as const) {
        const original = field === 'sealed' ? sealed : use[field];
        for (let bit = 0; bit < original.length * 8; bit += 1) {
          const flipped = original.slice();
          flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ 1 << (bit & 7);
          const opened = field === 'sealed' ? open(use, flipped) : open({ ...use, [field]: flipped }, sealed);
          assert.equal(opened, undefined, `${cipher}: ${field}, bit ${bit}`);
        }
      }
      for (let length = 0; length < sealed.length; length += 1) assert.equal(open(use, sealed.subarray(0, length)), undefined);
    }
  });
});
