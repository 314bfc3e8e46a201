/** Connections that break: backups and restores go on byte-exact, or fail and leave nothing. Never a success that is none. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HoldfastError, NotFoundError } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { Repository } from '../repository/repository.ts';
import { memoryWorld } from '../world/index.ts';
import { FaultyLink, type Fault } from './testing/faulty-link.ts';
import { WireRig, dialPort } from './testing/wire-rig.ts';

const root = directoryNode({
  noise: fileNode(seededBytes(2_500_000, 1)), zeroes: fileNode(new Uint8Array(3_000_000)), text: fileNode(Buffer.from('some text\n'.repeat(100_000))),
  many: directoryNode(Object.fromEntries(Array.from({ length: 400 }, (_, i) => [`f${i}`, fileNode(seededBytes(i * 13 % 3_000, i))]))),
});
const options = { sources: ['/'], host: 'h', parent: 'auto' } as const;
const local = { index: 'log', workers: 0 } as const;

interface Break {
  readonly fault: Fault;
  readonly afterBytes: number;
}

/** A backup, a second one and a restore over a link with the breaks of a plan, one for each connection in turn. */
async function survive(breaks: readonly Break[]): Promise<'went on' | 'failed'> {
  const repository = await Repository.create(memoryWorld(), {}, local);
  const rig = new WireRig(repository, { workers: 0, clientResumeMs: 20_000 });
  const link = new FaultyLink(await rig.listen(), { next: (number) => breaks[number] ?? { fault: 'none', afterBytes: 0 }, stallMs: 30 });
  const port = await link.listen();
  const acknowledged: string[] = [];
  try {
    const remote = await rig.connect(() => dialPort(port));
    try {
      const one = await remote.backup(new MemoryTree(root), options);
      acknowledged.push(one.snapshot);
      const two = await remote.backup(new MemoryTree(root), options);
      acknowledged.push(two.snapshot);
      for (const { snapshot } of [one, two]) await assertSameTree(await remote.openSnapshot(snapshot), new MemoryTree(root));
      assert.equal(two.chunksNew, 0);
    } finally {
      await remote.close();
    }
    assert.deepEqual((await repository.snapshots()).map(({ id }) => id).sort(), acknowledged.sort(), 'each backup is there once');
    return 'went on';
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    const there = (await repository.snapshots()).map(({ id }) => id);
    assert.deepEqual(acknowledged.filter((id) => !there.includes(id)), [], 'every acknowledged backup is there');
    assert.ok(there.length <= Math.min(2, acknowledged.length + 1), `at most one more, whose answer was lost: '${there.length}' after '${acknowledged.length}' answers`);
    return 'failed';
  } finally {
    link.close();
    await rig.close();
    const report = await repository.check({ readData: true, onProblem: ({ kind, where, message }) => { assert.fail(`${kind} ${where}: ${message}`); } });
    assert.equal(report.ok, true);
    await repository.close();
  }
}

const breaks = fc.array(fc.record({
  fault: fc.constantFrom<Fault>('cut', 'reset', 'corrupt', 'stall', 'cut'), afterBytes: fc.oneof(fc.integer({ min: 200, max: 20_000 }), fc.integer({ min: 20_000, max: 3_500_000 })),
}), { minLength: 1, maxLength: 6 });

test('connections that are cut, reset, stalled and corrupted at random points are made again', async (t) => {
  let wentOn = 0;
  await fc.assert(fc.asyncProperty(breaks, async (plan) => {
    if (await survive(plan) === 'went on') wentOn += 1;
  }), { numRuns: 12, endOnFailure: true });
  t.diagnostic(`${wentOn} of 12 runs went on to their end`);
  assert.ok(wentOn >= 6, 'most breaks are survived, not only failed');
});

test('a commit whose answer was lost is not repeated, and its snapshot is told', async () => {
  const repository = await Repository.create(memoryWorld(), {}, local);
  const rig = new WireRig(repository, { workers: 0, clientResumeMs: 20_000 });
  const link = new FaultyLink(await rig.listen(), { next: () => ({ fault: 'none', afterBytes: 0 }) });
  const port = await link.listen();
  const remote = await rig.connect(() => dialPort(port));
  // Cut in the moment in which the server has committed.
  const cut = setInterval(() => {
    if (!rig.events.some(({ kind }) => kind === 'committed')) return;
    clearInterval(cut);
    link.cutAll();
  }, 0);
  const { snapshot } = await remote.backup(new MemoryTree(root), options);
  assert.deepEqual((await repository.snapshots()).map(({ id }) => id), [snapshot]);
  await remote.close();
  link.close();
  await rig.close();
  await repository.close();
});

