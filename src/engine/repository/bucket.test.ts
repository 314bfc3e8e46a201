/**
 * A repository in a bucket: the objects elsewhere, caches on a disk that may be lost. The bucket is in memory and counts requests, because in a real one each of
 * them costs milliseconds: bounds here keep silly ones out. Over an append-only store backups work, and nothing else does.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { BusyError, UnsupportedError, type ObjectStore, type World } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode, type MemoryNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { DiskObjects, appendOnly, openS3Objects, s3Location } from '../objects/index.ts';
import { LoopbackS3 } from '../objects/s3/testing/loopback-s3.ts';
import { writeFence } from '../snapshots/manifest.ts';
import { memoryWorld, nodeWorld } from '../world/index.ts';
import { Repository } from './repository.ts';
import { listSessions } from './session.ts';

const options = { workers: 0 } as const;
const from = { sources: ['/'], host: 'h', parent: 'auto' } as const;
const directories: string[] = [];
after(() => { for (const directory of directories) rmSync(directory, { recursive: true, force: true }); });

/** An empty cache directory. */
function cache(): World {
  directories.push(mkdtempSync(path.join(tmpdir(), 'holdfast-bucket-')));
  return nodeWorld(directories.at(-1) as string);
}

function files(count: number, bytes: number): MemoryNode {
  return directoryNode(Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, fileNode(seededBytes(bytes, i))])));
}

interface Fixture {
  readonly server: LoopbackS3;
  open(mode: 'read' | 'write'): Promise<ObjectStore>;
}

async function withBucket(run: (fixture: Fixture) => Promise<void>): Promise<void> {
  const server = new LoopbackS3(() => Date.now());
  const environment = { AWS_ACCESS_KEY_ID: 'key', AWS_SECRET_ACCESS_KEY: 'secret', AWS_ENDPOINT_URL: await server.listen() };
  try {
    await run({ server, open: (mode) => openS3Objects(nodeWorld('.'), s3Location('s3://bucket/a', environment), mode) });
  } finally {
    await server.close();
  }
}

/** What `run` gives, with the requests that it took. */
async function counted<T>(server: LoopbackS3, run: () => Promise<T>): Promise<{ readonly requests: number; readonly value: T }> {
  const before = server.requests;
  const value = await run();
  return { requests: server.requests - before, value };
}

test('backup, lost cache, second machine, readers that keep their cache', async (t) => {
  await withBucket(async ({ server, open }) => {
    const tree = files(20, 2_000_000);
    const objects = await open('write');
    const mine = cache();
    const repository = await Repository.create(mine, {}, { ...options, objects });
    await assert.rejects(Repository.create(cache(), {}, { ...options, objects }), BusyError);
    const backup = await counted(server, () => repository.backup(new MemoryTree(tree), from));
    const again = await counted(server, () => repository.backup(new MemoryTree(tree), from));
    assert.equal(again.value.chunksNew, 0);
    const { containers } = await repository.statistics();
    await repository.close();
    const [store, other] = [await open('read'), cache()];
    const first = await counted(server, () => Repository.open(other, { ...options, mode: 'read', objects: store }));
    const restore = await counted(server, async () => assertSameTree(await first.value.openSnapshot(backup.value.snapshot), new MemoryTree(tree)));
    await assert.rejects(first.value.backup(new MemoryTree(tree), from), /opened for reading/);
    await first.value.close();
    const second = await counted(server, () => Repository.open(other, { ...options, mode: 'read', objects: store }));
    await second.value.close();
    t.diagnostic(`${containers} containers; requests: backup ${backup.requests}, second backup ${again.requests}, open without cache ${first.requests}, with ${second.requests}, restore ${restore.requests}`);
    // 40 MB are some 38 groups; each is asked for once.
    assert.ok(backup.requests <= containers + 12 && again.requests <= 25, 'backup');
    assert.ok(first.requests <= 50 + 4 * containers && second.requests <= 5, 'open');
    assert.ok(restore.requests <= 60, 'restore');
    // Two processes with one cache directory: the second has an index of its own on top.
    const [a, b] = [await Repository.open(mine, { ...options, mode: 'write', objects }), await Repository.open(mine, { ...options, mode: 'write', objects })];
    const { snapshot } = await b.backup(new MemoryTree(files(21, 2_000_000)), { ...from, sources: ['/b'] });
    await assertSameTree(await a.openSnapshot(snapshot), new MemoryTree(files(21, 2_000_000)));
    await a.forget([snapshot]);
    assert.equal((await a.collect({ maxUnused: 0 })).snapshotsRemoved, 1);
    for (const one of [a, b]) await one.close();
    await Repository.rebuildIndex(mine, { ...options, objects });
    for (const one of [objects, store]) await one.close();
  });
});

