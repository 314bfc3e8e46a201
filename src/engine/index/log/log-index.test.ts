import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chunkIndexSuite, sampleIds } from '../../../core/conformance/chunk-index.ts';
import { BusyError, IntegrityError, PLACE_BYTES, UsageError } from '../../../core/index.ts';
import type { ChunkIndex, IdBatch, World } from '../../../core/index.ts';
import { memoryWorld } from '../../world/memory-world.ts';
import { LOG_DIRECTORY } from './log.layout.ts';
import { openLogIndex } from './log-index.ts';
import type { LogIndexOptions } from './log-state.ts';

const tiny: LogIndexOptions = { tableEntries: 16, filterBytesMax: 256 };
const worlds = new Map<ChunkIndex, World>();

async function open(world: World): Promise<ChunkIndex> {
  const index = await openLogIndex(world.disk, 'write', tiny);
  worlds.set(index, world);
  return index;
}

chunkIndexSuite('LogIndex with tiny segments', {
  persistent: true,
  create: () => open(memoryWorld()),
  reopen: (index) => open(worlds.get(index) as World),
  dispose: async () => {},
}, 150);

function batchOf(from: number, count: number): { readonly ids: IdBatch; readonly places: Uint8Array } {
  const numbers = Array.from({ length: count }, (_, i) => from + i);
  const places = new Uint8Array(count * PLACE_BYTES);
  const view = new DataView(places.buffer);
  numbers.forEach((number, i) => view.setUint32(i * PLACE_BYTES, number));
  return { ids: sampleIds(numbers), places };
}

async function fill(index: ChunkIndex, count: number): Promise<void> {
  for (let from = 0; from < count; from += 10) {
    const { ids, places } = batchOf(from, 10);
    await index.putMany(ids, places, [{ container: '00000000000000aa', offset: from + 10, sealed: false }]);
  }
}

async function names(world: World): Promise<readonly string[]> {
  return (await world.disk.list(LOG_DIRECTORY)).map((entry) => entry.name);
}

test('a second writer is told that the index is busy; a reader sees the state at its open and cannot write', async () => {
  const world = memoryWorld();
  const writer = await openLogIndex(world.disk, 'write', tiny);
  await fill(writer, 100);
  await assert.rejects(openLogIndex(world.disk, 'write', tiny), BusyError);
  const before = await names(world);
  const reader = await openLogIndex(world.disk, 'read', tiny);
  assert.deepEqual(await names(world), before, 'a reader writes nothing');
  await fill(writer, 200);
  const { ids, places } = batchOf(0, 100);
  const target = new Uint8Array(places.length);
  assert.deepEqual(await reader.getMany(ids, target), await writer.getMany(ids, target));
  assert.equal((await reader.watermarks())[0]?.offset, 100);
  await assert.rejects(reader.putMany(ids, places, []), UsageError);
  await reader.close();
  await writer.close();
});

test('lookups and scans that run while segments are merged see one state', async () => {
  const index = await openLogIndex(memoryWorld().disk, 'write', tiny);
  await fill(index, 300);
  const { ids, places } = batchOf(0, 300);
  const scan = index.scan()[Symbol.asyncIterator]();
  const first = await scan.next();
  const filling = fill(index, 900);
  for (let i = 0; i < 20; i += 1) {
    const target = new Uint8Array(places.length);
    await index.getMany(ids, target);
    assert.deepEqual(target, places);
  }
  await filling;
  let scanned = first.value?.ids.count ?? 0;
  for (let next = await scan.next(); next.done !== true; next = await scan.next()) scanned += next.value.ids.count;
  assert.equal(scanned, 300);
  await index.close();
});

// Each byte of each file, one at a time: what the index then says is either right or an IntegrityError.
test('a flipped bit anywhere gives an older state or an IntegrityError, never a wrong place', async () => {
  const world = memoryWorld();
  const index = await openLogIndex(world.disk, 'write', tiny);
  await fill(index, 230);
  await index.deleteMany(batchOf(0, 5).ids);
  await index.close();
  let refused = 0;
  let older = 0;
  for (const entry of await world.disk.list(LOG_DIRECTORY)) {
    const file = await world.disk.open(`${LOG_DIRECTORY}/${entry.name}`, 'write');
    for (let offset = 0; offset < entry.size; offset += entry.name.startsWith('seg') ? 89 : 1) {
      const byte = new Uint8Array(1);
      await file.readInto(offset, byte);
      await file.writeFrom(offset, byte.map((value) => value ^ 1 << (offset & 7)));
      const verdict = await examine(world, 230);
      if (verdict === 'refused') refused += 1;
      if (verdict === 'older') older += 1;
      await file.writeFrom(offset, byte);
    }
  }
  assert.equal(await examine(world, 230), 'right');
  assert.ok(refused > 100 && older > 50, `refused ${refused}, older ${older}`);
});

async function examine(world: World, count: number): Promise<'right' | 'older' | 'refused'> {
  let index: ChunkIndex | undefined;
  try {
    index = await openLogIndex(world.disk, 'read', tiny);
    const { ids, places } = batchOf(0, count);
    const target = new Uint8Array(places.length);
    const found = await index.getMany(ids, target);
    let missing = 0;
    for (let i = 0; i < count; i += 1) {
      const here = ((found[i >> 3] as number) >> (i & 7) & 1) === 1;
      if (!here) missing += 1;
      else assert.deepEqual(target.subarray(i * PLACE_BYTES, (i + 1) * PLACE_BYTES), places.subarray(i * PLACE_BYTES, (i + 1) * PLACE_BYTES), `place of ${i}`);
    }
    const reflected = (await index.watermarks())[0]?.offset ?? 0;
    for (let i = 5; i < reflected; i += 1) assert.ok(((found[i >> 3] as number) >> (i & 7) & 1) === 1, `id ${i} below the watermark ${reflected}`);
    return missing === 5 && reflected === count ? 'right' : 'older';
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    return 'refused';
  } finally {
    await index?.close();
  }
}
