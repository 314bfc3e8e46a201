/** Damage with a name: the error says which structure and field; and mutated images never do anything but fail in order. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { FormatError, HoldfastError, IntegrityError, lookupPath, MemorySource, readRange, textOf, UnsupportedError, utf8, type NodeId } from '../../../core/index.ts';
import { chainCrcAround } from './checksum.ts';
import { extDriver } from './ext.ts';
import { EXTENT, INODE, XATTR } from './inode.layout.ts';
import { journalLayout } from './journal.layout.ts';
import { INCOMPAT, RO_COMPAT, superblockLayout } from './superblock.layout.ts';
import { entriesOf, fixture, openBytes } from './testdata/fixture.ts';
import { useAll } from './testdata/use-all.ts';

/** More by HOLDFAST_FUZZ_RUNS: a long run. */
const RUNS = Number(process.env['HOLDFAST_FUZZ_RUNS'] ?? 60);
const SUPERBLOCK = 1024;

function set(bytes: Uint8Array, at: number, hex: string): Uint8Array {
  const copy = bytes.slice();
  copy.set(Buffer.from(hex, 'hex'), at);
  return copy;
}

/** Where an inode is. */
function inodeAt(bytes: Uint8Array, number: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { s_inode_size: inodeBytes, s_log_block_size: shift, s_first_data_block: first, s_inodes_per_group: perGroup, s_feature_incompat: incompat } = superblockLayout.view(bytes, SUPERBLOCK);
  const blockBytes = 1024 << shift;
  const descriptor = (first === 0 && blockBytes === 1024 ? 2 : first + 1) * blockBytes + Math.floor((number - 1) / perGroup) * ((incompat & INCOMPAT['64bit']) === 0 ? 32 : 64);
  return view.getUint32(descriptor + 8, true) * blockBytes + (number - 1) % perGroup * inodeBytes;
}

/** Image, superblock field, little-endian bytes. There is one group only, so that no copy helps. */
const superblocks = [
  ['s_log_block_size', '1f000000'], ['s_blocks_per_group', '00000000'], ['s_blocks_per_group', 'ffffffff'], ['s_inodes_per_group', '00000000'], ['s_inodes_count', '00000000'],
  ['s_inodes_count', 'ffffffff'], ['s_inode_size', '0000'], ['s_inode_size', 'ffff'], ['s_first_data_block', '05000000'], ['s_blocks_count_lo', '00000000'],
] as const;

for (const [field, hex] of superblocks) {
  test(`a superblock with ${field} ${hex} is refused by that name`, async () => {
    const bytes = set(await fixture('ext3-2k.img'), SUPERBLOCK + superblockLayout.offsets[field], hex);
    await assert.rejects(openBytes(bytes), (error: unknown) => error instanceof FormatError && error.fault.field === field && error.fault.offset === SUPERBLOCK + superblockLayout.offsets[field]);
    assert.equal((await extDriver.probe(new MemorySource(bytes))).match, 'damaged');
  });
}

test('a feature that a reader must know and does not is refused, one that only a writer must know is not', async () => {
  const image = await fixture('ext3-2k.img');
  await assert.rejects(openBytes(set(image, SUPERBLOCK + superblockLayout.offsets.s_feature_incompat + 3, '80')), UnsupportedError);
  assert.equal((await openBytes(set(image, SUPERBLOCK + superblockLayout.offsets.s_feature_ro_compat + 3, '80'))).facts.format, 'ext');
});

