/** The bytes of sidecars: against an independent implementation, against the twin, and however the object is dealt out. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { LimitError, UsageError } from '../../core/index.ts';
import { seededBytes, seededRandom } from '../../core/testing/random.ts';
import { createParity, type ParityOptions } from './create-parity.ts';
import { plainKernel } from './kernel.ts';

const NAME = 'containers/ab/00000000000000ab.hfc';

function sidecarOf(parts: readonly Uint8Array[], options: Partial<ParityOptions>): Buffer {
  const writer = createParity({ name: NAME, sizeMax: 40_000_000, percent: 5, ...options });
  writer.append(...parts);
  const sidecar = Buffer.concat(writer.seal());
  writer.release();
  return sidecar;
}

/** Printed by `testdata/oracle.py SIZE PERCENT SIZE_MAX`, which shares no code with the engine. */
const oracle = [
  [0, 5, 100, 640, 'e30320f1e915829a92efe3fe6569d7d51039cfcef57d3a33781fc02a03a4bbfa'],
  [1, 5, 100, 8856, '7bb230719e5f364a50898a8c4319952500dd1983cf1e7fc9f416273bce97eefc'],
  [5000, 5, 100_000, 17_072, '7659d9801f99e8f2c23a446bb5c19c081dcaab6ee7f73c6688e6a90755abf888'],
  [65_536, 5, 65_536, 132_096, '58fa0e452c59746d0002b2a0e95977dce31ba8b7530ba4801bc4f9c9f024925d'],
  [65_537, 5, 65_537, 8984, 'bd4bd05c43c2e03a7d85e57556a5c6874a0215ba5b02564356859b61606c6e65'],
  [300_000, 5, 40_000_000, 25_856, '576a248af687fc6636995be9e1877c116475925ef324a2f07d100805376978a6'],
  [3_000_001, 5, 40_000_000, 203_496, 'dc3ecc19bed8baaa14464b7ace0414e0115571f3d15850c4153c18f63af6d210'],
  [5_000_000, 10, 5_000_000, 535_720, '2529ab25c6478cbf12f0f26061e9b660378f59a107c043ac456d5113ae2b91a0'],
  [2_000_000, 100, 2_000_000, 2_023_720, 'a161cd77da9eff88b4590bfc22b434c1246aa7fb39582723bde4545e2fac6252'],
  [200_000, 1, 1 << 30, 66_696, '42e08b65d112b788386905775b2632b7316d6ccdfa24907115beae81d6e38127'],
] as const;

describe('sidecars', () => {
  it('are the bytes of an independent implementation', () => {
    for (const [size, percent, sizeMax, length, sha256] of oracle) {
      const content = Uint8Array.from({ length: size }, (_, i) => Math.floor(i * i / 32) % 256 ^ i * 7 & 255);
      const sidecar = sidecarOf([content], { percent, sizeMax });
      assert.equal(sidecar.length, length);
      assert.equal(createHash('sha256').update(sidecar).digest('hex'), sha256, `${size} bytes, ${percent} %`);
    }
  });

  it('are the same by both kernels, however the object is dealt out', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 400_000 }), fc.integer({ min: 1, max: 30 }), fc.nat(), (size, percent, seed) => {
      const random = seededRandom(seed);
      const content = seededBytes(size, seed);
      const parts: Uint8Array[] = [];
      for (let at = 0; at < size;) {
        const length = Math.floor(random() ** 4 * size) + 1;
        parts.push(content.subarray(at, at + length));
        at += length;
      }
      const sidecar = sidecarOf([content], { percent, sizeMax: 2_000_000 });
      assert.ok(sidecar.equals(sidecarOf(parts, { percent, sizeMax: 2_000_000, makeKernel: plainKernel })));
    }), { numRuns: 30 });
  });

  it('refuse what they cannot promise', () => {
    for (const percent of [0, -1, 101, NaN]) assert.throws(() => sidecarOf([], { percent }), UsageError);
    for (const copies of [0, 129, 1.5]) assert.throws(() => sidecarOf([], { copies }), UsageError);
    assert.throws(() => sidecarOf([], { sizeMax: 2 ** 31 }), LimitError);
    assert.throws(() => sidecarOf([], { name: 'ü' }), UsageError);
    assert.throws(() => sidecarOf([], { name: 'x'.repeat(253) }), UsageError);
    assert.throws(() => sidecarOf([new Uint8Array(11)], { sizeMax: 10 }), assert.AssertionError);
  });
});
