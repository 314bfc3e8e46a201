/** Damage with a name: the error says which structure and field; and mutated images, with checksums made good, never do anything but fail in order. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { type FileTree, FormatError, HoldfastError, IntegrityError, LimitError, lookupPath, type NodeId, readRange, UnsupportedError, utf8 } from '../../../core/index.ts';
import type { Filesystem } from '../filesystem.ts';
import { btrfsDriver } from './btrfs.ts';
import { ITEM } from './btrfs.layout.ts';
import { changeSuperblock, image, lines, openImages, sealed, type SparseImage, treeBlocks } from './testdata/fixture.ts';

/** Field of the superblock, its offset, new bytes, the field that the error names. */
const heads = [
  ['nodesize', 148, '00000000', 'nodesize'], ['nodesize', 148, '00000800', 'nodesize'], ['sectorsize', 144, '01000000', 'sectorsize'], ['root_level', 198, '09', 'root_level'],
  ['chunk_root', 88, '01', 'chunk_root'], ['chunk_root', 88, '00000000000000f0', 'chunk_root'], ['root', 80, '0000000000001000', 'logical address'], ['bytenr', 48, '0000020000000000', 'bytenr'],
  ['sys_chunk_array_size', 160, 'ff0f0000', 'sys_chunk_array_size'], ['sys_chunk_array_size', 160, '05000000', 'key'], ['sys_chunk_array', 811 + 8, '07', 'key.type'],
  ['sys_chunk_array', 811 + 17 + 44, 'ffff', 'num_stripes'], ['sys_chunk_array', 811 + 17, '0000000000000000', 'length'], ['generation', 72, 'ffff', 'generation'], ['root_level', 198, '03', 'level'],
] as const;

for (const [name, at, hex, field] of heads) {
  test(`a superblock with ${name} ${hex} is refused by ${field}`, async () => {
    const found = await image('mixed');
    await changeSuperblock(found, (bytes) => { bytes.set(Buffer.from(hex, 'hex'), at); });
    await assert.rejects(openImages([found]), (error: unknown) => {
      assert.ok(error instanceof FormatError, String(error));
      assert.equal(error.fault.field, field, error.message);
      return true;
    });
  });
}

/** Changes the first item of a type in each tree block that has one, and makes the checksums good again. */
async function changeItems(found: SparseImage, type: number, change: (data: Uint8Array, key: DataView) => void): Promise<number> {
  const { offsets, bytes, type: sums } = await treeBlocks(found);
  let count = 0;
  for (const offset of offsets) {
    const block = await found.range(offset, bytes);
    const view = new DataView(block.buffer);
    if (block[100] !== 0) continue;
    for (let i = 0; i < view.getUint32(96, true); i += 1) {
      const at = 101 + 25 * i;
      if (block[at + 8] !== type || view.getUint32(at, true) < 256) continue;
      const data = 101 + view.getUint32(at + 17, true);
      change(block.subarray(data, data + view.getUint32(at + 21, true)), new DataView(block.buffer, at, 25));
      count += 1;
    }
    found.write(offset, await sealed(block, sums));
  }
  return count;
}

async function read(tree: FileTree, path: string): Promise<Uint8Array> {
  const source = await tree.open(await lookupPath(tree, utf8(path)) as NodeId);
  return readRange(source, 0, source.size);
}

/** Item, offset in it, new bytes, file, the field that the error names. */
const items = [
  [ITEM.EXTENT_DATA, 20, '09', 'zstd/text', 'type'], [ITEM.EXTENT_DATA, 16, '07', 'zstd/text', 'UNSUPPORTED'], [ITEM.EXTENT_DATA, 17, '01', 'zstd/text', 'UNSUPPORTED'], [ITEM.EXTENT_DATA, 18, '01', 'zstd/text', 'UNSUPPORTED'],
  [ITEM.EXTENT_DATA, 8, 'ffffffff', 'zstd/text', 'ram_bytes'], [ITEM.EXTENT_DATA, 21 + 8, 'ffffff7f', 'zlib/text', 'disk_num_bytes'], [ITEM.EXTENT_DATA, 21 + 16, 'ffffff7f', 'lzo/text', 'offset'],
  [ITEM.EXTENT_DATA, 21 + 24, '0000000000000000', 'lzo/text', 'num_bytes'], [ITEM.EXTENT_DATA, 21, '0000000000000700', 'zlib/text', 'disk_bytenr'], [ITEM.EXTENT_DATA, 16, '02', 'zlib/text', 'length'],
  [ITEM.EXTENT_DATA, 16, '03', 'zlib/text', 'data'], [ITEM.EXTENT_DATA, 16, '01', 'lzo/text', 'data'], [ITEM.INODE_ITEM, 52, '00000000', 'small', 'mode'], [ITEM.INODE_ITEM, 144, 'ffffffff', 'small', 'mtime.nsec'],
  [ITEM.INODE_ITEM, 16, 'ffffffffffffffff', 'small', 'size'], [ITEM.DIR_ITEM, 27, 'ffff', 'small', 'name_len'],
] as const;

