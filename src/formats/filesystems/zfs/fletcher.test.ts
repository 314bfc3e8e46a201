/** Sums against their definition in BigInt, and hashes against published vectors. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '../../../core/index.ts';
import { checksumOf } from './checksum.ts';
import { fletcher2, fletcher4 } from './fletcher.ts';
import { skein512mac } from './skein.ts';

const MASK = (1n << 64n) - 1n;

function words(sums: readonly bigint[]): string {
  const bytes = Buffer.alloc(32);
  sums.forEach((sum, i) => bytes.writeBigUInt64LE(sum & MASK, 8 * i));
  return bytes.toString('hex');
}

function plainFletcher4(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let [a, b, c, d] = [0n, 0n, 0n, 0n];
  for (let at = 0; at < bytes.length; at += 4) {
    a = a + BigInt(view.getUint32(at, true)) & MASK;
    b = b + a & MASK;
    c = c + b & MASK;
    d = d + c & MASK;
  }
  return words([a, b, c, d]);
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

test('fletcher4 is its definition, at any length and alignment, also where all bits are set', () => {
  fc.assert(fc.property(fc.integer({ min: 0, max: 3000 }), fc.integer({ min: 0, max: 3 }), fc.constantFrom(0, 0xff, undefined), fc.infiniteStream(fc.nat(255)), (length, shift, fill, stream) => {
    const bytes = new Uint8Array(4 * length + shift).subarray(shift);
    if (fill === undefined) for (let i = 0; i < bytes.length; i += 1) bytes[i] = stream.next().value as number;
    else bytes.fill(fill);
    assert.equal(hex(fletcher4(bytes)), plainFletcher4(bytes));
  }), { numRuns: 60 });
});

test('fletcher4 of a megabyte of set bits does not lose a bit', () => {
  const bytes = new Uint8Array(1 << 20).fill(0xff);
  assert.equal(hex(fletcher4(bytes)), plainFletcher4(bytes));
});

test('fletcher2 sums even and odd words apart', () => {
  const bytes = new Uint8Array(48);
  const view = new DataView(bytes.buffer);
  [1n, 10n, 2n, 20n, MASK, 30n].forEach((word, i) => { view.setBigUint64(8 * i, word, true); });
  assert.equal(hex(fletcher2(bytes)), words([2n, 60n, 1n + 3n + 2n, 10n + 30n + 60n]));
});

test('skein-512-256: the empty message', () => {
  assert.equal(hex(skein512mac(new Uint8Array(0), new Uint8Array(0))), '39ccc4554a8b31853b9de7a1fe638a24cce6b35a55f2431009e18780335d2621');
});

test('sha256 stands in swapped words, sha512 is SHA-512/256 as it is', () => {
  assert.equal(hex(checksumOf(8, utf8('abc'), undefined)), Buffer.from('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad', 'hex').swap64().toString('hex'));
  assert.equal(hex(checksumOf(11, utf8('abc'), undefined)), '53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23');
});
