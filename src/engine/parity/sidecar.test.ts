/** Hostile sidecars: never an error, never much memory, and what is repaired is exact. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { parityHeader } from './parity.layout.ts';
import { sidecarName } from './sidecar.ts';
import { NAME, copyOf, forge, makeScene, repairScene, spoil } from './testdata/scene.ts';

const scenes = [await makeScene(200_000), await makeScene(9000)] as const;
const { offsets } = parityHeader;
type Field = keyof typeof offsets;

describe('sidecar reader', () => {
  it('says why it does not use a sidecar', async () => {
    const cases: readonly (readonly [Field, readonly number[], string])[] = [
      ['magic', [0], 'header'], ['version', [0, 2], 'version'], ['kind', [0, 2], 'geometry'], ['blockBytes', [0, 0, 2, 0], 'geometry'],
      ['groups', [0, 0, 0, 3], 'geometry'], ['groups', [255, 255, 255, 255], 'limit'], ['groups', [0, 0, 0, 0], 'geometry'],
      ['dataShards', [0, 1], 'geometry'], ['parityShards', [0, 0], 'geometry'], ['parityShards', [255, 255], 'limit'], ['parityShards', [0, 129], 'geometry'],
      ['folds', [0, 8], 'geometry'], ['nameBytes', [1, 0], 'geometry'], ['nameBytes', [0, 3], 'other-object'], ['name', [65], 'other-object'],
      ['objectBytes', [255, 255, 255, 255, 255, 255, 255, 255], 'limit'], ['objectBytes', [0, 0, 0, 0, 64, 0, 0, 1], 'limit'],
      ['objectBytes', [0, 0, 0, 0, 64, 0, 0, 0], 'geometry'],
    ];
    for (const [field, bytes, reason] of cases) {
      const scene = copyOf(scenes[0]);
      forge(scene, offsets[field], Uint8Array.from(bytes));
      assert.equal((await repairScene(scene)).report.reason, reason, `${field} = ${bytes.join(' ')}`);
    }
  });

  it('believes the largest sizes that are allowed, and finds nothing behind them', async () => {
    const scene = copyOf(scenes[0]);
    forge(scene, offsets.groups, Uint8Array.from([0, 0, 8, 0, 0, 128, 0, 4, 0, 0]));
    forge(scene, offsets.objectBytes, Uint8Array.from([0, 0, 0, 0, 64, 0, 0, 0]));
    const { outcome, report } = await repairScene(scene);
    assert.equal(outcome, 'beyond-repair');
    assert.ok(report.damagedBlocks.length > 262_000 && report.sidecar.damagedParityBlocks > 8000);
  });

  it('survives any bytes', async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), fc.boolean(), async (bytes, hasHeader) => {
      const scene = copyOf(scenes[0]);
      const header = scene.sidecar.subarray(0, hasHeader ? parityHeader.size : 0);
      scene.objects.bytes.set(sidecarName(NAME), Uint8Array.from([...header, ...bytes]));
      spoil(scene, 1);
      assert.notEqual((await repairScene(scene)).outcome, 'sound');
    }), { numRuns: 150 });
  });

  it('survives mutated bytes', async () => {
    const mutation = fc.record({ place: fc.double({ min: 0, max: 0.999_999, noNaN: true }), value: fc.nat(255), length: fc.nat(5000) });
    await fc.assert(fc.asyncProperty(fc.constantFrom(...scenes), fc.array(mutation, { minLength: 1, maxLength: 4 }), fc.boolean(), async (original, mutations, isObject) => {
      const scene = copyOf(original);
      for (const { place, value, length } of mutations) {
        const target = isObject ? scene.object : scene.sidecar;
        const start = Math.floor(place * target.length);
        target.fill(value, start, start + length);
      }
      await repairScene(scene);
    }), { numRuns: 150 });
  });

  it('survives forged headers whose checksum is right', async () => {
    const bytes = fc.tuple(fc.integer({ min: 0, max: offsets.headerCrc32c - 9 }), fc.uint8Array({ minLength: 1, maxLength: 8 }));
    await fc.assert(fc.asyncProperty(fc.constantFrom(...scenes), fc.array(bytes, { minLength: 1, maxLength: 3 }), async (original, changes) => {
      const scene = copyOf(original);
      for (const [at, change] of changes) forge(scene, at % 2 === 0 ? at % offsets.objectSha256 : at, change);
      spoil(scene, 1);
      await repairScene(scene);
    }), { numRuns: 200 });
  });
});
