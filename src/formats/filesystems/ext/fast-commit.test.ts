/** Fast commits: images that were copied while they were mounted, against the kernel; cut short, hostile and mutated logs. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import { defaultLimits, HoldfastError, lookupPath, readRange, utf8, type NodeId } from '../../../core/index.ts';
import type { Filesystem } from '../filesystem.ts';
import { chainCrc } from './checksum.ts';
import { FC_FIELD, FC_RECORD_BYTES, FC_TAG } from './fast-commit.layout.ts';
import { lastRanges, type BlockRange } from './range-table.ts';
import { entriesOf, fixture, openBytes, told } from './testdata/fixture.ts';
import { useAll } from './testdata/use-all.ts';

const RUNS = Number(process.env['HOLDFAST_FUZZ_RUNS'] ?? 60);
const BLOCK = 1024;
const TRANSACTION = 3;
/** Blocks of the log in `ext4-fast`: the first commit takes two, the others one each. */
const AREA_BLOCKS = 10;

/** Where the log begins in an image. */
function areaOf(image: Uint8Array): number {
  const at = Buffer.from(image).indexOf(Buffer.from('090008000000000003000000', 'hex'));
  assert.equal(at % BLOCK, 0);
  return at;
}

function cleared(image: Uint8Array, block: number): Uint8Array {
  const at = areaOf(image) + block * BLOCK;
  return image.slice().fill(0, at, at + BLOCK);
}

/** All that a tree says, by path; of folders without times, and without links when these are not counted. */
async function tellAll(tree: Filesystem): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const [path, id] of await entriesOf(tree)) {
    const { type, mode, uid, gid, modified, links, size, inode } = await tree.stat(id);
    const content = type === 'file' ? createHash('sha256').update(await contentOf(tree, id)).digest('hex') : '';
    const time = type === 'directory' ? '' : `${modified.seconds}.${String(modified.nanoseconds).padStart(9, '0')}0`;
    const facts = [mode.toString(8), uid, gid, inode, time, type === 'directory' ? '' : `${links} ${size}`, content];
    found.set(path, facts.join(' '));
  }
  return found;
}

async function contentOf(tree: Filesystem, id: NodeId): Promise<Uint8Array> {
  const source = await tree.open(id);
  return readRange(source, 0, source.size);
}

