import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sampleId } from '../../core/conformance/chunk-index.ts';
import { PLACE_BYTES } from '../../core/index.ts';
import { IdSet, PlaceCache } from './id-table.ts';

test('IdSet behaves like a Set while it grows, with ids that collide too', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(400), fc.boolean()), { maxLength: 1500 }), (operations) => {
    const set = new IdSet(4);
    const model = new Set<number>();
    for (const [number, collides] of operations) {
      const id = sampleId(number);
      if (collides) id.fill(0, 0, 4); // the bits that choose the slot
      const key = number * 2 + (collides ? 1 : 0);
      assert.equal(set.has(id, 0), model.has(key));
      assert.equal(set.add(id, 0), !model.has(key));
      model.add(key);
    }
    assert.equal(set.count, model.size);
    for (const key of model) {
      const id = sampleId(key >> 1);
      if (key % 2 === 1) id.fill(0, 0, 4);
      assert.ok(set.has(id, 0));
    }
  }), { numRuns: 60 });
});

test('PlaceCache gives the latest place or none, and keeps at least the last entries that fit', () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.tuple(fc.nat(60), fc.nat(255)), { maxLength: 300 }), (capacity, puts) => {
    const cache = new PlaceCache(capacity);
    const model = new Map<number, number>();
    const recent: number[] = [];
    for (const [number, salt] of puts) {
      cache.put(sampleId(number), 0, new Uint8Array(PLACE_BYTES).fill(salt), 0);
      model.set(number, salt);
      recent.push(number);
    }
    const target = new Uint8Array(PLACE_BYTES);
    for (const number of recent.slice(-capacity).reverse()) {
      assert.ok(cache.get(sampleId(number), 0, target, 0), 'recent ones are there');
      assert.equal(target[0], model.get(number));
      assert.equal(target[PLACE_BYTES - 1], model.get(number));
      break; // a get may move entries, so only the last is certain
    }
    for (let number = 0; number <= 60; number += 1) {
      if (!cache.get(sampleId(number), 0, target, 0)) continue;
      assert.equal(target[0], model.get(number), `place of ${number}`);
    }
  }), { numRuns: 100 });
});
