/**
 * Collecting beside writers and readers. The oracle is a map from snapshot to tree, kept outside the store; after each step every snapshot that
 * was acknowledged and not forgotten must be exact for a process that has just opened the repository and for those that lag behind.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AbortedError, BusyError, IntegrityError, type FileTree, type World } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode, type MemoryNode } from '../../core/testing/memory-tree.ts';
import { seededBytes, seededRandom } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { SimulatedDisk, simulatedWorld } from '../../core/testing/simulated-world.ts';
import { DiskObjects } from '../objects/index.ts';
import { Repository } from '../repository/repository.ts';
import { fenceSession, listSessions } from '../repository/session.ts';
import { memoryWorld } from '../world/index.ts';

const options = { index: 'log', workers: 0 } as const;
const from = { sources: ['/'], host: 'h', parent: 'auto' } as const;

function files(...seeds: readonly number[]): MemoryNode {
  return directoryNode(Object.fromEntries(seeds.map((seed) => [`f${seed}`, fileNode(seededBytes(20_000 + seed * 100, seed))])));
}

async function assertSound(repository: Repository): Promise<void> {
  const problems: string[] = [];
  await repository.check({ readData: true, onProblem: ({ kind, where, message }) => { problems.push(`${kind} ${where}: ${message}`); } });
  assert.deepEqual(problems, []);
}

/** A tree whose first file can't be read on before `release` is called. */
function held(root: MemoryNode): { readonly tree: FileTree; readonly reached: Promise<void>; release(): void } {
  const tree = new MemoryTree(root);
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => { release = resolve; });
  let reach = (): void => undefined;
  const reached = new Promise<void>((resolve) => { reach = resolve; });
  const open = tree.open.bind(tree);
  tree.open = async (id) => {
    reach();
    await gate;
    return open(id);
  };
  return { tree, reached, release };
}

test('what no snapshot needs is removed, what is needed stays', async () => {
  const repository = await Repository.create(memoryWorld(), {}, options);
  const one = await repository.backup(new MemoryTree(files(1, 2)), from);
  const two = await repository.backup(new MemoryTree(files(2, 3)), from);
  const before = (await repository.statistics()).bytesStored;
  assert.equal((await repository.collect()).containersRemoved, 0, 'all is needed');
  await repository.forget([one.snapshot]);
  assert.deepEqual((await repository.snapshots()).map(({ id }) => id), [two.snapshot]);
  const preview = await repository.collect({ dryRun: true, maxUnused: 0 });
  assert.ok(preview.dryRun && preview.bytesReclaimed > 10_000 && preview.containersRemoved === 0);
  assert.equal((await repository.statistics()).bytesStored, before);
  const report = await repository.collect({ maxUnused: 0 });
  assert.ok(report.containersRemoved > 0 && report.chunksCopied > 0 && report.snapshotsRemoved === 1, JSON.stringify(report));
  const after = (await repository.statistics()).bytesStored;
  assert.ok(Math.abs(before - after - report.bytesReclaimed) < 500, 'but for heads and footers of new containers');
  await assertSameTree(await repository.openSnapshot(two.snapshot), new MemoryTree(files(2, 3)));
  await assertSound(repository);
  await repository.forget([two.snapshot]);
  await repository.collect();
  assert.deepEqual((await repository.statistics()).containers, 0);
  assert.equal((await repository.collect()).containersRemoved, 0);
  const again = await repository.backup(new MemoryTree(files(1, 2)), from);
  assert.ok(again.chunksNew > 0, 'removed chunks are stored again');
  await assertSound(repository);
  await repository.close();
});

test('a backup under way keeps what it found stored, and nobody waits for it', async () => {
  const world = memoryWorld();
  const collector = await Repository.create(world, {}, options);
  const { snapshot } = await collector.backup(new MemoryTree(files(1)), from);
  const writer = await Repository.open(world, { ...options, mode: 'write' });
  const source = held(files(1));
  const backup = writer.backup(source.tree, { sources: ['/other'], host: 'h' });
  await source.reached;
  await collector.forget([snapshot]);
  const first = await collector.collect();
  assert.deepEqual([first.containersRemoved, first.waitingFor.length], [0, 1], 'its chunks are condemned, but stay');
  source.release();
  const result = await backup;
  assert.equal(result.chunksNew, 0, 'it did not know');
  const second = await collector.collect();
  assert.ok(second.containersReprieved > 0 && second.waitingFor.length === 0, JSON.stringify(second));
  await assertSameTree(await collector.openSnapshot(result.snapshot), new MemoryTree(files(1)));
  await assertSound(collector);
  await writer.close();
  await collector.close();
});

