import assert from 'node:assert';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { ID_BYTES } from '../../core/index.ts';
import { HotSet } from './hot-set.ts';

function idOf(high: number, low: number): DataView {
  const view = new DataView(new ArrayBuffer(ID_BYTES));
  view.setUint32(0, high);
  view.setUint16(4, low);
  return view;
}

/** Uniform, all zero and all one, and many alike. */
const high = fc.oneof(fc.nat(0xffff_ffff), fc.constantFrom(0, 0xffff_ffff, 0x1234_5678), fc.nat(40).map((i) => 0x4000_0000 + i));
const low = fc.oneof(fc.nat(0xffff), fc.constantFrom(0, 1));
const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('add' as const), prefixes: fc.array(fc.tuple(high, low), { maxLength: 200 }) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('drain' as const), part: fc.nat(15) }) },
);

describe('HotSet', () => {
  it('adds, finds and drains like a set', () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const set = new HotSet();
      const model = new Set<number>();
      const drained: number[] = [];
      for (const one of steps) {
        if (one.kind === 'add') {
          for (const [h, l] of one.prefixes) {
            assert.ok(set.addPrefix(h, l));
            model.add(h * 65_536 + l);
          }
          continue;
        }
        const [from, to] = [one.part * 2 ** 28, (one.part + 1) * 2 ** 28];
        drained.length = 0;
        set.drain(from, to, (h, l) => drained.push(h * 65_536 + l));
        const expected = [...model].filter((prefix) => prefix >= from * 65_536 && prefix < to * 65_536);
        assert.deepEqual(drained.sort((a, b) => a - b), expected.sort((a, b) => a - b));
        expected.forEach((prefix) => model.delete(prefix));
      }
      assert.equal(set.count, model.size);
      for (const prefix of model) assert.ok(set.has(idOf(Math.floor(prefix / 65_536), prefix % 65_536), 0));
      const all: number[] = [];
      set.forEach((h, l) => all.push(h * 65_536 + l));
      assert.deepEqual(all.sort((a, b) => a - b), [...model].sort((a, b) => a - b));
      for (const prefix of drained) assert.equal(set.has(idOf(Math.floor(prefix / 65_536), prefix % 65_536), 0), model.has(prefix));
    }));
  });

  it('says which ids found no place, when somebody made too many alike', () => {
    const set = new HotSet();
    const ids = new Uint8Array(4_000 * ID_BYTES);
    const view = new DataView(ids.buffer);
    for (let i = 0; i < 4_000; i += 1) view.setUint16(i * ID_BYTES + 4, i + 1);
    const failed = set.add({ bytes: ids, count: 4_000 });
    assert.ok(failed.length > 0 && failed.length + set.count === 4_000);
    assert.ok(set.bytes < 1 << 20, 'it did not grow without end');
    for (let i = 0; i < 4_000; i += 1) assert.equal(set.has(view, i * ID_BYTES), !failed.includes(i));
  });
});
