import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { chunkStoreSuite, type ChunkStoreFixture } from '../../core/conformance/chunk-store.ts';
import { ID_BYTES, decodePlace, defaultLimits, type ChunkStore, type IdBatch, type World } from '../../core/index.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { createHasher, type HashName } from '../hashing/hasher.ts';
import { Repository } from '../repository/repository.ts';
import { memoryWorld, nodeWorld } from '../world/index.ts';
import { chunkOf } from './chunk-of.ts';

/** The store of a repository; closing it closes the repository, which owns the lock. */
class OwnedStore implements ChunkStore {
  readonly world: World;
  readonly directory: string | undefined;
  readonly #repository: Repository;

  constructor(repository: Repository, world: World, directory: string | undefined) {
    this.#repository = repository;
    this.world = world;
    this.directory = directory;
  }

  has(ids: IdBatch): Promise<Uint8Array> { return this.#repository.store.has(ids); }

  put(ids: IdBatch, payloads: readonly Uint8Array[]): ReturnType<ChunkStore['put']> { return this.#repository.store.put(ids, payloads); }

  readInto(ids: IdBatch, index: number, target: Uint8Array): Promise<number> { return this.#repository.store.readInto(ids, index, target); }

  flush(): Promise<void> { return this.#repository.store.flush(); }

  close(): Promise<void> { return this.#repository.close(); }
}

function fixture(kind: 'memory' | 'node', workers: number, hash: HashName): ChunkStoreFixture {
  const options = { index: 'log', workers } as const;
  return {
    chunkBytesMax: defaultLimits.chunkBytesMax,
    async create() {
      const directory = kind === 'node' ? mkdtempSync(path.join(tmpdir(), 'holdfast-store-')) : undefined;
      const world = directory === undefined ? memoryWorld() : nodeWorld(directory);
      return new OwnedStore(await Repository.create(world, { hash }, options), world, directory);
    },
    async reopen(store) {
      const { world, directory } = store as OwnedStore;
      return new OwnedStore(await Repository.open(world, { ...options, mode: 'write' }), world, directory);
    },
    async dispose(store) {
      const { directory } = store as OwnedStore;
      if (directory !== undefined) rmSync(directory, { recursive: true });
    },
    async idOf(bytes) {
      const id = new Uint8Array(ID_BYTES);
      (await createHasher(hash)).digestInto(bytes, id, 0);
      return id;
    },
  };
}

chunkStoreSuite('LocalStore in memory', fixture('memory', 0, 'blake3'), 25);
chunkStoreSuite('LocalStore in memory, SHA-256, 2 threads', fixture('memory', 2, 'sha256'), 8);
chunkStoreSuite('LocalStore on disk', fixture('node', 0, 'sha256'), 8);
chunkStoreSuite('LocalStore on disk, 2 threads', fixture('node', 2, 'blake3'), 5);

test('more readers than cached groups never wait for each other, and each sees its own chunk', async () => {
  const repository = await Repository.create(memoryWorld(), { compression: 'none' }, { index: 'memory', workers: 0 });
  const hasher = await createHasher('blake3');
  const { store } = repository;
  const count = 56;
  const ids = { bytes: new Uint8Array(count * ID_BYTES), count };
  for (let i = 0; i < count; i += 1) {
    const payload = seededBytes(60_000, i);
    hasher.digestInto(payload, ids.bytes, i * ID_BYTES);
    await store.put({ bytes: ids.bytes.subarray(i * ID_BYTES), count: 1 }, [payload]);
    await store.flush(); // a group and a container for each, so that files are opened and closed again too
  }
  const places = await store.locate(ids);
  const seen = new Set<string>();
  await Promise.all(Array.from({ length: count * 4 }, async (_, n) => {
    const i = (n * 31) % count;
    const place = decodePlace(places, i);
    seen.add(`${place.containerHigh}/${place.containerLow}/${place.offset}`);
    if (n % 5 === 0) store.groups.prefetch(decodePlace(places, (i + 1) % count));
    const group = await store.groups.acquire(place);
    await new Promise((resolve) => { setImmediate(resolve); }); // held over a turn, as a slow reader does
    const bytes = chunkOf(group, place.ordinal, ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES));
    assert.equal(Buffer.compare(bytes, seededBytes(60_000, i)), 0, `chunk ${i} while it is pinned`);
    store.groups.release(group);
  }));
  assert.ok(seen.size > 40, `${seen.size} groups`);
  await repository.close();
});

/**
 * Two clients of a daemon share one store. The flush at the end of one backup used to forget all chunks that were under way, also those that the other had put while it
 * ran: then they counted as not stored, and the other backup was refused ("it refers to chunk …, which is not stored").
 */
test('what is put while others flush is known from then on', async () => {
  const repository = await Repository.create(memoryWorld(), { compression: 'none' }, { index: 'memory', workers: 0 });
  const { store } = repository;
  const hasher = await createHasher('blake3');
  let isOver = false;
  const flush = async (): Promise<void> => { while (!isOver) await store.flush(); };
  const put = async (writer: number): Promise<void> => {
    const ids: Uint8Array[] = [];
    for (let i = 0; i < 150; i += 1) {
      const payload = seededBytes(20_000, writer * 1_000 + i);
      const id = new Uint8Array(ID_BYTES);
      hasher.digestInto(payload, id, 0);
      ids.push(id);
      await store.put({ bytes: id, count: 1 }, [payload]);
      const known = await store.has({ bytes: new Uint8Array(Buffer.concat(ids)), count: ids.length });
      for (let j = 0; j <= i; j += 1) assert.ok(((known[j >> 3] as number) & (1 << (j & 7))) !== 0, `chunk ${j} of writer ${writer} is known after ${i + 1} puts`);
    }
  };
  const flushing = [flush(), flush()];
  try {
    await Promise.all([put(1), put(2)]);
  } finally {
    isOver = true;
    await Promise.all(flushing);
    await repository.close();
  }
  assert.equal(store.totals.chunks.data, 300, 'no chunk was stored twice');
});
