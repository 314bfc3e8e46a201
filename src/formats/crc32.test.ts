/** CRC-32 against its published check value, and whole against in parts. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { crc32, crc32Plain, crc32Register } from './crc32.ts';

test('CRC-32 has its published check value, in both forms', () => {
  const check = Buffer.from('123456789');
  assert.equal(crc32Plain(check), 0xcbf43926);
  assert.equal(crc32(check), 0xcbf43926);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => { assert.equal(crc32Plain(bytes), crc32(bytes)); }));
});

test('a register goes on where it was', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, cut) => {
    const half = crc32Register(0xffff_ffff, bytes.subarray(0, cut));
    assert.equal(~crc32Register(half, bytes.subarray(cut)) >>> 0, crc32(bytes));
    assert.equal(crc32Plain(bytes.subarray(cut), crc32Plain(bytes.subarray(0, cut))), crc32Plain(bytes));
  }));
});
