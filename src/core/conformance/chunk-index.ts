/** The contract of `ChunkIndex` as tests: any sequence of calls behaves like a Map, also across closing and reopening. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { PLACE_BYTES } from '../chunk-index.ts';
import type { ChunkIndex, Watermark } from '../chunk-index.ts';
import { ID_BYTES, idToHex } from '../id-batch.ts';
import type { IdBatch } from '../id-batch.ts';

/** Opens indexes for the suite. Each `create` starts with a fresh, empty index. */
export interface ChunkIndexFixture {
  /** Whether content survives `reopen`; an index in memory has no `reopen` to test. */
  readonly persistent: boolean;
  create(): Promise<ChunkIndex>;
  /** Opens the index again that `index` was; the suite has closed it. */
  reopen(index: ChunkIndex): Promise<ChunkIndex>;
  /** Removes what `create` made; the suite has closed the index. */
  dispose(index: ChunkIndex): Promise<void>;
}

/** A uniform id for a small number, the same in each run. */
export function sampleId(number: number): Uint8Array {
  return new Uint8Array(createHash('sha256').update(`id ${number}`).digest());
}

/** Ids for numbers, back to back. */
export function sampleIds(numbers: readonly number[]): IdBatch {
  const bytes = new Uint8Array(numbers.length * ID_BYTES);
  numbers.forEach((number, i) => bytes.set(sampleId(number), i * ID_BYTES));
  return { bytes, count: numbers.length };
}

function samplePlaces(numbers: readonly number[], salt: number): Uint8Array {
  const places = new Uint8Array(numbers.length * PLACE_BYTES);
  const view = new DataView(places.buffer);
  numbers.forEach((number, i) => {
    view.setUint32(i * PLACE_BYTES, salt);
    view.setUint32(i * PLACE_BYTES + 8, number);
    view.setUint16(i * PLACE_BYTES + 16, number & 0xffff);
  });
  return places;
}

class Model {
  readonly places = new Map<string, string>();
  readonly marks = new Map<string, Watermark>();
}
interface Real { index: ChunkIndex; readonly fixture: ChunkIndexFixture }
type Command = fc.AsyncCommand<Model, Real>;

const always = (): boolean => true;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function placeHex(places: Uint8Array, i: number): string {
  return hex(places.subarray(i * PLACE_BYTES, (i + 1) * PLACE_BYTES));
}

function put(numbers: readonly number[], salt: number, marks: readonly Watermark[]): Command {
  return {
    check: always,
    toString: () => `put(${numbers.join(',')}; ${salt}; ${JSON.stringify(marks)})`,
    async run(model, real) {
      const ids = sampleIds(numbers);
      const places = samplePlaces(numbers, salt);
      numbers.forEach((number, i) => model.places.set(idToHex(sampleId(number)), placeHex(places, i)));
      for (const mark of marks) {
        if (mark.offset === 0 && !mark.sealed) model.marks.delete(mark.container);
        else model.marks.set(mark.container, mark);
      }
      await real.index.putMany(ids, places, marks);
      ids.bytes.fill(0xee); // the buffers are the caller's again
      places.fill(0xee);
    },
  };
}

function remove(numbers: readonly number[]): Command {
  return {
    check: always,
    toString: () => `delete(${numbers.join(',')})`,
    async run(model, real) {
      for (const number of numbers) model.places.delete(idToHex(sampleId(number)));
      await real.index.deleteMany(sampleIds(numbers));
    },
  };
}

function get(numbers: readonly number[]): Command {
  return {
    check: always,
    toString: () => `get(${numbers.join(',')})`,
    async run(model, real) {
      const places = new Uint8Array(numbers.length * PLACE_BYTES).fill(0xaa);
      const found = await real.index.getMany(sampleIds(numbers), places);
      numbers.forEach((number, i) => {
        const expected = model.places.get(idToHex(sampleId(number)));
        assert.equal((found[i >> 3] ?? 0) >> (i & 7) & 1, expected === undefined ? 0 : 1, `bit ${i} of the bitmap`);
        assert.equal(placeHex(places, i), expected ?? 'aa'.repeat(PLACE_BYTES), `place ${i}`);
      });
    },
  };
}

