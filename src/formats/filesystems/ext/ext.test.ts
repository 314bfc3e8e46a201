/** Images of mke2fs and the kernel, against what the kernel says is in them; and the suites that every tree and source must pass. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { defaultLimits, HoldfastError, IntegrityError, MemorySource, readRange, textOf, UnsupportedError, utf8, lookupPath, type FileTree, type NodeId } from '../../../core/index.ts';
import { blockSourceSuite, fileTreeSuite, type ExpectedNode } from '../../../core/conformance/index.ts';
import { extDriver } from './ext.ts';
import { INODE } from './inode.layout.ts';
import { nameHash } from './name-hash.ts';
import { RO_COMPAT, superblockLayout } from './superblock.layout.ts';
import { entriesOf, fixture, openBytes, told, type ToldPath } from './testdata/fixture.ts';

const names = ['ext2-1k', 'ext3-2k', 'ext4-4k', 'ext4-1k', 'ext4-inline', 'ext4-cut'] as const;
const letters: Readonly<Record<string, string>> = { file: 'f', directory: 'd', symlink: 'l', fifo: 'p', character: 'c', block: 'b', socket: 's' };

async function contentOf(tree: FileTree, id: NodeId): Promise<Uint8Array> {
  const source = await tree.open(id);
  return readRange(source, 0, source.size);
}

/** Seconds and ten digits, as find prints them; times before 1970 count their nanoseconds forwards, too. */
function timeText({ seconds, nanoseconds }: { readonly seconds: number; readonly nanoseconds: number }): string {
  return `${seconds}.${String(nanoseconds).padStart(9, '0')}0`;
}

/** An entry in the words of `find` and `sha256sum`. */
async function describe(tree: FileTree, id: NodeId, { size }: ToldPath): Promise<ToldPath> {
  const stat = await tree.stat(id);
  const link = stat.type === 'symlink' ? Buffer.from(await tree.readLink(id)).toString('latin1') : '';
  return {
    type: letters[stat.type] ?? '?', mode: stat.mode.toString(8), uid: String(stat.uid), gid: String(stat.gid), time: timeText(stat.modified), links: String(stat.links),
    inode: String(stat.inode), size: stat.type === 'file' || stat.type === 'symlink' ? String(stat.size) : size, target: link,
    sha256: stat.type === 'file' ? createHash('sha256').update(await contentOf(tree, id)).digest('hex') : '',
  };
}

for (const name of names) {
  test(`${name} is what the kernel says`, async () => {
    const tree = await openBytes(await fixture(`${name}.img`));
    const expected = await told(name);
    const found = await entriesOf(tree);
    assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort());
    for (const [path, facts] of expected) assert.deepEqual(await describe(tree, found.get(path) as NodeId, facts), facts, path);
    assert.deepEqual(tree.problems(), []);
    await tree.close();
  });
}

async function nodeAt(tree: FileTree, path: string): Promise<NodeId> {
  const id = await lookupPath(tree, utf8(path));
  assert.ok(id !== undefined, path);
  return id;
}

async function attributesOf(tree: FileTree, path: string): Promise<Readonly<Record<string, string>>> {
  const found = await tree.attributes(await nodeAt(tree, path));
  return Object.fromEntries([...found].map(([name, value]) => [name, Buffer.from(value).toString('hex')]));
}

test('attributes come from inodes, blocks and inodes of values; ACLs in the form of the kernel', async () => {
  const hex = (text: string): string => Buffer.from(text).toString('hex');
  for (const name of ['ext2-1k', 'ext3-2k', 'ext4-4k', 'ext4-1k', 'ext4-inline']) {
    const tree = await openBytes(await fixture(`${name}.img`));
    const huge = name === 'ext4-4k' ? { 'user.huge': hex('0'.repeat(9000)) } : {};
    assert.deepEqual(await attributesOf(tree, 'hello.txt'), { 'user.small': hex('value'), 'user.large': hex('0'.repeat(600)), ...huge }, name);
    assert.deepEqual(await attributesOf(tree, 'a'), { 'trusted.t': '00ff' });
    assert.deepEqual(await attributesOf(tree, 'link60'), { 'security.s': hex('label') });
    assert.deepEqual(await attributesOf(tree, 'left'), { 'system.posix_acl_access': ['02000000', '01000600ffffffff', '02000600e9030000', '04000400ffffffff', '08000400ea030000', '10000700ffffffff', '20000400ffffffff'].join('') });
    assert.deepEqual(Object.keys(await attributesOf(tree, 'a/b/c')), ['system.posix_acl_default']);
    assert.deepEqual(await attributesOf(tree, 'empty'), {});
  }
});

