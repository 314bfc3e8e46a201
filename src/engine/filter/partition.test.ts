import assert from 'node:assert';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { bucketBitsOf, bucketHas, isPartition, lowBitsOf, PartitionCoder, READ_BEYOND_BYTES } from './partition.ts';

const BITS = 25;

/** Numbers in a set, some of them close together. */
const numbers = fc.oneof(
  fc.array(fc.nat(2 ** BITS - 1), { maxLength: 400 }),
  fc.tuple(fc.nat(2 ** BITS - 5_000), fc.array(fc.nat(4_999), { maxLength: 400 })).map(([base, offsets]) => offsets.map((offset) => base + offset)),
);

function sorted(values: Iterable<number>): Uint32Array {
  return Uint32Array.from(values).sort();
}

/** A copy that may be read beyond its end, as the caller of `bucketHas` promises. */
function copied(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes.length + READ_BEYOND_BYTES);
  copy.set(bytes);
  return copy;
}

function has(bytes: Uint8Array, count: number, number: number): boolean {
  const bucketBits = bucketBitsOf(count);
  const at = (number >>> BITS - bucketBits) * 2;
  const offset = (i: number): number => (bytes[i] as number) | (bytes[i + 1] as number) << 8;
  const start = 2 * ((1 << bucketBits) + 1) + offset(at);
  return bucketHas({ bytes, start, length: offset(at + 2) - offset(at) }, number, lowBitsOf(BITS, count));
}

describe('PartitionCoder', () => {
  it('merges like a set', () => {
    const coder = new PartitionCoder(BITS);
    fc.assert(fc.property(fc.array(numbers, { minLength: 1, maxLength: 5 }), fc.array(fc.nat(2 ** BITS - 1), { maxLength: 50 }), (rounds, strangers) => {
      let bytes: Uint8Array = new Uint8Array(0);
      const known = new Set<number>();
      for (const round of rounds) {
        bytes = copied(coder.merge(bytes, known.size, sorted(round)) as Uint8Array);
        round.forEach((number) => known.add(number));
        assert.equal(coder.count, known.size);
        assert.ok(isPartition(bytes.subarray(0, bytes.length - READ_BEYOND_BYTES), known.size, BITS));
      }
      for (const number of [...known, ...strangers]) assert.equal(has(bytes, known.size, number), known.has(number));
      assert.deepEqual(coder.merge(bytes, known.size, new Uint32Array(0)), new PartitionCoder(BITS).merge(new Uint8Array(0), 0, sorted(known)));
    }));
  });

  it('takes about log2(gap) + 2 bits a number, and refuses what does not fit', (test) => {
    const coder = new PartitionCoder(BITS);
    const spread = (count: number): Uint32Array => Uint32Array.from({ length: count }, (_, i) => Math.floor((i + 0.5) * 2 ** BITS / count));
    for (const [count, bitsMax] of [[1_000, 17.5], [10_000, 14.2], [32_768, 12.4]] as const) {
      const bits = (coder.merge(new Uint8Array(0), 0, spread(count)) as Uint8Array).length * 8 / count;
      test.diagnostic(`${count} numbers: ${bits.toFixed(2)} bits each`);
      assert.ok(bits <= bitsMax && bits > Math.log2(2 ** BITS / count), `${bits}`);
    }
    assert.equal(coder.merge(new Uint8Array(0), 0, spread(60_000)), undefined);
  });

  it('knows its own bytes from others', () => {
    const coder = new PartitionCoder(BITS);
    fc.assert(fc.property(numbers, fc.nat(), fc.nat(7), fc.uint8Array({ maxLength: 300 }), (members, at, bit, noise) => {
      const bytes = (coder.merge(new Uint8Array(0), 0, sorted(members)) as Uint8Array).slice();
      const { count } = coder;
      assert.ok(!isPartition(bytes, count + 1, BITS));
      assert.ok(!isPartition(bytes.subarray(1), count, BITS));
      isPartition(noise, count, BITS);
      bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ 1 << bit;
      // A changed low part can't be seen; whatever is accepted can be merged.
      if (isPartition(bytes, count, BITS)) coder.merge(copied(bytes), count, new Uint32Array(0));
    }));
  });
});
