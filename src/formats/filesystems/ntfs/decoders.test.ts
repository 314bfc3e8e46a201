/** Published vectors of the three compressions, and that no input makes them leave their bounds. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { HoldfastError, textOf } from '../../../core/index.ts';
import { decodeLznt1 } from './lznt1.ts';
import { decodeLzx } from './lzx.ts';
import { decodeXpress } from './xpress.ts';

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'hex'));
}

test('LZNT1: the vector of [MS-XCA] section 3.3', () => {
  const packed = hex('38b08846232000204720410010a24701a045204400084501507900c045200524138805b4024a44ef0358028c091601484500be009e000401189000');
  const output = new Uint8Array(4096).fill(1);
  decodeLznt1(packed, output);
  const tune = 'F# F# G A A G F# E D D E F# F# E E F# F# G A A G F# E D D E F# E D D E E F# D E F# G F# D E F# G F# E D E A F# F# G A A G F# E D D E F# E D D\0';
  assert.equal(textOf(output.subarray(0, tune.length)), tune);
  assert.ok(output.subarray(tune.length).every((byte) => byte === 0), 'what follows a short chunk is zero');
});

test('XPRESS with Huffman codes: the vector of [MS-XCA] section 3.2', () => {
  const packed = new Uint8Array(276);
  packed.set(hex('5055555555555555555555454404'), 48);
  packed[128] = 0x04;
  packed.set(hex('d8523ed794115be9195ff9d67cdf8d04'), 256);
  const output = new Uint8Array(26);
  decodeXpress(packed, output);
  assert.equal(textOf(output), 'abcdefghijklmnopqrstuvwxyz');
});

test('LZX: a stored block, whole words and a calls to translate', () => {
  const content = new Uint8Array(20);
  content.set([0xe8, 0x10, 0, 0, 0], 3);
  // Block type 3, not of the usual size, 20 bytes; then three offsets and the bytes.
  const packed = new Uint8Array(4 + 12 + 20);
  const bits = (3 << 13) | (0 << 12) | (20 >> 4);
  packed.set([bits & 0xff, bits >> 8, 0, (20 & 15) << 4], 0);
  packed.set([1, 0, 0, 0, 1, 0, 0, 0, 1], 4);
  packed.set(content, 16);
  const output = new Uint8Array(20);
  decodeLzx(packed, output);
  const expected = content.slice();
  expected[4] = 0x0d;
  assert.deepEqual(output, expected);
});

for (const [name, decode, head] of [['LZNT1', decodeLznt1, 0], ['XPRESS', decodeXpress, 256], ['LZX', decodeLzx, 0]] as const) {
  test(`${name}: any input gives bytes or an error of ours`, () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: head, maxLength: 600 }), fc.integer({ min: 1, max: 32_768 }), fc.boolean(), (input, length, plausible) => {
      // A table of codes in which all bits mean something, so that random bits reach what follows it.
      if (plausible && head > 0) input.fill(0x99, 0, head);
      try {
        decode(input, new Uint8Array(length));
      } catch (error) {
        assert.ok(error instanceof HoldfastError, String((error as Error).stack));
      }
    }), { numRuns: 2000 });
  });
}