test('a backup whose session the server lost fails, and nothing was committed', async () => {
  const world = memoryWorld();
  const repository = await Repository.create(world, {}, local);
  const rigs = [new WireRig(repository, { workers: 0, clientResumeMs: 5_000 })];
  let broken = false;
  const slow = new MemoryTree(root);
  let port = await (rigs[0] as WireRig).listen();
  const remote = await (rigs[0] as WireRig).connect(() => dialPort(port));
  const restart = async (): Promise<void> => {
    broken = true;
    const next = new WireRig(await Repository.open(world, { ...local, mode: 'write' }), { workers: 0 });
    rigs.push(next);
    port = await next.listen();
    await (rigs[0] as WireRig).server.drain(0); // as a process that ends: connections break, sessions are forgotten
  };
  await assert.rejects(remote.backup(slow, { ...options, onProgress: () => { if (!broken) void restart(); } }), (error) => error instanceof NotFoundError && /start it again/.test(error.message));
  assert.equal((await repository.snapshots()).length, 0);
  await remote.close();
  for (const rig of rigs) await rig.close();
});

test('a session whose client does not come back is abandoned in time', async () => {
  const repository = await Repository.create(memoryWorld(), {}, local);
  const rig = new WireRig(repository, { workers: 0, resumeMs: 50, clientResumeMs: 0 });
  const link = new FaultyLink(await rig.listen(), { next: () => ({ fault: 'none', afterBytes: 0 }) });
  const port = await link.listen();
  const remote = await rig.connect(() => dialPort(port));
  await remote.beginSession();
  assert.equal(rig.server.sessions, 1);
  link.close();
  for (let i = 0; i < 200 && rig.server.sessions > 0; i += 1) await new Promise((resolve) => { setTimeout(resolve, 10); });
  assert.equal(rig.server.sessions, 0);
  assert.deepEqual(rig.events.flatMap((event) => (event.kind === 'abandoned' ? [event.why] : [])), ['timeout']);
  await remote.close();
  await rig.close();
  await repository.close();
});

test('more connections than allowed are refused, and the others are served', async () => {
  const repository = await Repository.create(memoryWorld(), {}, local);
  const rig = new WireRig(repository, { workers: 0, connectionsMax: 2 });
  const port = await rig.listen();
  const connect = (): ReturnType<WireRig['connect']> => rig.connect(() => dialPort(port));
  const clients = [await connect(), await connect()];
  await assert.rejects(connect(), HoldfastError);
  assert.match(rig.events.flatMap((event) => (event.kind === 'refused' ? [event.message] : [])).join(), /'2' are open/);
  assert.equal((await clients[1]?.snapshots())?.length, 0);
  for (const client of clients) await client.close();
  const next = await connect();
  await next.close();
  await rig.close();
  await repository.close();
});

test('a connection that breaks while nobody uses it is made again by the next request, however long that takes', async () => {
  const repository = await Repository.create(memoryWorld(), {}, local);
  const rig = new WireRig(repository, { workers: 0, clientResumeMs: 200 });
  const link = new FaultyLink(await rig.listen(), { next: () => ({ fault: 'none', afterBytes: 0 }) });
  const [port, dead] = [await link.listen(), 1];
  let isUp = true;
  const remote = await rig.connect(() => dialPort(isUp ? port : dead));
  const { snapshot } = await remote.backup(new MemoryTree(root), options);
  isUp = false;
  link.cutAll();
  await new Promise((resolve) => { setTimeout(resolve, 100); });
  await assert.rejects(remote.snapshots());
  isUp = true;
  assert.deepEqual((await remote.snapshots()).map(({ id }) => id), [snapshot]);
  const again = await remote.backup(new MemoryTree(root), options);
  await assertSameTree(await remote.openSnapshot(again.snapshot), new MemoryTree(root));
  await remote.close();
  link.close();
  await rig.close();
  await repository.close();
});
