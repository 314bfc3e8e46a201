/** Damage of every kind and at every kind of place: healed exactly, or refused by name. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { BusyError, readObject } from '../../core/index.ts';
import { seededRandom } from '../../core/testing/random.ts';
import { DiskObjects } from '../objects/index.ts';
import { memoryWorld } from '../world/index.ts';
import { createParity } from './create-parity.ts';
import { BLOCK_BYTES, SMALL_BYTES, dataBlocks, parityBlocks } from './geometry.ts';
import { parityHeader } from './parity.layout.ts';
import { repairWithParity, verifyWithParity } from './repair.ts';
import { sidecarName } from './sidecar.ts';
import { MemoryObjects } from './testdata/memory-objects.ts';
import { NAME, copyOf, flip, forge, makeScene, repairScene, spoil, type Scene } from './testdata/scene.ts';

const SIZE = 3_000_001;
const coded = await makeScene(SIZE);
const small = await makeScene(10_000);
const bitIn = (random: () => number, [start, end]: readonly [number, number]): number => Math.floor((start + random() * (end - start)) * 8);
const regionNames = Object.keys(coded.regions) as (keyof Scene['regions'])[];

describe('single flipped bits', () => {
  it('leave a sound object sound', async () => {
    for (const scene of [coded, small]) {
      const { outcome, report } = await repairScene(scene);
      assert.deepEqual([outcome, report.sidecar.state, report.damagedBlocks], ['sound', 'sound', []]);
    }
  });

  it('are found and healed anywhere in the object', async () => {
    const random = seededRandom(1);
    for (const original of [coded, small]) {
      const blocks = [0, 1, dataBlocks(original.geometry) - 1, ...Array.from({ length: 20 }, () => Math.floor(random() * dataBlocks(original.geometry)))];
      for (const block of blocks) {
        const scene = copyOf(original);
        const end = Math.min(scene.object.length, (block + 1) * BLOCK_BYTES);
        flip(scene.object, bitIn(random, [block * BLOCK_BYTES, end]));
        const { outcome, report } = await repairScene(scene);
        assert.deepEqual([outcome, report.damagedBlocks, report.lostBlocks], ['repaired', [block], 0]);
      }
    }
  });

  it('are found in each part of the sidecar, which goes on healing', async () => {
    const random = seededRandom(2);
    for (const original of [coded, small]) {
      for (const name of regionNames) {
        for (let i = 0; i < 12; i += 1) {
          const scene = copyOf(original);
          flip(scene.sidecar, bitIn(random, original.regions[name]));
          const before = await repairScene(scene);
          assert.deepEqual([before.outcome, before.report.sidecar.state], ['sound', 'damaged'], name);
          assert.equal(before.report.sidecar.damagedParityBlocks, name === 'parity' ? 1 : 0);
          spoil(scene, i % 3);
          assert.equal((await repairScene(scene)).outcome, 'repaired', name);
        }
      }
    }
  });

  it('in both headers leave nothing to tell by', async () => {
    const scene = copyOf(coded);
    flip(scene.sidecar, bitIn(seededRandom(3), coded.regions['front header']));
    flip(scene.sidecar, bitIn(seededRandom(4), coded.regions['back header']));
    const { outcome, report } = await repairScene(scene);
    assert.deepEqual([outcome, report.reason, report.sidecar.state], ['unknown', 'header', 'unusable']);
  });

  it('in the same row of both tables do not make a sound object damaged', async () => {
    const scene = copyOf(coded);
    for (const name of ['front table', 'back table'] as const) flip(scene.sidecar, coded.regions[name][0] * 8);
    const { outcome, report } = await repairScene(scene);
    assert.deepEqual([outcome, report.damagedBlocks, report.sidecar.state], ['sound', [], 'damaged']);
    spoil(scene, 700);
    assert.deepEqual((await repairScene(scene)).report.damagedBlocks, [0, 700]);
  });
});

describe('many damaged blocks', () => {
  it('are healed up to what each group can lose, and one more is refused', async () => {
    await fc.assert(fc.asyncProperty(fc.nat(), fc.integer({ min: 0, max: 4 }), async (seed, parityLoss) => {
      const random = seededRandom(seed);
      const scene = copyOf(coded);
      const { groups, parityShards } = scene.geometry;
      const loss = Math.min(parityLoss, parityShards);
      const members = (group: number): readonly number[] => Array.from({ length: dataBlocks(scene.geometry) }, (_, i) => i).filter((block) => block % groups === group);
      const shuffled = (group: number): readonly number[] => members(group).map((block) => [random(), block] as const).sort((a, b) => a[0] - b[0]).map(([, block]) => block);
      for (let group = 0; group < groups; group += 1) {
        for (const block of shuffled(group).slice(0, parityShards - loss)) spoil(scene, block, Math.floor(random() * 1000));
        for (let row = 0; row < loss; row += 1) flip(scene.sidecar, (scene.regions.parity[0] + (row * groups + group) * BLOCK_BYTES) * 8);
      }
      const { outcome, report } = await repairScene(scene);
      assert.deepEqual([outcome, report.damagedBlocks.length, report.sidecar.damagedParityBlocks], [loss === parityShards ? 'sound' : 'repaired', groups * (parityShards - loss), groups * loss]);
      const more = members(0).find((block) => !report.damagedBlocks.includes(block)) as number;
      spoil(scene, more);
      const refused = await repairScene(scene);
      assert.deepEqual([refused.outcome, refused.report.lostBlocks], ['beyond-repair', 1]);
    }), { numRuns: 25 });
  });

  it('in one burst of five percent are healed wherever it begins', async () => {
    await fc.assert(fc.asyncProperty(fc.double({ min: 0, max: 1, noNaN: true }), async (place) => {
      const scene = copyOf(coded);
      const length = Math.floor(SIZE * 0.05);
      const start = Math.floor(place * (SIZE - length));
      for (let i = start; i < start + length; i += 1) scene.object[i] = (scene.object[i] as number) ^ 0xff;
      assert.equal((await repairScene(scene)).outcome, 'repaired');
    }), { numRuns: 40 });
  });

  it('in a burst within the sidecar cost at most the parity it hit', async () => {
    for (const share of [0, 0.3, 0.6, 1]) {
      const scene = copyOf(coded);
      const length = scene.geometry.groups * BLOCK_BYTES;
      const start = Math.floor(share * (scene.sidecar.length - length));
      scene.sidecar.fill(0x55, start, start + length);
      spoil(scene, 5);
      assert.equal((await repairScene(scene)).outcome, 'repaired', `burst at '${start}'`);
    }
  });
});

describe('wrong sizes', () => {
  it('are healed: cut within what parity can give back, or with bytes behind the end', async () => {
    for (const cut of [SIZE - 1, SIZE - 4097, SIZE - 140_000]) {
      const scene = copyOf(coded);
      scene.objects.bytes.set(NAME, scene.object.slice(0, cut));
      const { outcome, report } = await repairScene(scene);
      assert.equal(outcome, 'repaired');
      assert.equal(report.damagedBlocks.length, dataBlocks(scene.geometry) - Math.floor(cut / BLOCK_BYTES));
    }
    const longer = copyOf(coded);
    longer.objects.bytes.set(NAME, Uint8Array.from([...coded.original.subarray(0, SIZE), 1, 2, 3]));
    const { outcome, report } = await repairScene(longer);
    assert.deepEqual([outcome, report.state, report.excessBytes, report.damagedBlocks], ['repaired', 'damaged', 3, []]);
  });

  it('beyond that are refused with the number of blocks that are lost', async () => {
    const scene = copyOf(coded);
    scene.objects.bytes.delete(NAME);
    const { outcome, report } = await repairScene(scene);
    assert.deepEqual([outcome, report.lostBlocks], ['beyond-repair', dataBlocks(scene.geometry) - parityBlocks(scene.geometry)]);
  });

  it('of a sidecar cost what was cut off', async () => {
    const { regions, sidecar } = coded;
    const cuts = [sidecar.length - 1, regions['back header'][0], regions['back table'][0] + 100, regions.parity[1] - BLOCK_BYTES];
    for (const cut of cuts) {
      const scene = copyOf(coded);
      scene.objects.bytes.set(sidecarName(NAME), scene.sidecar.slice(0, cut));
      spoil(scene, 9);
      const { outcome, report } = await repairScene(scene);
      assert.deepEqual([outcome, report.sidecar.state, report.sidecar.damagedParityBlocks], ['repaired', 'damaged', cut < regions.parity[1] ? 1 : 0]);
    }
    for (const [cut, expected] of [[regions.parity[0], 'beyond-repair'], [regions['front table'][0] + 8, 'beyond-repair'], [319, 'unknown'], [0, 'unknown']] as const) {
      const scene = copyOf(coded);
      scene.objects.bytes.set(sidecarName(NAME), scene.sidecar.slice(0, cut));
      spoil(scene, 9);
      assert.equal((await repairScene(scene)).outcome, expected);
    }
    const longer = copyOf(coded);
    longer.objects.bytes.set(sidecarName(NAME), Uint8Array.from([...longer.sidecar, 0]));
    spoil(longer, 9);
    assert.equal((await repairScene(longer)).outcome, 'repaired');
  });
});

describe('small objects', () => {
  it('stand whole in their sidecar, twice', () => {
    const [start] = small.regions.parity;
    for (const copy of [0, 1]) {
      const at = start + copy * Math.ceil(10_000 / BLOCK_BYTES) * BLOCK_BYTES;
      assert.deepEqual(small.sidecar.subarray(at, at + 10_000), small.original);
    }
  });

  it('come back when all of them is gone, also with one copy damaged', async () => {
    for (const size of [0, 1, 10_000, SMALL_BYTES]) {
      const scene = await makeScene(size, { copies: 3 });
      scene.objects.bytes.delete(NAME);
      if (size > 0) scene.sidecar.fill(0, scene.regions.parity[0], scene.regions.parity[0] + BLOCK_BYTES * scene.geometry.groups);
      assert.equal((await repairScene(scene)).outcome, 'repaired', `${size} bytes`);
    }
  });

  it('are put together from different copies, and refused when no copy of a block is sound', async () => {
    const scene = copyOf(small);
    const at = (copy: number, block: number): number => (scene.regions.parity[0] + (copy * scene.geometry.groups + block) * BLOCK_BYTES) * 8;
    for (const block of [0, 1, 2]) spoil(scene, block);
    flip(scene.sidecar, at(0, 0));
    flip(scene.sidecar, at(1, 1));
    assert.equal((await repairScene(scene)).outcome, 'repaired');
    flip(scene.sidecar, at(1, 0));
    const { outcome, report } = await repairScene(scene);
    assert.deepEqual([outcome, report.lostBlocks], ['beyond-repair', 1]);
  });
});

describe('what cannot be helped', () => {
  it('a sidecar of another object heals nothing', async () => {
    const scene = copyOf(coded);
    const other = new MemoryObjects();
    const writer = createParity({ name: 'manifests/77', sizeMax: 5000, percent: 5 });
    writer.append(new Uint8Array(5000));
    await writer.finish(other);
    scene.objects.bytes.set(sidecarName(NAME), other.bytes.get(sidecarName('manifests/77')) as Uint8Array);
    assert.equal((await repairScene(scene)).report.reason, 'other-object');
    scene.objects.bytes.delete(sidecarName(NAME));
    assert.equal((await repairScene(scene)).report.reason, 'absent');
  });

  it('an object whose blocks are right and whose digest is not is refused', async () => {
    const scene = await makeScene(100_000);
    forge(scene, parityHeader.offsets.objectSha256, new Uint8Array(32));
    const { outcome, report } = await repairScene(scene);
    assert.deepEqual([outcome, report.reason], ['beyond-repair', 'digest']);
    spoil(scene, 3);
    assert.equal((await repairScene(scene)).report.reason, 'digest');
  });
});

describe('stores', () => {
  it('of files heal', async () => {
    const world = memoryWorld();
    const objects = new DiskObjects(world, 'test-');
    const writer = createParity({ name: NAME, sizeMax: SIZE, percent: 5 });
    writer.append(coded.original);
    await objects.put(NAME, coded.original);
    await writer.finish(objects);
    const file = await world.disk.open(NAME, 'write');
    await file.writeFrom(1_000_000, new Uint8Array(100_000));
    await file.close();
    const target = await objects.create('quarantine/healed');
    assert.equal((await repairWithParity(objects, NAME, target)).outcome, 'repaired');
    await target.commit();
    assert.deepEqual(await readObject(objects, 'quarantine/healed', () => {}), coded.original);
  });

  it('sectors that cannot be read cost their blocks only', async () => {
    for (const scene of [copyOf(coded), copyOf(small)]) {
      scene.objects.badSectors.set(NAME, 5000);
      assert.deepEqual((await repairScene(scene)).report.damagedBlocks, [1]);
      for (const name of regionNames) {
        scene.objects.badSectors.set(sidecarName(NAME), scene.regions[name][0] + 10);
        assert.equal((await repairScene(scene)).outcome, 'repaired', name);
      }
    }
  });

  it('a writer that fails is abandoned, and the error is its own', async () => {
    const scene = copyOf(coded);
    spoil(scene, 1);
    const target = await scene.objects.create('repaired');
    const full = { ...target, append: () => Promise.reject(new BusyError('full')) };
    await assert.rejects(repairWithParity(scene.objects, NAME, full), /full/);
    assert.deepEqual([scene.objects.openReaders, scene.objects.openWriters], [0, 0]);
  });

  it('a sidecar is never overwritten', async () => {
    const scene = copyOf(small);
    const writer = createParity({ name: NAME, sizeMax: 1, percent: 5 });
    await assert.rejects(writer.finish(scene.objects), BusyError);
    assert.equal((await verifyWithParity(scene.objects, NAME)).state, 'sound');
  });
});
