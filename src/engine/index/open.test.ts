import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chunkIndexSuite, sampleIds } from '../../core/conformance/chunk-index.ts';
import { PLACE_BYTES, UsageError } from '../../core/index.ts';
import type { World } from '../../core/index.ts';
import { memoryWorld } from '../world/memory-world.ts';
import { nodeWorld } from '../world/node-world.ts';
import { LOG_DIRECTORY } from './log/log.layout.ts';
import { openIndex } from './open.ts';
import { OverlayIndex } from './overlay.ts';
import { MemoryIndex } from './memory.ts';
import { ROCKS_DIRECTORY } from './rocks.ts';

const ids = sampleIds([1, 2, 3]);
const places = new Uint8Array(3 * PLACE_BYTES).fill(9);
const marks = [{ container: '00000000000000aa', offset: 10, sealed: false }];

async function withNodeWorld(work: (world: World) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'open-index-'));
  try {
    await work(nodeWorld(root));
  } finally {
    await rm(root, { recursive: true });
  }
}

/** Overwrites the first bytes of all files that begin with `prefix`. */
async function damage(world: World, directory: string, prefix: string): Promise<number> {
  const victims = (await world.disk.list(directory)).filter((entry) => entry.name.startsWith(prefix));
  for (const { name } of victims) {
    const file = await world.disk.open(`${directory}/${name}`, 'write');
    await file.writeFrom(0, new Uint8Array(16).fill(0x78));
    await file.sync();
    await file.close();
  }
  return victims.length;
}

test('auto is the log index', async () => {
  const { index, notes } = await openIndex(memoryWorld(), { kind: 'auto', mode: 'write' });
  assert.equal(index.kind, 'log');
  assert.deepEqual(notes, []);
  await index.close();
});

test('without native paths, rocks is the log index and says why', async () => {
  const { index, notes } = await openIndex(memoryWorld(), { kind: 'rocks', mode: 'write' });
  assert.equal(index.kind, 'log');
  assert.match(notes[0] ?? '', /instead of RocksDB: this disk has no native paths/);
  await index.close();
});

for (const [kind, directory, prefix] of [['rocks', ROCKS_DIRECTORY, 'CURRENT'], ['log', LOG_DIRECTORY, 'CURRENT']] as const) {
  test(`a damaged ${kind} index: a reader builds one in memory and writes nothing, a writer starts empty; both say so`, async () => {
    await withNodeWorld(async (world) => {
      const first = await openIndex(world, { kind, mode: 'write' });
      await first.index.putMany(ids, places, marks);
      await first.index.close();
      assert.equal(await damage(world, directory, prefix), 1);
      const before = await world.disk.list(directory);
      const reader = await openIndex(world, { kind, mode: 'read' });
      assert.equal(reader.index.kind, 'memory');
      assert.equal(reader.notes.length, 1);
      assert.deepEqual(await world.disk.list(directory), before);
      const writer = await openIndex(world, { kind, mode: 'write' });
      assert.equal(writer.notes.length, 1);
      assert.equal(await writer.index.count(), 0);
      assert.deepEqual(await writer.index.watermarks(), []);
      await writer.index.putMany(ids, places, marks);
      await writer.index.close();
      const again = await openIndex(world, { kind, mode: 'write' });
      assert.deepEqual(again.notes, []);
      assert.deepEqual(await again.index.watermarks(), marks);
      await again.index.close();
    });
  });

  test(`a reader of a ${kind} index puts into memory only`, async () => {
    await withNodeWorld(async (world) => {
      const writer = await openIndex(world, { kind, mode: 'write' });
      await writer.index.putMany(ids, places, marks);
      const reader = await openIndex(world, { kind, mode: 'read' });
      assert.deepEqual(reader.notes, []);
      const later = sampleIds([4]);
      await reader.index.putMany(later, places.subarray(0, PLACE_BYTES), [{ container: '00000000000000aa', offset: 20, sealed: true }]);
      const target = new Uint8Array(4 * PLACE_BYTES);
      assert.equal((await reader.index.getMany(sampleIds([1, 4, 5, 3]), target))[0], 0b1011);
      assert.equal((await writer.index.getMany(later, target))[0], 0);
      assert.equal((await reader.index.watermarks())[0]?.offset, 20);
      assert.equal((await writer.index.watermarks())[0]?.offset, 10);
      await assert.rejects(reader.index.deleteMany(later), UsageError);
      let scanned = 0;
      for await (const page of reader.index.scan()) scanned += page.ids.count;
      assert.equal(scanned, 4);
      await reader.index.close();
      await writer.index.close();
    });
  });
}

chunkIndexSuite('LogIndex as openIndex makes it', {
  persistent: false,
  create: async () => (await openIndex(memoryWorld(), { kind: 'log', mode: 'write' })).index,
  reopen: async (index) => index,
  dispose: async () => {},
});

test('an overlay counts what either part holds', async () => {
  const index = new OverlayIndex(new MemoryIndex(), new MemoryIndex());
  assert.equal(await index.count(), 0);
  await index.putMany(ids, places, marks);
  assert.equal(await index.count(), 3);
});
