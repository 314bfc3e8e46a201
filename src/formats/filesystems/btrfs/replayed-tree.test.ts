/** A tree with changes in memory against a sorted list of the same items. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { defaultLimits, LimitError } from '../../../core/index.ts';
import { compareKeys, type Item, itemBytes, type Key } from './node.ts';
import { ReplayedTree } from './replayed-tree.ts';
import type { ItemRange, ItemTree } from './tree.ts';

/** A tree without items. */
const empty: ItemTree = { find: () => undefined, floor: async () => undefined, pages: async function* none() { /* no page */ } };

const keys = fc.record({ objectid: fc.constantFrom(256, 257), type: fc.constantFrom(1, 96), offset: fc.oneof(fc.nat(12), fc.constant(-1)) });
const edits = fc.array(fc.record({ key: keys, value: fc.option(fc.nat(255)) }), { maxLength: 30 });

type Edits = typeof edits extends fc.Arbitrary<infer T> ? T : never;

function apply(tree: ReplayedTree, list: Edits, model: Map<string, { readonly key: Key; readonly value: number }>): void {
  for (const { key, value } of list) {
    const text = JSON.stringify(key);
    if (value === null) {
      tree.delete(key);
      model.delete(text);
    } else {
      tree.put(key, Uint8Array.from([value]));
      model.set(text, { key, value });
    }
  }
}

const shown = (item: Item): readonly unknown[] => [item.objectid, item.type, item.offset, itemBytes(item)[0]];

async function all(tree: ItemTree, range: ItemRange): Promise<readonly unknown[]> {
  const found: unknown[] = [];
  for await (const page of tree.pages(range)) {
    assert.ok(page.length > 0);
    found.push(...page.map(shown));
  }
  return found;
}

test('finding, the floor and pages see what was put, changed and taken away', async () => {
  await fc.assert(fc.asyncProperty(edits, edits, keys, keys, async (below, above, from, to) => {
    const model = new Map<string, { readonly key: Key; readonly value: number }>();
    const base = new ReplayedTree(empty, defaultLimits);
    apply(base, below, model);
    const tree = new ReplayedTree(base, defaultLimits);
    apply(tree, above, model);
    const sorted = [...model.values()].sort((a, b) => compareKeys(a.key, b.key)).map(({ key, value }) => ({ key, shown: [key.objectid, key.type, key.offset, value] }));
    const kind = sorted.filter(({ key }) => key.objectid === from.objectid && key.type === from.type);
    const found = await tree.find(from);
    assert.deepEqual(found === undefined ? undefined : shown(found), kind.find(({ key }) => key.offset === from.offset)?.shown);
    const atOrBefore = kind.filter(({ key }) => compareKeys(key, from) <= 0).at(-1);
    const floor = await tree.floor(from);
    assert.deepEqual(floor === undefined ? undefined : shown(floor), atOrBefore?.shown);
    const range = { objectid: from.objectid, type: from.type, first: from.offset, last: to.offset };
    const inside = kind.filter(({ key }) => compareKeys(key, from) >= 0 && compareKeys(key, { ...from, offset: to.offset }) <= 0);
    assert.deepEqual(await all(tree, range), inside.map((one) => one.shown));
    if (compareKeys(from, { ...from, offset: to.offset }) > 0) return;
    const withFloor = atOrBefore === undefined || inside.includes(atOrBefore) ? inside : [atOrBefore, ...inside];
    assert.deepEqual(await all(tree, { ...range, floor: true }), withFloor.map((one) => one.shown));
  }), { numRuns: 500 });
});

test('changes are bounded', () => {
  const tree = new ReplayedTree(empty, { ...defaultLimits, filesystemJournalBytesMax: 1000 });
  assert.throws(() => {
    for (let offset = 0; offset < 10; offset += 1) tree.put({ objectid: 256, type: 1, offset }, new Uint8Array(10));
  }, LimitError);
});
