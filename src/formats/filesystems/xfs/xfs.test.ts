/** Images of the real tools: everything that is in them, and the choices a reader has. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { defaultLimits, type DirectoryEntry, MemorySource, textOf, UnsupportedError, utf8 } from '../../../core/index.ts';
import { blockSourceSuite, fileTreeSuite } from '../../../core/conformance/index.ts';
import { PatchedSource } from '../../mapping/patched-source.ts';
import { hashOfName } from './directory-index.ts';
import { readSuperblock } from './superblock.ts';
import { dirtyNodes, filledNodes, pattern, v5Nodes } from './testdata/expected.ts';
import { fixture, idOf, openXfs } from './testdata/fixture.ts';
import { recordsOf, seal, sealSuperblock } from './testing/seal.ts';
import { INODE3_AT, INODE_FLAG, inodeLayout } from './xfs.layout.ts';
import { xfsDriver } from './xfs.ts';

const cleanup = async (): Promise<void> => undefined;

fileTreeSuite('XFS version 5', async () => ({ tree: await openXfs(await fixture('v5')), expected: [...filledNodes, ...v5Nodes], cleanup }));
fileTreeSuite('XFS version 4', async () => ({ tree: await openXfs(await fixture('v4')), expected: filledNodes, cleanup }));
fileTreeSuite('XFS with a log to replay', async () => ({ tree: await openXfs(await fixture('dirty')), expected: dirtyNodes, cleanup }));
fileTreeSuite('XFS version 4 with a log to replay', async () => ({ tree: await openXfs(await fixture('dirty-v4')), expected: dirtyNodes, cleanup }));

blockSourceSuite('file in XFS', async () => {
  const tree = await openXfs(await fixture('v5'));
  return { source: await tree.open(await idOf(tree, 'content')), expected: utf8(pattern(300_000)), cleanup };
});

async function namesIn(pages: AsyncIterable<readonly DirectoryEntry[]>): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const page of pages) names.push(...page.map(({ name }) => textOf(name)));
  return names;
}

test('facts tell version, label, identity and sizes', async () => {
  const { facts } = await openXfs(await fixture('v5'));
  assert.equal(facts.version, 'xfs v5');
  assert.equal(facts.label, 'fixture');
  assert.equal(facts.uuid, '6f1d1a52-8a0b-4d8f-9d6e-0f5f5a5e0001');
  assert.deepEqual([facts.size, facts.blockBytes, facts.clean, facts.remarks.length], [32 << 20, 1024, true, 0]);
  assert.deepEqual(await xfsDriver.probe(new MemorySource(await fixture('v4'))), { match: 'yes', version: 'v4' });
  assert.deepEqual(await xfsDriver.probe(new MemorySource(new Uint8Array(3))), { match: 'no' });
});

test('holes and what was allocated and never written show in extents', async () => {
  const tree = await openXfs(await fixture('v5'));
  for (const [name, kind] of [['holes', 'hole'], ['unwritten', 'zero']] as const) {
    const file = await tree.open(await idOf(tree, name));
    const kinds: string[] = [];
    for await (const extent of file.extents(0, file.size)) kinds.push(extent.kind);
    assert.deepEqual(kinds, [kind, 'data', kind], name);
  }
});

test('what is only in the log is not there without it', async () => {
  const tree = await openXfs(await fixture('dirty'), { journal: 'ignore' });
  assert.deepEqual([...await namesIn(tree.list(tree.rootId))].sort(), ['first', 'gone']);
  assert.equal(tree.facts.clean, false);
  assert.equal(tree.facts.remarks.length, 1);
});

test('records at the end of the log that were not written whole are left out', async () => {
  const image = await fixture('dirty');
  const { geometry } = await readSuperblock(new MemorySource(image));
  const last = recordsOf(image, geometry.blockAt(geometry.facts.log.block), geometry.facts.log.blocks * 4096).at(-1)?.at ?? 0;
  // One word of the last record's data is of other bytes: it was acknowledged by nobody.
  const torn = new PatchedSource(new MemorySource(image), [{ offset: last + 600, length: 4, bytes: utf8('torn') }], image.length);
  const tree = await openXfs(torn);
  assert.ok(!(await namesIn(tree.list(tree.rootId))).includes('renamed'));
  assert.ok(tree.facts.remarks.some((remark) => remark.includes('not written whole')), tree.facts.remarks.join());
});

/** Two inodes of 256 bytes share a basic block; the replay of one let an older state of the other be replayed, too. */
test('of version 4, each inode is newer than the log, or not, by itself', async () => {
  const image = (await fixture('dirty-v4')).slice();
  const { geometry } = await readSuperblock(new MemorySource(image));
  const names = [1, 2].map((number) => String(number).padStart(30, '0'));
  const tree = await openXfs(image);
  const [first = 0, second = 0] = await Promise.all(names.map(async (name) => Number((await tree.stat(await idOf(tree, `only-in-the-log/${name}`))).inode)));
  const [at = 0, secondAt = 0] = [geometry.inodeAt(first), geometry.inodeAt(second)];
  assert.deepEqual([first % 2, secondAt - at], [0, 256]);
  // The disk has the second one as after many more writes.
  const view = new DataView(image.buffer);
  assert.equal(view.getUint16(secondAt), 0x494e);
  view.setUint16(secondAt + inodeLayout.offsets.di_big_nextents + 6, 0x7000);
  view.setUint32(secondAt + inodeLayout.offsets.di_mtime, 1_000_000_000);
  const changed = await openXfs(image);
  const times = await Promise.all(names.map(async (name) => (await changed.stat(await idOf(changed, `only-in-the-log/${name}`))).modified.seconds));
  assert.equal(times[1], 1_000_000_000);
  assert.notEqual(times[0], 1_000_000_000);
});

