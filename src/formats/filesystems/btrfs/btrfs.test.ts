/** Images that Linux made, read as trees: content, facts, subvolumes, spare copies, parity, and the log of a power cut. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { blockSourceSuite, type ExpectedNode, fileTreeSuite } from '../../../core/conformance/index.ts';
import { FormatError, type FileTree, HoldfastError, IntegrityError, lookupPath, MemorySource, type NodeId, NotFoundError, readRange, textOf, UnsupportedError, utf8 } from '../../../core/index.ts';
import { btrfsDriver } from './btrfs.ts';
import { changeSuperblock, image, lines, openFixture, openImages, type SparseImage, treeBlocks } from './testdata/fixture.ts';

const file = (path: string, content: Uint8Array): ExpectedNode => ({ path: utf8(path), content, stat: { type: 'file', size: content.length } });

function overwritten(): Uint8Array {
  const bytes = lines(40_000);
  bytes.set(utf8('OVERWRITTEN'), 70_000);
  return bytes;
}

function withHole(): Uint8Array {
  const bytes = new Uint8Array(500_003);
  bytes.set(lines(3000));
  bytes.set(utf8('end'), 500_000);
  return bytes;
}

async function read(tree: FileTree, path: string): Promise<Uint8Array> {
  const id = await lookupPath(tree, utf8(path));
  assert.ok(id !== undefined, `'${path}' exists`);
  const source = await tree.open(id);
  return readRange(source, 0, source.size);
}

async function namesIn(tree: FileTree, path: string): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const page of tree.list(await lookupPath(tree, utf8(path)) as NodeId)) names.push(...page.map(({ name }) => textOf(name)));
  return names.sort();
}

const compressed = ['zlib', 'lzo', 'zstd'].flatMap((kind) => [file(`${kind}/text`, overwritten()), file(`${kind}/inline`, lines(100)), file(`${kind}/holes`, withHole())]);

fileTreeSuite('btrfs, one device', async () => ({
  tree: await openFixture('single'),
  expected: [
    ...compressed, file('empty', new Uint8Array(0)), file('unwritten', new Uint8Array(200_000)), file('sub/nested/file', utf8('nested')), file('sub/file', utf8('changed')),
    file('snapshot/file', utf8('small')), file('sub/shared', overwritten()), file('snapshot/shared', overwritten()),
    { ...file('small', utf8('small')), stat: { type: 'file', links: 2, mode: 0o664, modified: { seconds: -2_145_916_801, nanoseconds: 123_456_789 }, inode: 269 }, attributes: new Map([['user.one', utf8('1')], ['trusted.two', utf8('22')]]) },
    { path: utf8('link'), sameAs: utf8('small') }, { path: utf8('symlink'), target: utf8('small') },
    { path: utf8('device'), stat: { type: 'character', deviceMajor: 259, deviceMinor: 70_000 } }, { path: utf8('fifo'), stat: { type: 'fifo' } },
    { path: new Uint8Array([...utf8('no utf8 '), 0xff]), content: utf8('x') }, { path: utf8('sub'), stat: { type: 'directory', uid: 77, gid: 88, inode: 256, links: 1 } },
  ],
  cleanup: async () => undefined,
}));

fileTreeSuite('btrfs, mixed chunks', async () => ({ tree: await openFixture('mixed'), expected: [file('file', lines(200))], cleanup: async () => undefined }));
fileTreeSuite('btrfs, after a power cut', async () => ({ tree: await openFixture('log'), expected: [file('dir/new', lines(3000))], cleanup: async () => undefined }));

for (const path of ['lzo/text', 'zstd/holes', 'zlib/inline', 'sub/shared', 'unwritten']) {
  blockSourceSuite(`btrfs file ${path}`, async () => {
    const tree = await openFixture('single');
    const source = await tree.open(await lookupPath(tree, utf8(path)) as NodeId);
    return { source, expected: await readRange(source, 0, source.size), cleanup: () => tree.close() };
  });
}

test('a probe knows btrfs, what is not, and what is damaged', async () => {
  const single = await image('single');
  assert.deepEqual(await btrfsDriver.probe(single), { match: 'yes', version: 'btrfs' });
  assert.deepEqual(await btrfsDriver.probe(new MemorySource(new Uint8Array(70_000))), { match: 'no' });
  assert.deepEqual(await btrfsDriver.probe(new MemorySource(new Uint8Array(100))), { match: 'no' });
  single.write(65_536 + 200, new Uint8Array(8).fill(7));
  assert.deepEqual(await btrfsDriver.probe(single), { match: 'yes', version: 'btrfs' }, 'the spare copy is good');
  single.write((64 << 20) + 200, new Uint8Array(8).fill(7));
  assert.equal((await btrfsDriver.probe(single)).match, 'damaged');
  const unused = await image('single');
  unused.write(65_536, new Uint8Array(4096));
  assert.equal((await btrfsDriver.probe(unused)).match, 'yes', 'in front of it is nothing else');
  unused.write(1024, new Uint8Array([1]));
  assert.equal((await btrfsDriver.probe(unused)).match, 'no', 'another filesystem may have been made over it');
});

test('facts, members and subvolumes', async () => {
  const tree = await openFixture('single');
  const { uuid, remarks, ...facts } = tree.facts;
  assert.match(uuid ?? '', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.deepEqual({ facts, remarks }, { facts: { format: 'btrfs', version: 'btrfs', label: 'holdfast', size: 128 << 20, blockBytes: 4096, clean: true }, remarks: [] });
  assert.deepEqual(await tree.volumes?.(), [
    { kind: 'subvol', name: '/', readOnly: false }, { kind: 'subvol', name: 'sub', readOnly: false }, { kind: 'subvol', name: 'sub/nested', readOnly: false }, { kind: 'subvol', name: 'snapshot', readOnly: true },
  ]);
  const nested = await tree.openVolume?.('subvol', 'sub/nested');
  assert.deepEqual(Buffer.from(await read(nested as FileTree, 'file')), Buffer.from('nested'));
  await nested?.close();
  await assert.rejects(async () => tree.openVolume?.('subvol', 'many'), (error: Error) => error instanceof NotFoundError && error.message.includes("'sub/nested'"));
  await assert.rejects(async () => tree.openVolume?.('snapshot', 'snapshot'), NotFoundError);
  const member = await btrfsDriver.member?.(await image('mirror-b'));
  assert.equal(member?.members, 2);
  assert.equal(member?.filesystem, (await btrfsDriver.member?.(await image('mirror-a')))?.filesystem);
  assert.notEqual(member?.member, (await btrfsDriver.member?.(await image('mirror-a')))?.member);
});

test('what a snapshot left out is an empty directory, with an id of its own', async () => {
  const tree = await openFixture('single');
  const id = await lookupPath(tree, utf8('snapshot/nested')) as NodeId;
  assert.deepEqual(await namesIn(tree, 'snapshot/nested'), []);
  const { type, mode, uid, gid, inode, links } = await tree.stat(id);
  assert.deepEqual({ type, mode, uid, gid, inode, links }, { type: 'directory', mode: 0o755, uid: 77, gid: 88, inode: 2, links: 1 });
  assert.equal(await lookupPath(tree, utf8('snapshot/nested')), id);
  assert.equal(await tree.lookup(id, utf8('file')), undefined);
  assert.equal((await tree.attributes(id)).size, 0);
  await assert.rejects(async () => tree.openVolume?.('subvol', 'snapshot/nested'), NotFoundError);
});

test('the default subvolume is shown, the top level is a subvolume like others', async () => {
  const tree = await openFixture('mixed');
  assert.ok(!(await namesIn(tree, '')).includes('top'));
  const top = await tree.openVolume?.('subvol', '/') as FileTree;
  assert.deepEqual(await namesIn(top, ''), ['shown', 'top']);
  assert.equal(await lookupPath(top, utf8('shown/file')), await lookupPath(tree, utf8('file')), 'one id for one file');
});

test('a mirror works without either of its devices', async () => {
  for (const name of ['mirror-a', 'mirror-b']) {
    const tree = await openFixture(name);
    assert.deepEqual(await read(tree, 'file'), lines(5000));
    assert.match(tree.facts.remarks.join(), /Device [12] is missing/);
  }
  const both = [await image('mirror-b'), await image('mirror-a')];
  const tree = await openImages(both);
  assert.deepEqual(await read(tree, 'file'), lines(5000));
  assert.deepEqual([tree.facts.remarks, tree.problems()], [[], []]);
  await tree.close();
  await tree.close();
  assert.deepEqual(both.map(({ closed }) => closed), [1, 1]);
  await assert.rejects(async () => openImages([await image('mirror-a'), await image('mirror-a')]), FormatError);
  await assert.rejects(async () => openImages([await image('mirror-a'), await image('mixed')]), FormatError);
});

/** Turns over one bit of each block of an image that begins like the file, or of each of its tree blocks. */
async function spoil(found: SparseImage, what: 'data' | 'trees'): Promise<void> {
  const { offsets } = await treeBlocks(found);
  const data = [...found.blocks].filter(([, block]) => textOf(block.subarray(0, 12)).startsWith('1\n2\n3\n4\n5\n6\n')).map(([index]) => index * 4096);
  assert.ok(offsets.length > 0 && data.length > 0);
  for (const offset of what === 'data' ? data : offsets) {
    const block = await found.range(offset, 200);
    block[150] = (block[150] as number) ^ 1;
    found.write(offset, block);
  }
}

