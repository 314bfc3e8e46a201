import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chunkIndexSuite, sampleIds } from '../../core/conformance/chunk-index.ts';
import { BusyError, IntegrityError, PLACE_BYTES, UsageError } from '../../core/index.ts';
import type { ChunkIndex, World } from '../../core/index.ts';
import { memoryWorld } from '../world/memory-world.ts';
import { nodeWorld } from '../world/node-world.ts';
import { openRocksIndex, probeRocks, ROCKS_DIRECTORY } from './rocks.ts';

const roots = new Map<ChunkIndex, string>();

async function open(root: string): Promise<ChunkIndex> {
  const index = await openRocksIndex(nodeWorld(root).disk, 'write');
  roots.set(index, root);
  return index;
}

chunkIndexSuite('RocksIndex', {
  persistent: true,
  create: async () => open(await mkdtemp(join(tmpdir(), 'rocks-index-'))),
  reopen: (index) => open(roots.get(index) as string),
  dispose: (index) => rm(roots.get(index) as string, { recursive: true }),
}, 15);

async function withRoot(work: (root: string, world: World) => Promise<void>): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'rocks-index-'));
  try {
    await work(root, nodeWorld(root));
  } finally {
    await rm(root, { recursive: true });
  }
}

test('a disk without native paths has no RocksDB, with a reason', () => {
  assert.deepEqual(probeRocks(memoryWorld().disk), { available: false, reason: 'this disk has no native paths' });
});

test('a second writer is told that the index is busy; a reader sees the state at its open and cannot write', async () => {
  await withRoot(async (_root, { disk }) => {
    const ids = sampleIds([1]);
    const later = sampleIds([2]);
    const places = new Uint8Array(PLACE_BYTES).fill(7);
    const writer = await openRocksIndex(disk, 'write');
    await writer.putMany(ids, places, []);
    await assert.rejects(openRocksIndex(disk, 'write'), BusyError);
    const files = await disk.list(ROCKS_DIRECTORY);
    const reader = await openRocksIndex(disk, 'read');
    assert.deepEqual(await disk.list(ROCKS_DIRECTORY), files, 'a reader writes nothing');
    await writer.putMany(later, places, []);
    const target = new Uint8Array(PLACE_BYTES);
    assert.equal((await reader.getMany(ids, target))[0], 1);
    assert.deepEqual(target, places);
    assert.equal((await reader.getMany(later, target))[0], 0);
    await assert.rejects(reader.putMany(later, places, []), UsageError);
    await reader.close();
    await writer.close();
  });
});

test('a damaged index and an absent one for reading are IntegrityErrors', async () => {
  await withRoot(async (root, { disk }) => {
    await assert.rejects(openRocksIndex(disk, 'read'), IntegrityError);
    const index = await openRocksIndex(disk, 'write');
    await index.putMany(sampleIds([1, 2, 3]), new Uint8Array(3 * PLACE_BYTES), []);
    await index.flush();
    await index.close();
    for (const name of await readdir(join(root, ROCKS_DIRECTORY))) {
      if (name.endsWith('.sst')) await writeFile(join(root, ROCKS_DIRECTORY, name), 'not a table');
    }
    await assert.rejects(async () => {
      const damaged = await openRocksIndex(disk, 'write');
      await damaged.getMany(sampleIds([1]), new Uint8Array(PLACE_BYTES)).finally(() => damaged.close());
    }, IntegrityError);
  });
});

// The child tells each batch it has put; what it told must be there after SIGKILL, and nothing above the watermark's batch is half there.
test('a killed writer leaves every batch it was told to have, each whole', async () => {
  await withRoot(async (root, { disk }) => {
    const script = `
      import { openRocksIndex } from ${JSON.stringify(new URL('rocks.js', import.meta.url).href)};
      import { nodeWorld } from ${JSON.stringify(new URL('../world/node-world.js', import.meta.url).href)};
      import { sampleIds } from ${JSON.stringify(new URL('../../core/conformance/chunk-index.js', import.meta.url).href)};
      const index = await openRocksIndex(nodeWorld(${JSON.stringify(root)}).disk, 'write');
      for (let batch = 1; ; batch += 1) {
        const ids = sampleIds(Array.from({ length: 50 }, (_, i) => batch * 50 + i));
        await index.putMany(ids, new Uint8Array(50 * 20).fill(batch), [{ container: '00000000000000aa', offset: batch, sealed: false }]);
        process.stdout.write(batch + '\\n');
      }`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    let told = 0;
    for await (const lines of child.stdout) {
      told = Number(String(lines).trim().split('\n').at(-1));
      if (told > 100) break;
    }
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    const index = await openRocksIndex(disk, 'write');
    const reflected = (await index.watermarks())[0]?.offset ?? 0;
    assert.ok(reflected >= told, `told ${told}, reflected ${reflected}`);
    const numbers = Array.from({ length: (reflected + 1) * 50 }, (_, i) => 50 + i);
    const found = await index.getMany(sampleIds(numbers), new Uint8Array(numbers.length * PLACE_BYTES));
    numbers.forEach((number, i) => assert.equal((found[i >> 3] as number) >> (i & 7) & 1, number < (reflected + 1) * 50 ? 1 : 0, `id ${number}`));
    await index.close();
  });
});