test('a damaged first superblock is no loss', async () => {
  for (const [offset, hex] of [[8, 'ffff'], [0, '00000000'], [84, '00000003'], [4, '00000000']] as const) {
    const damaged = (await fixture('v5')).slice();
    damaged.set(Buffer.from(hex, 'hex'), offset);
    const tree = await openXfs(damaged);
    assert.ok((await namesIn(tree.list(tree.rootId))).includes('hello.txt'));
    assert.match(tree.facts.remarks.join(), /the copy in allocation group 1 was used/);
  }
});

test('features that a reader must know are refused by name', async () => {
  for (const [bits, name] of [[0x10, 'NEEDSREPAIR'], [0x200, 'ZONED'], [0x8000_0000, 'bit 31']] as const) {
    const changed = (await fixture('v5')).slice();
    const view = new DataView(changed.buffer);
    view.setUint32(216, (view.getUint32(216) | bits) >>> 0);
    sealSuperblock(changed);
    await assert.rejects(openXfs(changed), (error) => error instanceof UnsupportedError && error.message.includes(name));
  }
});

test('content on a realtime device is refused, and nothing else', async () => {
  const image = (await fixture('v5')).slice();
  const before = await openXfs(image);
  const id = await idOf(before, 'content');
  const { geometry } = await readSuperblock(new MemorySource(image));
  const at = geometry.checkedInodeAt(id);
  image[at + inodeLayout.offsets.di_flags + 1] = INODE_FLAG.realtime;
  seal(image, { at, length: 512, crcAt: INODE3_AT });
  const tree = await openXfs(image);
  await assert.rejects(tree.open(id), UnsupportedError);
  assert.equal((await tree.stat(id)).size, 300_000);
});

test('names are hashed as the kernel does', () => {
  // The hash of a name of up to four letters can be reckoned by hand: each letter is moved by 7 bits for those behind it.
  assert.equal(hashOfName(utf8('a')), 0x61);
  assert.equal(hashOfName(utf8('ab')), (0x61 << 7) ^ 0x62);
  assert.equal(hashOfName(utf8('abc')), (0x61 << 14) ^ (0x62 << 7) ^ 0x63);
  // '..' in each directory block of the kernel's: 0x172e.
  assert.equal(hashOfName(utf8('..')), 0x172e);
});

test('too small limits are told by name', async () => {
  const image = await fixture('v5');
  const tree = await openXfs(image, { limits: { ...defaultLimits, xattrBytesMax: 10_000 } });
  await assert.rejects(idOf(tree, 'remote attribute').then((id) => tree.attributes(id)), /xattrBytesMax/);
  await assert.rejects(openXfs(await fixture('dirty'), { limits: { ...defaultLimits, filesystemJournalBytesMax: 8192 } }), /filesystemJournalBytesMax/);
});
