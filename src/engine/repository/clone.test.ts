/** A copy made while others write, forget and collect is whole; a second one copies only what is new. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BusyError, IntegrityError, NotFoundError, type World } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode, type MemoryNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { DiskObjects } from '../objects/index.ts';
import { memoryWorld } from '../world/index.ts';
import { cloneRepository } from './clone.ts';
import { Repository } from './repository.ts';

const options = { index: 'log', workers: 0 } as const;

function files(...seeds: readonly number[]): MemoryNode {
  return directoryNode(Object.fromEntries(seeds.map((seed) => [`f${seed}`, fileNode(seededBytes(60_000, seed))])));
}

async function assertWhole(world: World, snapshots: ReadonlyMap<string, MemoryNode>): Promise<void> {
  const copy = await Repository.open(world, { ...options, mode: 'write' });
  const problems: string[] = [];
  await copy.check({ readData: true, onProblem: ({ kind, where }) => { problems.push(`${kind} ${where}`); } });
  assert.deepEqual(problems, []);
  for (const [id, root] of snapshots) await assertSameTree(await copy.openSnapshot(id), new MemoryTree(root));
  await copy.close();
}

test('a copy is a repository of its own, and is brought up to date', async () => {
  const [world, target] = [memoryWorld(1), memoryWorld(2)];
  const repository = await Repository.create(world, {}, options);
  const snapshots = new Map([[(await repository.backup(new MemoryTree(files(1, 2)), { sources: ['/'], host: 'h' })).snapshot, files(1, 2)]]);
  const first = await cloneRepository({ world }, { world: target });
  assert.deepEqual([first.id, first.snapshots, first.objectsCopied], [repository.id, 1, first.objects]);
  await assertWhole(target, snapshots);
  const again = await cloneRepository({ world }, { world: target });
  assert.deepEqual([again.objectsCopied, again.bytesCopied], [0, 0]);
  snapshots.set((await repository.backup(new MemoryTree(files(2, 3)), { sources: ['/'], host: 'h' })).snapshot, files(2, 3));
  const third = await cloneRepository({ world }, { world: target });
  assert.ok(third.objectsCopied > 0 && third.objectsCopied < third.objects);
  await assertWhole(target, snapshots);
  await repository.close();
  for (const one of [world, target]) for (const directory of ['sessions', 'temporary', 'locks']) assert.deepEqual(await one.disk.list(directory), [], directory);
});

test('collecting and storing beside a clone takes nothing away from the copy', async () => {
  const [world, target] = [memoryWorld(3), memoryWorld(4)];
  const repository = await Repository.create(world, {}, options);
  const old = await repository.backup(new MemoryTree(files(1, 2, 3)), { sources: ['/'], host: 'h' });
  const kept = await repository.backup(new MemoryTree(files(3, 4)), { sources: ['/'], host: 'h' });
  // The copy stops at its second object until the others have done their worst.
  const objects = new DiskObjects(target, 'copy');
  const { create } = objects;
  let [count, reached, release] = [0, (): void => undefined, (): void => undefined];
  const isReached = new Promise<void>((resolve) => { reached = resolve; });
  const gate = new Promise<void>((resolve) => { release = resolve; });
  objects.create = async (name) => {
    count += 1;
    if (count === 2) {
      reached();
      await gate;
    }
    return create.call(objects, name);
  };
  const clone = cloneRepository({ world }, { world: memoryWorld(9), objects });
  await isReached;
  await repository.forget([old.snapshot]);
  assert.equal((await repository.collect({ maxUnused: 0 })).waitingFor.length, 1, 'the collector waits for the clone');
  await repository.backup(new MemoryTree(files(5)), { sources: ['/'], host: 'h' });
  release();
  const report = await clone;
  assert.equal(report.snapshots, 1, 'the other was forgotten meanwhile');
  await assertWhole(target, new Map([[kept.snapshot, files(3, 4)]]));
  assert.ok((await repository.collect({ maxUnused: 0 })).containersRemoved > 0, 'afterwards it goes on');
  await repository.close();
});

test('another repository, other things, and damage in the copy are refused', async () => {
  const [world, target, strange] = [memoryWorld(5), memoryWorld(6), memoryWorld(7)];
  await assert.rejects(cloneRepository({ world }, { world: target }), NotFoundError);
  const repository = await Repository.create(world, {}, options);
  await repository.backup(new MemoryTree(files(1)), { sources: ['/'], host: 'h' });
  await repository.close();
  await (await Repository.create(target, {}, options)).close();
  await assert.rejects(cloneRepository({ world }, { world: target }), BusyError);
  await (await strange.disk.create('holiday.jpg')).close();
  await assert.rejects(cloneRepository({ world }, { world: strange }), BusyError);
  const copy = memoryWorld(8);
  await cloneRepository({ world }, { world: copy });
  const objects = new DiskObjects(copy, 'test');
  for await (const [row] of objects.list('containers')) {
    await objects.remove(row?.name ?? '');
    await objects.put(row?.name ?? '', new Uint8Array(5));
  }
  await assert.rejects(cloneRepository({ world }, { world: copy }), (error) => error instanceof IntegrityError && /one of the two is damaged/.test(error.message));
});

test('a copy that collected for itself is not brought up to date, and neither side loses anything', async () => {
  // The story: lists of condemned containers were copied too, or containers came back that the copy had condemned; its next collection removed what snapshots needed.
  const [world, target] = [memoryWorld(10), memoryWorld(11)];
  const source = await Repository.create(world, {}, options);
  const old = await source.backup(new MemoryTree(files(1, 2)), { sources: ['/'], host: 'h' });
  const kept = await source.backup(new MemoryTree(files(2, 3)), { sources: ['/'], host: 'h' });
  await cloneRepository({ world }, { world: target });
  await source.forget([old.snapshot]);
  assert.ok((await source.collect({ maxUnused: 0 })).containersRemoved > 0);
  const fresh = await source.backup(new MemoryTree(files(1, 4)), { sources: ['/'], host: 'h' });
  await cloneRepository({ world }, { world: target });
  const snapshots = new Map([[old.snapshot, files(1, 2)], [kept.snapshot, files(2, 3)], [fresh.snapshot, files(1, 4)]]);
  await assertWhole(target, snapshots);
  const copy = await Repository.open(target, { ...options, mode: 'write' });
  await copy.collect({ maxUnused: 0 });
  await copy.forget([kept.snapshot]);
  assert.ok((await copy.collect({ maxUnused: 0 })).containersRemoved > 0);
  await copy.close();
  snapshots.delete(kept.snapshot);
  await assertWhole(target, snapshots);
  await assert.rejects(cloneRepository({ world }, { world: target }), (error) => error instanceof BusyError && /clone into a new place/.test(error.message));
  await source.close();
});