test('a backup that begins after the list stores condemned chunks again', async () => {
  const world = memoryWorld();
  const collector = await Repository.create(world, {}, options);
  const { snapshot } = await collector.backup(new MemoryTree(files(1)), from);
  const early = await Repository.open(world, { ...options, mode: 'write' });
  const source = held(files(9));
  const waiting = early.backup(source.tree, { sources: ['/early'], host: 'h' });
  await source.reached;
  await collector.forget([snapshot]);
  assert.equal((await collector.collect()).waitingFor.length, 1);
  const late = await Repository.open(world, { ...options, mode: 'write' });
  const result = await late.backup(new MemoryTree(files(1)), { sources: ['/late'], host: 'h' });
  assert.ok(result.chunksNew > 0);
  source.release();
  await waiting;
  const report = await collector.collect();
  assert.ok(report.containersRemoved > 0);
  for (const one of [early, late, collector]) await assertSameTree(await one.openSnapshot(result.snapshot), new MemoryTree(files(1)));
  await assertSound(collector);
  for (const one of [early, late, collector]) await one.close();
});

test('a fenced writer cannot commit, however late it comes back', async () => {
  const world = memoryWorld();
  const collector = await Repository.create(world, {}, options);
  const writer = await Repository.open(world, { ...options, mode: 'write' });
  const source = held(files(1));
  const backup = writer.backup(source.tree, from);
  await source.reached;
  const objects = new DiskObjects(world, 'test');
  const [session] = await listSessions(objects);
  assert.equal(await fenceSession(world, objects, session?.id ?? ''), false);
  assert.equal((await collector.collect()).waitingFor.length, 0);
  source.release();
  await assert.rejects(backup, (error) => error instanceof BusyError && /took this backup for dead/.test(error.message));
  assert.deepEqual(await collector.snapshots(), []);
  assert.ok((await collector.collect()).containersRemoved > 0, 'what it stored goes');
  await writer.close();
  await collector.close();
});

test('sessions are fenced by age only when that is asked for', async () => {
  const world = memoryWorld();
  const collector = await Repository.create(world, {}, options);
  await collector.backup(new MemoryTree(files(2)), { sources: ['/x'], host: 'h' });
  const writer = await Repository.open(world, { ...options, mode: 'write' });
  const source = held(files(1));
  const backup = writer.backup(source.tree, from);
  await source.reached;
  await collector.forget((await collector.snapshots()).map(({ id }) => id));
  await world.sleep(3_600_000);
  assert.equal((await collector.collect({ fenceAfterMs: 7_200_000 })).waitingFor.length, 1);
  assert.equal((await collector.collect({ fenceAfterMs: 1_800_000 })).waitingFor.length, 0);
  source.release();
  await assert.rejects(backup, BusyError);
  await writer.close();
  await collector.close();
});

test('nothing is condemned while snapshots need what is not there', async () => {
  const world = memoryWorld();
  const repository = await Repository.create(world, {}, options);
  const one = await repository.backup(new MemoryTree(files(1)), from);
  await repository.backup(new MemoryTree(files(2)), from);
  const objects = new DiskObjects(world, 'test');
  await repository.close();
  let data = '';
  for await (const page of objects.list('containers')) data = page.reduce((a, b) => (a.size > b.size ? a : b)).name;
  await objects.remove(data);
  const again = await Repository.open(world, { ...options, mode: 'write' });
  await assert.rejects(again.collect(), (error) => error instanceof IntegrityError && /need '\d+' chunks that are not stored; nothing was removed/.test(error.message));
  assert.equal((await again.statistics()).containers > 0, true);
  await again.forget([one.snapshot]);
  await again.close();
});

test('what a failed backup had stored, and a collection removed, does not count as stored for the next one', async () => {
  // The story: chunks of an aborted backup stayed "under way" in the store; a collector removed their container, and the next snapshot referred to them.
  const repository = await Repository.create(memoryWorld(), { compression: 'none' }, options);
  const root = directoryNode({ a: fileNode(seededBytes(36_000_000, 77)), b: fileNode(seededBytes(50_000, 78)) });
  const controller = new AbortController();
  const tree = new MemoryTree(root);
  let opened = 0;
  const open = tree.open.bind(tree);
  tree.open = async (id) => {
    opened += 1;
    if (opened === 2) controller.abort();
    return open(id);
  };
  await assert.rejects(repository.backup(tree, { ...from, signal: controller.signal }), AbortedError);
  await repository.collect();
  const { snapshot } = await repository.backup(new MemoryTree(root), from);
  await assertSound(repository);
  await assertSameTree(await repository.openSnapshot(snapshot), new MemoryTree(root));
  await repository.close();
});

