/** Whatever was fetched ahead, a reader sees the object's bytes, and errors as without it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { inParallel, type ObjectReader } from '../../core/index.ts';
import { seededBytes } from '../../core/testing/random.ts';
import { FetchedReader } from './fetched-reader.ts';

function counting(bytes: Uint8Array): ObjectReader & { reads: number } {
  const reader = {
    size: bytes.length, reads: 0,
    readInto: async (offset: number, target: Uint8Array): Promise<void> => {
      reader.reads += 1;
      if (offset + target.length > bytes.length) throw new RangeError('past the end');
      target.set(bytes.subarray(offset, offset + target.length));
    },
    close: async (): Promise<void> => undefined,
  };
  return reader;
}

test('reads are the same with any parts in memory', async () => {
  const bytes = seededBytes(600_000, 1);
  const range = fc.record({ offset: fc.nat(700_000), length: fc.nat(200_000) });
  await fc.assert(fc.asyncProperty(fc.array(range, { maxLength: 6 }), fc.array(range, { minLength: 1, maxLength: 6 }), async (fetched, reads) => {
    const reader = new FetchedReader(counting(bytes));
    await reader.fetch(fetched);
    for (const { offset, length } of reads) {
      const target = new Uint8Array(length);
      if (offset + length > bytes.length) await assert.rejects(reader.readInto(offset, target), RangeError);
      else {
        await reader.readInto(offset, target);
        assert.ok(Buffer.compare(target, bytes.subarray(offset, offset + length)) === 0);
      }
    }
  }), { numRuns: 60 });
});

test('near parts cost one request, what was fetched costs none', async () => {
  const inner = counting(seededBytes(600_000, 2));
  const reader = new FetchedReader(inner);
  await reader.fetch([{ offset: 300_000, length: 100 }, { offset: 0, length: 100 }, { offset: 20_000, length: 100 }]);
  assert.equal(inner.reads, 2);
  for (const at of [0, 50, 20_000, 300_000]) await reader.readInto(at, new Uint8Array(50));
  assert.equal(inner.reads, 2);
});

test('work runs beside each other, and a failure ends it after what is under way', async () => {
  let running = 0;
  let most = 0;
  const done: number[] = [];
  await assert.rejects(inParallel([0, 1, 2, 3, 4, 5, 6, 7], 3, async (item) => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    if (item === 1) throw new Error('one');
    done.push(item);
  }), /one/);
  assert.equal(most, 3);
  assert.equal(running, 0);
  assert.ok(!done.includes(7));
});
