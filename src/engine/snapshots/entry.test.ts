import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FormatError, LimitError, defaultLimits, utf8, type NodeStat, type NodeType } from '../../core/index.ts';
import { EntryEncoder, decodeEntries, type Entry } from './entry.ts';
import { REF_BYTES, emptyContent } from './refs.ts';

const u32 = fc.nat(0xffff_ffff);
const wide = fc.nat(Number.MAX_SAFE_INTEGER);
const time = fc.record({ seconds: fc.integer({ min: -(2 ** 52), max: 2 ** 52 }), nanoseconds: fc.nat(999_999_999) }, { noNullPrototype: true });
const types: readonly NodeType[] = ['file', 'directory', 'symlink', 'fifo', 'character', 'block', 'socket'];
const facts = fc.record({
  type: fc.constantFrom(...types), size: wide, mode: fc.nat(0o7777), uid: u32, gid: u32, modified: time, accessed: time, changed: time, created: time,
}, { requiredKeys: ['type', 'size', 'mode', 'uid', 'gid', 'modified'], noNullPrototype: true });
const pairs = fc.record({ device: fc.option(fc.tuple(u32, u32)), origin: fc.option(fc.tuple(wide, wide)), link: fc.option(fc.tuple(fc.integer({ min: 1, max: 2 ** 40 }), u32)) });
const refs = fc.array(fc.tuple(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.nat(2 ** 40)), { maxLength: 32 }).map((list) => {
  const bytes = new Uint8Array(list.length * REF_BYTES);
  const view = new DataView(bytes.buffer);
  list.forEach(([id, length], i) => {
    bytes.set(id, i * REF_BYTES);
    view.setUint32(i * REF_BYTES + 32, Math.floor(length / 2 ** 32));
    view.setUint32(i * REF_BYTES + 36, length >>> 0);
  });
  return bytes;
});
const bytes = fc.uint8Array({ maxLength: 300 });
const entries: fc.Arbitrary<Entry> = fc.record({
  name: fc.uint8Array({ minLength: 1, maxLength: 300 }), facts, pairs, target: fc.option(bytes), depth: fc.nat(8), refs,
  attributes: fc.dictionary(fc.string({ unit: 'grapheme', maxLength: 20 }), bytes, { maxKeys: 4 }),
}).map(({ name, facts: known, pairs: { device, origin, link }, target, depth, refs: list, attributes }) => {
  const stat: NodeStat = {
    ...known, links: link === null ? 1 : link[1],
    ...(device === null ? {} : { deviceMajor: device[0], deviceMinor: device[1] }), ...(origin === null ? {} : { inode: origin[0], device: origin[1] }),
  };
  return {
    name, stat, link: link === null ? 0 : link[0], ...(target === null ? {} : { target }), attributes: new Map(Object.entries(attributes)),
    content: list.length === 0 ? emptyContent : { depth, refs: list },
  };
});

test('entries come back as they were, whatever is in them', () => {
  const encoder = new EntryEncoder();
  fc.assert(fc.property(fc.array(entries, { maxLength: 6 }), (list) => {
    const page = new Uint8Array(Buffer.concat(list.map((entry) => encoder.encode(entry, defaultLimits).slice())));
    assert.deepEqual(decodeEntries(page, defaultLimits), list);
  }), { numRuns: 200 });
});

test('an entry has the bytes that docs/formats/entry.md tells', () => {
  const entry: Entry = {
    name: utf8('a'), stat: { type: 'symlink', size: 3, mode: 0o777, uid: 1, gid: 2, modified: { seconds: -1, nanoseconds: 5 }, links: 1, inode: 9, device: 8 },
    link: 0, target: utf8('b/c'), attributes: new Map(), content: emptyContent,
  };
  assert.equal(Buffer.from(new EntryEncoder().encode(entry, defaultLimits)).toString('hex'), [
    '0000003c', '02', '00', '0060', '01ff', '0001', '00000001', '00000002', 'ffffffffffffffff00000005', '0000000000000003', '61',
    '00000000000000090000000000000008', '00000003', '622f63',
  ].join(''));
});

test('what does not fit the layout is a LimitError before anything is written', () => {
  const encoder = new EntryEncoder();
  const plain: Entry = { name: utf8('a'), stat: { type: 'file', size: 0, mode: 0, uid: 0, gid: 0, modified: { seconds: 0, nanoseconds: 0 }, links: 1 }, link: 0, attributes: new Map(), content: emptyContent };
  const cases: readonly Entry[] = [
    { ...plain, name: new Uint8Array(65_536).fill(97) },
    { ...plain, attributes: new Map(Array.from({ length: 65_536 }, (_, i) => [`${i}`, new Uint8Array(0)])) },
    { ...plain, attributes: new Map([['x'.repeat(65_536), new Uint8Array(0)]]) },
    { ...plain, attributes: new Map([['x', new Uint8Array(defaultLimits.entryBytesMax)]]) },
  ];
  for (const entry of cases) assert.throws(() => encoder.encode(entry, defaultLimits), LimitError);
  const longest = { ...plain, name: new Uint8Array(65_535).fill(97) };
  assert.deepEqual(decodeEntries(encoder.encode(longest, defaultLimits).slice(), defaultLimits), [longest]);
});

test('changed and random pages give a FormatError or entries, nothing else', () => {
  const encoder = new EntryEncoder();
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.tuple(fc.array(entries, { minLength: 1, maxLength: 3 }), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 })).map(([list, changes]) => {
      const page = new Uint8Array(Buffer.concat(list.map((entry) => encoder.encode(entry, defaultLimits).slice())));
      for (const [at, value] of changes) page[at % page.length] = value;
      return page;
    }),
  );
  let refused = 0;
  fc.assert(fc.property(hostile, (page) => {
    try {
      const list = decodeEntries(page, defaultLimits);
      assert.ok(list.length * 44 <= page.length, 'no more entries than bytes for them');
    } catch (error) {
      assert.ok(error instanceof FormatError, String(error));
      refused += 1;
    }
  }), { numRuns: 2000 });
  assert.ok(refused > 100, `${refused} refused`);
});
