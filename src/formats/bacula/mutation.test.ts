/** Damaged copies of real volumes: each difference from the good volume is reported, and nothing wrong can be read as good. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { FormatError, type OpenContext } from '../../core/index.ts';
import { type Fingerprint, fingerprints } from './testing/fingerprint.ts';
import { fixtureContext, fixtureVolume, openBytes } from './testdata/fixture.ts';
import { mutate, type Mutation } from './testing/mutation.ts';

const mutations: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('flip', 'zero', 'noise', 'remove', 'repeat', 'truncate', 'move'),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  length: fc.nat(17).chain((bits) => fc.integer({ min: 1, max: 2 ** bits })),
  value: fc.integer({ min: -200_000, max: 200_000 }),
});

async function contents(volume: Uint8Array, context: OpenContext): Promise<{ readonly problems: number; readonly entries: ReadonlyMap<string, Fingerprint> }> {
  const set = await openBytes([volume], context);
  const entries = new Map<string, Fingerprint>();
  for (const { session } of set.jobs()) {
    for (const [path, print] of await fingerprints(set.jobTree({ session }))) entries.set(`${session.id} ${path}`, print);
  }
  await set.close();
  return { problems: set.problems().length, entries };
}

function checkEntry(path: string, found: Fingerprint, good: Fingerprint | undefined): void {
  assert.ok(good !== undefined, `${path} is not in the good volume`);
  // A directory whose own record is lost is made up: it has no time.
  if (found.stat.includes('"directory"') && found.stat.includes('"modified":{"seconds":0,')) return;
  assert.equal(found.stat, good.stat, path);
  if (found.content !== undefined) assert.equal(found.content, good.content, path);
  if (found.attributes !== undefined) assert.equal(found.attributes, good.attributes, path);
}

for (const [set, runs] of [['b15-acl-xattr', 25], ['encrypted', 10], ['b15-volume-encrypted', 10], ['special-files', 25]] as const) {
  test(`damage to ${set} is reported and never read as good`, async () => {
    const volume = await fixtureVolume(set);
    const context = await fixtureContext();
    const good = await contents(volume, context);
    assert.equal(good.problems, 0);
    await fc.assert(fc.asyncProperty(mutations, async (mutation) => {
      const damaged = mutate(volume, mutation);
      if (Buffer.compare(damaged, volume) === 0 || damaged.length < 24) return;
      // A volume cut inside its label is refused as a whole: that reports it, too.
      const found = await contents(damaged, context).catch((error: unknown) => {
        assert.ok(error instanceof FormatError, String(error));
        return undefined;
      });
      if (found === undefined) return;
      assert.ok(found.problems > 0, 'the damage is reported');
      for (const [path, print] of found.entries) checkEntry(path, print, good.entries.get(path));
    }), { numRuns: runs });
  });
}
