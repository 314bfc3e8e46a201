/** Changes of mappings against a model: an array with one element a block of the file. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { defaultLimits, FormatError, LimitError } from '../../../core/index.ts';
import { BLOCKS_END, type Mapping, mappingIn, putRecord, RECORD_BYTES, type RecordPage } from './extent.ts';
import type { XfsGeometry } from './geometry.ts';
import { changedFinder, type MapChange } from './mapping-changes.ts';

const FILE_BLOCKS = 64;
const DEVICE_BLOCKS = 2 ** 50;
const geometry = { holds: (block: number, count: number) => block + count <= DEVICE_BLOCKS } as XfsGeometry;

interface Cell {
  readonly block: number;
  readonly unwritten: boolean;
}

/** Cells as records, one each. */
function pageOf(cells: readonly (Cell | undefined)[]): RecordPage {
  const used = cells.flatMap((cell, start) => (cell === undefined ? [] : [{ start, count: 1, ...cell }]));
  const page: RecordPage = { view: new DataView(new ArrayBuffer(used.length * RECORD_BYTES)), at: 0, count: used.length, from: 0, end: BLOCKS_END };
  used.forEach((record, i) => { putRecord(page, i, record); });
  return page;
}

const block = fc.oneof(fc.nat(1000), fc.integer({ min: 2 ** 42, max: 2 ** 44 }), fc.integer({ min: 2 ** 31 - 2, max: 2 ** 33 }));
const cell = fc.option(fc.record({ block, unwritten: fc.boolean() }), { nil: undefined });
const change = fc.record({ isMap: fc.boolean(), start: fc.nat(FILE_BLOCKS - 9), block, count: fc.integer({ min: 1, max: 8 }), unwritten: fc.boolean() });

test('changed mappings are those of the model', async () => {
  await fc.assert(fc.asyncProperty(fc.array(cell, { minLength: FILE_BLOCKS, maxLength: FILE_BLOCKS }), fc.array(change, { maxLength: 6 }), async (cells, changes) => {
    const model: (Cell | undefined)[] = [...cells];
    for (const { isMap, start, count, block: from, unwritten } of changes) for (let i = 0; i < count; i += 1) model[start + i] = isMap ? { block: from + i, unwritten } : undefined;
    const stored = pageOf(cells);
    const finder = await changedFinder({ find: (at) => mappingIn(stored, at) }, changes, { geometry, limits: defaultLimits });
    for (let at = 0; at < FILE_BLOCKS; at += 1) {
      const found = await finder.find(at);
      assert.deepEqual([found.block, found.unwritten], [model[at]?.block, model[at]?.unwritten ?? false], `block ${at}`);
      assert.ok(found.count >= 1);
    }
    assert.equal((await finder.find(FILE_BLOCKS)).block, undefined);
  }));
});

test('changes that leave the device or are too many are refused', async () => {
  const empty = { find: (at: number): Mapping => ({ count: BLOCKS_END - at, block: undefined, unwritten: false }) };
  const bad: MapChange = { isMap: true, start: 0, block: DEVICE_BLOCKS, count: 1, unwritten: false };
  await assert.rejects(changedFinder(empty, [bad], { geometry, limits: defaultLimits }), FormatError);
  const stored = pageOf(Array.from({ length: FILE_BLOCKS }, (_, i) => ({ block: i * 2, unwritten: false })));
  await assert.rejects(changedFinder({ find: (at) => mappingIn(stored, at) }, [], { geometry, limits: { ...defaultLimits, filesystemListBytesMax: 100 } }), LimitError);
});
