import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { padme } from './padme.ts';

describe('padding of sizes', () => {
  it('keeps the top bits as the algorithm says', () => {
    // By hand: 9 = 1001b, exponent 3, kept 2, step 2. 2^20 + 1: exponent 20, kept 5, step 2^15.
    for (const [length, padded] of [[0, 0], [1, 1], [2, 2], [8, 8], [9, 10], [10, 10], [1_048_576, 1_048_576], [1_048_577, 1_081_344]] as const) {
      assert.equal(padme(length, 0), padded, String(length));
    }
    assert.equal(padme(5, 16_384), 16_384);
    assert.equal(padme(16_385, 16_384), 17_408);
  });

  it('is monotonic, its own padding, and adds at most 12 % (3.2 % from 64 KiB on)', () => {
    fc.assert(fc.property(fc.nat(2 ** 31 - 1), fc.nat(1000), (length, more) => {
      const padded = padme(length, 0);
      assert(padded >= length && padded <= length * 1.12);
      assert(length < 65_536 || padded <= length * 1.032);
      assert.equal(padme(padded, 0), padded);
      assert(padme(length + more, 0) >= padded);
    }), { numRuns: 5_000 });
  });

  it('leaves few sizes: between 16 KiB and 2 MiB there are fewer than 200', () => {
    const sizes = new Set<number>();
    for (let length = 1; length <= 2 << 20; length += 1) sizes.add(padme(length, 16_384));
    assert(sizes.size < 200, String(sizes.size));
  });
});