for (const [type, at, hex, path, field] of items) {
  test(`an item of type ${type} with ${hex} at ${at} is refused by ${field}`, async () => {
    const found = await image('single');
    assert.ok(await changeItems(found, type, (data) => { data.set(Buffer.from(hex, 'hex').subarray(0, Math.max(0, data.length - at)), Math.min(at, data.length)); }) > 0);
    await assert.rejects(async () => read(await openImages([found]), path), (error: unknown) => {
      assert.ok(error instanceof FormatError || error instanceof UnsupportedError, String(error));
      assert.equal(error instanceof FormatError ? error.fault.field : error.code, field, error.message);
      return true;
    });
  });
}

test('data without a checksum, or with a wrong one, is not given', async () => {
  const wrong = await image('single');
  assert.ok(await changeItems(wrong, ITEM.EXTENT_DATA, () => undefined) > 0);
  const { offsets, bytes, type } = await treeBlocks(wrong);
  for (const offset of offsets) {
    const block = await wrong.range(offset, bytes);
    if (block[100] !== 0 || block[88] !== 7) continue;
    block.fill(0x5a, bytes - 64);
    wrong.write(offset, await sealed(block, type));
  }
  await assert.rejects(async () => {
    const tree = await openImages([wrong]);
    for (const path of ['zlib/text', 'lzo/text', 'zstd/text', 'zlib/holes']) await read(tree, path);
  }, IntegrityError);
});

test('names that no tree may have are problems, and the rest is shown', async () => {
  const found = await image('single');
  await changeItems(found, ITEM.DIR_INDEX, (data) => { if (Buffer.from(data).includes('entry number 77')) data[35] = 0x2f; });
  const tree = await openImages([found]);
  let count = 0;
  for await (const page of tree.list(await lookupPath(tree, utf8('many')) as NodeId)) count += page.length;
  assert.equal(count, 900 - 11, 'numbers 77 and 770 to 779');
  assert.equal(tree.problems()[0]?.kind, 'name');
});

test('of a directory with a damaged block, all other names are listed before the error', async () => {
  const found = await image('single');
  const { offsets, bytes } = await treeBlocks(found);
  const inside: number[] = [];
  for (const offset of offsets) {
    const block = await found.range(offset, bytes);
    // Leaves of the tree of files whose first item is an entry by index.
    if (block[100] === 0 && block[88] === 5 && block[109] === ITEM.DIR_INDEX) inside.push(offset);
  }
  const wanted = inside[Math.floor(inside.length / 2)] as number;
  const block = await found.range(wanted, bytes);
  const here = new DataView(block.buffer).getUint32(96, true);
  block[bytes - 1] = (block[bytes - 1] as number) ^ 1;
  found.write(wanted, block);
  const tree = await openImages([found]);
  let count = 0;
  await assert.rejects(async () => {
    for await (const page of tree.list(await lookupPath(tree, utf8('many')) as NodeId)) count += page.length;
  }, IntegrityError);
  assert.ok(inside.length > 2 && count < 900 && count >= 900 - here, `${count} names of 900, ${here} in the lost block`);
});

test('an image that was cut is refused where the lost part is read', async () => {
  const whole = await image('single');
  const { offsets } = await treeBlocks(whole);
  for (const part of [0.1, 0.3, 0.6]) {
    const size = Math.floor(whole.size * part / 4096) * 4096;
    const cut = await image('single');
    Object.defineProperty(cut, 'size', { value: size });
    try {
      const tree = await openImages([cut]);
      assert.match(tree.facts.remarks.join(), /is cut/);
      assert.deepEqual((await read(tree, 'zlib/text')).length, lines(40_000).length);
    } catch (error) {
      assert.ok(error instanceof HoldfastError, String(error));
    }
  }
  assert.ok(offsets.length > 5);
});

