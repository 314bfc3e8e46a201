import assert from 'node:assert';
import { createCipheriv } from 'node:crypto';
import { describe, it } from 'node:test';
import bloomFilters from 'bloom-filters';
import * as fc from 'fast-check';
import { ID_BYTES, idAt, type IdBatch } from '../../core/index.ts';
import { MembershipFilter } from './membership-filter.ts';

/** Uniform ids, the same for a seed everywhere. */
function seededIds(seed: number, count: number): IdBatch {
  const key = Buffer.alloc(16);
  key.writeUInt32LE(seed);
  return { bytes: createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(count * ID_BYTES)), count };
}

function rateOf(filter: MembershipFilter, strangers: IdBatch): number {
  return filter.mayHave(strangers, new Uint8Array(Math.ceil(strangers.count / 8))) / strangers.count;
}

describe('MembershipFilter', () => {
  it('never denies an id that was added, and answers bit by bit', () => {
    const id = fc.uint8Array({ minLength: ID_BYTES, maxLength: ID_BYTES });
    fc.assert(fc.property(fc.integer({ min: 1, max: 5_000 }), fc.array(id, { maxLength: 60 }), fc.array(id, { maxLength: 20 }), (capacity, members, others) => {
      const filter = new MembershipFilter(capacity);
      filter.add({ bytes: Buffer.concat(members), count: members.length });
      const asked = [...others, ...members];
      const bitmap = new Uint8Array(Math.ceil(asked.length / 8));
      const found = filter.mayHave({ bytes: Buffer.concat(asked), count: asked.length }, bitmap);
      const bits = asked.map((_, i) => (bitmap[i >> 3] as number) >> (i & 7) & 1);
      assert.ok(bits.slice(others.length).every((bit) => bit === 1));
      assert.equal(found, bits.reduce((sum, bit) => sum + bit, 0));
    }));
  });

  it('denies everything while empty, counts each id once and says when it is full', () => {
    const filter = new MembershipFilter(1000);
    const ids = seededIds(1, 1000);
    assert.equal(rateOf(filter, ids), 0);
    assert.equal(filter.add(ids), filter.count);
    assert.ok(filter.count >= 998 && filter.count <= 1000);
    assert.equal(filter.add(ids), 0);
    assert.equal(filter.isFull, filter.count === 1000);
    filter.add(seededIds(2, 10));
    assert.ok(filter.isFull);
    const larger = filter.grown();
    assert.deepEqual([larger.capacity, larger.count, rateOf(larger, ids)], [2000, 0, 0]);
  });

  it('keeps the rate below 0.1 % at capacity, in at most 200 MB for 100 million ids', (test) => {
    const filter = new MembershipFilter(1_000_000);
    filter.add(seededIds(1, 1_000_000));
    const rate = rateOf(filter, seededIds(2, 1_000_000));
    test.diagnostic(`false positives at capacity, 1,000,000 ids: ${(rate * 100).toFixed(4)} %`);
    assert.ok(rate < 0.001 && rate > 0.0005, `rate ${rate}`);
    assert.ok(filter.bits.length * 100 + 512 <= 200e6);
  });

  it('behaves like an unblocked filter of the same size, below and above capacity', (test) => {
    const filter = new MembershipFilter(4_000);
    const oracle = new bloomFilters.BloomFilter(filter.bits.length * 8, 10);
    const members = seededIds(3, 12_000);
    const strangers = seededIds(4, 8_000);
    let added = 0;
    for (const load of [2, 3]) {
      const more = { bytes: members.bytes.subarray(added * ID_BYTES), count: load * 4_000 - added };
      filter.add(more);
      for (let i = 0; i < more.count; i += 1) oracle.add(Buffer.from(idAt(more, i)).toString('latin1'));
      added = load * 4_000;
      let expected = 0;
      for (let i = 0; i < strangers.count; i += 1) expected += oracle.has(Buffer.from(idAt(strangers, i)).toString('latin1')) ? 1 : 0;
      const ratio = rateOf(filter, strangers) * strangers.count / expected;
      test.diagnostic(`load ${load}: ${(expected / strangers.count * 100).toFixed(2)} % in bloom-filters, ours ${ratio.toFixed(2)} times that`);
      assert.ok(ratio > 0.8 && ratio < 1.25, `ratio ${ratio}`);
    }
  });

  it('counts the false positives it is told of', () => {
    const filter = new MembershipFilter(10);
    filter.noteFalsePositive();
    filter.noteFalsePositive(3);
    assert.equal(filter.falsePositives, 4);
  });
});
