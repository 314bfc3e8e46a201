/** Where each profile puts bytes, against layouts that were worked out by hand from the documentation's tables. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { FormatError, UnsupportedError } from '../../../core/index.ts';
import { chunkLayout, stripeLayout } from './btrfs.layout.ts';
import { ChunkMap, type Place } from './chunk-map.ts';

const KIB64 = 65_536;

/** A chunk whose stripe on device N begins at N × 1 GiB. */
function chunk(type: number, devices: number, length: number, options: { readonly subStripes?: number; readonly stripeBytes?: number } = {}): Uint8Array {
  const head = chunkLayout.encode({ length, owner: 2, stripe_len: options.stripeBytes ?? KIB64, type: type | 1, io_align: 4096, io_width: 4096, sector_size: 4096, num_stripes: devices, sub_stripes: options.subStripes ?? 1 });
  const stripes = Array.from({ length: devices }, (_, i) => stripeLayout.encode({ devid: i + 1, offset: (i + 1) * 2 ** 30, dev_uuid: new Uint8Array(16) }));
  return new Uint8Array(Buffer.concat([head, ...stripes]));
}

function places(type: number, devices: number, logical: number, subStripes = 1): readonly Place[] {
  const map = new ChunkMap();
  map.add(2 ** 20, chunk(type, devices, 64 * 2 ** 20, { subStripes }));
  return map.places(2 ** 20 + logical);
}

/** Device and offset behind its beginning. */
const short = ({ device, offset }: { readonly device: number; readonly offset: number }): readonly [number, number] => [device, offset - device * 2 ** 30];

test('single and mirrored chunks are copies as they stand', () => {
  assert.deepEqual(places(0, 1, 100), [{ device: 1, offset: 2 ** 30 + 100, length: 64 * 2 ** 20 - 100 }]);
  for (const [type, copies] of [[16, 2], [32, 2], [512, 3], [1024, 4]] as const) {
    assert.deepEqual(places(type, copies, 70_000).map(short), Array.from({ length: copies }, (_, i) => [i + 1, 70_000]));
  }
});

test('striped chunks go round by 64 KiB', () => {
  assert.deepEqual(places(8, 3, 0).map(short), [[1, 0]]);
  assert.deepEqual(places(8, 3, 4 * KIB64 + 5).map(short), [[2, KIB64 + 5]]);
  assert.equal(places(8, 3, 4 * KIB64 + 5)[0]?.length, KIB64 - 5);
  assert.deepEqual(places(64, 4, KIB64, 2).map(short), [[3, 0], [4, 0]]);
  assert.deepEqual(places(64, 4, 2 * KIB64 + 7, 2).map(short), [[1, KIB64 + 7], [2, KIB64 + 7]]);
});

test('parity turns by one device a row, and its places make up for the bytes', () => {
  // Three devices: D0 D1 P / P D2 D3 / D5 P D4.
  assert.deepEqual([0, 1, 2, 3, 4, 5].map((n) => short(places(128, 3, n * KIB64)[0] as Place)), [[1, 0], [2, 0], [2, KIB64], [3, KIB64], [3, 2 * KIB64], [1, 2 * KIB64]]);
  assert.deepEqual(places(128, 3, 2 * KIB64 + 9)[1]?.parts?.map(short), [[3, KIB64 + 9], [1, KIB64 + 9]]);
  // Four devices with two parities: D0 D1 P Q / Q D2 D3 P.
  assert.deepEqual([0, 1, 2, 3].map((n) => short(places(256, 4, n * KIB64)[0] as Place)), [[1, 0], [2, 0], [2, KIB64], [3, KIB64]]);
  assert.deepEqual(places(256, 4, 3 * KIB64)[1]?.parts?.map(short), [[2, KIB64], [4, KIB64]], 'P, without Q');
});

test('no two addresses of a chunk share a place', () => {
  fc.assert(fc.property(fc.constantFrom([8, 3, 1], [64, 6, 2], [128, 4, 1], [256, 5, 1]), fc.nat(1000), fc.nat(1000), ([type = 0, devices = 0, sub = 1], a, b) => {
    fc.pre(a !== b);
    assert.notDeepEqual(places(type, devices, a * KIB64, sub)[0], places(type, devices, b * KIB64, sub)[0]);
  }));
});

test('chunks that cannot be are refused by their field', () => {
  const cases = [[chunk(16, 5, KIB64), 'num_stripes'], [chunk(0, 2, KIB64), 'num_stripes'], [chunk(64, 4, KIB64), 'sub_stripes'], [chunk(256, 2, KIB64), 'num_stripes'], [chunk(8, 2, KIB64, { stripeBytes: 4096 }), 'stripe_len'], [chunk(0, 1, 0), 'length']] as const;
  for (const [bytes, field] of cases) assert.throws(() => { new ChunkMap().add(0, bytes); }, (error: unknown) => error instanceof FormatError && error.fault.field === field);
  assert.throws(() => { new ChunkMap().add(0, chunk(2048, 1, KIB64)); }, UnsupportedError);
  const map = new ChunkMap();
  map.add(0, chunk(0, 1, KIB64));
  map.add(0, chunk(0, 1, KIB64));
  assert.throws(() => { map.add(4096, chunk(0, 1, KIB64)); }, FormatError);
  assert.throws(() => map.places(KIB64), FormatError);
  assert.equal(map.end, KIB64);
});
