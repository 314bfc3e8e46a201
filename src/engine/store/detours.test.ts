/**
 * Damage of one copy costs nothing while there is another. The story: two backups at once stored the same chunks; the index names one copy, which had rotten or was
 * deleted, and a restore failed although the other copy was good.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IntegrityError, type FileTree } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { SimulatedDisk, simulatedWorld } from '../../core/testing/simulated-world.ts';
import { Repository } from '../repository/repository.ts';

const options = { index: 'log', workers: 0 } as const;
const root = directoryNode(Object.fromEntries([1, 2, 3].map((seed) => [`f${seed}`, fileNode(seededBytes(20_000, seed))])));

/** A tree that waits before its first file is read. */
function held(): { readonly tree: FileTree; readonly reached: Promise<void>; release(): void } {
  const tree = new MemoryTree(root);
  const open = tree.open.bind(tree);
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => { release = resolve; });
  let reach = (): void => undefined;
  const reached = new Promise<void>((resolve) => { reach = resolve; });
  tree.open = async (id) => {
    reach();
    await gate;
    return open(id);
  };
  return { tree, reached, release };
}

/** Two writers at once: every chunk lies in two containers. */
async function twice(seed: number): Promise<{ readonly disk: SimulatedDisk; readonly snapshots: readonly string[]; readonly containers: readonly string[] }> {
  const disk = new SimulatedDisk();
  const world = simulatedWorld(disk, seed);
  const writers = [await Repository.create(world, { compression: 'none' }, options), await Repository.open(world, { ...options, mode: 'write' })];
  const sources = writers.map(() => held());
  const backups = writers.map((writer, i) => writer.backup(sources[i]?.tree as FileTree, { sources: [`/${i}`], host: 'h' }));
  await Promise.all(sources.map(({ reached }) => reached));
  for (const source of sources) source.release();
  const snapshots = (await Promise.all(backups)).map(({ snapshot }) => snapshot);
  for (const writer of writers) await writer.close();
  return { disk, snapshots, containers: disk.files.filter((name) => name.startsWith('containers/')) };
}

for (const mode of ['read', 'write'] as const) {
  test(`a chunk whose copy is rotten is read elsewhere, opened to ${mode}`, async () => {
    let detours = 0;
    for (let seed = 1; seed <= 8; seed += 1) {
      const { disk, snapshots, containers } = await twice(seed);
      assert.equal(containers.length, 4, 'data and metadata of both');
      const victim = containers[seed % 4] as string;
      for (let at = 120; at < disk.bytesOf(victim).length - 200; at += 3_000) disk.flip(victim, at, 1);
      const notes: string[] = [];
      const repository = await Repository.open(simulatedWorld(disk, seed + 100), { ...options, mode, onNote: (text) => { notes.push(text); } });
      for (const snapshot of snapshots) await assertSameTree(await repository.openSnapshot(snapshot), new MemoryTree(root));
      detours += notes.filter((text) => /another container has a good copy/.test(text)).length;
      await repository.close();
      if (mode === 'read') continue;
      const again: string[] = [];
      const second = await Repository.open(simulatedWorld(disk, seed + 200), { ...options, mode, onNote: (text) => { again.push(text); } });
      for (const snapshot of snapshots) await assertSameTree(await second.openSnapshot(snapshot), new MemoryTree(root));
      assert.deepEqual(again.filter((text) => /good copy/.test(text)), [], 'the index prefers the good one');
      await second.close();
    }
    assert.ok(detours > 0, 'the index named a rotten copy at least once');
  });
}

test('with all copies rotten a read fails, and is not looked for twice', async () => {
  const { disk, snapshots, containers } = await twice(1);
  for (const name of containers.filter((one) => disk.bytesOf(one).length > 50_000)) for (let at = 120; at < disk.bytesOf(name).length - 200; at += 3_000) disk.flip(name, at, 1);
  const repository = await Repository.open(simulatedWorld(disk, 2), { ...options, mode: 'read' });
  const tree = await repository.openSnapshot(snapshots[0] as string);
  for (let round = 0; round < 2; round += 1) await assert.rejects(assertSameTree(tree, new MemoryTree(root)), IntegrityError);
  await repository.close();
});
