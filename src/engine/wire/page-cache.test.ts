/** Pages that a client keeps: they save bytes, and nothing depends on them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ID_BYTES, PLACE_BYTES, ToolError, defaultLimits, type World } from '../../core/index.ts';
import { MemoryTree, directoryNode, fileNode } from '../../core/testing/memory-tree.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { assertSameTree } from '../../core/testing/same-tree.ts';
import { tableOf } from '../containers/group.ts';
import { keyCredential } from '../crypto/index.ts';
import type { RepositoryChoices } from '../repository/config.ts';
import { Repository } from '../repository/repository.ts';
import { memoryWorld } from '../world/index.ts';
import { PageCache } from './page-cache.ts';
import { WireRig } from './testing/wire-rig.ts';

const SECRET = 'a-name-that-only-its-host-knows';
const names = Array.from({ length: 400 }, (_, i) => [`${SECRET}-${i}`, fileNode(seededBytes(60, 100 + i))] as const);
const tree = directoryNode({ a: directoryNode(Object.fromEntries(names.slice(0, 200))), b: directoryNode(Object.fromEntries(names.slice(200))) });
const options = { sources: ['/'], host: 'h', parent: 'auto' } as const;

async function withRepository(use: (rig: WireRig, repository: Repository) => Promise<void>, choices: RepositoryChoices = {}): Promise<void> {
  const repository = await Repository.create(memoryWorld(1), choices, { index: 'log', workers: 0 });
  const rig = new WireRig(repository, { workers: 0 });
  try {
    await use(rig, repository);
  } finally {
    await rig.close();
    await repository.close();
  }
}

/** Backs up in a connection of its own, as a process does. @returns bytes that the client received. */
async function backUp(rig: WireRig, cache?: World, notes: string[] = []): Promise<number> {
  const remote = await rig.connect(undefined, cache === undefined ? {} : { cache, onNote: (text) => { notes.push(text); } });
  try {
    const { snapshot } = await remote.backup(new MemoryTree(tree), options);
    const { received } = remote.wireBytes;
    await assertSameTree(await remote.openSnapshot(snapshot), new MemoryTree(tree));
    return received;
  } finally {
    await remote.close();
  }
}

async function filesOf(cache: World): Promise<readonly { readonly path: string; readonly bytes: Buffer }[]> {
  const found = [];
  for (const { name: directory } of await cache.disk.list('')) {
    for (const { name, size } of await cache.disk.list(directory)) {
      const file = await cache.disk.open(`${directory}/${name}`, 'read');
      const bytes = Buffer.alloc(size);
      await file.readInto(0, bytes);
      await file.close();
      found.push({ path: `${directory}/${name}`, bytes });
    }
  }
  return found;
}

for (const [kind, choices] of [['plain', {}], ['encrypted', { encryption: { slots: [{ credential: keyCredential(seededBytes(32, 9), 'key') }] } }]] as const) {
  test(`${kind}: a second backup does not fetch the pages of the first`, () => withRepository(async (rig) => {
    const cache = memoryWorld(2);
    await backUp(rig, cache);
    const [kept, fetched] = [await backUp(rig, cache), await backUp(rig)];
    assert.ok(fetched - kept > 400 * ID_BYTES, `received '${kept}' bytes, and '${fetched}' without a cache`);
    const files = await filesOf(cache);
    assert.ok(files.length > 0);
    if (kind === 'encrypted') assert.equal(files.some(({ bytes }) => bytes.includes(SECRET)), false);
  }, choices));

  test(`${kind}: pages that another host stored are kept when they were fetched`, () => withRepository(async (rig) => {
    await backUp(rig);
    const cache = memoryWorld(2);
    const fetched = await backUp(rig, cache);
    assert.ok(fetched - await backUp(rig, cache) > 400 * ID_BYTES);
  }, choices));

  test(`${kind}: what is damaged or cut in any place is fetched, and goes`, () => withRepository(async (rig) => {
    const cache = memoryWorld(2);
    await backUp(rig, cache);
    const [whole, ...more] = await filesOf(cache);
    assert.ok(whole !== undefined && more.length === 0, 'all pages are in one group');
    // The encrypted file has 32 bytes that say its key; in the other one, nothing reads those.
    const ways = [0, 33, 60, 100, whole.bytes.length - 20].filter((at) => kind === 'encrypted' || at >= 32).map((at) => ({ at, length: whole.bytes.length })).concat([{ at: -1, length: 10 }, { at: -1, length: whole.bytes.length - 1 }]);
    for (const { at, length } of ways) {
      await cache.disk.removeTree(whole.path.split('/')[0] ?? '');
      await cache.disk.makeDirectory(whole.path.split('/')[0] ?? '');
      const bytes = whole.bytes.subarray(0, length).map((byte, i) => (i === at ? byte ^ 1 : byte));
      const file = await cache.disk.create(whole.path);
      await file.writeFrom(0, bytes);
      await file.close();
      assert.ok(await backUp(rig, cache) > 400 * ID_BYTES, `byte ${at} of ${length}`);
      assert.equal(await cache.disk.exists(whole.path), false, `byte ${at} of ${length}`);
    }
  }, choices));
}

test('a disk that takes nothing ends the keeping, and is told once', () => withRepository(async (rig) => {
  const world = memoryWorld(2);
  Object.assign(world.disk, { makeDirectory: () => Promise.reject(new ToolError('Create directory: no space')) });
  const notes: string[] = [];
  await backUp(rig, world, notes);
  assert.deepEqual(notes, ['pages of directories are not kept on this host from now on: Create directory: no space']);
}));

test('the oldest files go first', async () => {
  const world = memoryWorld(3);
  const make = (): PageCache => new PageCache({ world, repository: 'ab'.repeat(32), limits: defaultLimits, bytesMax: 3_000 });
  const cache = make();
  const ids = Array.from({ length: 5 }, (_, i) => seededBytes(ID_BYTES, i));
  for (const id of ids) await cache.add({ codec: 'none', table: tableOf(id, Uint32Array.of(0, 800)), count: 1, rawLength: 800, payload: seededBytes(800, 7) });
  for (const one of [cache, make()]) {
    const missing = await one.find({ bytes: new Uint8Array(Buffer.concat(ids)), count: 5 }, new Uint8Array(5 * PLACE_BYTES));
    assert.deepEqual(missing, [0, 1]);
  }
  assert.ok((await filesOf(world)).reduce((sum, { bytes }) => sum + bytes.length, 0) <= 3_000);
  assert.deepEqual(await world.disk.list(`pages-${'ab'.repeat(16)}`).then((rows) => rows.length), 3);
});

test('what is bad is fetched also where no file can be removed', async () => {
  const world = memoryWorld(3);
  const make = (one: World): PageCache => new PageCache({ world: one, repository: 'ab'.repeat(32), limits: defaultLimits });
  const ids = Array.from({ length: 3 }, (_, i) => seededBytes(ID_BYTES, i));
  const writer = make(world);
  for (const id of ids) await writer.add({ codec: 'none', table: tableOf(id, Uint32Array.of(0, 800)), count: 1, rawLength: 800, payload: seededBytes(800, 7) });
  Object.assign(world.disk, { remove: () => Promise.reject(new ToolError('Remove: read-only')) });
  const reader = make(world);
  for (const id of ids) {
    assert.equal(await reader.forget(id), true);
    assert.deepEqual(await reader.find({ bytes: id, count: 1 }, new Uint8Array(PLACE_BYTES)), [0]);
    assert.equal(await reader.forget(id), false);
  }
});