/** Where a block is changed: its head, the keys, or anywhere. */
const places = fc.oneof(fc.nat(101), fc.integer({ min: 101, max: 500 }), fc.nat(16_383));
const values = fc.oneof(fc.constantFrom('00', 'ff', '01', '7f', '80', 'ffffffff', '00000000', 'ffffffffffffffff', '0000000000000000'), fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex')));
const mutations = fc.array(fc.record({ block: fc.nat(), at: places, hex: values, head: fc.integer({ min: 0, max: 9 }) }), { minLength: 1, maxLength: 4 });

type Mutation = typeof mutations extends fc.Arbitrary<infer T> ? T : never;

const blocks = new Map<string, ReturnType<typeof treeBlocks>>();

async function mutate(name: string, found: SparseImage, changes: Mutation): Promise<void> {
  const known = blocks.get(name) ?? treeBlocks(await image(name));
  blocks.set(name, known);
  const { offsets, bytes, type } = await known;
  for (const { block, at, hex, head } of changes) {
    const value = Buffer.from(hex, 'hex');
    if (head === 0) {
      // The superblock: its fields, or the chunks in it.
      const place = at < 300 ? at % 200 : 811 + at % 200;
      await changeSuperblock(found, (all) => { if (place < 64 || place > 72) all.set(value, place); });
      continue;
    }
    const offset = offsets[block % offsets.length];
    if (offset === undefined) continue;
    const changed = await found.range(offset, bytes);
    changed.set(value.subarray(0, bytes - at % bytes), at % bytes);
    found.write(offset, await sealed(changed, type));
  }
}

/** Looks at everything once, within bounds: a tree may say that it has no end. */
async function readAll(tree: Filesystem): Promise<void> {
  const seen = new Set<NodeId>([tree.rootId]);
  const queue = [tree.rootId];
  for (let id = queue.pop(); id !== undefined && seen.size < 3000; id = queue.pop()) {
    try {
      const stat = await tree.stat(id);
      await tree.attributes(id);
      if (stat.type === 'symlink') await tree.readLink(id);
      if (stat.type === 'file') await readEnds(tree, id);
      if (stat.type !== 'directory') continue;
      for await (const page of tree.list(id)) {
        for (const entry of page) {
          await tree.lookup(id, entry.name);
          if (!seen.has(entry.id)) queue.push(entry.id);
          seen.add(entry.id);
        }
      }
    } catch (error) {
      assert.ok(error instanceof HoldfastError, String((error as Error).stack));
    }
  }
  await tree.volumes?.();
}

async function readEnds(tree: Filesystem, id: NodeId): Promise<void> {
  const source = await tree.open(id);
  const part = new Uint8Array(Math.min(source.size, 140_000));
  await source.readInto(0, part);
  await source.readInto(source.size - part.length, part);
  let count = 0;
  for await (const { length } of source.extents(0, Math.min(source.size, 2 ** 32))) {
    assert.ok(length > 0);
    if ((count += 1) > 2000) break;
  }
}

for (const names of [['single'], ['mixed'], ['log'], ['mirror-a', 'mirror-b'], ['parity-a', 'parity-b', 'parity-c']]) {
  test(`mutated ${names[0]} reads or fails in order, within bounds`, async () => {
    await fc.assert(fc.asyncProperty(mutations, async (changes) => {
      const images = await Promise.all(names.map(image));
      for (const [i, found] of images.entries()) await mutate(names[i] as string, found, changes);
      const before = process.memoryUsage().arrayBuffers;
      try {
        await btrfsDriver.probe(images[0] as SparseImage);
        await readAll(await openImages(images));
      } catch (error) {
        assert.ok(error instanceof HoldfastError, String((error as Error).stack));
      }
      assert.ok(process.memoryUsage().arrayBuffers - before < 256 << 20, 'memory');
    }), { numRuns: 40 });
  });
}

test('a log that was mutated is replayed, or said to be left out, and never anything else', async () => {
  await fc.assert(fc.asyncProperty(mutations, async (changes) => {
    const found = await image('log');
    await mutate('log', found, changes.map((change) => ({ ...change, head: 1 })));
    try {
      const tree = await openImages([found]);
      assert.match(tree.facts.remarks.join(), /replayed/);
      await readAll(tree);
    } catch (error) {
      assert.ok(error instanceof FormatError || error instanceof IntegrityError || error instanceof LimitError || error instanceof UnsupportedError, String((error as Error).stack));
    }
  }), { numRuns: 60 });
});
