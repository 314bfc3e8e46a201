import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IntegrityError, type Disk, type DiskFile } from '../../core/index.ts';
import { SimulatedDisk } from '../../core/testing/simulated-world.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { memoryWorld } from '../world/memory-world.ts';
import { ExternalSorter, type SortOptions } from './external-sorter.ts';
import { mergePages } from './merge-pages.ts';
import type { RecordPage } from './record-page.ts';
import { RunFile } from './run-file.ts';

async function* pagesOf(records: readonly Uint8Array[], recordBytes: number, pageRecords = 3): AsyncIterable<RecordPage> {
  const buffer = new Uint8Array(pageRecords * recordBytes); // one reused buffer, as real streams have it
  for (let at = 0; at < records.length; at += pageRecords) {
    const part = records.slice(at, at + pageRecords);
    part.forEach((record, i) => { buffer.set(record, i * recordBytes); });
    yield { bytes: buffer, count: part.length };
  }
}

async function recordsOf(pages: AsyncIterable<RecordPage>, recordBytes: number): Promise<string[]> {
  const records: string[] = [];
  for await (const { bytes, count } of pages) {
    for (let i = 0; i < count; i += 1) records.push(Buffer.from(bytes.subarray(i * recordBytes, (i + 1) * recordBytes)).toString('hex'));
  }
  return records;
}

function expected(records: readonly Uint8Array[], duplicates: SortOptions['duplicates']): readonly string[] {
  const sorted = records.map((record) => Buffer.from(record).toString('hex')).sort();
  return duplicates === 'unique' ? [...new Set(sorted)] : sorted;
}

async function sortAll(disk: Disk, options: SortOptions, records: readonly Uint8Array[], prefix = 'temporary/t'): Promise<{ readonly sorted: string[]; readonly runs: number }> {
  const sorter = new ExternalSorter({ disk, prefix }, options);
  try {
    for await (const page of pagesOf(records, options.recordBytes, 7)) await sorter.add(page);
    return { sorted: await recordsOf(sorter.sorted(), options.recordBytes), runs: sorter.statistics.runs };
  } finally {
    await sorter.close();
  }
}

/** Random records, records of few values, and records that agree in all words but the last. */
function recordArbitrary(recordBytes: number): fc.Arbitrary<Uint8Array> {
  const few = fc.array(fc.constantFrom(0, 1, 0x7f, 0x80, 0xff), { minLength: recordBytes, maxLength: recordBytes }).map((bytes) => Uint8Array.from(bytes));
  const tail = fc.integer({ min: 0, max: 300 }).map((value) => {
    const record = new Uint8Array(recordBytes).fill(0xab);
    new DataView(record.buffer).setUint32(recordBytes - 4, value * 0x01_00_00_01);
    return record;
  });
  return fc.oneof(fc.uint8Array({ minLength: recordBytes, maxLength: recordBytes }), few, tail);
}

const shape = fc.constantFrom(4, 8, 24, 32, 36, 40).chain((recordBytes) => fc.record({
  recordBytes: fc.constant(recordBytes),
  duplicates: fc.constantFrom<SortOptions['duplicates']>('keep', 'unique'),
  budgetBytes: fc.constantFrom(64, 2000, 5000, 20_000, 1 << 20),
  records: fc.array(recordArbitrary(recordBytes), { maxLength: 300, size: 'max' }),
}));

test('sorts as Array.sort does, whatever fits into memory, and leaves no file', async () => {
  let multiPass = 0;
  await fc.assert(fc.asyncProperty(shape, async ({ records, ...options }) => {
    const { disk } = memoryWorld();
    const { sorted, runs } = await sortAll(disk, options, records);
    assert.deepEqual(sorted, expected(records, options.duplicates));
    assert.deepEqual(await disk.list('temporary'), []);
    if (runs > 48) multiPass += 1;
  }), { numRuns: 200 });
  assert(multiPass > 0, 'some sorts need more than one merge');
});

test('sorts many equal prefixes without getting slow', async () => {
  const { disk } = memoryWorld();
  const bytes = seededBytes(100_000 * 32, 7);
  const records = Array.from({ length: 100_000 }, (_, i) => {
    const record = new Uint8Array(32);
    record.set(bytes.subarray(i * 32 + 28, i * 32 + 32), 28);
    record[10] = i & 1;
    return record;
  });
  const { sorted } = await sortAll(disk, { recordBytes: 32, duplicates: 'keep', budgetBytes: 1 << 20 }, records);
  assert.deepEqual(sorted, expected(records, 'keep'));
});

test('a merge may be left early, and closes its streams and files', async () => {
  const { disk } = memoryWorld();
  const sorter = new ExternalSorter({ disk, prefix: 'temporary/t' }, { recordBytes: 4, duplicates: 'keep', budgetBytes: 64 });
  for (let i = 0; i < 100; i += 1) await sorter.add({ bytes: Uint8Array.of(0, 0, i, 1), count: 1 });
  assert((await disk.list('temporary')).length > 10);
  for await (const page of sorter.sorted()) {
    assert.equal(page.bytes[2], 0);
    break;
  }
  assert.deepEqual(await disk.list('temporary'), []);
  assert.throws(() => sorter.add({ bytes: new Uint8Array(4), count: 1 }), /one call after the other/);
});