test('damage to one copy is read from the other one and noted; to both, refused', async () => {
  for (const what of ['data', 'trees'] as const) {
    const damaged = await image('mirror-a');
    await spoil(damaged, what);
    const tree = await openImages([damaged, await image('mirror-b')]);
    assert.deepEqual(await read(tree, 'file'), lines(5000));
    assert.equal(tree.problems()[0]?.kind, 'spare-copy');
    const other = await image('mirror-b');
    await spoil(other, what);
    await assert.rejects(async () => read(await openImages([damaged, other]), 'file'), IntegrityError);
  }
});

test('a device that missed commits is trusted last', async () => {
  const old = await image('mirror-a');
  await changeSuperblock(old, (bytes) => { bytes[72] = (bytes[72] as number) - 1; });
  const tree = await openImages([old, await image('mirror-b')]);
  assert.match(tree.facts.remarks.join(), /Device 1 missed the last commits/);
  assert.deepEqual(await read(tree, 'file'), lines(5000));
});

test('parity stands in for any one device, not for two', async () => {
  const all = ['parity-a', 'parity-b', 'parity-c'];
  for (const names of [all, ...all.map((missing) => all.filter((name) => name !== missing))]) {
    const tree = await openImages(await Promise.all(names.map(image)));
    assert.deepEqual(await read(tree, 'file'), lines(50_000), names.join());
  }
  await assert.rejects(async () => read(await openFixture('parity-a'), 'file'), IntegrityError);
});

