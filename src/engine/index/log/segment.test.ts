import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { ID_BYTES, PLACE_BYTES } from '../../../core/index.ts';
import type { Disk } from '../../../core/index.ts';
import { memoryWorld } from '../../world/memory-world.ts';
import { pagesOf } from '../entry-page.ts';
import { IdTable } from '../id-table.ts';
import { Segment, SegmentCursor } from './segment.ts';
import { writeSegment } from './segment-writer.ts';
import { mergeExtent } from './tiers.ts';

async function segmentOf(disk: Disk, words: Uint32Array): Promise<Segment> {
  const count = words.length / 8;
  const table = new IdTable();
  const places = new Uint8Array(count * PLACE_BYTES);
  for (let i = 0; i < count; i += 1) {
    new DataView(places.buffer).setUint32(i * PLACE_BYTES, i);
    table.put(words, i, places);
  }
  await writeSegment(disk, 7, { countMax: count, pages: pagesOf(table.sorted(false)) });
  return Segment.open(disk, 7);
}

async function assertFindsAll(segment: Segment, words: Uint32Array): Promise<void> {
  const ids = new Uint8Array(words.buffer);
  const cursor = new SegmentCursor(segment);
  const place = new Uint8Array(PLACE_BYTES);
  for (let i = 0; i < words.length / 8; i += 1) {
    assert.equal(await cursor.find(ids.subarray(i * ID_BYTES, (i + 1) * ID_BYTES), place, 0), 'found', `id ${i}`);
    assert.equal(new DataView(place.buffer).getUint32(0), i);
  }
}

function hashes(count: number, from = 0): Uint32Array {
  const words = new Uint32Array(count * 8);
  const bytes = new Uint8Array(words.buffer);
  for (let i = 0; i < count; i += 1) bytes.set(createHash('sha256').update(`${from + i}`).digest(), i * ID_BYTES);
  return words;
}

test('a lookup of a uniform id reads fewer than 1.5 pages, and the filter stops nearly all misses', async () => {
  const words = hashes(50_000);
  const segment = await segmentOf(memoryWorld().disk, words);
  let reads = 0;
  const readPages = segment.readPages.bind(segment);
  segment.readPages = (page, target) => { reads += 1; return readPages(page, target); };
  await assertFindsAll(segment, words);
  assert.ok(reads > 40_000 && reads < 75_000, `${reads} pages for 50000 lookups`);
  await segment.loadFilter();
  const misses = new Uint8Array(hashes(10_000, 1_000_000).buffer);
  let maybe = 0;
  for (let i = 0; i < 10_000; i += 1) if (segment.maybe(misses, i * ID_BYTES)) maybe += 1;
  assert.ok(maybe < 300, `${maybe} false positives in 10000`);
});

// Ids that are no hashes defeat the interpolation; the search must end and find them all the same.
test('ids that differ only in their last or only in their first bytes are found', async () => {
  for (const word of [0, 7]) {
    const words = new Uint32Array(3000 * 8);
    for (let i = 0; i < 3000; i += 1) words[i * 8 + word] = i * 3;
    const segment = await segmentOf(memoryWorld().disk, words);
    await assertFindsAll(segment, words);
    const absent = new Uint32Array(8);
    const cursor = new SegmentCursor(segment);
    for (const value of [1, 4, 8990, 9001, 2 ** 32 - 1]) {
      absent[word] = value;
      assert.equal(await cursor.find(new Uint8Array(absent.buffer), new Uint8Array(PLACE_BYTES), 0), 'absent', `${value}`);
    }
  }
});

test('four segments of a tier become one; what that fills is taken along', () => {
  assert.equal(mergeExtent([], 10), 0);
  assert.equal(mergeExtent([10, 10, 10], 10), 0);
  assert.equal(mergeExtent([10, 10, 10, 10], 10), 4);
  assert.equal(mergeExtent([10, 40, 40, 40], 10), 0);
  assert.equal(mergeExtent([10, 10, 10, 10, 40, 40, 160], 10), 4);
  assert.equal(mergeExtent([10, 10, 10, 10, 40, 40, 40, 160], 10), 7);
  assert.equal(mergeExtent([10, 10, 10, 10, 40, 40, 40, 160, 160, 160], 10), 10);
});
