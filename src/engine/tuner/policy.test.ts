import assert from 'node:assert';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { defaultFastCdc, type ChunkerParameters } from '../chunking/index.ts';
import { isAllowed, type Grain } from './grain.ts';
import { defaultTuner, initialTuner, tuneClass, type ClassState } from './policy.ts';
import { nextTuner, noCounts, storedGrains, tunerParameters } from './record.ts';
import { classOf, type StreamClass } from './stream-class.ts';

const ENOUGH = defaultTuner.bytesMin * 2;

function of(streamClass: StreamClass): ChunkerParameters {
  return streamClass === 'image' ? { algorithm: 'fixed', blockBytes: 32 << 10 } : defaultFastCdc;
}

/** Grains after backups that knew these shares. */
function grainsAfter(shares: readonly number[], start: ClassState = initialTuner.text): readonly Grain[] {
  let state = start;
  return shares.map((share) => {
    state = tuneClass(state, { bytes: ENOUGH, bytesKnown: ENOUGH * share }, (grain) => isAllowed(defaultFastCdc, grain));
    return state.grain;
  });
}

describe('tuneClass', () => {
  it('takes a step when three backups in a row agree, and then rests', () => {
    assert.deepEqual(grainsAfter([0.9, 0.9, 0.9, 0.9]), [0, 0, -1, -1]);
    assert.deepEqual(grainsAfter(Array.from({ length: 12 }, () => 0.1)), [0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
  });

  it('does not move for mixed verdicts, moderate ones, or backups that read little', () => {
    assert.deepEqual(grainsAfter([0.9, 0.9, 0.5, 0.9, 0.9]), [0, 0, 0, 0, 0]);
    assert.deepEqual(grainsAfter([0.9, 0.1, 0.9, 0.1, 0.9, 0.1]), [0, 0, 0, 0, 0, 0]);
    const voted: ClassState = { grain: 0, votes: -2, rest: 0 };
    assert.deepEqual(tuneClass(voted, { bytes: 1000, bytesKnown: 1000 }, () => true), voted);
    assert.deepEqual(tuneClass({ ...voted, rest: 3 }, { bytes: 0, bytesKnown: 0 }, () => true), { ...voted, rest: 2 });
  });

  it('never leaves the grains that are allowed, and never swings faster than votes and rest permit', () => {
    fc.assert(fc.property(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 60 }), (shares) => {
      const all = grainsAfter(shares);
      let last = -1_000;
      all.forEach((grain, i) => {
        const before = i === 0 ? 0 : all[i - 1] as number;
        assert.ok(Math.abs(grain - before) <= 1 && isAllowed(defaultFastCdc, grain));
        if (grain === before) return;
        assert.ok(i - last >= defaultTuner.rest);
        last = i;
      });
    }));
  });
});

describe('tuner in a manifest', () => {
  it('comes back, and learns from what the snapshot found', () => {
    const state = { ...initialTuner, text: { grain: 1, votes: 2, rest: 0 }, image: { grain: -1, votes: 0, rest: 4 } } as const;
    const stored = storedGrains(state, [], of);
    assert.deepEqual(stored.text, { grain: 1, grains: [0, 1] });
    const counts = { ...noCounts(), text: { bytes: ENOUGH, bytesKnown: 0 } };
    const parameters = tunerParameters(state, stored, counts);
    assert.deepEqual(nextTuner(parameters, of, false), state);
    assert.deepEqual(nextTuner(parameters, of, true), { ...state, text: { grain: 2, votes: 0, rest: 5 }, image: { grain: -1, votes: 0, rest: 3 } });
    // Whoever comes later looks in the grains of all snapshots, also when it stores in another.
    const later = storedGrains(initialTuner, [parameters, {}], of);
    assert.deepEqual([later.text, later.image, later.packed], [{ grain: 0, grains: [0, 1] }, { grain: 0, grains: [-1, 0] }, { grain: 0, grains: [0] }]);
  });

  it('reads manifests without it, of strangers, and for other chunkers', () => {
    assert.deepEqual(nextTuner(undefined, of, true), initialTuner);
    assert.deepEqual(nextTuner({ hash: 'blake3' }, of, true), initialTuner);
    const value = fc.oneof(fc.integer(), fc.double(), fc.string());
    fc.assert(fc.property(fc.record({ 'text.grain': value, 'text.votes': value, 'text.rest': value, 'text.grains': value, 'text.bytes': value, 'text.bytesKnown': value }), (parameters) => {
      const state = nextTuner(parameters, of, true);
      const { grain, grains } = storedGrains(state, [parameters], of).text;
      assert.ok(isAllowed(defaultFastCdc, grain) && grains.includes(0) && grains.includes(grain));
    }));
    const large: ChunkerParameters = { ...defaultFastCdc, averageBytes: 64 << 10, maxBytes: 256 << 10 };
    const state = nextTuner({ 'text.grain': 2, 'text.grains': 10 }, () => large, true);
    assert.equal(state.text.grain, 0);
    assert.deepEqual(storedGrains(state, [{ 'text.grains': 10 }], () => large).text.grains, [0]);
  });
});

describe('classOf', () => {
  it('tells images, packed streams, texts and the rest by their first bytes', () => {
    const head = (bytes: readonly number[], fill = 65): Uint8Array => {
      const made = new Uint8Array(66_000).fill(fill);
      made.set(bytes);
      return made;
    };
    assert.equal(classOf(head([...Buffer.from('QFI\xfb', 'latin1')])), 'image');
    assert.equal(classOf(head([0x1f, 0x8b, 8])), 'packed');
    assert.equal(classOf(head([0, 0, 0, 0x20, 0x66, 0x74, 0x79, 0x70])), 'packed');
    assert.equal(classOf(head([...Buffer.from('-- dump of größe\r\n\t')])), 'text');
    assert.equal(classOf(head([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0], 0)), 'binary');
  });
});