test('the log of a power cut shows what was synced, unless it is left out', async () => {
  const tree = await openFixture('log');
  assert.match(tree.facts.remarks.join(), /log .* was replayed in memory/);
  assert.equal(tree.facts.clean, false);
  assert.deepEqual(await namesIn(tree, 'dir'), ['appended', 'below', 'cut', 'kept', 'new', 'other name', 'replaced', 'second name']);
  assert.deepEqual(Buffer.from(await read(tree, 'dir/appended')), Buffer.concat([lines(3000), utf8('more')]));
  assert.deepEqual(await read(tree, 'dir/cut'), lines(3000).slice(0, 5000));
  assert.deepEqual(Buffer.from(await read(tree, 'dir/replaced')), Buffer.from('new'));
  const kept = await lookupPath(tree, utf8('dir/kept')) as NodeId;
  assert.equal(await lookupPath(tree, utf8('dir/second name')), kept);
  assert.equal((await tree.stat(kept)).links, 2);
  assert.deepEqual([...await tree.attributes(kept)].map(([name, value]) => [name, textOf(value)]), [['user.new', '2']]);
  const bare = await openFixture('log', { journal: 'ignore' });
  assert.deepEqual(await namesIn(bare, 'dir'), ['appended', 'cut', 'kept', 'removed', 'renamed', 'replaced']);
  assert.deepEqual(await read(bare, 'dir/appended'), lines(3000));
  assert.match(bare.facts.remarks.join(), /left out/);
});

