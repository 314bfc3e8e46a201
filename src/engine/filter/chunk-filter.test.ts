import assert from 'node:assert';
import { createCipheriv } from 'node:crypto';
import { describe, it } from 'node:test';
import { ID_BYTES, PLACE_BYTES, UsageError, type IdBatch, type Watermark, type World } from '../../core/index.ts';
import { MemoryIndex } from '../index/index.ts';
import { memoryWorld } from '../world/index.ts';
import { ChunkFilter } from './chunk-filter.ts';

const SIZE = 1_000;

function idsOf(container: number, count: number): IdBatch {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(container + 1);
  return { bytes: createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(count * ID_BYTES)), count };
}

function nameOf(container: number): string {
  return container.toString(16).padStart(16, '0');
}

/** An index whose estimate of its size can be wrong, as RocksDB's. */
class Index extends MemoryIndex {
  estimate: number | undefined;

  override async count(): Promise<number> {
    return this.estimate ?? super.count();
  }
}

async function store(index: MemoryIndex, container: number, ids: IdBatch): Promise<void> {
  const mark: Watermark = { container: nameOf(container), offset: SIZE, sealed: true };
  await index.putMany(ids, new Uint8Array(ids.count * PLACE_BYTES), [mark]);
}

async function open(world: World, index: MemoryIndex): Promise<ChunkFilter> {
  return ChunkFilter.open({ world, index, watermarks: await index.watermarks(), staging: 'test' });
}

function found(filter: ChunkFilter, ids: IdBatch): number {
  return filter.mayHave(ids, new Uint8Array(Math.ceil(ids.count / 8)));
}

/** A world and an index with containers 0 to 4, and the filter of a session that stored them. */
async function filled(): Promise<{ world: World; index: Index; filter: ChunkFilter }> {
  const world = memoryWorld();
  await world.disk.makeDirectory('temporary');
  const index = new Index();
  const filter = await open(world, index);
  for (let container = 0; container < 5; container += 1) {
    const ids = idsOf(container, 2_000);
    await store(index, container, ids);
    await filter.add(ids, nameOf(container), SIZE);
  }
  return { world, index, filter };
}

async function savedNames(world: World): Promise<string[]> {
  return (await world.disk.list('cache')).map(({ name }) => name);
}

describe('ChunkFilter', () => {
  it('is saved and found again; a session without new containers writes nothing', async () => {
    const { world, index, filter } = await filled();
    assert.equal(found(filter, idsOf(9, 1_000)), 0);
    await filter.close(true);
    assert.deepEqual(await savedNames(world), ['filter-cold', 'filter-hot']);
    assert.deepEqual(await world.disk.list('temporary'), []);
    const again = await open(world, index);
    index.scan = () => assert.fail('nothing is built');
    for (let container = 0; container < 5; container += 1) assert.equal(found(again, idsOf(container, 2_000)), 2_000);
    assert.equal(found(again, idsOf(9, 1_000)), 0);
    await world.disk.removeTree('cache');
    await again.close(true);
    assert.deepEqual(await savedNames(world), []);
  });

  it('is built from the index when the copy is missing, damaged, of another state, or was not closed cleanly', async () => {
    const spoil: Record<string, (world: World, index: MemoryIndex) => Promise<void>> = {
      missing: (world) => world.disk.removeTree('cache'),
      damaged: async (world) => {
        const file = await world.disk.open('cache/filter-cold', 'write');
        await file.writeFrom(file.size - 40, Uint8Array.of(1, 2, 3));
        await file.close();
      },
      'without its cold part': (world) => world.disk.remove('cache/filter-cold'),
      'of another state': (_, index) => store(index, 7, idsOf(7, 10)),
    };
    for (const [what, work] of Object.entries(spoil)) {
      const { world, index, filter } = await filled();
      await filter.close(true);
      await work(world, index);
      const again = await open(world, index);
      assert.equal(again.metrics.ids, await index.count(), what);
      for (let container = 0; container < 5; container += 1) assert.equal(found(again, idsOf(container, 2_000)), 2_000, what);
      assert.equal(found(again, idsOf(9, 1_000)), 0, what);
    }
    const { world, index, filter } = await filled();
    await filter.close(false);
    assert.deepEqual(await savedNames(world), []);
    assert.equal((await open(world, index)).metrics.ids, 10_000);
  });

  it('builds a large one step by step, says "maybe" until then, and ends the build when it is closed', async () => {
    const { world, index } = await filled();
    for (let container = 10; container < 60; container += 1) await store(index, container, idsOf(container, 2_000));
    index.estimate = 5_000_000;
    const filter = await open(world, index);
    assert.ok(filter.isBuilding);
    assert.equal(found(filter, idsOf(99, 1_000)), 1_000);
    const ids = idsOf(70, 100);
    await store(index, 70, ids);
    await filter.add(ids, nameOf(70), SIZE);
    const passed = found(filter, idsOf(99, 1_000));
    assert.ok(filter.isBuilding && passed > 100 && passed < 950, `${passed} of 1,000 pass`);
    for (let container = 10; container < 60; container += 1) assert.equal(found(filter, idsOf(container, 2_000)), 2_000);
    await filter.close(true);
    const again = await open(world, index);
    assert.ok(!again.isBuilding);
    assert.deepEqual([found(again, ids), found(again, idsOf(33, 2_000)), found(again, idsOf(99, 1_000))], [100, 2_000, 0]);
  });

  it('keeps its copy when a container goes, and never replaces that of whoever holds the index', async () => {
    const { world, index, filter } = await filled();
    await filter.close(true);
    const holder = await open(world, index);
    holder.forget(nameOf(2), SIZE);
    await holder.close(true);
    const rest = (await index.watermarks()).filter(({ container }) => container !== nameOf(2));
    const other = await ChunkFilter.open({ world, index, watermarks: rest });
    assert.equal(other.isBuilding, false);
    assert.equal(found(other, idsOf(2, 2_000)), 2_000, 'its ids cost a question to the index');
    const before = await world.disk.list('cache');
    await other.add(idsOf(8, 10), nameOf(8), SIZE);
    await other.close(true);
    assert.deepEqual(await world.disk.list('cache'), before);
  });

  it('says "maybe" to all for a reader', async () => {
    const filter = ChunkFilter.none(memoryWorld());
    await filter.add(idsOf(1, 10), nameOf(1), SIZE);
    assert.equal(found(filter, idsOf(2, 1_000)), 1_000);
    await filter.close(true);
  });

  it('refuses a rate that it does not keep', async () => {
    const world = memoryWorld();
    for (const falsePositiveRate of [0.1, 0, Number.NaN]) {
      await assert.rejects(ChunkFilter.open({ world, index: new MemoryIndex(), watermarks: [], falsePositiveRate }), UsageError);
    }
  });
});
