/** The contract of `ChunkStore` as tests: any sequence of calls behaves like a Map from id to bytes, also across closing and reopening. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ChunkStore } from '../chunk-store.ts';
import { HoldfastError, IntegrityError, NotFoundError } from '../errors.ts';
import { ID_BYTES, idToHex, type IdBatch } from '../id-batch.ts';
import { seededBytes } from '../testing/random.ts';

/** Opens stores for the suite. Each `create` starts with an empty store. */
export interface ChunkStoreFixture {
  create(): Promise<ChunkStore>;
  /** Opens the store again that `store` was; the suite has closed it after a flush. */
  reopen(store: ChunkStore): Promise<ChunkStore>;
  /** Removes what `create` made; the suite has closed the store. */
  dispose(store: ChunkStore): Promise<void>;
  /** The id that the store expects for `bytes`. */
  idOf(bytes: Uint8Array): Promise<Uint8Array>;
  /** Bytes of the largest chunk. */
  readonly chunkBytesMax: number;
}

interface Model {
  /** Hexadecimal ids to bytes. */
  chunks: Map<string, Uint8Array>;
}
interface Real { store: ChunkStore; readonly fixture: ChunkStoreFixture }
type Command = fc.AsyncCommand<Model, Real>;

/** Chunk `number`: sizes from nothing to some 100 KiB, every second one compressible. */
function chunk(number: number): Uint8Array {
  const length = [0, 1, 31, 700, 4_096, 16_385, 70_000, 131_072][number % 8] as number;
  return number % 2 === 0 ? seededBytes(length, number) : new Uint8Array(length).fill(number).map((byte, i) => byte ^ i >> 6);
}

async function batchOf(fixture: ChunkStoreFixture, chunks: readonly Uint8Array[]): Promise<IdBatch> {
  const bytes = new Uint8Array(chunks.length * ID_BYTES);
  for (const [i, one] of chunks.entries()) bytes.set(await fixture.idOf(one), i * ID_BYTES);
  return { bytes, count: chunks.length };
}

const isSet = (bitmap: Uint8Array, i: number): boolean => ((bitmap[i >> 3] as number) >> (i & 7) & 1) === 1;

function put(numbers: readonly number[]): Command {
  return {
    check: () => true,
    toString: () => `put(${numbers.join(',')})`,
    async run(model, { store, fixture }) {
      const payloads = numbers.map(chunk);
      const ids = await batchOf(fixture, payloads);
      const fresh = new Map<string, Uint8Array>();
      payloads.forEach((payload, i) => {
        const id = idToHex(ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES));
        if (!model.chunks.has(id)) fresh.set(id, payload.slice());
      });
      const counts = await store.put(ids, payloads);
      assert.deepEqual(counts, {
        chunks: payloads.length, chunksNew: fresh.size,
        bytes: payloads.reduce((sum, { length }) => sum + length, 0), bytesNew: [...fresh.values()].reduce((sum, { length }) => sum + length, 0),
      });
      for (const [id, payload] of fresh) model.chunks.set(id, payload);
      for (const payload of payloads) payload.fill(0xee); // the caller's again
    },
  };
}

function has(numbers: readonly number[]): Command {
  return {
    check: () => true,
    toString: () => `has(${numbers.join(',')})`,
    async run(model, { store, fixture }) {
      const ids = await batchOf(fixture, numbers.map(chunk));
      const found = await store.has(ids);
      for (let i = 0; i < ids.count; i += 1) assert.equal(isSet(found, i), model.chunks.has(idToHex(ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES))), `chunk ${numbers[i]}`);
    },
  };
}

async function readAll(model: Model, store: ChunkStore, max: number): Promise<void> {
  for (const [id, bytes] of model.chunks) {
    const target = new Uint8Array(max);
    const length = await store.readInto({ bytes: new Uint8Array(Buffer.from(id, 'hex')), count: 1 }, 0, target);
    assert.equal(Buffer.compare(target.subarray(0, length), bytes), 0, `chunk '${id}'`);
  }
}

function flushAndRead(): Command {
  return {
    check: () => true,
    toString: () => 'flush, read all',
    async run(model, { store }) {
      await store.flush();
      await readAll(model, store, 131_072);
    },
  };
}