test('merges streams of any page sizes', async () => {
  const streams = fc.array(fc.record({ records: fc.array(recordArbitrary(8), { maxLength: 60 }), pageRecords: fc.integer({ min: 1, max: 9 }) }), { maxLength: 6 });
  await fc.assert(fc.asyncProperty(streams, fc.constantFrom<SortOptions['duplicates']>('keep', 'unique'), fc.integer({ min: 1, max: 9 }), async (streams, duplicates, pageRecords) => {
    const pages = streams.map((one) => pagesOf([...one.records].sort(Buffer.compare), 8, one.pageRecords));
    const merged = await recordsOf(mergePages(pages, { recordBytes: 8, pageRecords, duplicates, inputRecordsMax: 9 }), 8);
    assert.deepEqual(merged, expected(streams.flatMap((one) => one.records), duplicates));
  }), { numRuns: 300 });
});

test('any change of a run is noticed: a flipped bit, swapped pages, a cut, another run', async () => {
  const records = Array.from({ length: 10 }, (_, i) => Uint8Array.of(i, 0, 0, 1, 5, 6, 7, 8));
  await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 10 * 8 * 8 - 1 }), async (bit) => {
    const { disk } = memoryWorld();
    const run = await RunFile.write(disk, 'temporary/run', 8, pagesOf(records, 8, 4));
    assert.deepEqual(await recordsOf(run.pages(), 8), expected(records, 'keep'));
    const file = await disk.open('temporary/run', 'write');
    const byte = new Uint8Array(1);
    await file.readInto(bit >> 3, byte);
    await file.writeFrom(bit >> 3, Uint8Array.of((byte[0] as number) ^ (1 << (bit & 7))));
    await assert.rejects(recordsOf(run.pages(), 8), IntegrityError);
  }), { numRuns: 100 });
  const { disk } = memoryWorld();
  const run = await RunFile.write(disk, 'temporary/run', 8, pagesOf(records, 8, 4));
  const file = await disk.open('temporary/run', 'write');
  const page = new Uint8Array(32);
  await file.readInto(0, page);
  await file.writeFrom(32, page);
  await assert.rejects(recordsOf(run.pages(), 8), IntegrityError, 'a page in the place of another');
  await file.truncate(70);
  await assert.rejects(recordsOf(run.pages(), 8), IntegrityError, 'a cut');
});

/** A disk that forgets the write with the given number, and says that all went well. */
function forgetting(disk: Disk, victim: number): Disk {
  let writes = 0;
  const create = async (name: string): Promise<DiskFile> => {
    const file = await disk.create(name);
    return Object.assign(Object.create(file) as DiskFile, {
      writeFrom: async (offset: number, ...parts: readonly Uint8Array[]) => {
        writes += 1;
        if (writes !== victim) await file.writeFrom(offset, ...parts);
        else await file.writeFrom(offset, ...parts.map((part) => new Uint8Array(part.length)));
      },
      close: () => file.close(),
    });
  };
  return Object.assign(Object.create(disk) as Disk, {
    create, open: (name: string, mode: 'read' | 'write') => disk.open(name, mode), remove: (name: string) => disk.remove(name),
  });
}

test('a run that lost a write fails the sort, never gives a wrong answer', async () => {
  const records = Array.from({ length: 500 }, (_, i) => Uint8Array.of(i * 7, i >> 2, i, 1));
  for (let victim = 1; victim < 60; victim += 1) {
    const { disk } = memoryWorld();
    await assert.rejects(sortAll(forgetting(disk, victim), { recordBytes: 4, duplicates: 'keep', budgetBytes: 2000 }, records), IntegrityError);
    assert.deepEqual(await disk.list('temporary'), []);
  }
});

test('an error of the disk at any operation ends the sort and leaves no file', async () => {
  const records = Array.from({ length: 300 }, (_, i) => Uint8Array.of(i * 7, i >> 2, i, 1));
  const options: SortOptions = { recordBytes: 4, duplicates: 'keep', budgetBytes: 2000 };
  const whole = new SimulatedDisk();
  await sortAll(whole, options, records);
  let failures = 0;
  for (let victim = 1; victim <= whole.operations; victim += 1) {
    const disk = new SimulatedDisk();
    disk.fault = ({ kind, number }) => (number === victim && kind !== 'remove' ? new Error('EIO') : undefined);
    const outcome = await sortAll(disk, options, records).catch((error: unknown) => error);
    if (outcome instanceof Error) failures += 1;
    assert.deepEqual(await disk.list('temporary'), []);
  }
  assert(failures >= 4, `${failures} of ${whole.operations} operations failed the sort`);
});
