/** A repository behind a server does what one on this host does: same snapshots, same bytes, same errors. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { BusyError, HoldfastError, IntegrityError, NotFoundError, ProtocolError, UsageError, utf8 } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { keyCredential } from '../crypto/index.ts';
import { createHasher } from '../hashing/hasher.ts';
import { WireRig } from '../wire/testing/wire-rig.ts';
import { memoryWorld, nodeWorld } from '../world/index.ts';
import type { RemoteRepository } from './remote-repository.ts';
import { Repository } from './repository.ts';

const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`f${i}`, fileNode(seededBytes(i * 7 % 5_000, 100 + i))]));
const first = directoryNode({
  a: fileNode(seededBytes(3_000_000, 1)), b: fileNode(utf8('text\n'.repeat(50_000))), c: directoryNode({ d: fileNode(seededBytes(10, 2)), ...many }),
  large: fileNode(seededBytes(9_000_000, 4)),
});
const second = directoryNode({ a: fileNode(seededBytes(3_000_000, 1)), e: fileNode(seededBytes(100_000, 3)) });
const options = { sources: ['/'], host: 'h', parent: 'auto' } as const;
const local = { index: 'log', workers: 0 } as const;

async function withRig(run: (remote: RemoteRepository, repository: Repository, rig: WireRig) => Promise<void>, made?: Promise<Repository>): Promise<void> {
  const repository = await (made ?? Repository.create(memoryWorld(), {}, local));
  const rig = new WireRig(repository, { workers: 0 });
  const remote = await rig.connect();
  try {
    await run(remote, repository, rig);
  } finally {
    await remote.close();
    await rig.close();
    await repository.close();
  }
}

test('backups over the wire are the same snapshots as local ones', () => withRig(async (remote, repository, rig) => {
  const one = await remote.backup(new MemoryTree(first), options);
  const again = await remote.backup(new MemoryTree(first), options);
  const other = await remote.backup(new MemoryTree(second), { ...options, tags: ['t'] });
  assert.deepEqual([again.chunksNew, again.bytesNew, again.metadataBytesNew], [0, 0, 0]);
  assert.equal(again.unchanged, again.files);
  for (const [result, root] of [[one, first], [again, first], [other, second]] as const) {
    await assertSameTree(await remote.openSnapshot(result.snapshot), new MemoryTree(root));
    await assertSameTree(await repository.openSnapshot(result.snapshot), new MemoryTree(root));
  }
  assert.deepEqual(await remote.snapshots(), await repository.snapshots());
  assert.deepEqual(await remote.statistics(), await repository.statistics());
  assert.equal((await remote.resolveSnapshot('latest')).id, other.snapshot);
  assert.equal((await remote.resolveSnapshot(one.snapshot.slice(0, 12))).id, one.snapshot);
  await assert.rejects(remote.resolveSnapshot('x'), NotFoundError);
  await assert.rejects(remote.openSnapshot('0'.repeat(64)), NotFoundError);
  await assert.rejects(remote.resolveSnapshot(''), (error) => error instanceof UsageError || error instanceof NotFoundError);
  const report = await repository.check({ readData: true, onProblem: ({ kind, where, message }) => { assert.fail(`${kind} ${where}: ${message}`); } });
  assert.deepEqual([report.ok, report.snapshots], [true, 3]);
  assert.equal(rig.events.filter(({ kind }) => kind === 'committed').length, 3);
  assert.equal(rig.server.sessions, 0);
}));

test('a local backup after one over the wire finds everything stored, and the other way round', () => withRig(async (remote, repository) => {
  await remote.backup(new MemoryTree(first), options);
  const here = await repository.backup(new MemoryTree(first), options);
  assert.deepEqual([here.chunksNew, here.metadataBytesNew], [0, 0]);
  await repository.backup(new MemoryTree(second), options);
  const there = await remote.backup(new MemoryTree(second), options);
  assert.deepEqual([there.chunksNew, there.metadataBytesNew], [0, 0]);
}));

test('an encrypted repository is sealed by the server, and its keys stay there', async () => {
  const credential = keyCredential(seededBytes(32, 9), 'key');
  const made = Repository.create(memoryWorld(), { encryption: { slots: [{ credential }] } }, local);
  await withRig(async (remote, repository) => {
    const { snapshot } = await remote.backup(new MemoryTree(first), options);
    await assertSameTree(await remote.openSnapshot(snapshot), new MemoryTree(first));
    await assertSameTree(await repository.openSnapshot(snapshot), new MemoryTree(first));
    const again = await remote.backup(new MemoryTree(first), options);
    assert.equal(again.chunksNew, 0);
    assert.equal((await repository.check({ readData: true, onProblem: () => undefined })).ok, true);
  }, made);
});

test('several clients store the same and different things at once', () => withRig(async (_, repository, rig) => {
  const clients = await Promise.all([1, 2, 3, 4].map(() => rig.connect()));
  const roots = clients.map((_client, i) => directoryNode({ same: fileNode(seededBytes(4_000_000, 1)), own: fileNode(seededBytes(3_000_000, 50 + i)) }));
  const results = await Promise.all(clients.map((client, i) => client.backup(new MemoryTree(roots[i] as (typeof roots)[number]), { ...options, host: `h${i}` })));
  for (const [i, { snapshot }] of results.entries()) {
    await assertSameTree(await (clients[(i + 1) % 4] as RemoteRepository).openSnapshot(snapshot), new MemoryTree(roots[i] as (typeof roots)[number]));
  }
  for (const client of clients) await client.close();
  assert.equal((await repository.check({ readData: true, onProblem: () => undefined })).ok, true);
  assert.ok((await repository.statistics()).bytesStored < 4 * 3_100_000 + 4_000_000 * 2, 'what they have in common is stored about once');
}));

test('files whose chunks were lost are read again, though nothing in them changed', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'holdfast-remote-'));
  try {
    const before = await Repository.create(nodeWorld(directory), {}, local);
    await before.backup(new MemoryTree(first), options);
    await before.close();
    const containers = readdirSync(path.join(directory, 'containers')).flatMap((prefix) => readdirSync(path.join(directory, 'containers', prefix)).map((name) => path.join(directory, 'containers', prefix, name)));
    rmSync(containers.sort((a, b) => statSync(b).size - statSync(a).size)[0] ?? '');
    await withRig(async (remote) => {
      const result = await remote.backup(new MemoryTree(first), options);
      assert.ok(result.chunksNew > 0, 'lost chunks are stored again');
      await assertSameTree(await remote.openSnapshot(result.snapshot), new MemoryTree(first));
    }, Repository.open(nodeWorld(directory), { ...local, mode: 'write' }));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a collector that moves chunks while a snapshot is read over the wire does not disturb the reader', async () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'holdfast-remote-'));
  try {
    await withRig(async (remote) => {
      const keep = await remote.backup(new MemoryTree(second), options);
      const drop = await remote.backup(new MemoryTree(first), options);
      const tree = await remote.openSnapshot(keep.snapshot);
      await assertSameTree(tree, new MemoryTree(second)); // places are known now
      const collector = await Repository.open(nodeWorld(directory), { ...local, mode: 'write' });
      await collector.forget([drop.snapshot]);
      await collector.collect({ maxUnused: 0 });
      await collector.close();
      await assertSameTree(await remote.openSnapshot(keep.snapshot), new MemoryTree(second));
      await assertSameTree(tree, new MemoryTree(second));
    }, Repository.create(nodeWorld(directory), {}, local));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a snapshot with a hole is refused, whatever the client says', () => withRig(async (remote, repository) => {
  await remote.beginSession();
  const unknown = new Uint8Array(40).fill(5); // a page of references to what nobody stored
  const id = new Uint8Array(32);
  (await createHasher('blake3')).digestInto(unknown, id, 0);
  await remote.store.add('metadata', id, 0, unknown);
  await assert.rejects(remote.store.settle(), (error) => error instanceof IntegrityError && /refers to chunk '0505/.test(error.message));
  assert.deepEqual([...await repository.store.has({ bytes: id, count: 1 })], [0]);
  assert.equal((await repository.snapshots()).length, 0);
}));

test('a store whose connection was refused something is dead, and the next session is not', () => withRig(async (remote, repository, rig) => {
  const wrong = new Uint8Array(32).fill(1);
  await remote.beginSession();
  await remote.store.add('data', wrong, 0, utf8('bytes of another id'));
  await assert.rejects(remote.store.settle(), IntegrityError);
  await assert.rejects(remote.store.has({ bytes: wrong, count: 1 }), IntegrityError);
  assert.deepEqual([...await repository.store.has({ bytes: wrong, count: 1 })], [0]);
  const other = await rig.connect();
  const { snapshot } = await other.backup(new MemoryTree(second), options);
  await assertSameTree(await other.openSnapshot(snapshot), new MemoryTree(second));
  await other.close();
}));

test('nothing is put outside of a session, and one connection has one', () => withRig(async (remote) => {
  await remote.store.add('data', new Uint8Array(32).fill(1), 0, utf8('x'));
  await assert.rejects(remote.store.settle(), (error) => error instanceof ProtocolError && /before a session began/.test(error.message));
}));

test('an aborted backup leaves no session and no snapshot, and the next one goes well', () => withRig(async (remote, repository, rig) => {
  const controller = new AbortController();
  controller.abort();
  await assert.rejects(remote.backup(new MemoryTree(first), { ...options, signal: controller.signal }), { code: 'ABORTED' });
  assert.equal(rig.server.sessions, 0);
  assert.equal((await repository.snapshots()).length, 0);
  assert.equal((await remote.backup(new MemoryTree(second), options)).files, 2);
}));

test('an aborted backup leaves nothing on its connection that a collection could make wrong', () => withRig(async (remote, repository) => {
  const directories = (seed: number): ReturnType<typeof directoryNode> => directoryNode(Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`d${String(i).padStart(2, '0')}`, directoryNode({ x: fileNode(seededBytes(120_000, seed * 1_000 + i)) })])));
  const tree = new MemoryTree(directories(1));
  const open = tree.open.bind(tree);
  const stop = new AbortController();
  let opened = 0;
  tree.open = async (id) => {
    opened += 1;
    if (opened === 36) {
      for (let i = 0; i < 300 && repository.store.totals.chunks.data === 0; i += 1) await new Promise((resolve) => { setTimeout(resolve, 10); });
      stop.abort();
    }
    return open(id);
  };
  await assert.rejects(remote.backup(tree, { ...options, signal: stop.signal }), { code: 'ABORTED' });
  assert.ok(repository.store.totals.chunks.data > 0, 'some of it was stored');
  assert.equal((await repository.collect({ maxUnused: 0 })).containersRemoved, 1);
  for (const seed of [2, 1]) {
    const { snapshot } = await remote.backup(new MemoryTree(directories(seed)), { sources: ['/'], host: 'h' }); // no parent: the files look the same
    await assertSameTree(await remote.openSnapshot(snapshot), new MemoryTree(directories(seed)));
  }
}));

test('a session that failed lends its failure to no other, and all blocks come back', () => withRig(async (remote, repository) => {
  for (let i = 0; i < 6; i += 1) { // more often than there are blocks
    await remote.store.add('data', new Uint8Array(32).fill(i), 0, utf8('outside of a session'));
    await assert.rejects(remote.store.settle(), HoldfastError);
    const tree = new MemoryTree(first);
    const stop = new AbortController();
    const open = tree.open.bind(tree);
    let opened = 0;
    tree.open = (id) => {
      opened += 1;
      if (opened === i * 50 + 3) stop.abort();
      return open(id);
    };
    await assert.rejects(remote.backup(tree, { ...options, signal: stop.signal }), { code: 'ABORTED' });
  }
  const { snapshot } = await remote.backup(new MemoryTree(first), options);
  await assertSameTree(await repository.openSnapshot(snapshot), new MemoryTree(first));
}));

test('what a client knew to be stored it asks for again in the next session', () => withRig(async (remote, repository) => {
  const { snapshot } = await remote.backup(new MemoryTree(second), options);
  await repository.forget([snapshot]);
  assert.ok((await repository.collect({ maxUnused: 0 })).containersRemoved > 0);
  const again = await remote.backup(new MemoryTree(second), options);
  await assertSameTree(await remote.openSnapshot(again.snapshot), new MemoryTree(second));
}));

test('a server that drains takes no new backup, and ends when those under way are done', () => withRig(async (remote, _, rig) => {
  await remote.beginSession();
  const drained = rig.server.drain(10_000);
  const late = await rig.connect();
  await assert.rejects(late.beginSession(), BusyError);
  await late.close();
  await remote.close();
  await drained;
  assert.equal(rig.server.connections, 0);
}));

test('what a client asks of one domain says nothing about another', async () => {
  const [a, b] = [await Repository.create(memoryWorld(), {}, local), await Repository.create(memoryWorld(), {}, local)];
  const [rigA, rigB] = [new WireRig(a, { workers: 0 }), new WireRig(b, { workers: 0, key: 8 })];
  const [one, two] = [await rigA.connect(), await rigB.connect()];
  const { snapshot } = await one.backup(new MemoryTree(second), options);
  await assert.rejects(two.openSnapshot(snapshot), NotFoundError);
  assert.ok((await two.backup(new MemoryTree(second), options)).chunksNew > 0, 'everything is new there');
  await assert.rejects(rigB.connect(() => rigA.duplex()), ProtocolError);
  for (const one of [rigA, rigB]) await one.close();
  for (const client of [one, two]) await client.close();
  await a.close();
  await b.close();
});
