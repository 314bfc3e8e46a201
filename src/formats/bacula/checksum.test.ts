import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import { createXxh } from './checksum.ts';
import { startDigest } from './digest.ts';

// Source: xxHash 0.8 sanity tests, empty input, seed 0.
test('xxHash of nothing has its published values, and digests are reusable', async () => {
  for (let round = 0; round < 2; round += 1) {
    for (const [kind, value] of [['xxh64', 'ef46db3751d8e999'], ['xxh3-64', '2d06800538d394c2'], ['xxh3-128', '99aa06d3014798d86001c324468d497f']] as const) {
      assert.equal((await createXxh(kind)).init().digest('hex'), value);
      assert.equal(Buffer.from((await startDigest(kind, 0)).finish()).toString('hex'), value);
    }
  }
});

test('a digest does not depend on how its bytes come', async () => {
  for (const kind of ['md5', 'sha1', 'sha256', 'sha512'] as const) {
    await fc.assert(fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 9000, size: 'max' }), { maxLength: 4 }), async (pieces) => {
      const digest = await startDigest(kind, 0);
      for (const piece of pieces) digest.update(piece);
      assert.deepEqual(Buffer.from(digest.finish()), createHash(kind).update(Buffer.concat(pieces)).digest());
    }), { numRuns: 30 });
  }
});
