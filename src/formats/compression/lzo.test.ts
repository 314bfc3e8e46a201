import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { FormatError } from '../../core/index.ts';
import { decodeLzo1x } from './lzo.ts';

const END = [0x11, 0, 0];

function decode(bytes: readonly number[], room = 4096): string {
  const output = new Uint8Array(room);
  return Buffer.from(output.subarray(0, decodeLzo1x(new Uint8Array(bytes), output))).toString('latin1');
}

const letters = (text: string): readonly number[] => [...Buffer.from(text, 'latin1')];

test('each instruction of the description decodes as it says', () => {
  assert.equal(decode([17 + 4, ...letters('abcd'), ...END]), 'abcd', 'first byte: literals');
  assert.equal(decode([1, ...letters('wxyz'), ...END]), 'wxyz', 'literal run: 3 + 1');
  assert.equal(decode([0, 1, ...letters('0123456789abcdefghi'), ...END]), '0123456789abcdefghi', 'long literal run: 18 + 1');
  assert.equal(decode([17 + 4, ...letters('abcd'), 0x40 | (3 << 2) | 0x00, 0, ...END]), 'abcdabc', '64…127: length 3, distance 4');
  assert.equal(decode([17 + 4, ...letters('abcd'), 0x60 | (3 << 2), 0, ...END]), 'abcdabcd', 'length 4, distance 4');
  assert.equal(decode([17 + 4, ...letters('abcd'), 0x80 | (0 << 5) | (0 << 2), 0, ...END]), 'abcdddddd', '128…255: length 5, distance 1, overlapping');
  assert.equal(decode([17 + 4, ...letters('abcd'), 0x20 | 6, 3 << 2, 0, ...END]), 'abcdabcdabcd', '32…63: length 8, distance 4');
  assert.equal(decode([17 + 4, ...letters('abcd'), 0x20, 1, (3 << 2) | 1, 0, ...letters('!'), ...END]).length, 4 + 34 + 1, '32 with a long length, one trailing literal');
  assert.equal(decode([18, ...letters('a'), 0x00, 0, ...letters(''), ...END]), 'aaa', 'state 1: copy 2 from distance 1');
});

test('a distance beyond what was written, a cut and too little room are named', () => {
  assert.throws(() => decode([17 + 4, ...letters('abcd'), 0x40 | (4 << 2), 0, ...END]), FormatError);
  assert.throws(() => decode([17 + 4, ...letters('ab')]), FormatError);
  assert.throws(() => decode([17 + 4, ...letters('abcd')]), FormatError);
  assert.throws(() => decode([17 + 4, ...letters('abcd'), ...END], 3), FormatError);
  assert.throws(() => decode([17 + 4, ...letters('abcd'), ...END, 0]), FormatError);
  assert.throws(() => decode([]), FormatError);
});

test('literal runs of any length come back', () => {
  fc.assert(fc.property(fc.uint8Array({ minLength: 4, maxLength: 3000 }), (data) => {
    const long: number[] = [];
    for (let rest = data.length - 18; rest > 255; rest -= 255) long.push(0);
    const extra = data.length - 18 - 255 * long.length;
    const head = data.length > 18 ? [0, ...long, extra] : [data.length - 3];
    const output = new Uint8Array(data.length);
    assert.equal(decodeLzo1x(new Uint8Array([...head, ...data, ...END]), output), data.length);
    assert.deepEqual(output, data);
  }));
});

test('random bytes give output or a FormatError, never more than the room', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 0, max: 2000 }), (data, room) => {
    const guarded = new Uint8Array(room + 64).fill(0xa5);
    try {
      assert.ok(decodeLzo1x(data, guarded.subarray(0, room)) <= room);
    } catch (error) {
      assert.ok(error instanceof FormatError, String(error));
    }
    assert.ok(guarded.subarray(room).every((byte) => byte === 0xa5), 'nothing is written behind the room');
  }), { numRuns: 3000 });
});
