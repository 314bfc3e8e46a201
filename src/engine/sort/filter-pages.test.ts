import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { IntegrityError, PLACE_BYTES } from '../../core/index.ts';
import { MemoryIndex } from '../index/memory.ts';
import { filterPages } from './filter-pages.ts';
import { INDEX_ROW_BYTES, indexPages } from './index-pages.ts';
import { joinPages } from './join-pages.ts';
import type { SortedStream } from './record-page.ts';

/** Rows of 8 bytes: a prefix of 4, then their number. */
function streamOf(prefixes: readonly number[], pageRecords: number, recordBytes = 8): SortedStream {
  async function* pages(): AsyncIterable<{ bytes: Uint8Array; count: number }> {
    const buffer = new Uint8Array(pageRecords * recordBytes);
    const view = new DataView(buffer.buffer);
    for (let at = 0; at < prefixes.length; at += pageRecords) {
      const part = prefixes.slice(at, at + pageRecords);
      part.forEach((prefix, i) => {
        view.setUint32(i * recordBytes, prefix);
        if (recordBytes > 4) view.setUint32(i * recordBytes + 4, at + i);
      });
      yield { bytes: buffer, count: part.length };
      yield { bytes: buffer, count: 0 };
    }
  }
  return { pages: pages(), recordBytes };
}

async function rowsOf(pages: ReturnType<typeof filterPages>): Promise<number[][]> {
  const rows: number[][] = [];
  for await (const { bytes, count } of pages) {
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    for (let i = 0; i < count; i += 1) rows.push([view.getUint32(i * 8), view.getUint32(i * 8 + 4)]);
  }
  return rows;
}

const sorted = fc.array(fc.oneof(fc.integer({ min: 0, max: 60 }), fc.integer({ min: 0, max: 0xffff_ffff })), { maxLength: 80 }).map((list) => list.sort((a, b) => a - b));
const pageRecords = fc.integer({ min: 1, max: 11 });

test('keeps the rows that have, or have not, a key', async () => {
  await fc.assert(fc.asyncProperty(sorted, sorted, pageRecords, pageRecords, async (rows, keys, rowPage, keyPage) => {
    for (const keep of ['present', 'absent'] as const) {
      const found = await rowsOf(filterPages(streamOf(rows, rowPage), streamOf(keys, keyPage, 4), { prefixBytes: 4, keep }));
      const set = new Set(keys);
      assert.deepEqual(found, rows.map((prefix, i) => [prefix, i]).filter(([prefix]) => set.has(prefix as number) === (keep === 'present')));
    }
  }), { numRuns: 500 });
});

test('a join puts the record with the same key beside each row', async () => {
  await fc.assert(fc.asyncProperty(sorted, sorted, pageRecords, pageRecords, async (rows, keys, rowPage, keyPage) => {
    const unique = [...new Set(keys)];
    const found: number[][] = [];
    for await (const { bytes, count } of joinPages(streamOf(rows, rowPage), streamOf(unique, keyPage), 4)) {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      for (let i = 0; i < count; i += 1) found.push([0, 4, 8].map((at) => view.getUint32(i * 12 + at)));
    }
    assert.deepEqual(found, rows.flatMap((prefix, i) => (unique.includes(prefix) ? [[prefix, i, unique.indexOf(prefix)]] : [])));
  }), { numRuns: 500 });
  for (const [rows, others] of [[[1, 3, 2, 9], [0, 9]], [[1, 9, 10], [3, 2, 9, 10]]] as const) {
    await assert.rejects(async () => { for await (const _ of joinPages(streamOf(rows, 2), streamOf(others, 1), 4)); }, IntegrityError);
  }
});

test('a stream out of order is an error on either side, inside a page and between pages', async () => {
  for (const page of [1, 2, 4]) {
    for (const [rows, keys] of [[[1, 3, 2, 9], [0, 9]], [[1, 9, 10], [3, 2, 9, 10]]] as const) {
      await assert.rejects(rowsOf(filterPages(streamOf(rows, page), streamOf(keys, page), { prefixBytes: 4, keep: 'absent' })), IntegrityError);
    }
  }
});

test('rows of an index carry the place of each id', async () => {
  const index = new MemoryIndex();
  const ids = new Uint8Array(64).fill(9, 0, 32);
  await index.putMany({ bytes: ids, count: 2 }, Uint8Array.from({ length: 2 * PLACE_BYTES }, (_, i) => i), []);
  const rows: number[] = [];
  for await (const { bytes, count } of indexPages(index)) rows.push(...bytes.subarray(0, count * INDEX_ROW_BYTES));
  assert.equal(rows.length, 2 * INDEX_ROW_BYTES);
  assert.deepEqual([rows[0], rows[32], rows[52], rows[84]], [0, PLACE_BYTES, 9, 0]);
});
