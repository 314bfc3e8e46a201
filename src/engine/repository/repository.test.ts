/** A repository on a real disk, through each kind of index, across closing and opening. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { BusyError, IntegrityError, NotFoundError, ToolError, utf8 } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { SimulatedDisk, simulatedWorld } from '../../core/testing/simulated-world.ts';
import { createHasher } from '../hashing/hasher.ts';
import { probeRocks, type IndexKind } from '../index/index.ts';
import { memoryWorld, nodeWorld } from '../world/index.ts';
import { Repository } from './repository.ts';
import type { BackupResult } from './snapshot-store.ts';

const first = directoryNode({ a: fileNode(seededBytes(3_000_000, 1)), b: fileNode(utf8('text\n'.repeat(50_000))), c: directoryNode({ d: fileNode(seededBytes(10, 2)) }) });
const second = directoryNode({ a: fileNode(seededBytes(3_000_000, 1)), e: fileNode(seededBytes(100_000, 3)) });
const options = { sources: ['/'], host: 'h' } as const;

async function idOf(bytes: Uint8Array): Promise<Uint8Array> {
  const id = new Uint8Array(32);
  (await createHasher('blake3')).digestInto(bytes, id, 0);
  return id;
}

function countsOf({ files, bytes, bytesNew, chunks, chunksNew, metadataBytesNew }: BackupResult): object {
  return { files, bytes, bytesNew, chunks, chunksNew, metadataBytesNew };
}

async function useKind(directory: string, kind: IndexKind): Promise<readonly object[]> {
  const world = nodeWorld(directory);
  let repository = await Repository.create(world, {}, { index: kind, workers: 2 });
  const results = [await repository.backup(new MemoryTree(first), options)];
  await repository.close();
  repository = await Repository.open(world, { mode: 'write', index: kind, workers: 0 });
  results.push(await repository.backup(new MemoryTree(first), options), await repository.backup(new MemoryTree(second), options));
  await repository.close();
  repository = await Repository.open(world, { mode: 'read', index: kind, workers: 0 });
  for (const [i, root] of [first, first, second].entries()) await assertSameTree(await repository.openSnapshot((results[i] as BackupResult).snapshot), new MemoryTree(root));
  const report = await repository.check({ readData: true, onProblem: ({ kind: what, where, message }) => { assert.fail(`${what} ${where}: ${message}`); } });
  assert.deepEqual([report.ok, report.snapshots], [true, 3]);
  assert.ok(report.bytesRead > 3_000_000);
  await repository.close();
  return results.map(countsOf);
}

test('each kind of index gives the same results, written, reopened and read', async (t) => {
  const answers: (readonly object[])[] = [];
  for (const kind of ['memory', 'log', 'rocks'] as const) {
    const directory = mkdtempSync(path.join(tmpdir(), 'holdfast-repository-'));
    try {
      const verdict = probeRocks(nodeWorld(directory).disk);
      if (kind === 'rocks' && !verdict.available) t.diagnostic(`without RocksDB: ${verdict.reason}`);
      else answers.push(await useKind(directory, kind));
    } finally {
      rmSync(directory, { recursive: true });
    }
  }
  assert.ok(answers.length >= 2);
  for (const answer of answers) assert.deepEqual(answer, answers[0]);
  const [, again] = answers[0] as readonly { readonly chunksNew: number; readonly bytesNew: number; readonly metadataBytesNew: number }[];
  assert.deepEqual([again?.chunksNew, again?.bytesNew, again?.metadataBytesNew], [0, 0, 0]);
});

test('snapshots are listed oldest first, found by name, and a damaged manifest is never left out in silence', async () => {
  const world = memoryWorld();
  const repository = await Repository.create(world, {}, { index: 'memory', workers: 0 });
  const ids: string[] = [];
  for (const root of [first, second, first]) ids.push((await repository.backup(new MemoryTree(root), { ...options, tags: ['t'] })).snapshot);
  assert.deepEqual((await repository.snapshots()).map(({ id }) => id), ids);
  assert.equal((await repository.resolveSnapshot('latest')).id, ids[2]);
  await assert.rejects(repository.openSnapshot('0'.repeat(64)), NotFoundError);
  const file = await world.disk.open(`manifests/${ids[1]}`, 'write');
  await file.writeFrom(40, utf8('x'));
  await assert.rejects(repository.snapshots(), IntegrityError);
  await assertSameTree(await repository.openSnapshot(ids[0] as string), new MemoryTree(first));
  await repository.close();
});

test('what a crash left in the directory of temporary files goes with the next writer, not with a reader', async () => {
  const world = memoryWorld();
  await (await Repository.create(world, {}, { index: 'memory', workers: 0 })).close();
  await (await world.disk.create('temporary/0123456789abcdef-manifests-0011')).close();
  await (await Repository.open(world, { mode: 'read', index: 'memory', workers: 0 })).close();
  assert.equal((await world.disk.list('temporary')).length, 1);
  await (await Repository.open(world, { mode: 'write', index: 'memory', workers: 0 })).close();
  assert.deepEqual(await world.disk.list('temporary'), []);
});

test('what a living writer has staged stays', async () => {
  const world = memoryWorld();
  const first = await Repository.create(world, {}, { workers: 0 });
  await first.store.put({ bytes: await idOf(utf8('x')), count: 1 }, [utf8('x')]);
  const second = await Repository.open(world, { mode: 'write', workers: 0 });
  await first.store.flush();
  await second.close();
  assert.equal((await first.statistics()).containers, 1);
  await first.close();
});

test('writers at the same time commit both, and a third finds the chunks of both', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'holdfast-writers-'));
  try {
    const [a, b] = [await Repository.create(nodeWorld(directory), {}, { workers: 0 }), await Repository.open(nodeWorld(directory), { mode: 'write', workers: 0 })];
    const results = await Promise.all([a.backup(new MemoryTree(first), options), b.backup(new MemoryTree(second), { ...options, sources: ['/other'] })]);
    await Promise.all([a.close(), b.close()]);
    const c = await Repository.open(nodeWorld(directory), { mode: 'write', workers: 0 });
    for (const [i, root] of [first, second].entries()) {
      await assertSameTree(await c.openSnapshot((results[i] as BackupResult).snapshot), new MemoryTree(root));
      assert.equal((await c.backup(new MemoryTree(root), options)).chunksNew, 0);
    }
    await c.close();
    for (const place of ['temporary', 'locks', 'sessions']) assert.deepEqual(readdirSync(path.join(directory, place)), [], place);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('an open that fails leaves nothing behind; rebuilding needs the index', async () => {
  const disk = new SimulatedDisk();
  const world = simulatedWorld(disk, 1);
  const repository = await Repository.create(world, {}, { index: 'log', workers: 0 });
  await assert.rejects(Repository.rebuildIndex(world, { index: 'log' }), BusyError);
  await repository.close();
  disk.replace('containers/00/0000000000000000.hfc', new Uint8Array(0));
  disk.fault = ({ kind, path: name }) => (kind === 'syncDirectory' && name.startsWith('containers/') ? new ToolError('Sync: EIO', { errno: 'EIO' }) : undefined);
  await assert.rejects(Repository.open(world, { mode: 'write', index: 'log', workers: 0 }), ToolError);
  disk.fault = () => undefined;
  const notes: string[] = [];
  await (await Repository.open(world, { mode: 'write', index: 'log', workers: 0, onNote: (text) => { notes.push(text); } })).close();
  assert.match(notes.join(), /container 0000000000000000/);
  assert.ok(disk.files.some((name) => name.endsWith('.hfc')), 'nothing damaged is removed by opening');
  const { problems } = await Repository.rebuildIndex(world, { index: 'log' });
  assert.ok(problems.length > 0 && problems.every(({ where }) => where.startsWith('container 0000000000000000')));
});
