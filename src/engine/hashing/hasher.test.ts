import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { blake3 } from '@noble/hashes/blake3.js';
import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { utf8 } from '../../core/index.ts';
import { createHasher, type HashName, type Hasher } from './hasher.ts';

function idOf(hasher: Hasher, bytes: Uint8Array): string {
  const target = new Uint8Array(40).fill(0xee);
  hasher.digestInto(bytes, target, 4);
  assert(target.subarray(0, 4).every((byte) => byte === 0xee) && target.subarray(36).every((byte) => byte === 0xee));
  return Buffer.from(target.subarray(4, 36)).toString('hex');
}

/** With the native library, and as where it does not load. */
async function implementations(name: HashName, key?: Uint8Array): Promise<readonly Hasher[]> {
  const before = process.env['HOLDFAST_NO_NATIVE'];
  const found = [await createHasher(name, key)];
  process.env['HOLDFAST_NO_NATIVE'] = '1';
  found.push(await createHasher(name, key));
  if (before === undefined) delete process.env['HOLDFAST_NO_NATIVE'];
  else process.env['HOLDFAST_NO_NATIVE'] = before;
  return found;
}

// BLAKE3 team, test_vectors.json (CC0): inputs count 0…250 again and again; first 32 bytes of `hash` and `keyed_hash`.
const blakeKey = utf8('whats the Elvish word for friend');
const blakeVectors: readonly (readonly [number, string, string])[] = [
  [0, 'af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262', '92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26'],
  [1, '2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213', '6d7878dfff2f485635d39013278ae14f1454b8c0a3a2d34bc1ab38228a80c95b'],
  [1023, '10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11', 'c951ecdf03288d0fcc96ee3413563d8a6d3589547f2c2fb36d9786470f1b9d6e'],
  [1025, 'd00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444', '357dc55de0c7e382c900fd6e320acc04146be01db6a8ce7210b7189bd664ea69'],
  [16384, 'f875d6646de28985646f34ee13be9a576fd515f76b5b0a26bb324735041ddde4', '9e9fc4eb7cf081ea7c47d1807790ed211bfec56aa25bb7037784c13c4b707b0d'],
  [102400, 'bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085', '1c35d1a5811083fd7119f5d5d1ba027b4d01c0c6c49fb6ff2cf75393ea5db4a7'],
];
const blakeInput = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i % 251);

describe('hashers', () => {
  it('give the published digests of BLAKE3, plain and keyed, in every implementation and order', async () => {
    const plain = await implementations('blake3');
    const keyed = await implementations('blake3', blakeKey);
    assert.equal(plain[1]?.implementation, 'wasm');
    assert.equal(keyed[1]?.implementation, 'wasm');
    for (const [length, hash, keyedHash] of [...blakeVectors, ...[...blakeVectors].reverse()]) {
      for (const hasher of plain) assert.equal(idOf(hasher, blakeInput(length)), hash);
      for (const hasher of keyed) assert.equal(idOf(hasher, blakeInput(length)), keyedHash);
    }
  });

  it('give the results of RFC 4231, cases 1 and 2 (HMAC fills keys with zeros)', async () => {
    const padded = (key: Uint8Array): Uint8Array => new Uint8Array(Buffer.concat([key, new Uint8Array(32 - key.length)]));
    const first = await createHasher('sha256', padded(new Uint8Array(20).fill(0x0b)));
    assert.equal(idOf(first, utf8('Hi There')), 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7');
    const second = await createHasher('sha256', padded(utf8('Jefe')));
    assert.equal(idOf(second, utf8('what do ya want for nothing?')), '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
  });

  it('agree with @noble/hashes on any content and key, and on memory shared between threads', async () => {
    const key = Uint8Array.from({ length: 32 }, (_, i) => i * 5);
    const keyed = await implementations('blake3', key);
    const mac = await createHasher('sha256', key);
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    fc.assert(fc.property(fc.uint8Array({ maxLength: 5_000 }), (content) => {
      const shared = new Uint8Array(new SharedArrayBuffer(content.length + 3)).subarray(3);
      shared.set(content);
      for (const hasher of keyed) assert.equal(idOf(hasher, shared), hex(blake3(content, { key })));
      assert.equal(idOf(mac, shared), hex(hmac(sha256, key, content)));
    }), { numRuns: 50 });
  });

  it('copy the key', async () => {
    for (const name of ['blake3', 'sha256'] as const) {
      const key = new Uint8Array(32).fill(7);
      const hashers = await implementations(name, key);
      const before = hashers.map((hasher) => idOf(hasher, key.slice()));
      key.fill(0);
      assert.deepEqual(hashers.map((hasher) => idOf(hasher, new Uint8Array(32).fill(7))), before);
      await assert.rejects(createHasher(name, new Uint8Array(31)));
    }
  });
});
