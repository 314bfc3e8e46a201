import assert from 'node:assert';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { crc32c } from './crc32c.ts';

/** One bit a step, straight from the definition. */
function bitwise(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** The read command that RFC 3720 lists as its last vector. */
const readCommand = Uint8Array.from(Buffer.from(
  '01c000000000000000000000000000001400000000000400000000140000001828000000000000000200000000000000', 'hex'));

describe('crc32c', () => {
  it('gives the vectors of RFC 3720, appendix B.4, and the usual check value', () => {
    assert.equal(crc32c(new Uint8Array(32)), 0x8a91_36aa);
    assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8_ab43);
    assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i)), 0x46dd_794e);
    assert.equal(crc32c(Uint8Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113f_db5c);
    assert.equal(crc32c(readCommand), 0xd996_3a56);
    assert.equal(crc32c(new TextEncoder().encode('123456789')), 0xe306_9283);
    assert.equal(crc32c(new Uint8Array(0)), 0);
  });

  it('equals the bitwise definition at every length and alignment, whole or in pieces', () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), fc.nat(7), (bytes, cut, shift) => {
      const shifted = new Uint8Array(bytes.length + shift).subarray(shift);
      shifted.set(bytes);
      const expected = bitwise(bytes);
      assert.equal(crc32c(shifted), expected);
      assert.equal(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))), expected);
    }));
  });
});
