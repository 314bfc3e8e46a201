import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { seededBytes } from '../../core/testing/random.ts';
import { multiply } from './galois.ts';
import { borrowKernel, plainKernel, returnKernel } from './kernel.ts';

const SIZE = 4096;

describe('Galois kernels', () => {
  it('multiply by every factor as the field does, in WebAssembly and in TypeScript', () => {
    const [fast, plain] = [borrowKernel(SIZE), plainKernel(SIZE)];
    for (let factor = 0; factor < 256; factor += 1) {
      for (const { memory } of [fast, plain]) memory.set(Uint8Array.from({ length: 256 }, (_, i) => i));
      const expected = Uint8Array.from({ length: 256 }, (_, i) => (fast.memory[1024 + i] as number) ^ multiply(factor, i));
      for (const kernel of [fast, plain]) {
        kernel.multiplyAdd(1024, 0, 256, factor);
        assert.deepEqual(kernel.memory.slice(1024, 1280), expected, `${kernel.implementation}, factor ${factor}`);
      }
    }
    returnKernel(fast);
  });

  it('give the same bytes for any ranges, and touch no others', () => {
    const range = fc.record({ source: fc.integer({ min: 0, max: 1000 }), gap: fc.nat(500), steps: fc.nat(32), factor: fc.nat(255), swap: fc.boolean() });
    fc.assert(fc.property(fc.array(range, { maxLength: 10 }), fc.nat(), (calls, seed) => {
      const [fast, plain] = [borrowKernel(SIZE), plainKernel(SIZE)];
      for (const { memory } of [fast, plain]) memory.set(seededBytes(SIZE, seed));
      for (const { source, gap, steps, factor, swap } of calls) {
        const [low, high] = [source, source + steps * 32 + gap];
        for (const kernel of [fast, plain]) kernel.multiplyAdd(swap ? low : high, swap ? high : low, steps * 32, factor);
      }
      assert.deepEqual(fast.memory.slice(0, SIZE), plain.memory);
      returnKernel(fast);
    }), { numRuns: 200 });
  });

  it('refuse ranges that overlap or leave the work area', () => {
    for (const kernel of [borrowKernel(SIZE), plainKernel(SIZE)]) {
      const end = kernel.memory.length;
      for (const [target, source, length] of [[0, 16, 32], [0, end - 32, 64], [end, 0, 32], [-32, 32, 32], [0, 4, 3]] as const) {
        assert.throws(() => { kernel.multiplyAdd(target, source, length, 1); }, assert.AssertionError);
      }
    }
  });

  it('come clean from one borrower to the next', () => {
    const first = borrowKernel(SIZE);
    first.memory.fill(255);
    returnKernel(first);
    const second = borrowKernel(SIZE);
    assert.equal(second, first);
    assert.notEqual(borrowKernel(SIZE), first);
    assert.ok(second.memory.subarray(0, SIZE).every((byte) => byte === 0));
  });
});