test('a log that cannot be read leaves the last commit, and says so', async () => {
  const damaged = await image('log');
  const log = Number(new DataView((damaged.blocks.get(16) as Uint8Array).buffer, (damaged.blocks.get(16) as Uint8Array).byteOffset).getBigUint64(96, true));
  await changeSuperblock(damaged, (bytes) => { new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(96, BigInt(log + 4096), true); });
  const tree = await openImages([damaged]);
  assert.match(tree.facts.remarks.join(), /cannot be replayed/);
  assert.deepEqual(await namesIn(tree, 'dir'), ['appended', 'cut', 'kept', 'removed', 'renamed', 'replaced']);
});

test('the decoder that is given is asked first, and ours has the last word', async () => {
  let frames = 0;
  const tree = await openFixture('single', { unzstd: () => {
    frames += 1;
    throw new FormatError('Refuse frame', { structure: 'test', field: 'frame' });
  } });
  assert.deepEqual(await read(tree, 'zstd/text'), overwritten());
  assert.ok(frames > 1);
  const wrong = await openFixture('single', { unzstd: (_, target) => { target.fill(65); } });
  assert.equal((await read(wrong, 'zstd/text'))[0], 65, 'what it gives is taken');
});

test('what is known but not read is refused by name', async () => {
  for (const [bit, name] of [[12, 'zoned'], [13, 'extent-tree-v2'], [14, 'raid-stripe-tree'], [40, 'bit 40']] as const) {
    const found = await image('single');
    await changeSuperblock(found, (bytes) => { bytes[188 + (bit >> 3)] = (bytes[188 + (bit >> 3)] as number) | 1 << (bit & 7); });
    await assert.rejects(openImages([found]), (error: Error) => error instanceof UnsupportedError && error.message.includes(name));
    assert.deepEqual(await btrfsDriver.probe(found), { match: 'yes', version: 'btrfs' });
  }
  const readOnly = await image('single');
  await changeSuperblock(readOnly, (bytes) => { bytes.fill(0xff, 172, 188); });
  assert.deepEqual(await read(await openImages([readOnly]), 'small'), new Uint8Array(utf8('small')), 'features that only forbid writing');
});

test('ids and types that lead nowhere are refused', async () => {
  const tree = await openFixture('single');
  const symlink = await lookupPath(tree, utf8('symlink')) as NodeId;
  const small = await lookupPath(tree, utf8('small')) as NodeId;
  await assert.rejects(async () => tree.stat(2 ** 45 as NodeId), NotFoundError);
  await assert.rejects(async () => tree.stat(2 ** 39 as NodeId), NotFoundError);
  await assert.rejects(async () => tree.stat(99_999 as NodeId), HoldfastError);
  await assert.rejects(async () => tree.open(symlink), UnsupportedError);
  await assert.rejects(async () => tree.readLink(small), UnsupportedError);
  await assert.rejects(async () => tree.lookup(small, utf8('x')), UnsupportedError);
});
