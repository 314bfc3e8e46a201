import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gcm } from '@noble/ciphers/aes.js';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import fc from 'fast-check';
import { FormatError, HoldfastError, IntegrityError, LimitError, defaultLimits } from '../../core/index.ts';
import { NONCE_BYTES, TAG_BYTES, sealInPlace, type CipherName } from './aead.ts';
import { GROUP_PADDED_BYTES_MIN, openGroup, sealGroup, sealedGroupBytes, sealedGroupBytesMax, type GroupContent, type GroupKey } from './group-seal.ts';
import { padme } from './padme.ts';

const expected = (count: number): { count: number; limits: typeof defaultLimits; where: string } => ({ count, limits: defaultLimits, where: 'a group' });
const keyOf = (cipher: CipherName, sequence = 7): GroupKey => ({ cipher, subkey: new Uint8Array(32).fill(9), sequence, aad: new Uint8Array(40).fill(5) });

const contents: fc.Arbitrary<GroupContent> = fc.record({
  codec: fc.nat(255), lengths: fc.array(fc.nat(2_000), { minLength: 1, maxLength: 200 }), payload: fc.uint8Array({ maxLength: 20_000 }),
}).map(({ codec, lengths, payload }) => ({ codec, lengths: Uint32Array.from(lengths), rawLength: lengths.reduce((a, b) => a + b, 0), payload }));

/** Seals any text as a group would be, for texts that `sealGroup` never makes. */
function sealText(key: GroupKey, text: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(text.length + TAG_BYTES);
  const nonce = new Uint8Array(NONCE_BYTES);
  new DataView(nonce.buffer).setUint32(8, key.sequence);
  sealed.set(text);
  sealInPlace({ cipher: key.cipher, key: key.subkey, nonce, aad: key.aad }, sealed);
  return sealed;
}

function textOf(content: GroupContent): Uint8Array {
  const text = new Uint8Array(padme(12 + content.lengths.length * 4 + content.payload.length, GROUP_PADDED_BYTES_MIN));
  const view = new DataView(text.buffer);
  view.setUint8(0, content.codec);
  view.setUint8(1, 1);
  view.setUint32(4, content.rawLength);
  view.setUint32(8, content.payload.length);
  content.lengths.forEach((length, i) => { view.setUint32(12 + i * 4, length); });
  text.set(content.payload, 12 + content.lengths.length * 4);
  return text;
}

const small: GroupContent = { codec: 1, rawLength: 30, lengths: Uint32Array.of(10, 20), payload: Uint8Array.from({ length: 25 }, (_, i) => i + 1) };

describe('sealed group', () => {
  it('comes back as it was, has one of the padded sizes, and @noble/ciphers seals the documented layout to the same bytes', () => {
    fc.assert(fc.property(fc.constantFrom<CipherName>('aes-256-gcm', 'chacha20-poly1305'), contents, fc.nat(2 ** 32 - 1), (cipher, content, sequence) => {
      const key = keyOf(cipher, sequence);
      const sealed = sealGroup(key, content);
      assert.deepEqual(openGroup(key, sealed.slice(), expected(content.lengths.length)), content);
      assert.equal(padme(sealed.length - TAG_BYTES, GROUP_PADDED_BYTES_MIN), sealed.length - TAG_BYTES);
      assert.equal(sealed.length, sealedGroupBytes(content.lengths.length, content.payload.length));
      const nonce = Buffer.alloc(12);
      nonce.writeUInt32BE(sequence, 8);
      const other = (cipher === 'aes-256-gcm' ? gcm : chacha20poly1305)(key.subkey, nonce, key.aad);
      assert.deepEqual(Buffer.from(sealed), Buffer.from(other.encrypt(textOf(content))));
    }), { numRuns: 60 });
  });

  it('writes into a target between threads, and reads from one', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(100_000));
    for (const at of [60_000, 8, 20]) { // elsewhere, at its start, within
      shared.fill(0xee);
      const payload = shared.subarray(at, at + small.payload.length);
      payload.set(small.payload);
      const sealed = sealGroup(keyOf('aes-256-gcm'), { ...small, payload }, shared.subarray(8));
      assert.equal(sealed.byteOffset, 8);
      assert.equal(Buffer.compare(sealed, sealGroup(keyOf('aes-256-gcm'), small)), 0);
      assert.deepEqual(Buffer.from(openGroup(keyOf('aes-256-gcm'), sealed, expected(2)).payload), Buffer.from(small.payload));
    }
  });

  it('does not open after any change of key, number, head or bytes', () => {
    for (const cipher of ['aes-256-gcm', 'chacha20-poly1305'] as const) {
      const key = keyOf(cipher);
      const sealed = sealGroup(key, small);
      const refuses = (other: GroupKey, bytes: Uint8Array): void => { assert.throws(() => openGroup(other, bytes.slice(), expected(2)), IntegrityError); };
      refuses({ ...key, sequence: 8 }, sealed);
      refuses({ ...key, subkey: new Uint8Array(32) }, sealed);
      refuses({ ...key, aad: new Uint8Array(40) }, sealed);
      refuses({ ...key, aad: key.aad.subarray(1) }, sealed);
      refuses(key, new Uint8Array(0));
      fc.assert(fc.property(fc.nat(sealed.length * 8 - 1), (bit) => {
        const flipped = sealed.slice();
        flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ 1 << (bit & 7);
        refuses(key, flipped);
      }), { numRuns: 300 });
    }
  });

  it('bounds what it is told before it decrypts, and what is inside before it believes it', () => {
    const key = keyOf('aes-256-gcm');
    assert.throws(() => openGroup(key, new Uint8Array(16), expected(defaultLimits.groupChunksMax + 1)), LimitError);
    assert.throws(() => openGroup(key, new Uint8Array(sealedGroupBytesMax(2, defaultLimits) + 1), expected(2)), LimitError);
    const big = 2 ** 32 - 1;
    for (const [change, error] of [
      [{ lengths: Uint32Array.of(10, big) }, LimitError], [{ rawLength: big }, LimitError], [{ rawLength: 31 }, FormatError], [{ lengths: Uint32Array.of(10, 21) }, FormatError],
    ] as const) assert.throws(() => openGroup(key, sealText(key, textOf({ ...small, ...change })), expected(2)), error);
    for (const at of [1, 2, 3, 8, 9]) {
      const text = textOf(small);
      text[at] = 0x7f;
      assert.throws(() => openGroup(key, sealText(key, text), expected(2)), FormatError, `byte ${at}`);
    }
  });

  it('throws only documented errors on any text that was sealed with the right key', () => {
    const key = keyOf('aes-256-gcm');
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(20), fc.boolean(), (text, count, padded) => {
      const whole = new Uint8Array(padded ? GROUP_PADDED_BYTES_MIN : text.length);
      whole.set(text);
      try {
        openGroup(key, sealText(key, whole), expected(count));
      } catch (error) {
        assert(error instanceof HoldfastError, String(error));
      }
    }), { numRuns: 500 });
  });

  it('has no byte run of the payload, nor a length, in what is stored', () => {
    const payload = new Uint8Array(5_000).map((_, i) => i * 7);
    const sealed = Buffer.from(sealGroup(keyOf('chacha20-poly1305'), { codec: 0, rawLength: 5_000, lengths: Uint32Array.of(5_000), payload }));
    for (let at = 0; at + 8 <= payload.length; at += 8) assert.equal(sealed.indexOf(payload.subarray(at, at + 8)), -1);
    assert.equal(sealed.length, GROUP_PADDED_BYTES_MIN + TAG_BYTES);
  });
});
