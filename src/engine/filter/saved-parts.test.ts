import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { crc32c, type IdBatch } from '../../core/index.ts';
import { ColdFilter } from './cold-filter.ts';
import { HotSet } from './hot-set.ts';
import { coldHeader, hotHeader } from './saved-parts.layout.ts';
import { decodeHot, encodeCold, encodeHot, readCold, type SavedBytes } from './saved-parts.ts';

const EPOCH = 2 ** 40 + 7;
const STAMP = 2 ** 35 + 9;
const SHAPE = { partitionBits: 4, numberBits: 25 };

function someIds(count: number): IdBatch {
  return { bytes: Buffer.concat(Array.from({ length: count }, (_, i) => createHash('sha256').update(`id ${i}`).digest())), count };
}

const ids = someIds(3_000);
const view = new DataView(ids.bytes.buffer, ids.bytes.byteOffset, ids.bytes.length);

function hotBytes(): Uint8Array {
  const hot = new HotSet();
  hot.add({ bytes: ids.bytes, count: 300 });
  return Uint8Array.from(Buffer.concat(encodeHot(hot, { epoch: EPOCH, stamp: STAMP })));
}

/** All partitions but the last, which is missing, and the first, which is empty. */
function coldBytes(): Uint8Array {
  const cold = new ColdFilter(SHAPE);
  for (let partition = 0; partition < 15; partition += 1) {
    for (let at = 0; at < ids.bytes.length; at += 32) {
      if (partition > 0 && cold.partitionAt(view, at) === partition) cold.take(view.getUint32(at), view.getUint16(at + 4));
    }
    cold.build(partition);
  }
  return Uint8Array.from(Buffer.concat(Array.from(encodeCold(cold, STAMP), (piece) => piece.slice())));
}

function saved(bytes: Uint8Array): SavedBytes {
  return { size: bytes.length, readInto: async (offset, target) => { target.set(bytes.subarray(offset, offset + target.length)); } };
}

/** Writes a header field and makes the header's checksum right again, as a forger would. */
function forge(bytes: Uint8Array, at: number, value: number, size: number): Uint8Array {
  const forged = Uint8Array.from(bytes);
  const data = new DataView(forged.buffer);
  data.setUint16(at, value);
  data.setUint32(size - 4, crc32c(forged.subarray(0, size - 4)));
  return forged;
}

describe('saved hot part', () => {
  const bytes = hotBytes();

  it('comes back with its ids and the stamp of its cold part', () => {
    const read = decodeHot(bytes, EPOCH);
    assert.ok(read.verdict === 'ready');
    assert.deepEqual([read.stamp, read.hot.count], [STAMP, 300]);
    for (let i = 0; i < 310; i += 1) assert.equal(read.hot.has(view, i * 32), i < 300);
  });

  it('comes back when it is large: its prefixes are saved in order, and a table that grew as they came had no slot for them (each open built the filter again)', () => {
    const many = someIds(60_000);
    const hot = new HotSet();
    hot.add(many);
    const read = decodeHot(Uint8Array.from(Buffer.concat(encodeHot(hot, { epoch: EPOCH, stamp: STAMP }))), EPOCH);
    assert.ok(read.verdict === 'ready');
    assert.equal(read.hot.count, many.count);
    const manyView = new DataView(many.bytes.buffer, many.bytes.byteOffset, many.bytes.length);
    for (let i = 0; i < many.count; i += 1) assert.ok(read.hot.has(manyView, i * 32));
  });

  it('keeps its golden bytes', () => {
    assert.equal(hotHeader.size, 64);
    assert.equal(createHash('sha256').update(bytes).digest('hex'), '4e0b3dbcf5f1b7824649c3fd86cdee37869a25aac332deda287771bfab6430b2');
  });

  it('is built again when its epoch or version is another', () => {
    for (const epoch of [EPOCH + 1, EPOCH - 1, 7, EPOCH - 2 ** 32]) assert.deepEqual(decodeHot(bytes, epoch), { verdict: 'rebuild', reason: 'epoch' });
    assert.deepEqual(decodeHot(forge(bytes, hotHeader.offsets.version, 1, hotHeader.size), EPOCH), { verdict: 'rebuild', reason: 'version' });
  });

  it('is built again after any flipped bit, cut or appended byte, and never throws', () => {
    fc.assert(fc.property(fc.nat(bytes.length * 8 - 1), fc.nat(bytes.length - 1), fc.uint8Array({ maxLength: 200 }), (bit, length, noise) => {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ 1 << (bit & 7);
      for (const other of [flipped, bytes.slice(0, length), Uint8Array.from([...bytes, 0]), noise]) assert.equal(decodeHot(other, EPOCH).verdict, 'rebuild');
    }));
  });
});

describe('saved cold part', () => {
  const bytes = coldBytes();

  it('comes back with every partition as it was: full, empty or missing', async () => {
    const read = await readCold(saved(bytes), STAMP);
    assert.ok(read.verdict === 'ready');
    const { cold } = read;
    assert.deepEqual([cold.countOf(0), cold.isMissing(0), cold.isMissing(15)], [0, false, true]);
    let denied = 0;
    for (let i = 0; i < ids.count; i += 1) {
      if (cold.mayHave(view, i * 32)) continue;
      denied += 1;
      assert.equal(cold.partitionAt(view, i * 32), 0);
    }
    assert.ok(denied > 100);
    assert.deepEqual(Buffer.concat(Array.from(encodeCold(cold, STAMP), (piece) => piece.slice())), Buffer.from(bytes));
  });

  it('keeps its golden bytes', () => {
    assert.equal(coldHeader.size, 24);
    assert.equal(createHash('sha256').update(bytes).digest('hex'), 'bc9d698c0eeb2ec3fb75b1be9dccc93c650afcc94f28cbe191e243b46ba37885');
  });

  it('is built again when its stamp, version or shape is another', async () => {
    for (const stamp of [STAMP + 1, STAMP - 2 ** 32]) assert.deepEqual(await readCold(saved(bytes), stamp), { verdict: 'rebuild', reason: 'stamp' });
    const { version, partitionBits, numberBits } = coldHeader.offsets;
    for (const [at, value, reason] of [[version, 1, 'version'], [partitionBits, 17, 'parameters'], [partitionBits, 5, 'partition'], [numberBits, 23, 'parameters'], [numberBits, 26, 'partition']] as const) {
      assert.deepEqual(await readCold(saved(forge(bytes, at, value, coldHeader.size)), STAMP), { verdict: 'rebuild', reason });
    }
  });

  it('is built again after any flipped bit, cut or appended byte', async () => {
    await fc.assert(fc.asyncProperty(fc.nat(bytes.length * 8 - 1), fc.nat(bytes.length - 1), fc.uint8Array({ maxLength: 200 }), async (bit, length, noise) => {
      const flipped = Uint8Array.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ 1 << (bit & 7);
      for (const other of [flipped, bytes.slice(0, length), Uint8Array.from([...bytes, 0]), noise]) assert.equal((await readCold(saved(other), STAMP)).verdict, 'rebuild');
    }));
  });
});