test('over an append-only store backups work, nothing is forgotten or removed, and a collector with rights clears up', async () => {
  const world = memoryWorld();
  const all = new DiskObjects(world, 'owner');
  const owner = await Repository.create(world, {}, { ...options, index: 'log' });
  const client = await Repository.open(memoryWorld(1), { ...options, index: 'log', mode: 'write', objects: appendOnly(all) });
  const tree = files(3, 100_000);
  const kept = await client.backup(new MemoryTree(tree), from);
  const dropped = await client.backup(new MemoryTree(files(5, 100_000)), from);
  const aborted = new AbortController();
  aborted.abort();
  await assert.rejects(client.backup(new MemoryTree(files(7, 100_000)), { ...from, signal: aborted.signal }));
  assert.equal((await listSessions(all)).length, 3, 'they stay');
  await assert.rejects(client.forget([kept.snapshot]), (error) => error instanceof UnsupportedError && /append-only/.test(error.message));
  await assert.rejects(client.collect(), (error) => error instanceof UnsupportedError && /append-only/.test(error.message));
  assert.equal((await client.collect({ dryRun: true })).dryRun, true);
  assert.equal((await client.snapshots()).length, 2);
  await assertSameTree(await client.openSnapshot(kept.snapshot), new MemoryTree(tree));
  await client.close();
  await owner.forget([dropped.snapshot]);
  const report = await owner.collect({ maxUnused: 0 });
  assert.deepEqual([report.waitingFor.length, report.snapshotsRemoved], [0, 1], 'each session says that it ended');
  assert.deepEqual(await listSessions(all), []);
  await assertSameTree(await owner.openSnapshot(kept.snapshot), new MemoryTree(tree));
  await owner.close();
});

test('check beside a collector of another machine: what it removed is no damage, nor is a fence', async () => {
  const all = new DiskObjects(memoryWorld(), 'a');
  const open = (seed: number, objects: ObjectStore): Promise<Repository> => Repository.open(memoryWorld(seed), { ...options, index: 'log', mode: 'write', objects });
  await Repository.establish(memoryWorld(3), {}, { objects: all });
  const collector = await open(4, all);
  const kept = await collector.backup(new MemoryTree(files(3, 100_000)), from);
  const dropped = await collector.backup(new MemoryTree(files(9, 100_000)), from);
  await writeFence(memoryWorld(), all, 'f'.repeat(64));
  let collected = false;
  const view: ObjectStore = {
    ...appendOnly(all),
    put: (name, ...parts) => all.put(name, ...parts),
    open: async (name) => {
      if (checking && !collected && name.startsWith('containers/')) {
        collected = true;
        await collector.forget([dropped.snapshot]);
        assert.ok((await collector.collect({ maxUnused: 0 })).containersRemoved > 0);
      }
      return all.open(name);
    },
  };
  let checking = false;
  const other = await open(5, view);
  checking = true;
  const problems: string[] = [];
  const onProblem = ({ kind, where, message }: { kind: string; where: string; message: string }): void => { problems.push(`${kind} ${where}: ${message}`); };
  const report = await other.check({ readData: true, onProblem });
  assert.deepEqual([problems, report.snapshots, collected], [[], 1, true]);
  await other.check({ readData: true, onProblem });
  assert.deepEqual(problems, [], 'its index still names what is gone');
  await assertSameTree(await other.openSnapshot(kept.snapshot), new MemoryTree(files(3, 100_000)));
  let container = '';
  for await (const page of all.list('containers')) container = page.at(-1)?.name ?? '';
  await all.remove(container);
  await other.check({ onProblem });
  assert.match(problems.join(), /missing-container/, 'what went without a list is damage');
  for (const one of [other, collector]) await one.close();
});

test('a collector takes a backup that another machine commits while it looks for manifests as it is', async () => {
  const all = new DiskObjects(memoryWorld(), 'a');
  await Repository.establish(memoryWorld(3), {}, { objects: all });
  const open = (seed: number, objects: ObjectStore): Promise<Repository> => Repository.open(memoryWorld(seed), { ...options, index: 'log', mode: 'write', objects });
  const other = await open(4, all);
  const snapshots: string[] = [];
  let armed = false;
  const backup = async (): Promise<void> => {
    armed = false;
    const count = 3 + snapshots.length;
    snapshots.push((await other.backup(new MemoryTree(files(count, 50_000 + count)), { ...from, sources: [`/${count}`] })).snapshot);
  };
  const view: ObjectStore = {
    ...appendOnly(all),
    capabilities: () => all.capabilities(),
    put: (name, ...parts) => all.put(name, ...parts),
    create: (name) => all.create(name),
    remove: (name) => all.remove(name),
    list: async function* list(directory) {
      if (armed && directory === 'manifests') await backup();
      yield* all.list(directory);
    },
  };
  const collector = await open(5, view);
  await backup();
  for (let round = 0; round < 3; round += 1) {
    await collector.forget([snapshots[0] as string]);
    armed = true;
    const report = await collector.collect({ maxUnused: 0 });
    assert.equal(armed, false);
    assert.equal(report.waitingFor.length, 0);
    snapshots.shift();
    for (const id of snapshots) await assertSameTree(await collector.openSnapshot(id), await other.openSnapshot(id));
  }
  for (const one of [collector, other]) await one.close();
});
