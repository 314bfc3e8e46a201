import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chunkStoreSuite, type ChunkStoreFixture } from '../../core/conformance/chunk-store.ts';
import { ID_BYTES, defaultLimits, type ChunkStore, type IdBatch, type World } from '../../core/index.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { createHasher } from '../hashing/hasher.ts';
import type { RemoteRepository } from '../repository/remote-repository.ts';
import { Repository } from '../repository/repository.ts';
import { memoryWorld } from '../world/index.ts';
import { WireRig } from './testing/wire-rig.ts';

/** The store of a repository behind a server; closing it closes all. */
class OwnedStore implements ChunkStore {
  readonly world: World;
  readonly repository: Repository;
  readonly rig: WireRig;
  readonly remote: RemoteRepository;

  private constructor(world: World, repository: Repository, rig: WireRig, remote: RemoteRepository) {
    this.world = world;
    this.repository = repository;
    this.rig = rig;
    this.remote = remote;
  }

  static async over(world: World, repository: Repository): Promise<OwnedStore> {
    const rig = new WireRig(repository, { workers: 0 });
    const remote = await rig.connect();
    await remote.beginSession();
    return new OwnedStore(world, repository, rig, remote);
  }

  has(ids: IdBatch): Promise<Uint8Array> { return this.remote.store.has(ids); }

  put(ids: IdBatch, payloads: readonly Uint8Array[]): ReturnType<ChunkStore['put']> { return this.remote.store.put(ids, payloads); }

  readInto(ids: IdBatch, index: number, target: Uint8Array): Promise<number> { return this.remote.store.readInto(ids, index, target); }

  flush(): Promise<void> { return this.remote.store.flush(); }

  async close(): Promise<void> {
    await this.remote.close();
    await this.rig.close();
    await this.repository.close();
  }
}

const options = { index: 'log', workers: 0 } as const;

const fixture: ChunkStoreFixture = {
  chunkBytesMax: defaultLimits.chunkBytesMax,
  async create() {
    const world = memoryWorld();
    return OwnedStore.over(world, await Repository.create(world, {}, options));
  },
  async reopen(store) {
    const { world } = store as OwnedStore;
    return OwnedStore.over(world, await Repository.open(world, { ...options, mode: 'write' }));
  },
  dispose: () => Promise.resolve(),
  async idOf(bytes) {
    const id = new Uint8Array(ID_BYTES);
    (await createHasher('blake3')).digestInto(bytes, id, 0);
    return id;
  },
};

chunkStoreSuite('RemoteStore', fixture, 12);

test('groups that the client compressed are stored as they came', async () => {
  const store = await fixture.create() as OwnedStore;
  try {
    const payloads = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? seededBytes(60_000, i) : new Uint8Array(60_000).fill(i)));
    const ids = new Uint8Array(payloads.length * ID_BYTES);
    for (const [i, payload] of payloads.entries()) ids.set(await fixture.idOf(payload), i * ID_BYTES);
    await store.put({ bytes: ids, count: payloads.length }, payloads);
    await store.flush();
    const { totals } = store.remote.store;
    const server = store.repository.store.totals;
    assert.equal(server.chunks.data, 40);
    assert.equal(server.rawBytes.data, 40 * 60_000);
    assert.ok(totals.storedBytes.data < 40 * 60_000 * 0.6, 'compressed on the way');
    assert.ok(Math.abs(server.storedBytes.data - totals.storedBytes.data) < 500, `${server.storedBytes.data} stored of ${totals.storedBytes.data} sent`);
  } finally {
    await store.close();
  }
});
