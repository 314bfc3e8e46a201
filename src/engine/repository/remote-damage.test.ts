/** Rotten copies are read around over the wire as they are on this host, and damage without another copy is an error. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HoldfastError } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { SimulatedDisk, simulatedWorld } from '../../core/testing/simulated-world.ts';
import { keyCredential } from '../crypto/index.ts';
import { WireRig } from '../wire/testing/wire-rig.ts';
import { Repository } from './repository.ts';

const options = { index: 'log', workers: 0 } as const;
const root = directoryNode(Object.fromEntries([1, 2, 3].map((seed) => [`f${seed}`, fileNode(seededBytes(20_000, seed))])));
const credential = keyCredential(seededBytes(32, 9), 'key');

/** A tree whose files can be read from the moment on in which as many backups as `count` have come to them. */
function gatedTrees(count: number): readonly MemoryTree[] {
  let waiting = count;
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => { open = resolve; });
  return Array.from({ length: count }, () => {
    const tree = new MemoryTree(root);
    const read = tree.open.bind(tree);
    let isHere = false;
    tree.open = async (id) => {
      if (!isHere) waiting -= 1;
      isHere = true;
      if (waiting === 0) open();
      await gate;
      return read(id);
    };
    return tree;
  });
}

/** The same tree stored by as many writers at once, each of which stores its own copy of all. */
async function stored(disk: SimulatedDisk, seed: number, { writers: count, encrypted }: { readonly writers: number; readonly encrypted: boolean }): Promise<readonly string[]> {
  const world = simulatedWorld(disk, seed);
  const opening = { ...options, ...(encrypted ? { credentials: [credential] } : {}) };
  const writers = [await Repository.create(world, { compression: 'none', ...(encrypted ? { encryption: { slots: [{ credential }] } } : {}) }, options)];
  while (writers.length < count) writers.push(await Repository.open(world, { ...opening, mode: 'write' }));
  const trees = gatedTrees(count);
  const results = await Promise.all(writers.map((writer, i) => writer.backup(trees[i] as MemoryTree, { sources: [`/${i}`], host: 'h' })));
  for (const writer of writers) await writer.close();
  return results.map(({ snapshot }) => snapshot);
}

/** @returns messages of the reads that failed, and how often another copy was asked for. */
async function readOver(disk: SimulatedDisk, seed: number, { snapshots, encrypted }: { readonly snapshots: readonly string[]; readonly encrypted: boolean }): Promise<{ readonly failed: readonly string[]; readonly asked: number }> {
  const repository = await Repository.open(simulatedWorld(disk, seed + 100), { ...options, mode: 'write', ...(encrypted ? { credentials: [credential] } : {}) });
  const rig = new WireRig(repository, { workers: 0 });
  const remote = await rig.connect();
  const failed: string[] = [];
  for (const snapshot of snapshots) {
    try {
      await assertSameTree(await remote.openSnapshot(snapshot), new MemoryTree(root));
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      failed.push(error.message);
    }
  }
  await remote.close();
  await rig.close();
  await repository.close();
  return { failed, asked: rig.events.filter((event) => event.kind === 'request' && event.request === 'elsewhere').length };
}

/** In the middle, where the content of chunks is. */
function rot(disk: SimulatedDisk, victim: string): void {
  disk.flip(victim, disk.bytesOf(victim).length >> 1, 1);
}

for (const encrypted of [false, true]) {
  test(`a rotten copy is read around over the wire, ${encrypted ? 'encrypted' : 'plain'}`, async () => {
    const disk = new SimulatedDisk();
    const snapshots = await stored(disk, 1, { writers: 2, encrypted });
    const containers = disk.files.filter((name) => name.startsWith('containers/'));
    assert.equal(containers.length, 4, 'each writer stored data and metadata');
    let asked = 0;
    for (const [i, victim] of containers.entries()) {
      rot(disk, victim);
      const read = await readOver(disk, i, { snapshots, encrypted });
      assert.deepEqual(read.failed, [], victim);
      asked += read.asked;
      rot(disk, victim); // the bit is as it was
    }
    assert.ok(asked >= 2, `asked '${asked}' times: of two copies, the index names one`);
  });

  test(`what has no other copy is an error over the wire, ${encrypted ? 'encrypted' : 'plain'}`, async () => {
    const disk = new SimulatedDisk();
    const snapshots = await stored(disk, 1, { writers: 1, encrypted });
    for (const name of disk.files.filter((one) => one.startsWith('containers/'))) rot(disk, name);
    const { failed, asked } = await readOver(disk, 1, { snapshots, encrypted });
    assert.equal(failed.length, 1);
    assert.ok(asked > 0 && asked < 5, `asked '${asked}' times`);
  });
}
