import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { LimitError, defaultLimits } from '../../core/index.ts';
import { BLOCK_BYTES, SMALL_BYTES, dataBlocks, dataShards, factorOf, foldedGeometry, geometryFault, parityBlocks, planParity } from './geometry.ts';

const MIB = 1 << 20;
const sizes = fc.integer({ min: SMALL_BYTES + 1, max: 64 * MIB });
const percents = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.double({ min: 0.1, max: 50, noNaN: true }));

describe('geometry', () => {
  it('gives blocks that share a group different columns, however often groups were folded', () => {
    fc.assert(fc.property(sizes, sizes, percents, (a, b, percent) => {
      const [size, sizeMax] = a < b ? [a, b] : [b, a];
      const geometry = foldedGeometry(planParity(sizeMax, percent, defaultLimits), size);
      assert.equal(geometryFault(geometry, defaultLimits), undefined);
      for (const group of new Set([0, 1, geometry.groups >> 1, geometry.groups - 1])) {
        const factors = [];
        for (let block = group; block < dataBlocks(geometry); block += geometry.groups) factors.push(factorOf(geometry, 0, block));
        assert.equal(new Set(factors).size, factors.length, `group ${group} of ${JSON.stringify(geometry)}`);
      }
    }), { numRuns: 300 });
  });

  it('has the same factors before and after folding', () => {
    const plan = planParity(64 * MIB, 5, defaultLimits);
    const geometry = foldedGeometry(plan, MIB);
    assert.ok(geometry.folds > 0);
    for (let block = 0; block < 256; block += 1) {
      assert.equal(factorOf(geometry, 1, block), factorOf({ ...geometry, groups: plan.groups, folds: 0 }, 1, block));
    }
  });

  it('heals any burst of the asked share, and the parity is at most half as much again and one round of groups', () => {
    fc.assert(fc.property(sizes, sizes, percents, (a, b, percent) => {
      const [size, sizeMax] = a < b ? [a, b] : [b, a];
      const plan = planParity(sizeMax, percent, defaultLimits);
      if (plan.parityShards === 128 || plan.groups * (plan.parityShards + 1) * BLOCK_BYTES > defaultLimits.parityBytesMax) return;
      const geometry = foldedGeometry(plan, size);
      // A burst of L bytes touches at most ⌈(L − 1) ÷ 4,096⌉ + 1 blocks, and deals them evenly over the groups.
      const touched = Math.ceil((size * percent / 100 - 1) / BLOCK_BYTES) + 1;
      assert.ok(Math.ceil(touched / geometry.groups) <= geometry.parityShards);
      assert.ok(parityBlocks(geometry) * BLOCK_BYTES <= size * percent / 100 * 1.5 + (geometry.groups + 1) * BLOCK_BYTES);
    }), { numRuns: 500 });
  });

  it('keeps to the memory it may have: a gibibyte has 3.1 percent of parity instead of 5', () => {
    const geometry = foldedGeometry(planParity(1024 * MIB, 5, defaultLimits), 1024 * MIB);
    assert.equal(parityBlocks(geometry) * BLOCK_BYTES, defaultLimits.parityBytesMax);
    assert.equal(dataShards(geometry), 128);
    assert.throws(() => planParity(1024 * MIB + 1, 5, defaultLimits), LimitError);
    assert.throws(() => planParity(1024 * MIB, 5, { ...defaultLimits, parityBytesMax: MIB }), LimitError);
  });

  it('is what the documentation says for a container', () => {
    assert.deepEqual(foldedGeometry(planParity(32 * MIB, 5, defaultLimits), 32 * MIB), { kind: 'reed-solomon', size: 32 * MIB, groups: 64, folds: 0, parityShards: 7 });
    assert.deepEqual(foldedGeometry(planParity(36 * MIB, 5, defaultLimits), 33 * MIB), { kind: 'reed-solomon', size: 33 * MIB, groups: 128, folds: 0, parityShards: 4 });
    assert.deepEqual(foldedGeometry(planParity(36 * MIB, 5, defaultLimits), MIB), { kind: 'reed-solomon', size: MIB, groups: 4, folds: 5, parityShards: 4 });
  });
});
