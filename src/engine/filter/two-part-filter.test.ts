import assert from 'node:assert';
import { createCipheriv } from 'node:crypto';
import { describe, it } from 'node:test';
import { ID_BYTES, type IdBatch } from '../../core/index.ts';
import { ColdBuild, ColdFilter, coldCapacity, coldShape, type ColdShape } from './cold-filter.ts';
import { TwoPartFilter } from './two-part-filter.ts';

/** Uniform ids, the same for a seed everywhere. */
function seededIds(seed: number, count: number): IdBatch {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  return { bytes: createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(count * ID_BYTES)), count };
}

function part({ bytes }: IdBatch, start: number, count: number): IdBatch {
  return { bytes: bytes.subarray(start * ID_BYTES, (start + count) * ID_BYTES), count };
}

function found(filter: TwoPartFilter, ids: IdBatch): number {
  return filter.mayHave(ids, new Uint8Array(Math.ceil(ids.count / 8)));
}

function emptyFilter(shape: ColdShape): TwoPartFilter {
  const cold = new ColdFilter(shape);
  new ColdBuild(cold).finish();
  return new TwoPartFilter(cold);
}

/** Small, so that false positives show. */
const SHAPE: ColdShape = { partitionBits: 5, numberBits: 25 };

describe('TwoPartFilter', () => {
  it('never denies an id that was added, at any point of growing, and keeps to the rate that its size says', (test) => {
    const filter = emptyFilter(SHAPE);
    const members = seededIds(1, 600_000);
    const strangers = seededIds(2, 200_000);
    let mergedSteps = 0;
    for (let start = 0; start < members.count; start += 2_000) {
      filter.add(part(members, start, 2_000));
      if (filter.step(2_000)) mergedSteps += 1;
      if (start % 50_000 === 0) assert.equal(found(filter, part(members, 0, start + 2_000)), start + 2_000);
    }
    assert.ok(mergedSteps > 100 && filter.cold.count > 350_000 && filter.hot.count < 250_000);
    assert.equal(found(filter, members), members.count);
    const rate = found(filter, strangers) / strangers.count;
    const expected = filter.cold.count / 2 ** 30;
    test.diagnostic(`${filter.cold.count} ids cold, ${filter.hot.count} hot: ${(rate * 100).toFixed(4)} % pass, ${(expected * 100).toFixed(4)} % expected`);
    assert.ok(rate > expected * 0.7 && rate < expected * 1.3, `rate ${rate}, expected ${expected}`);
    assert.equal(filter.metrics.ids, filter.cold.count + filter.hot.count);
  });

  it('gives each false positive to one part, so that their rates add up', () => {
    const filter = emptyFilter(SHAPE);
    const members = seededIds(1, 400_000);
    for (let start = 0; start < members.count; start += 2_000) {
      filter.add(part(members, start, 2_000));
      filter.step(2_000);
    }
    const strangers = seededIds(3, 200_000);
    const bitmap = new Uint8Array(25_000);
    const before = filter.metrics;
    const passed = filter.mayHave(strangers, bitmap);
    for (let i = 0; i < strangers.count; i += 1) {
      if (((bitmap[i >> 3] as number) & 1 << (i & 7)) !== 0) filter.noteFalsePositive(strangers.bytes, i * ID_BYTES);
    }
    filter.noteFalsePositive(hotOnly(filter, members).bytes, 0); // stands for a stranger with the same 48 bits
    const { metrics } = filter;
    assert.ok(passed > 0);
    assert.deepEqual([metrics.falsePositivesCold, metrics.falsePositivesHot, metrics.blind], [passed, 1, 0]);
    assert.deepEqual([metrics.asked - before.asked, metrics.denied - before.denied], [200_000, 200_000 - passed]);
  });

  it('says "maybe" where a partition is missing, and stays so when ids are merged', () => {
    const filter = new TwoPartFilter(new ColdFilter(SHAPE));
    const ids = seededIds(4, 300_000);
    assert.equal(found(filter, ids), ids.count);
    filter.noteFalsePositive(ids.bytes, 0);
    assert.equal(filter.metrics.blind, 1);
    filter.add(ids);
    for (let i = 0; i < 200; i += 1) filter.step(2_000);
    assert.equal(found(filter, ids), ids.count);
    assert.equal(found(filter, seededIds(5, 1_000)), 1_000);
  });

  it('is as large as is wanted for 100 million ids: 0.1 % and less than 200 MB', (test) => {
    const shape = coldShape(1e8, 0.001);
    assert.ok(coldCapacity(shape, 0.001) >= 1e8);
    // One partition of its share stands for all of them; bench/dedup measures the whole.
    const filter = new ColdFilter(shape);
    const share = Math.round(1e8 / filter.partitionCount);
    for (let i = 0; i < share; i += 1) filter.take(Math.floor((i + 0.5) / share * 2 ** (32 - shape.partitionBits)), i * 2_654 & 0xffff);
    filter.build(0);
    const bytes = filter.lengthOf(0) * filter.partitionCount;
    test.diagnostic(`100 million ids: ${(bytes / 1e6).toFixed(1)} MB cold`);
    assert.ok(filter.countOf(0) > share * 0.999 && bytes < 165e6);
  });

  it('makes a partition blind rather than wrong when it is overfull', () => {
    const filter = new ColdFilter({ partitionBits: 4, numberBits: 25 });
    for (let i = 0; i < 60_000; i += 1) filter.take(i << 12, 0);
    filter.build(0);
    assert.ok(filter.isMissing(0));
    const id = new DataView(new ArrayBuffer(ID_BYTES));
    assert.ok(filter.isBlind(id, 0) && filter.mayHave(id, 0));
  });
});

function hotOnly(filter: TwoPartFilter, members: IdBatch): IdBatch {
  const view = new DataView(members.bytes.buffer, members.bytes.byteOffset, members.count * ID_BYTES);
  for (let i = members.count - 1; i >= 0; i -= 1) {
    if (filter.hot.has(view, i * ID_BYTES) && !filter.cold.mayHave(view, i * ID_BYTES)) return part(members, i, 1);
  }
  return assert.fail('some ids are still hot');
}
