/** A dataset whose grain changes: nothing that is stored is stored again, wherever it is found, and everything comes back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultLimits, type FileTree, type World } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode, type MemoryNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { DiskObjects } from '../objects/index.ts';
import { Repository } from '../repository/repository.ts';
import type { BackupResult } from '../repository/snapshot-store.ts';
import { readManifest, writeManifest } from '../snapshots/manifest.ts';
import { streamClasses, type Grain } from '../tuner/index.ts';
import { memoryWorld } from '../world/index.ts';

const MIB = 1 << 20;

/** A disk image by its first bytes, a text, packed and other data. */
function files(): Record<string, Uint8Array> {
  const [image, packed, binary] = [seededBytes(3 * MIB + 40_000, 1), seededBytes(2 * MIB, 2), seededBytes(4 * MIB + 7, 3)];
  image.set(Buffer.from('QFI\xfb', 'latin1'));
  image.fill(0, MIB, MIB + 300_000);
  packed.set([0x1f, 0x8b]);
  const text = Buffer.from(Array.from(seededBytes(2 * MIB, 4), (byte) => 97 + byte % 26));
  return { image, packed, binary, text, small: seededBytes(20_000, 5) };
}

function rootOf(contents: Record<string, Uint8Array>): MemoryNode {
  return directoryNode(Object.fromEntries(Object.entries(contents).map(([name, bytes]) => [name, fileNode(bytes)])));
}

async function backUp(repository: Repository, contents: Record<string, Uint8Array>): Promise<BackupResult> {
  const result = await repository.backup(new MemoryTree(rootOf(contents)), { sources: ['/'], host: 'h', tuning: 'off' });
  const tree: FileTree = await repository.openSnapshot(result.snapshot);
  await assertSameTree(tree, new MemoryTree(rootOf(contents)));
  return result;
}

/** Commits the latest snapshot once more, as one whose dataset is stored in `grain` from now on: what the policy does after enough backups. */
async function retune(repository: Repository, world: World, grain: Grain): Promise<void> {
  const objects = new DiskObjects(world, 'test');
  const { root: _, ...info } = await readManifest(objects, (await repository.resolveSnapshot('latest')).id, defaultLimits);
  const raw = JSON.parse(Buffer.from(await objectBytes(world, `manifests/${info.id}`)).toString().split('\n')[1] as string) as { root: string };
  const id = Buffer.from(world.randomBytes(32)).toString('hex');
  const grains = Object.fromEntries(streamClasses.map((name) => [`${name}.grain`, grain]));
  await writeManifest(objects, { ...info, id, time: info.time + 1, parameters: { ...info.parameters, ...grains } }, Buffer.from(raw.root, 'base64'));
}

async function objectBytes(world: World, name: string): Promise<Uint8Array> {
  const file = await world.disk.open(name, 'read');
  const bytes = new Uint8Array(file.size);
  await file.readInto(0, bytes);
  await file.close();
  return bytes;
}

for (const steps of [[-1], [1], [2], [2, 0, -1]] as const) {
  test(`grain 0, then ${steps.join(', then ')}: nothing unchanged is stored again`, async (t) => {
    const world = memoryWorld();
    const repository = await Repository.create(world, {}, { index: 'memory', workers: 0 });
    const contents = files();
    const first = await backUp(repository, contents);
    assert.ok(first.bytesNew > 10 * MIB);
    for (const grain of steps) {
      await retune(repository, world, grain);
      assert.equal((await backUp(repository, contents)).bytesNew, 0, `grain ${grain}`);
      // Found also under other names, behind other bytes, and with one byte more in the middle.
      const { binary = new Uint8Array(0) } = contents;
      const moved = { ...contents, elsewhere: Buffer.concat([seededBytes(1000, 9), binary, Buffer.from([grain + 3])]) };
      const after = await backUp(repository, moved);
      t.diagnostic(`grain ${grain}: moved by 1,000 bytes, ${after.bytesNew} of ${binary.length} bytes new`);
      assert.ok(after.bytesNew < 800_000, `${after.bytesNew}`);
      contents[`new ${grain}`] = seededBytes(3 * MIB, 20 + grain);
      const grown = await backUp(repository, contents);
      assert.equal(grown.bytesNew, 3 * MIB);
      const mean = 3 * MIB / grown.chunksNew / 1024;
      t.diagnostic(`grain ${grain}: new chunks of ${mean.toFixed(1)} KiB`);
      assert.ok(mean > 12 * 2 ** grain && mean < 26 * 2 ** grain);
      assert.equal((await repository.resolveSnapshot('latest')).parameters['binary.grain'], grain);
    }
    assert.ok((await repository.check({ readData: true, onProblem: ({ message }) => { assert.fail(message); } })).ok);
    await repository.close();
  });
}

test('what a backup read of each class stands in its manifest', async () => {
  const repository = await Repository.create(memoryWorld(), {}, { index: 'memory', workers: 0 });
  const contents = files();
  await backUp(repository, contents);
  const again = await backUp(repository, { ...contents, more: seededBytes(MIB, 7) });
  const { parameters } = (await repository.snapshots()).find(({ id }) => id === again.snapshot) ?? assert.fail('it was stored');
  const { image = [], packed = [], text = [], binary = [] } = contents;
  assert.deepEqual(['image', 'packed', 'text', 'binary'].map((name) => parameters[`${name}.bytes`]), [image.length, packed.length, text.length, binary.length + MIB]);
  assert.deepEqual(['image', 'packed', 'text', 'binary'].map((name) => parameters[`${name}.bytesKnown`]), [image.length, packed.length, text.length, binary.length]);
  await repository.close();
});