/** Image, file, offset in its inode, bytes, the field that the error names. Extents first, then numbers of blocks. */
const inodes = [
  ['ext4-inline.img', 'left', INODE.i_block + EXTENT.eh_magic, '0000', 'eh_magic'], ['ext4-inline.img', 'left', INODE.i_block + EXTENT.eh_entries, 'ffff', 'eh_entries'],
  ['ext4-inline.img', 'left', INODE.i_block + EXTENT.eh_depth, '0900', 'eh_depth'], ['ext4-inline.img', 'a/numbers', INODE.i_block + 12 + EXTENT.ee_len, '0000', 'ee_len'],
  ['ext4-inline.img', 'a/numbers', INODE.i_block + 12 + EXTENT.ee_start_lo, 'ffffff7f', 'ee_start'], ['ext4-inline.img', 'left', INODE.i_extra_isize, 'ffff', 'i_extra_isize'],
  ['ext2-1k.img', 'left', INODE.i_block, 'ffffff7f', 'block number'], ['ext2-1k.img', 'sparse', INODE.i_block + 48, 'ffffff7f', 'i_block, level 1'], ['ext2-1k.img', 'sparse', INODE.i_block + 56, 'ffffff7f', 'i_block, level 3'],
  ['ext2-1k.img', 'left', INODE.i_mode, '0000', 'i_mode'], ['ext2-1k.img', 'left', INODE.i_size_high, 'ffffff7f', 'i_size_high'], ['ext2-1k.img', 'left', INODE.i_size_high, 'ffff0f00', 'i_size_lo'],
  ['ext2-1k.img', 'hello.txt', INODE.i_file_acl_lo, 'ffffff7f', 'i_file_acl'], ['ext2-1k.img', 'hello.txt', INODE.i_file_acl_lo, '02000000', 'h_magic'],
] as const;

for (const [name, path, offset, hex, field] of inodes) {
  test(`${name}: ${path} with ${hex} at ${offset} of its inode is refused as ${field}; the rest is read`, async () => {
    const image = await fixture(name);
    const id = await lookupPath(await openBytes(image), utf8(path)) as NodeId;
    const tree = await openBytes(set(image, inodeAt(image, id) + offset, hex));
    await assert.rejects(useAll(tree), (error: unknown) => error instanceof FormatError && error.fault.field === field);
    const other = await tree.open(await lookupPath(tree, utf8('right')) as NodeId);
    assert.ok((await readRange(other, 0, other.size)).length > 1000);
  });
}

test('a wrong checksum of an inode, a directory, an extent node or attributes is refused', async () => {
  const image = await fixture('ext4-1k.img');
  const good = await openBytes(image);
  const data = new DataView(image.buffer, image.byteOffset);
  const at = async (path: string): Promise<number> => inodeAt(image, await lookupPath(good, utf8(path)) as NodeId);
  const left = await at('left');
  const directoryBlock = data.getUint32(await at('a') + INODE.i_block + 12 + EXTENT.ee_start_lo, true) * 1024;
  const attributeBlock = data.getUint32(await at('hello.txt') + INODE.i_file_acl_lo, true) * 1024;
  const extentBlock = data.getUint32(left + INODE.i_block + 12 + EXTENT.ei_leaf_lo, true) * 1024;
  const spots = [left + INODE.i_mtime, directoryBlock + 900, attributeBlock + XATTR.headerBytes + 4, extentBlock + 20];
  for (const spot of spots) await assert.rejects(openBytes(set(image, spot, '5a')).then(useAll), IntegrityError, String(spot));
});

test('names take types from entries under a checksum, and from inodes elsewhere', async () => {
  for (const [name, told] of [['ext4-1k.img', 'file'], ['ext2-1k.img', undefined]] as const) {
    const image = await fixture(name);
    const inode = inodeAt(image, await lookupPath(await openBytes(image), utf8('left')) as NodeId);
    const tree = await openBytes(set(image, inode + INODE.i_mode, '0000'));
    const types = new Map<string, string | undefined>();
    assert.ok(tree.names !== undefined);
    for await (const page of tree.names(tree.rootId)) for (const entry of page) types.set(textOf(entry.name), entry.type);
    assert.equal(types.get('left'), told, name);
    assert.equal(types.get('right'), 'file', name);
    assert.equal(tree.problems().length, told === undefined ? 1 : 0, name);
  }
});

test('a directory whose entries lead nowhere ends, and what is sound in it comes first', async () => {
  const image = await fixture('ext2-1k.img');
  const many = inodeAt(image, await lookupPath(await openBytes(image), utf8('many')) as NodeId);
  const block = new DataView(image.buffer, image.byteOffset).getUint32(many + INODE.i_block + 4, true) * 1024;
  for (const [at, hex, field] of [[4, '0000', 'rec_len'], [4, 'ffff', 'rec_len'], [6, 'ff', 'name_len'], [0, 'ffffffff', 'inode']] as const) {
    const tree = await openBytes(set(image, block + at, hex));
    const id = await lookupPath(tree, utf8('many')) as NodeId;
    let count = 0;
    await assert.rejects(async () => { for await (const page of tree.list(id)) count += page.length; }, (error: unknown) => error instanceof FormatError && error.fault.field === field);
    assert.ok(count > 100, String(count));
  }
});