test('of several copies of a chunk the one that can be read stays', async () => {
  // The story: the index named a copy that had rotten; the collector took the good ones for waste.
  let rescued = 0;
  for (let seed = 1; seed <= 6; seed += 1) {
    const disk = new SimulatedDisk();
    const world = simulatedWorld(disk, seed);
    const writers = [await Repository.create(world, { compression: 'none' }, options), await Repository.open(world, { ...options, mode: 'write' })] as const;
    const sources = writers.map((_, i) => ({ held: held(files(1, 2, 3)), name: `/${i}` }));
    const backups = writers.map((writer, i) => writer.backup(sources[i]?.held.tree as FileTree, { sources: [`/${i}`], host: 'h' }));
    await Promise.all(sources.map((one) => one.held.reached));
    for (const one of sources) one.held.release();
    const results = await Promise.all(backups);
    for (const writer of writers) await writer.close();
    const data = disk.files.filter((name) => name.startsWith('containers/')).filter((name) => disk.bytesOf(name).length > 50_000);
    assert.equal(data.length, 2, 'both have stored it');
    disk.flip(data[seed % 2] as string, 2_000 + seed * 3_000, 1);
    const again = await Repository.open(simulatedWorld(disk, seed + 10), { ...options, mode: 'write' });
    rescued += (await again.collect({ maxUnused: 0 })).chunksRescued;
    await again.collect({ maxUnused: 0 });
    for (const { snapshot } of results) await assertSameTree(await again.openSnapshot(snapshot), new MemoryTree(files(1, 2, 3)));
    await again.close();
  }
  assert.ok(rescued > 0, 'the index named a rotten copy at least once');
});

interface Actor { repository: Repository }

/** Random steps of several processes over one world; one of them holds the index, the others lag behind it. */
async function thrash(seed: number, steps: number): Promise<number> {
  const world: World = memoryWorld(seed);
  const next = seededRandom(seed);
  const below = (bound: number): number => Math.floor(next() * bound);
  const actors: Actor[] = [{ repository: await Repository.create(world, {}, options) }];
  for (let i = 1; i < 3; i += 1) actors.push({ repository: await Repository.open(world, { ...options, mode: 'write' }) });
  const snapshots = new Map<string, MemoryNode>();
  let removed = 0;
  for (let step = 0; step < steps; step += 1) {
    const actor = actors[below(actors.length)] as Actor;
    const dice = below(10);
    const root = files(...new Set(Array.from({ length: 1 + below(4) }, () => below(8))));
    if (dice < 4) {
      snapshots.set((await actor.repository.backup(new MemoryTree(root), { ...from, sources: [`/${below(3)}`] })).snapshot, root);
    } else if (dice < 6 && snapshots.size > 0) {
      const id = [...snapshots.keys()][below(snapshots.size)] as string;
      await actor.repository.forget([id]);
      snapshots.delete(id);
    } else if (dice < 8) {
      // Half of the time with a backup under way that knows only what was before.
      const other = actors[(actors.indexOf(actor) + 1) % actors.length] as Actor;
      const source = held(root);
      const backup = below(2) === 0 ? other.repository.backup(source.tree, { ...from, sources: ['/held'] }) : undefined;
      if (backup !== undefined) await Promise.race([source.reached, backup]);
      removed += (await actor.repository.collect({ maxUnused: below(3) / 2 })).containersRemoved;
      source.release();
      if (backup !== undefined) snapshots.set((await backup).snapshot, root);
    } else if (dice < 9) {
      await actor.repository.close();
      actor.repository = await Repository.open(world, { ...options, mode: 'write' });
    }
    for (const [id, expected] of snapshots) await assertSameTree(await actor.repository.openSnapshot(id), new MemoryTree(expected));
  }
  for (const { repository } of actors) {
    for (const [id, expected] of snapshots) await assertSameTree(await repository.openSnapshot(id), new MemoryTree(expected));
    await repository.close();
  }
  await Repository.rebuildIndex(world, options);
  const last = await Repository.open(world, { ...options, mode: 'write' });
  await assertSound(last);
  for (const [id, expected] of snapshots) await assertSameTree(await last.openSnapshot(id), new MemoryTree(expected));
  await last.forget([...snapshots.keys()]);
  await last.collect();
  assert.equal((await last.statistics()).containers, 0, 'without snapshots nothing is left');
  await last.close();
  return removed;
}

test('writers, readers and collectors in any order lose nothing', async (t) => {
  let removed = 0;
  for (let seed = 1; seed <= 12; seed += 1) {
    removed += await thrash(seed, 40).catch((error: unknown) => { throw new Error(`thrash(${seed}, 40): ${(error as Error).message}`, { cause: error }); });
  }
  t.diagnostic(`12 seeds, ${removed} containers removed`);
  assert.ok(removed > 50);
});