test('device numbers in both forms, and times to the nanosecond in every epoch', async () => {
  const tree = await openBytes(await fixture('ext4-4k.img'));
  const device = async (path: string): Promise<readonly unknown[]> => {
    const { type, deviceMajor, deviceMinor } = await tree.stat(await nodeAt(tree, path));
    return [type, deviceMajor, deviceMinor];
  };
  assert.deepEqual(await device('chr'), ['character', 1, 3]);
  assert.deepEqual(await device('blk'), ['block', 259, 70_000]);
  const time = async (path: string): Promise<object> => (await tree.stat(await nodeAt(tree, path))).modified;
  assert.deepEqual(await time('a/b'), { seconds: -86_401, nanoseconds: 750_000_000 });
  assert.deepEqual(await time('a/b/c'), { seconds: 15_032_385_000, nanoseconds: 123_456_789 });
});

test('what is not on the disk is a hole, whether it was never there, punched or not written yet', async () => {
  const tree = await openBytes(await fixture('ext4-4k.img'));
  const shape = async (path: string): Promise<readonly unknown[]> => {
    const source = await tree.open(await nodeAt(tree, path));
    const found: unknown[] = [];
    for await (const { kind, length } of source.extents(0, source.size)) found.push([kind, length]);
    return found;
  };
  assert.deepEqual(await shape('unwritten'), [['hole', 40_000]]);
  assert.deepEqual((await shape('hole')).slice(0, 2), [['data', 4096], ['hole', 8192]]);
  assert.deepEqual(await shape('empty'), []);
});

test('a journal is replayed in memory, or left out when asked', async () => {
  const image = await fixture('ext4-cut.img');
  const before = createHash('sha256').update(image).digest('hex');
  const tree = await openBytes(image);
  assert.match(tree.facts.remarks.join(), /transactions of the journal/);
  assert.equal(textOf(await contentOf(tree, await nodeAt(tree, 'second/magic'))).slice(4), ' looks like a block of the journal');
  assert.equal(createHash('sha256').update(image).digest('hex'), before);
  const bare = await openBytes(image, { journal: 'ignore' });
  assert.match(bare.facts.remarks.join(), /left out, as asked/);
  assert.notDeepEqual(await entriesOf(bare), await entriesOf(tree));
});

test('a journal that is damaged in the middle is refused', async () => {
  const image = (await fixture('ext4-cut.img')).slice();
  const magic = Buffer.from('c03b399800000001', 'hex');
  const at = Buffer.from(image).lastIndexOf(magic);
  image[at + 40] = (image[at + 40] as number) ^ 1;
  await assert.rejects(openBytes(image), IntegrityError);
  assert.equal((await openBytes(image, { journal: 'ignore' })).facts.clean, false);
});

test('encrypted files are listed and refused, the others are read', async () => {
  const tree = await openBytes(await fixture('ext4-encrypted.img'));
  assert.equal(textOf(await contentOf(tree, await nodeAt(tree, 'plain'))), 'plain\n');
  const hidden = [...await entriesOf(tree)].filter(([path]) => path.includes('/'));
  assert.equal(hidden.length + tree.problems().length, 2);
  for (const [, id] of hidden) {
    const { type } = await tree.stat(id);
    await assert.rejects(type === 'file' ? tree.open(id) : tree.readLink(id), UnsupportedError);
  }
});

test('a name is found by its hash, without reading the whole directory', async () => {
  const image = await fixture('ext4-1k.img');
  let bytes = 0;
  class Counting extends MemorySource {
    override readInto(offset: number, target: Uint8Array): Promise<void> {
      bytes += target.length;
      return super.readInto(offset, target);
    }
  }
  const tree = await extDriver.open([new Counting(image)], { limits: defaultLimits });
  const directory = await nodeAt(tree, 'many');
  bytes = 0;
  assert.ok(await tree.lookup(directory, utf8('entry number 1440')) !== undefined);
  assert.equal(await tree.lookup(directory, utf8('entry number 1443')), undefined);
  assert.ok(bytes < 40_000, String(bytes));
});

