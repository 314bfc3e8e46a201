/** Volumes of a shelf against a model in memory; what is stored anew and what not; failures; removal and renaming, also where nothing may be removed. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { BusyError, IntegrityError, NotFoundError, ToolError, UnsupportedError, UsageError, readRange } from '../../core/index.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { Repository, memoryWorld } from '../../engine/index.ts';
import { volumeSnapshot, type ShelfRepository } from './repository.ts';
import { VolumeShelf, type ShelfOptions } from './shelf.ts';
import type { ShelfVolume } from './shelf-volume.ts';
import { numberedBlocks } from './testing/numbered-volume.ts';
import { openStoredVolume, reportVolumes } from './volume-report.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-shelf-'));
after(() => { fs.rmSync(root, { recursive: true, force: true }); });
let spools = 0;

function newSpool(): string {
  spools += 1;
  return path.join(root, `spool-${spools}`);
}

function newRepository(seed = 1): Promise<Repository> {
  return Repository.create(memoryWorld(seed), {}, { index: 'memory', workers: 0 });
}

function openShelf(repository: ShelfRepository, spool: string, options: Partial<ShelfOptions> = {}): Promise<VolumeShelf> {
  return VolumeShelf.open(repository, { spool, host: 'h', ...options });
}

async function contentOf(volume: ShelfVolume): Promise<Uint8Array> {
  const bytes = new Uint8Array(volume.size);
  await volume.readInto(0, bytes);
  return bytes;
}

async function append(volume: ShelfVolume, blocks: readonly Uint8Array[]): Promise<void> {
  for (const block of blocks) await volume.write(volume.size, block);
}

const operation = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('write' as const), at: fc.double({ min: 0, max: 1.2, noNaN: true }), length: fc.nat(30_000), seed: fc.nat(1000) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('blocks' as const), count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('truncate' as const), at: fc.double({ min: 0, max: 1.1, noNaN: true }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('sync' as const, 'commit' as const, 'later' as const, 'reopen' as const, 'check' as const) }) },
);

test('a volume is what was written to it, through commits and stops', async () => {
  const blocks = await numberedBlocks('Vol', 60, 1, 9000);
  await fc.assert(fc.asyncProperty(fc.array(operation, { maxLength: 25 }), async (operations) => {
    const [repository, spool] = [await newRepository(), newSpool()];
    let shelf = await openShelf(repository, spool, { segmentBytes: 200_000 });
    let volume = await shelf.open('Vol', { create: true });
    let model = Buffer.alloc(0);
    let next = 0;
    const resize = (size: number): void => { model = Buffer.concat([model.subarray(0, size), Buffer.alloc(Math.max(0, size - model.length))]); };
    const write = async (at: number, bytes: Uint8Array): Promise<void> => {
      await volume.write(at, bytes);
      if (bytes.length === 0) return; // behind the end it does not extend the volume
      resize(Math.max(model.length, at + bytes.length));
      model.set(bytes, at);
    };
    for (const one of operations) {
      if (one.kind === 'write') await write(Math.floor(one.at * model.length), seededBytes(one.length, one.seed));
      else if (one.kind === 'blocks') for (let i = 0; i < one.count; i += 1) await write(model.length, blocks[next++ % blocks.length] as Uint8Array);
      else if (one.kind === 'truncate') {
        const size = Math.floor(one.at * model.length);
        await volume.truncate(size);
        resize(size);
      } else if (one.kind === 'sync') await volume.sync();
      else if (one.kind === 'commit') await volume.commit();
      else if (one.kind === 'later') void volume.commit();
      else if (one.kind === 'check') assert.equal(Buffer.compare(await contentOf(volume), model), 0);
      else {
        await volume.close();
        await shelf.close();
        shelf = await openShelf(repository, spool, { segmentBytes: 200_000 });
        volume = await shelf.open('Vol');
      }
    }
    assert.equal(Buffer.compare(await contentOf(volume), model), 0);
    await volume.commit();
    assert.deepEqual(shelf.list().map(({ name, size, committed }) => [name, size, committed]), [['Vol', model.length, model.length]]);
    await volume.close();
    await shelf.close();
    const stored = await openStoredVolume(repository, 'Vol', 'h');
    assert.equal(Buffer.compare(await readRange(stored, 0, stored.size), model), 0);
    await stored.close();
    assert.equal((await repository.snapshots()).length, 1, 'superseded snapshots are forgotten');
    await repository.close();
  }), { numRuns: 40 });
});

test('a second Full adds at most a hundredth; a new label adds the label', async (t) => {
  const [repository, spool] = [await newRepository(), newSpool()];
  const shelf = await openShelf(repository, spool);
  const volume = await shelf.open('Vol', { create: true });
  await append(volume, await numberedBlocks('Vol', 300));
  await volume.commit();
  const first = (await repository.statistics()).bytesStored;
  const [, ...second] = await numberedBlocks('Vol', 300, 2);
  const bytes = second.reduce((sum, block) => sum + block.length, 0);
  await append(volume, second);
  await volume.commit();
  const grown = (await repository.statistics()).bytesStored - first;
  t.diagnostic(`second Full of ${bytes} bytes: ${grown} bytes stored`);
  assert.ok(grown <= bytes / 100, `${grown} of ${bytes} bytes`);
  const before = await contentOf(volume);
  const [label] = await numberedBlocks('Vol', 0, 9);
  await volume.write(0, label as Uint8Array);
  await volume.commit();
  const [snapshot] = await repository.snapshots();
  assert.ok((snapshot?.counts.bytesNew ?? 0) < 1000, 'only the label was stored');
  before.set(label as Uint8Array);
  assert.equal(Buffer.compare(await contentOf(volume), before), 0);
  await volume.close();
  await shelf.close();
  const { jobs, faults, names } = await reportVolumes([{ name: 'Vol', source: await openStoredVolume(repository, 'Vol') }]);
  assert.deepEqual([jobs.map(({ jobId }) => jobId), faults, names], [[501, 502], [], ['Vol']]);
  await repository.close();
});

test('a recycled volume holds nothing of what it was, and a torn end is taken up again', async () => {
  const [repository, spool] = [await newRepository(), newSpool()];
  const shelf = await openShelf(repository, spool);
  const volume = await shelf.open('Vol', { create: true });
  await append(volume, await numberedBlocks('Vol', 100));
  await volume.commit();
  await volume.truncate(0);
  const whole = Buffer.concat(await numberedBlocks('Vol', 50, 3));
  for (const [from, to] of [[0, 150_000], [150_000, 700_001], [700_001, whole.length]] as const) {
    await volume.write(from, whole.subarray(from, to));
    await volume.commit();
  }
  assert.equal(Buffer.compare(await contentOf(volume), whole), 0);
  await volume.close();
  await shelf.close();
  const stored = await openStoredVolume(repository, 'Vol');
  assert.ok(stored.segments.every(({ isTorn, parts, length }) => !isTorn && (parts.length === 4 || length < 4096)), 'nothing stays torn or raw');
  const { jobs, faults } = await reportVolumes([{ name: 'Vol', source: stored }]);
  assert.deepEqual([jobs.map(({ jobId }) => jobId), faults], [[503], []]);
  await repository.close();
});

test('several volumes are written and read at once', async () => {
  const [repository, spool] = [await newRepository(), newSpool()];
  const shelf = await openShelf(repository, spool, { commitBytes: 300_000 });
  await Promise.all(['A', 'B', 'C'].map(async (name, i) => {
    const blocks = await numberedBlocks(name, 80 + i);
    const [writer, reader] = [await shelf.open(name, { create: true }), await shelf.open(name)];
    const whole = Buffer.concat(blocks);
    for (const block of blocks) {
      void writer.write(writer.size, block);
      await writer.sync();
      const at = Math.floor(reader.size / 3);
      const found = new Uint8Array(reader.size - at);
      await reader.readInto(at, found);
      assert.equal(Buffer.compare(found, whole.subarray(at, at + found.length)), 0);
    }
    await Promise.all([writer.close(), reader.close()]);
  }));
  await shelf.close();
  assert.deepEqual((await repository.snapshots()).map((one) => volumeSnapshot(one)?.name).sort(), ['A', 'B', 'C']);
  await repository.close();
});

test('a write that waits for room in the spool is not overtaken by those after it', async () => {
  const [repository, spool] = [await newRepository(), newSpool()];
  const shelf = await openShelf(repository, spool, { commitBytes: 1 << 30, spoolBytesMax: 100_000 });
  const volume = await shelf.open('Vol', { create: true });
  await volume.write(0, seededBytes(90_000, 1));
  const model = Buffer.from(seededBytes(90_000, 1));
  const changes: Promise<void>[] = [];
  for (let i = 0; i < 6; i += 1) {
    const [large, small] = [seededBytes(40_000, 10 + i), seededBytes(500, 20 + i)];
    changes.push(volume.write(1_000 * i, large), volume.write(1_000 * i + 200, small));
    model.set(large, 1_000 * i);
    model.set(small, 1_000 * i + 200);
  }
  changes.push(volume.write(80_000, seededBytes(40_000, 30)), volume.truncate(85_000));
  await Promise.all(changes);
  const expected = Buffer.concat([model.subarray(0, 80_000), seededBytes(40_000, 30).subarray(0, 5_000)]);
  assert.equal(Buffer.compare(await contentOf(volume), expected), 0);
  await volume.close();
  await shelf.close();
  await repository.close();
});

test('what was written while a commit is under way is committed after the last handle is closed, too', async () => {
  const [repository, spool] = [await newRepository(), newSpool()];
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => { release = resolve; });
  let backups = 0;
  const slow: ShelfRepository = {
    id: repository.id, snapshots: () => repository.snapshots(), forget: (ids) => repository.forget(ids), openSnapshot: (id) => repository.openSnapshot(id),
    backup: async (tree, options) => {
      backups += 1;
      await gate;
      return repository.backup(tree, options);
    },
  };
  const shelf = await openShelf(slow, spool, { commitBytes: 100_000 });
  const volume = await shelf.open('Vol', { create: true });
  const blocks = await numberedBlocks('Vol', 40);
  await append(volume, blocks.slice(0, 20)); // enough for a commit in the background
  while (backups === 0) await new Promise((resolve) => { setTimeout(resolve, 1); });
  await append(volume, blocks.slice(20));
  await volume.close();
  release();
  const { length } = Buffer.concat(blocks);
  for (let tries = 0; tries < 2000 && shelf.list()[0]?.committed !== length; tries += 1) await new Promise((resolve) => { setTimeout(resolve, 1); });
  assert.equal(shelf.list()[0]?.committed, length);
  await shelf.close();
  await repository.close();
});

test('a commit that fails, or brings other bytes back, leaves the spool as it was', async () => {
  const [repository, spool] = [await newRepository(), newSpool()];
  let fault: 'backup' | 'bytes' | undefined = 'backup';
  const notes: string[] = [];
  const faulty: ShelfRepository = {
    id: repository.id, snapshots: () => repository.snapshots(), forget: (ids) => repository.forget(ids),
    backup: (tree, options) => (fault === 'backup' ? Promise.reject(new ToolError('Write: ENOSPC', { errno: 'ENOSPC' })) : repository.backup(tree, options)),
    openSnapshot: async (id) => {
      const tree = await repository.openSnapshot(id);
      if (fault !== 'bytes') return tree;
      const { open } = tree;
      tree.open = async (node) => {
        const source = await open.call(tree, node);
        return source.size < 100_000 ? source : Object.assign(source, { readInto: async (_: number, target: Uint8Array) => { target.fill(1); } });
      };
      return tree;
    },
  };
  const shelf = await openShelf(faulty, spool, { note: (text) => { notes.push(text); } });
  const volume = await shelf.open('Vol', { create: true });
  const blocks = await numberedBlocks('Vol', 40);
  await append(volume, blocks);
  await assert.rejects(volume.commit(), ToolError);
  fault = 'bytes';
  await assert.rejects(volume.commit(), IntegrityError);
  assert.equal((await repository.snapshots()).length, 0, 'what did not come back right does not count as stored');
  await volume.close();
  await assert.rejects(shelf.close(), IntegrityError);
  fault = undefined;
  const again = await openShelf(faulty, spool);
  const recovered = await again.open('Vol');
  assert.equal(Buffer.compare(await contentOf(recovered), Buffer.concat(blocks)), 0);
  await recovered.close();
  await again.close();
  assert.deepEqual(fs.readdirSync(spool).filter((name) => name.startsWith('volume-')), [], 'nothing is left in the spool');
  await repository.close();
});

for (const mayRemove of [true, false]) {
  test(`volumes are removed and renamed where snapshots ${mayRemove ? 'can' : 'cannot'} be removed`, async () => {
    const [repository, spool] = [await newRepository(), newSpool()];
    const store: ShelfRepository = mayRemove ? repository : {
      id: repository.id, snapshots: () => repository.snapshots(), backup: (tree, options) => repository.backup(tree, options), openSnapshot: (id) => repository.openSnapshot(id),
      forget: () => Promise.reject(new UnsupportedError('append-only')),
    };
    const content = Buffer.concat(await numberedBlocks('A', 20));
    let shelf = await openShelf(store, spool);
    for (const name of ['A', 'B']) {
      const volume = await shelf.open(name, { create: true });
      await volume.write(0, content.subarray(name === 'A' ? 0 : 100_000));
      await assert.rejects(shelf.remove(name), BusyError);
      await volume.close();
    }
    await shelf.rename('A', 'B');
    await shelf.open('C', { create: true }).then((volume) => volume.close());
    await shelf.remove('C');
    await assert.rejects(shelf.open('A'), NotFoundError);
    for (let i = 0; i < 2; i += 1) {
      assert.deepEqual(shelf.list().map(({ name, size }) => [name, size]), [['B', content.length]]);
      await shelf.close();
      shelf = await openShelf(store, spool);
    }
    const volume = await shelf.open('B');
    assert.equal(Buffer.compare(await contentOf(volume), content), 0);
    await volume.close();
    // A name that was removed may come back.
    const back = await shelf.open('A', { create: true });
    assert.equal(back.size, 0);
    await back.write(0, content.subarray(0, 70_000));
    await back.close();
    await shelf.close();
    shelf = await openShelf(store, spool);
    assert.deepEqual(shelf.list().map(({ name, size }) => [name, size]), [['A', 70_000], ['B', content.length]]);
    await shelf.close();
    assert.equal((await repository.snapshots()).length === 2, mayRemove);
    await repository.close();
  });
}

test('a spool is one process’s, one repository’s, and is not believed on top of another state', async () => {
  const [repository, other, spool] = [await newRepository(), await newRepository(2), newSpool()];
  const shelf = await openShelf(repository, spool);
  await assert.rejects(openShelf(repository, spool), BusyError);
  const volume = await shelf.open('Vol', { create: true });
  for (const name of ['', '.', '..', 'a/b', 'a\nb', 'x'.repeat(129)]) await assert.rejects(shelf.open(name, { create: true }), UsageError);
  await append(volume, await numberedBlocks('Vol', 10));
  await volume.commit();
  await volume.write(volume.size, seededBytes(1000, 1));
  await volume.sync();
  fs.cpSync(spool, `${spool}-copy`, { recursive: true, filter: (source) => path.basename(source) !== 'lock' });
  await volume.close();
  await shelf.close();
  await assert.rejects(openShelf(other, spool), UsageError);
  const snapshots = await repository.snapshots();
  await repository.forget(snapshots.map(({ id }) => id));
  const copy = await openShelf(repository, `${spool}-copy`);
  await assert.rejects(copy.open('Vol'), IntegrityError);
  await assert.rejects(copy.close(), IntegrityError);
  await repository.close();
  await other.close();
});

test('two spools do not undo each other’s commits', async () => {
  const repository = await newRepository();
  const blocks = await numberedBlocks('Vol', 10);
  const shelves = [await openShelf(repository, newSpool()), await openShelf(repository, newSpool())] as const;
  const volumes = [await shelves[0].open('Vol', { create: true }), await shelves[1].open('Vol', { create: true })] as const;
  for (const volume of volumes) await append(volume, blocks);
  await volumes[0].commit();
  await assert.rejects(volumes[1].commit(), BusyError);
  for (const volume of volumes) await volume.close();
  await shelves[0].close();
  await assert.rejects(shelves[1].close(), BusyError);
  const stored = await openStoredVolume(repository, 'Vol', 'h');
  assert.equal(Buffer.compare(await readRange(stored, 0, stored.size), Buffer.concat(blocks)), 0);
  await stored.close();
  await repository.close();
});

test('a spool that cannot be made is an error, and no wait', async () => {
  await assert.rejects(openShelf(await newRepository(), '/proc/x/y'), (error) => error instanceof ToolError && error.message.startsWith("Make directory '/proc/x/y': E"));
});
