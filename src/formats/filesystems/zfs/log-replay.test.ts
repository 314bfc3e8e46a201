/** Single records of the intent log, replayed over a file of the dataset. Pools whose logs the kernel replayed are in `zfs.test.ts` and in the lab. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultLimits } from '../../../core/index.ts';
import { BlockReader } from './block-reader.ts';
import { type FileChange, wordValue } from './log-overlay.ts';
import { LogReplay } from './log-replay.ts';

const OBJECT = 7;
const SIZE = 34_914;
const TRUNCATE = 10;

/** What a record that frees a range of a file of {@link SIZE} bytes makes of it. */
async function freed(offset: number, length: number): Promise<FileChange | undefined> {
  const replay = new LogReplay({
    supply: { reader: new BlockReader({ limits: defaultLimits, repaired: () => undefined }) },
    values: () => Promise.resolve(new Map([['ZPL_SIZE', wordValue(SIZE)]])), entry: () => Promise.resolve(undefined),
  });
  const bytes = new Uint8Array(56);
  const view = new DataView(bytes.buffer);
  for (const [at, value] of [[0, TRUNCATE], [8, bytes.length], [32, OBJECT], [40, offset], [48, length]] as const) view.setBigUint64(at, BigInt(value), true);
  await replay.apply({ type: TRUNCATE, bytes, view });
  return replay.overlay.files.get(OBJECT);
}

const sizeIn = (change: FileChange | undefined): Uint8Array | undefined => change?.values.get('ZPL_SIZE');

test('without a length the file ends there, shorter or longer', async () => {
  for (const end of [0, 100, SIZE, 86_669]) assert.deepEqual(sizeIn(await freed(end, 0)), wordValue(end));
});

test('a range within the file is a hole', async () => {
  const change = await freed(1000, 500);
  assert.deepEqual(change?.patches, [{ offset: 1000, length: 500 }]);
  assert.equal(sizeIn(change), undefined);
});

test('a range beyond the end makes the file longer', async () => {
  const change = await freed(15_463, 71_206);
  assert.deepEqual(change?.patches, [{ offset: 15_463, length: SIZE - 15_463 }]);
  assert.deepEqual(sizeIn(change), wordValue(86_669));
  assert.deepEqual(sizeIn(await freed(SIZE + 1, 10)), wordValue(SIZE + 11));
});