async function compareAll(model: Model, index: ChunkIndex): Promise<void> {
  const scanned: [string, string][] = [];
  for await (const page of index.scan()) {
    assert.ok(page.ids.count > 0, 'a page of a scan is not empty');
    for (let i = 0; i < page.ids.count; i += 1) {
      scanned.push([hex(page.ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES)), placeHex(page.places, i)]);
    }
  }
  assert.deepEqual(scanned, [...model.places].sort((a, b) => (a[0] < b[0] ? -1 : 1)), 'scan');
  const byContainer = (a: Watermark, b: Watermark): number => (a.container < b.container ? -1 : 1);
  assert.deepEqual([...await index.watermarks()].sort(byContainer), [...model.marks.values()].sort(byContainer), 'watermarks');
  const count = await index.count();
  assert.ok(Number.isSafeInteger(count) && count >= 0, `count is '${count}'`);
  if (model.places.size > 0) assert.ok(count > 0, 'count is 0 only when empty');
}

const compare: Command = { check: always, toString: () => 'compare', run: (model, real) => compareAll(model, real.index) };

const flush: Command = { check: always, toString: () => 'flush', run: (_model, real) => real.index.flush() };

const reopen: Command = {
  check: always,
  toString: () => 'reopen',
  async run(model, real) {
    if (real.fixture.persistent) {
      await real.index.close();
      real.index = await real.fixture.reopen(real.index);
    }
    await compareAll(model, real.index);
  },
};

function commands(): fc.Arbitrary<Iterable<Command>> {
  const numbers = fc.array(fc.nat(200), { maxLength: 40 });
  const mark = fc.record({
    container: fc.nat(5).map((number) => `00000000abcdef0${number}`),
    offset: fc.oneof(fc.constant(0), fc.nat(), fc.constant(2 ** 40 + 1)),
    sealed: fc.boolean(),
  }, { noNullPrototype: true });
  return fc.commands<Model, Real>([
    fc.tuple(numbers, fc.nat(), fc.array(mark, { maxLength: 3 })).map(([list, salt, marks]) => put(list, salt, marks)),
    fc.tuple(numbers, fc.nat()).map(([list, salt]) => put(list, salt, [])),
    numbers.map(remove),
    numbers.map(get),
    fc.constant(compare),
    fc.constant(flush),
    fc.constant(reopen),
  ], { size: '+1' }) as fc.Arbitrary<Iterable<Command>>;
}

async function withIndex(fixture: ChunkIndexFixture, work: (real: Real) => Promise<void>): Promise<void> {
  const real: Real = { index: await fixture.create(), fixture };
  try {
    await work(real);
  } finally {
    await real.index.close();
    await fixture.dispose(real.index);
  }
}

/** Runs the contract on one implementation. `runs` is the number of random command sequences; a failure prints seed and path. */
export function chunkIndexSuite(name: string, fixture: ChunkIndexFixture, runs = 30): void {
  test(`${name}: any sequence of calls behaves like a Map`, async () => {
    await fc.assert(fc.asyncProperty(commands(), (sequence) => withIndex(fixture, (real) => (
      fc.asyncModelRun(() => ({ model: new Model(), real }), sequence)
    ))), { numRuns: runs, includeErrorInReport: true });
  });

  test(`${name}: an empty index finds nothing, counts 0 and scans nothing`, async () => {
    await withIndex(fixture, async ({ index }) => {
      await compareAll(new Model(), index);
      assert.equal(await index.count(), 0);
      await get([1, 2, 3]).run(new Model(), { index, fixture });
      assert.equal((await index.getMany({ bytes: new Uint8Array(0), count: 0 }, new Uint8Array(0))).length, 0);
    });
  });

  test(`${name}: thousands of ids in large unaligned batches survive reopening`, async () => {
    await withIndex(fixture, async (real) => {
      const model = new Model();
      for (let start = 0; start < 6000; start += 1500) {
        await put(Array.from({ length: 1500 }, (_, i) => start + i), start, []).run(model, real);
      }
      const odd = sampleIds([5, 6, 99_999]);
      const shifted = new Uint8Array(odd.bytes.length + 1);
      shifted.set(odd.bytes, 1);
      const found = await real.index.getMany({ bytes: shifted.subarray(1), count: 3 }, new Uint8Array(3 * PLACE_BYTES));
      assert.equal(found[0], 0b011);
      await remove(Array.from({ length: 2000 }, (_, i) => i * 3)).run(model, real);
      await reopen.run(model, real);
      await get(Array.from({ length: 6100 }, (_, i) => i)).run(model, real);
    });
  });

  test(`${name}: close is idempotent`, async () => {
    await withIndex(fixture, async ({ index }) => {
      await index.close();
      await index.close();
    });
  });
}
