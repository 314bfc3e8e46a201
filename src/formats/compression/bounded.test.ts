import assert from 'node:assert/strict';
import test from 'node:test';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { FormatError, LimitError } from '../../core/index.ts';
import { decodeZlib } from './zlib.ts';
import { decodeZstd } from './zstd.ts';

/** A frame of one raw or repeated block, built from RFC 8878: magic, descriptor with a 4-byte content size, block header. */
function frame(type: 0 | 1, size: number, body: readonly number[]): Uint8Array {
  const header = 1 | (type << 1) | (size << 3);
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32LE(0xfd2fb528, 0);
  bytes[4] = 0xa0;
  bytes.writeUInt32LE(size, 5);
  bytes.writeUIntLE(header, 9, 3);
  return new Uint8Array(Buffer.concat([bytes, Buffer.from(body)]));
}

test('zlib: a stream comes back, and never more than allowed', () => {
  const data = Buffer.alloc(100_000, 'holdfast ');
  assert.deepEqual(Buffer.from(decodeZlib(deflateSync(data), 100_000)), data);
  assert.throws(() => decodeZlib(deflateSync(data), 99_999), LimitError);
  assert.throws(() => decodeZlib(deflateSync(data).subarray(0, 50), 100_000), FormatError);
});

test('zstd: raw and repeated blocks come back, and never more than allowed', () => {
  assert.deepEqual([...decodeZstd(frame(0, 3, [1, 2, 3]), 10)], [1, 2, 3]);
  assert.deepEqual([...decodeZstd(frame(1, 5, [7]), 10)], [7, 7, 7, 7, 7]);
  assert.throws(() => decodeZstd(frame(1, 100_000, [7]), 1000), LimitError);
  assert.throws(() => decodeZstd(new Uint8Array([1, 2, 3, 4, 5, 6]), 1000), FormatError);
});

test('random and mutated bytes give documented errors only', () => {
  const good = [frame(0, 3, [1, 2, 3]), frame(1, 500, [7]), new Uint8Array(deflateSync(Buffer.alloc(3000, 'ab')))];
  const mutated = fc.tuple(fc.constantFrom(...good), fc.array(fc.tuple(fc.nat(40), fc.nat(255)), { maxLength: 4 })).map(([bytes, changes]) => {
    const copy = bytes.slice();
    for (const [at, value] of changes) if (at < copy.length) copy[at] = value;
    return copy;
  });
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (bytes) => {
    for (const decode of [decodeZlib, decodeZstd]) {
      try {
        assert.ok(decode(bytes, 5000).length <= 5000);
      } catch (error) {
        assert.ok(error instanceof FormatError || error instanceof LimitError, String(error));
      }
    }
  }), { numRuns: 1000 });
});
