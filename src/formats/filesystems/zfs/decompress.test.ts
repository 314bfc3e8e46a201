/** Codecs: hand-made blocks of each kind of item, Node's own encoders where there are some, and bytes that are no blocks. */
import assert from 'node:assert/strict';
import { deflateSync } from 'node:zlib';
import { test } from 'node:test';
import fc from 'fast-check';
import { HoldfastError } from '../../../core/index.ts';
import { compressions, decompress } from './decompress.ts';
import { decodeLz4 } from './lz4.ts';
import { decodeLzjb, decodeZle } from './lzjb.ts';

const letters = (text: string): number[] => [...Buffer.from(text)];

function text(decode: (input: Uint8Array, output: Uint8Array) => void, input: readonly number[], length: number): string {
  const output = new Uint8Array(length);
  decode(Uint8Array.from(input), output);
  return Buffer.from(output).toString('latin1');
}

test('lz4: literals, matches that overlap, long lengths', () => {
  assert.equal(text(decodeLz4, [0x40, ...letters('abcd')], 4), 'abcd');
  assert.equal(text(decodeLz4, [0x10, ...letters('a'), 1, 0, 0x10, ...letters('b')], 6), 'aaaaab', 'distance 1 repeats a byte');
  assert.equal(text(decodeLz4, [0x32, ...letters('abc'), 3, 0, 0x10, ...letters('!')], 10), 'abcabcabc!', 'a match of 6 from 3 back');
  assert.equal(text(decodeLz4, [0x1f, ...letters('x'), 1, 0, 255, 1, 0x10, ...letters('y')], 277), `${'x'.repeat(276)}y`, 'length 4 + 15 + 255 + 1');
  assert.equal(text(decodeLz4, [0xf0, 5, ...letters('0123456789abcdefghij')], 20), '0123456789abcdefghij', '15 + 5 literals');
});

test('lzjb: literals and matches by the bits of a map', () => {
  assert.equal(text(decodeLzjb, [0, ...letters('abcd')], 4), 'abcd');
  // Bit 3 of the map: a match, length 3 + 3 in the upper six bits, distance 3 in the lower ten.
  assert.equal(text(decodeLzjb, [0b1000, ...letters('abc'), 3 << 2, 3], 9), 'abcabcabc');
});

test('zle: literal bytes below 64, zeroes from there on', () => {
  assert.equal(text(decodeZle, [2, ...letters('abc'), 64 + 4, 0, ...letters('d')], 9), 'abc\0\0\0\0\0d');
});

test('gzip through Node, sizes must fit', () => {
  const plain = Buffer.from('the same words, the same words, the same words');
  const output = new Uint8Array(plain.length);
  decompress(compressions.gzip1, deflateSync(plain), output);
  assert.deepEqual(Buffer.from(output), plain);
  assert.throws(() => decompress(compressions.gzip1, deflateSync(plain), new Uint8Array(plain.length + 1)), HoldfastError);
  assert.throws(() => decompress(compressions.gzip1, deflateSync(plain), new Uint8Array(plain.length - 1)), HoldfastError);
});

test('zstd without its magic number', () => {
  // RFC 8878: a frame of one raw block, single segment, with its size. Head: bytes of the frame, version.
  const body = [0x20, 4, (4 << 3 | 1) & 0xff, 0, 0, ...letters('abcd')];
  const output = new Uint8Array(4);
  decompress(compressions.zstd, Uint8Array.from([0, 0, 0, body.length, 0, 0, 0, 3, ...body, 0, 0, 0]), output);
  assert.equal(Buffer.from(output).toString(), 'abcd');
});

test('random bytes give output or an error with a class, and nothing is written behind the room', () => {
  const codecs = [decodeLz4, decodeLzjb, decodeZle, ...[compressions.lz4, compressions.zstd, compressions.gzip9].map((number) => (input: Uint8Array, output: Uint8Array) => decompress(number, input, output))];
  fc.assert(fc.property(fc.constantFrom(...codecs), fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 0, max: 2000 }), (decode, input, room) => {
    const guarded = new Uint8Array(room + 32).fill(0xa5);
    guarded.fill(0, 0, room);
    try {
      decode(input, guarded.subarray(0, room));
    } catch (error) {
      assert.ok(error instanceof HoldfastError, String(error));
    }
    assert.ok(guarded.subarray(room).every((byte) => byte === 0xa5));
  }), { numRuns: 2000 });
});
