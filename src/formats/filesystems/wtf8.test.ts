/** UTF-16 names as bytes: published shapes, and back again from random units. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { textOf } from '../../core/index.ts';
import { unitsOfWtf8, wtf8, wtf8Of } from './wtf8.ts';

test('WTF-8 is UTF-8 where there is a character, and never the same for different units', () => {
  assert.equal(textOf(wtf8(Uint16Array.of(0x24, 0xe9, 0x20ac, 0xd83d, 0xde00), 5)), '$é€😀');
  assert.equal(Buffer.from(wtf8(Uint16Array.of(0xd800, 0xdfff, 0xd800), 3)).toString('hex'), 'f0908fbfeda080');
});

test('code units come back from their bytes, and both ways to the bytes agree', () => {
  fc.assert(fc.property(fc.array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd7ff, max: 0xe000 }))), (codes) => {
    const units = String.fromCharCode(...codes);
    const bytes = wtf8Of(units);
    assert.deepEqual(bytes, wtf8(Uint16Array.from(codes), codes.length));
    assert.equal(unitsOfWtf8(bytes), units);
  }));
});