test('a short target is in the inode also where values of attributes count among its blocks', async () => {
  const image = (await fixture('ext4-4k.img')).slice(); // has ea_inode
  const superblock = superblockLayout.view(image, 1024);
  const data = new DataView(image.buffer, image.byteOffset, image.byteLength);
  // Without checksums, an inode can be changed.
  data.setUint32(1024 + superblockLayout.offsets.s_feature_ro_compat, superblock.s_feature_ro_compat & ~RO_COMPAT.metadata_csum, true);
  const number = await nodeAt(await openBytes(image), 'link59');
  const table = data.getUint32(4096 + 8, true) * 4096;
  data.setUint32(table + (number - 1) * superblock.s_inode_size + INODE.i_blocks_lo, 800, true);
  const tree = await openBytes(image);
  const expected = (await told('ext4-4k')).get('link59')?.target;
  assert.equal(expected?.length, 59);
  assert.equal(Buffer.from(await tree.readLink(number)).toString('latin1'), expected);
});

test('names hash as debugfs says', () => {
  // debugfs 1.47.0: dx_hash -h VERSION -s 01234567-89ab-cdef-0123-456789abcdef NAME
  const seed = Uint8Array.from(Buffer.from('0123456789abcdef0123456789abcdef', 'hex'));
  const longName = 'a name that is longer than the thirty-two bytes that one round takes';
  for (const [version, name, hash] of [
    [0, 'hello', 0x3225_2546], [0, longName, 0x6686_4806], [0, 'naïve', 0x442f_7420], [1, 'hello', 0xa26e_4a80], [1, longName, 0x1aff_dbd6], [1, 'naïve', 0x83e5_3248],
    [2, 'hello', 0x6f5b_b1a8], [2, longName, 0xe72a_ff70], [2, 'naïve', 0x784c_5732], [4, 'hello', 0xa26e_4a80],
  ] as const) assert.equal(nameHash(utf8(name), version, seed), hash, `${version} ${name}`);
  assert.equal(nameHash(utf8('hello'), 6, seed), undefined);
});

/** A copy with a range spoiled. */
function spoilt(image: Uint8Array, at: number, length: number): Uint8Array {
  return image.slice().fill(0x5a, at, at + length);
}

test('a damaged superblock is replaced by its copy, and said to be', async () => {
  for (const name of ['ext2-1k', 'ext4-1k']) {
    const image = await fixture(`${name}.img`);
    for (const [bytes, verdict] of [[spoilt(image, 1024, 1024), 'damaged'], [spoilt(image, 1024, 40), 'yes']] as const) {
      assert.equal((await extDriver.probe(new MemorySource(bytes))).match, verdict);
      const tree = await openBytes(bytes);
      assert.match(tree.facts.remarks.join(), /copy at offset 8389632 is used/);
      assert.equal((await entriesOf(tree)).size, (await told(name)).size);
    }
  }
});

test('a damaged group descriptor is replaced by its copy, and said to be', async () => {
  for (const name of ['ext2-1k', 'ext4-1k']) {
    const tree = await openBytes(spoilt(await fixture(`${name}.img`), 2048, 32));
    assert.equal((await entriesOf(tree)).size, (await told(name)).size);
    assert.deepEqual(tree.problems().map(({ kind }) => kind), ['damaged-group-descriptor']);
  }
});

test('problems and errors are our own', async () => {
  await assert.rejects(openBytes(new Uint8Array(5000)), HoldfastError);
  await assert.rejects(openBytes(new Uint8Array(0)), HoldfastError);
  assert.deepEqual(await extDriver.probe(new MemorySource(new Uint8Array(100))), { match: 'no' });
});

for (const name of ['ext2-1k', 'ext4-4k', 'ext4-1k', 'ext4-inline'] as const) {
  fileTreeSuite(name, async () => {
    const tree = await openBytes(await fixture(`${name}.img`));
    const expected: ExpectedNode[] = [...await told(name)].filter(([path]) => path !== '').map(([path, { links, uid, inode }]) => ({
      path: Buffer.from(path, 'latin1'), stat: { links: Number(links), uid: Number(uid), inode: Number(inode) },
    }));
    return { tree, expected: [...expected, { path: utf8('a/b/same'), sameAs: utf8('a/numbers') }], cleanup: () => Promise.resolve() };
  });
}

for (const [name, path] of [['ext2-1k', 'left'], ['ext4-4k', 'hole'], ['ext4-1k', 'right'], ['ext4-inline', 'hello.txt']] as const) {
  blockSourceSuite(`${path} of ${name}`, async () => {
    const tree = await openBytes(await fixture(`${name}.img`));
    const source = await tree.open(await nodeAt(tree, path));
    return { source, expected: await contentOf(tree, await nodeAt(tree, path)), cleanup: () => tree.close() };
  });
}