test('a name that no path can hold is left out and listed as a problem', async () => {
  const image = Buffer.from((await fixture('ext2-1k.img')).slice());
  image[image.indexOf('hello.txt') + 2] = 0x2f;
  const tree = await openBytes(image);
  assert.ok(![...(await entriesOf(tree)).keys()].some((path) => path.includes('he/')));
  assert.deepEqual(tree.problems().map(({ kind }) => kind), ['illegal-name']);
});

test('a journal\'s head that leads astray is refused by field', async () => {
  const image = await fixture('ext4-cut.img');
  const at = Buffer.from(image).indexOf(Buffer.from('c03b399800000004', 'hex'));
  for (const [field, hex] of [['s_blocksize', '00000000'], ['s_maxlen', '7fffffff'], ['s_first', '00000000'], ['s_start', '7fffffff'], ['h_blocktype', '00000009']] as const) {
    const bytes = set(image, at + journalLayout.offsets[field], hex);
    const head = bytes.subarray(at, at + journalLayout.size);
    new DataView(head.buffer, head.byteOffset).setUint32(journalLayout.offsets.s_checksum, chainCrcAround(0xffff_ffff, head, journalLayout.offsets.s_checksum, 4));
    await assert.rejects(openBytes(bytes), (error: unknown) => error instanceof FormatError && error.fault.field === field, field);
  }
});

/** Cells of 16 bytes that are not empty: mostly metadata in these images. */
function usedCells(bytes: Uint8Array): readonly number[] {
  const cells: number[] = [];
  for (let at = 0; at < bytes.length; at += 16) if (bytes.subarray(at, at + 16).some((byte) => byte !== 0)) cells.push(at);
  return cells;
}

/** Without the feature, no checksum refuses damage before it is looked at. */
function withoutChecksums(image: Uint8Array): Uint8Array {
  const bytes = image.slice();
  const at = SUPERBLOCK + superblockLayout.offsets.s_feature_ro_compat;
  const view = new DataView(bytes.buffer);
  view.setUint32(at, view.getUint32(at, true) & ~(RO_COMPAT.metadata_csum | RO_COMPAT.gdt_csum), true);
  return bytes;
}

const values = fc.oneof(fc.constantFrom('00', 'ff', '7f', '80', 'ffff', '0000', 'ffffffff', '00000000', 'ffffffffffffffff'), fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex')));

for (const name of ['ext2-1k', 'ext3-2k', 'ext4-4k', 'ext4-1k', 'ext4-inline', 'ext4-cut', 'ext4-encrypted', 'ext4-fast']) {
  test(`mutated ${name} reads or fails in order, within bounds`, async () => {
    const good = await fixture(`${name}.img`);
    const cells = usedCells(good);
    const place = fc.oneof(fc.nat(cells.length - 1).map((i) => cells[i] as number), fc.constantFrom(...cells.slice(0, 60))).chain((cell) => fc.nat(15).map((by) => cell + by));
    const mutations = fc.array(fc.tuple(place, values), { minLength: 1, maxLength: 6 });
    await fc.assert(fc.asyncProperty(mutations, fc.boolean(), fc.constantFrom(1, 1, 1, 0.7, 0.2), async (changes, open, part) => {
      let bytes = open ? withoutChecksums(good) : good.slice();
      for (const [at, hex] of changes) bytes.set(Buffer.from(hex, 'hex').subarray(0, bytes.length - at), at);
      bytes = bytes.subarray(0, Math.floor(bytes.length * part));
      const before = process.memoryUsage().arrayBuffers;
      try {
        await extDriver.probe(new MemorySource(bytes));
        await useAll(await openBytes(bytes));
      } catch (error) {
        assert.ok(error instanceof HoldfastError, String((error as Error).stack));
      }
      assert.ok(process.memoryUsage().arrayBuffers - before < 256 << 20, 'memory');
    }), { numRuns: RUNS });
  });
}