async function toldAll(name: string): Promise<ReadonlyMap<string, string>> {
  const facts = [...await told(name)].map(([path, { type, mode, uid, gid, inode, time, links, size, sha256 }]) => (
    [path, [mode, uid, gid, inode, type === 'd' ? '' : time, type === 'd' ? '' : `${links} ${size}`, sha256].join(' ')] as const
  ));
  return new Map(facts.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function sorted(map: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
}

test('what is only in fast commits is what the kernel makes of it', async () => {
  const image = await fixture('ext4-fast.img');
  const before = createHash('sha256').update(image).digest('hex');
  const tree = await openBytes(image);
  assert.match(tree.facts.remarks.join(), /9 fast commits behind the last transaction, 38 changes, are replayed/);
  assert.deepEqual(sorted(await tellAll(tree)), await toldAll('ext4-fast'));
  assert.deepEqual(tree.problems(), []);
  assert.equal(createHash('sha256').update(image).digest('hex'), before);
  // Found by name, too; what went, or has another name, is not.
  for (const [path, id] of await entriesOf(tree)) if (path !== '') assert.equal(await lookupPath(tree, utf8(path)), id, path);
  for (const path of ['old/gone', 'old/moved', 'new/folder/file']) assert.equal(await lookupPath(tree, utf8(path)), undefined);
});

test('holes that fast commits made are holes, and what they only reserved', async () => {
  const tree = await openBytes(await fixture('ext4-fast.img'));
  const shapeOf = async (path: string): Promise<readonly unknown[]> => {
    const source = await tree.open(await lookupPath(tree, utf8(path)) as NodeId);
    const shape: unknown[] = [];
    for await (const { kind, length } of source.extents(0, source.size)) shape.push([kind, length]);
    return shape;
  };
  assert.deepEqual(await shapeOf('old/hole'), [['data', 1024], ['hole', 4096], ['data', 3773]]);
  assert.deepEqual(await shapeOf('new/unwritten'), [['hole', 20_000]]);
  assert.deepEqual(await shapeOf('new/sparse'), [['hole', 699_392], ['data', 611]]);
});

test('a removed directory\'s and file\'s numbers are used again, and nothing of theirs; a file without a name is no matter', async () => {
  // Linux 6.18 does not mount this one: the names and bytes are those of the moment when it was copied.
  const tree = await openBytes(await fixture('ext4-fast-live.img'));
  const withoutTime = (facts: ReadonlyMap<string, string>): ReadonlyMap<string, string> => new Map([...facts].map(([path, text]) => [path, path === 'new' ? '' : text]));
  assert.deepEqual(withoutTime(sorted(await tellAll(tree))), withoutTime(await toldAll('ext4-fast-live')));
  assert.deepEqual(await tree.attributes(await lookupPath(tree, utf8('new/file')) as NodeId), new Map());
});

test('without fast commits, and when the journal is ignored, other things are there', async () => {
  const image = await fixture('ext4-fast.img');
  const expected = await toldAll('ext4-fast');
  const none = await openBytes(cleared(image, 0));
  assert.doesNotMatch(none.facts.remarks.join(), /fast/);
  assert.ok((await entriesOf(none)).has('old/gone'));
  assert.notDeepEqual(sorted(await tellAll(none)), expected);
  assert.doesNotMatch((await openBytes(image, { journal: 'ignore' })).facts.remarks.join(), /fast/);
});

test('a log that was cut counts up to its last whole commit', async () => {
  const image = await fixture('ext4-fast.img');
  const bare = sorted(await tellAll(await openBytes(cleared(image, 0))));
  const first = await openBytes(cleared(image, 1));
  assert.match(first.facts.remarks.join(), /left out: .*the first one is damaged/);
  assert.deepEqual(sorted(await tellAll(first)), bare);
  for (let block = 2; block < AREA_BLOCKS; block += 1) {
    const tree = await openBytes(cleared(image, block));
    assert.match(tree.facts.remarks.join(), new RegExp(` ${block - 1} fast commits`));
    assert.equal((await entriesOf(tree)).has('old/same'), block > 2);
  }
});

/** A record. */
function record(tag: keyof typeof FC_TAG, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(FC_RECORD_BYTES + value.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, FC_TAG[tag], true);
  view.setUint16(2, value.length, true);
  bytes.set(value, FC_RECORD_BYTES);
  return bytes;
}

function words(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

function nameOf(parent: number, inode: number, name: string): Uint8Array {
  return Buffer.concat([words(parent, inode), Buffer.from(name)]);
}

/** One extent as ADD_RANGE holds it. */
function range(inode: number, from: number, blocks: number, start: number): Uint8Array {
  return words(inode, from, blocks, start);
}

/** The image with a log of one commit. */
function withLog(image: Uint8Array, ...records: readonly Uint8Array[]): Uint8Array {
  const head = record('head', words(0, TRANSACTION));
  const begun = Buffer.concat([head, ...records]);
  const tail = record('tail', new Uint8Array(BLOCK - begun.length - FC_RECORD_BYTES));
  const block = new Uint8Array(Buffer.concat([begun, tail]));
  new DataView(block.buffer).setUint32(begun.length + FC_RECORD_BYTES, TRANSACTION, true);
  sealTails(block);
  const copy = image.slice();
  copy.set(block, areaOf(image));
  return copy;
}

/** Gives every tail of the area the checksum of what is before it. */
function sealTails(area: Uint8Array): void {
  const view = new DataView(area.buffer, area.byteOffset, area.length);
  let crc = 0;
  for (let at = 0; at + FC_RECORD_BYTES <= area.length;) {
    const [tag, length] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
    const left = BLOCK - at % BLOCK;
    if (FC_RECORD_BYTES + length > left) return;
    const isTail = tag === FC_TAG.tail && length >= FC_FIELD.tail.bytes;
    crc = chainCrc(crc, area.subarray(at, at + FC_RECORD_BYTES + (isTail ? FC_FIELD.tail.fc_crc : length)));
    if (isTail) {
      view.setUint32(at + FC_RECORD_BYTES + FC_FIELD.tail.fc_crc, crc, true);
      crc = 0;
    }
    at += FC_RECORD_BYTES + length;
    if (BLOCK - at % BLOCK < FC_RECORD_BYTES) at += BLOCK - at % BLOCK;
  }
}

/** What is refused, and how; `old` is 12, `old/numbers` 13. */
const hostile: readonly (readonly [what: string, record: Uint8Array, remark: RegExp])[] = [
  ['a range behind the end of the filesystem', record('add_range', range(13, 0, 5, 6143)), /ee_start/],
  ['a range before its beginning', record('add_range', range(13, 0, 5, 0)), /ee_start/],
  ['an empty range', record('add_range', range(13, 0, 0, 3000)), /fc_len/],
  ['a hole behind all blocks', record('del_range', words(13, 0xffff_ffff, 5)), /fc_len/],
  ['a range of a directory', record('add_range', range(12, 0, 1, 3000)), /fc_ino/],
  ['inode 0', record('add_range', range(0, 0, 1, 3000)), /fc_ino/],
  ['the journal\'s inode', record('inode', Buffer.concat([words(8), new Uint8Array(256)])), /fc_ino/],
  ['the root\'s inode', record('inode', Buffer.concat([words(2), new Uint8Array(256)])), /fc_ino/],
  ['an inode behind the last', record('link', nameOf(12, 100_000, 'x')), /fc_ino/],
  ['a directory behind the last', record('unlink', nameOf(0xffff_ffff, 13, 'numbers')), /fc_ino/],
  ['unknown features', record('head', words(4, TRANSACTION)), /fc_features/],
  ['an unknown tag', record('pad', new Uint8Array(0)).fill(0x77, 0, 1), /did not reach/],
  ['a name of no length', record('link', words(12, 13)), /did not reach/],
  ['a short inode', record('inode', new Uint8Array(100)), /did not reach/],
];

for (const [what, one, remark] of hostile) {
  test(`${what}: nothing of the log is taken, and a remark says why`, async () => {
    const image = await fixture('ext4-fast.img');
    const tree = await openBytes(withLog(image, record('unlink', nameOf(12, 14, 'gone')), one));
    assert.match(tree.facts.remarks.join(), /left out/);
    assert.match(tree.facts.remarks.join(), remark);
    assert.deepEqual(sorted(await tellAll(tree)), sorted(await tellAll(await openBytes(cleared(image, 0)))));
  });
}

test('names in what is no directory, of inodes that are none, and once more, change nothing', async () => {
  const image = await fixture('ext4-fast.img');
  const log = [['link', 13, 16, 'x'], ['link', 12, 150, 'x'], ['unlink', 12, 13, 'nobody'], ['unlink', 150, 13, 'numbers'], ['link', 12, 14, 'numbers']] as const;
  const tree = await openBytes(withLog(image, ...log.map(([tag, parent, inode, name]) => record(tag, nameOf(parent, inode, name)))));
  assert.match(tree.facts.remarks.join(), /1 fast commits.*5 changes, are replayed/);
  assert.deepEqual(sorted(await tellAll(tree)), sorted(await tellAll(await openBytes(cleared(image, 0)))));
});

test('an inode that was logged without a name, but has one, is refused when it is asked', async () => {
  const image = await fixture('ext4-fast.img');
  const tree = await openBytes(withLog(image, record('inode', Buffer.concat([words(13), new Uint8Array(160)]))));
  await assert.rejects(tree.stat(await lookupPath(tree, utf8('old/numbers')) as NodeId), /i_mode/);
});

test('a log that is larger than the limit is left out with a remark', async () => {
  const tree = await openBytes(await fixture('ext4-fast.img'), { limits: { ...defaultLimits, filesystemJournalBytesMax: 4000 } });
  assert.match(tree.facts.remarks.join(), /left out: .*filesystemJournalBytesMax/);
});

test('mutated fast commits whose checksums hold read or fail in order, within bounds', async () => {
  for (const name of ['ext4-fast', 'ext4-fast-live']) {
    const good = await fixture(`${name}.img`);
    const at = areaOf(good);
    const value = fc.oneof(fc.constantFrom(0, 1, 2, 3, 5, 6, 7, 8, 9, 12, 13, 14, 0x7f, 0x80, 0xff), fc.nat(255));
    const mutations = fc.array(fc.tuple(fc.nat(AREA_BLOCKS * BLOCK - 1), fc.integer({ min: 1, max: 4 }), value), { minLength: 1, maxLength: 8 });
    const early = fc.array(fc.tuple(fc.nat(900), fc.integer({ min: 1, max: 4 }), value), { minLength: 1, maxLength: 8 });
    await fc.assert(fc.asyncProperty(fc.oneof(mutations, early), async (changes) => {
      const bytes = good.slice();
      for (const [offset, length, byte] of changes) bytes.fill(byte, at + offset, at + offset + length);
      sealTails(bytes.subarray(at, at + AREA_BLOCKS * BLOCK));
      const before = process.memoryUsage().arrayBuffers;
      try {
        await useAll(await openBytes(bytes));
      } catch (error) {
        assert.ok(error instanceof HoldfastError, String((error as Error).stack));
      }
      assert.ok(process.memoryUsage().arrayBuffers - before < 256 << 20, 'memory');
    }), { numRuns: RUNS });
  }
});

test('of ranges that overlap, the last one counts', () => {
  const anyRange = fc.tuple(fc.nat(40), fc.integer({ min: 1, max: 15 }), fc.option(fc.nat(1000), { nil: undefined }));
  fc.assert(fc.property(fc.array(anyRange, { maxLength: 30 }), (drawn) => {
    const ranges = drawn.map(([from, length, start]): BlockRange => ({ from, to: from + length, ...(start === undefined ? {} : { start }) }));
    const painted = (list: readonly BlockRange[]): readonly unknown[] => {
      const blocks: unknown[] = Array.from({ length: 60 });
      for (const { from, to, start } of list) for (let block = from; block < to; block += 1) blocks[block] = start === undefined ? 'hole' : start + block - from;
      return blocks;
    };
    const found = lastRanges(ranges);
    assert.deepEqual(painted(found), painted(ranges));
    for (const [i, { from, to }] of found.entries()) assert.ok(from < to && (i === 0 || from >= (found[i - 1] as BlockRange).to));
  }));
});

test('a hundred thousand overlapping ranges are put in order within a second', () => {
  const ranges = Array.from({ length: 100_000 }, (_, i) => ({ from: i, to: 2 ** 31 - i, start: i }));
  const before = process.cpuUsage().user;
  assert.equal(lastRanges(ranges).length, 199_999);
  assert.ok(process.cpuUsage().user - before < 1e6);
});
