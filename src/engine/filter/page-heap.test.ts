import assert from 'node:assert';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { PageHeap, PAGE_BYTES } from './page-heap.ts';

describe('PageHeap', () => {
  it('keeps strings that grow and shrink, and uses pages again', () => {
    const write = fc.tuple(fc.nat(3), fc.nat(4 * PAGE_BYTES), fc.nat(255));
    fc.assert(fc.property(fc.array(write, { maxLength: 60 }), fc.nat(4 * PAGE_BYTES), fc.nat(300), (writes, from, length) => {
      const heap = new PageHeap(4, 4 * PAGE_BYTES);
      const model = Array.from({ length: 4 }, () => new Uint8Array(0));
      for (const [string, size, seed] of writes) {
        const bytes = Uint8Array.from({ length: size }, (_, i) => i * 7 + seed);
        heap.write(string, bytes);
        model[string] = bytes;
      }
      const target = new Uint8Array(4 * PAGE_BYTES);
      const place = { piece: { bytes: target, start: 0 }, copy: new Uint8Array(300) };
      model.forEach((bytes, string) => {
        assert.deepEqual(target.subarray(0, heap.read(string, target)), bytes);
        const part = Math.min(length, Math.max(0, bytes.length - from));
        if (part === 0) return;
        heap.locate(string, from, part, place);
        assert.deepEqual(place.piece.bytes.slice(place.piece.start, place.piece.start + part), bytes.slice(from, from + part));
      });
      assert.ok(heap.bytes < 2 << 20);
    }));
  });
});