function reopen(): Command {
  return {
    check: () => true,
    toString: () => 'flush, reopen, read all',
    async run(model, real) {
      await real.store.flush();
      await real.store.close();
      real.store = await real.fixture.reopen(real.store);
      await readAll(model, real.store, 131_072);
    },
  };
}

async function withStore(fixture: ChunkStoreFixture, run: (store: ChunkStore) => Promise<void>): Promise<void> {
  const store = await fixture.create();
  try {
    await run(store);
  } finally {
    await store.close();
    await fixture.dispose(store);
  }
}

function registerModel(name: string, fixture: ChunkStoreFixture, runs: number): void {
  test(`${name}: behaves like a Map`, async () => {
    const numbers = fc.array(fc.nat(40), { minLength: 1, maxLength: 12 });
    const commands = fc.commands([numbers.map(put), numbers.map(has), fc.constant(flushAndRead()), fc.constant(reopen())], { maxCommands: 12 });
    await fc.assert(fc.asyncProperty(commands, async (sequence) => {
      const real: Real = { store: await fixture.create(), fixture };
      const first = real.store;
      try {
        await fc.asyncModelRun(() => ({ model: { chunks: new Map() }, real }), sequence);
      } finally {
        await real.store.close();
        await fixture.dispose(first);
      }
    }), { numRuns: runs });
  });
}

/** Registers the suite with `node:test`; `runs` is the number of random sequences. */
export function chunkStoreSuite(name: string, fixture: ChunkStoreFixture, runs = 30): void {
  registerModel(name, fixture, runs);

  test(`${name}: refuses bytes under an id that is not theirs, and stores none of that call`, () => withStore(fixture, async (store) => {
    const good = chunk(3);
    const ids = await batchOf(fixture, [good, chunk(5)]);
    await assert.rejects(store.put(ids, [good, chunk(7)]), IntegrityError);
    assert.deepEqual([...await store.has(ids)], [0]);
    assert.equal((await store.put(ids, [good, chunk(5)])).chunksNew, 2, 'and is still usable');
  }));

  test(`${name}: an unknown id is a NotFoundError`, () => withStore(fixture, async (store) => {
    await store.flush();
    await assert.rejects(store.readInto({ bytes: new Uint8Array(ID_BYTES).fill(7), count: 1 }, 0, new Uint8Array(10)), NotFoundError);
  }));

  test(`${name}: the largest chunk fits, a larger one is refused, a short target too`, () => withStore(fixture, async (store) => {
    const largest = seededBytes(fixture.chunkBytesMax, 9);
    const ids = await batchOf(fixture, [largest]);
    await store.put(ids, [largest]);
    await store.flush();
    const target = new Uint8Array(largest.length);
    assert.equal(await store.readInto(ids, 0, target), largest.length);
    assert.equal(Buffer.compare(target, largest), 0);
    await assert.rejects(store.readInto(ids, 0, new Uint8Array(largest.length - 1)), RangeError);
    const tooLarge = seededBytes(fixture.chunkBytesMax + 1, 9);
    const wrong = await batchOf(fixture, [tooLarge]);
    await assert.rejects(store.put(wrong, [tooLarge]), HoldfastError);
    assert.deepEqual([...await store.has(wrong)], [0], 'what was refused is not there');
  }));

  test(`${name}: concurrent puts and reads`, () => withStore(fixture, async (store) => {
    const numbers = Array.from({ length: 60 }, (_, i) => i);
    await Promise.all([0, 1, 2, 3].map(async (lane) => {
      const payloads = numbers.filter((number) => number % 4 >= lane % 2).map(chunk);
      await store.put(await batchOf(fixture, payloads), payloads);
    }));
    await store.flush();
    await Promise.all(numbers.map(async (number) => {
      const target = new Uint8Array(131_072);
      const length = await store.readInto(await batchOf(fixture, [chunk(number)]), 0, target);
      assert.equal(Buffer.compare(target.subarray(0, length), chunk(number)), 0, `chunk ${number}`);
    }));
  }));
}
