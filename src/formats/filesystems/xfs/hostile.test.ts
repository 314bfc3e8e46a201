/** Damage with a name: the error says which structure and field; and mutated images never do anything but fail in order, in bounded time and memory. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { defaultLimits, FormatError, HoldfastError, IntegrityError, type FileTree, LimitError, MemorySource, type NodeId, readRange, utf8 } from '../../../core/index.ts';
import { RECORD_MAGIC, recordLayout } from './log/log.layout.ts';
import { readSuperblock } from './superblock.ts';
import { fixture, idOf, openXfs } from './testdata/fixture.ts';
import { recordsOf, seal, sealRecord, type Sealed, sealSuperblock, structuresOf } from './testing/seal.ts';
import { INODE3_AT, inodeLayout, MAGIC } from './xfs.layout.ts';

/** Runs of each property; the long run of the fuzzer sets it. */
const RUNS = Number(process.env['HOLDFAST_FUZZ_RUNS'] ?? 60);
const SIZES = { block: 1024, directory: 4096, inode: 512 } as const;
/** Where forks begin in an inode of version 3. */
const FORK_AT = 176;
const STEPS_MAX = 20_000;

async function inodeSealed(image: Uint8Array, path: string): Promise<Sealed> {
  const { geometry } = await readSuperblock(new MemorySource(image));
  const id = await idOf(await openXfs(image), path);
  return { at: geometry.checkedInodeAt(id), length: SIZES.inode, crcAt: INODE3_AT };
}

/** Where the magic number does not tell how long a block is: nodes of attributes, targets of symlinks. */
const lengths: ReadonlyMap<string, number> = new Map([['many attributes', 1024], ['long soft', 2048]]);

/** Structures that say that they belong to the inode of `path`, by their magic number. */
async function blocksOf(image: Uint8Array, path: string, magic: number): Promise<readonly Sealed[]> {
  const id = await idOf(await openXfs(image), path);
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const family = { 4: [0, 40], 64: [0, 56], 12: magic > 0xffff ? [0, 32] : [8, 48] } as const;
  return structuresOf(image, SIZES).filter(({ at, crcAt }) => {
    const [magicAt, ownerAt] = family[crcAt as 4 | 12 | 64] ?? [0, 0];
    const found = magicAt === 8 ? view.getUint16(at + 8) : view.getUint32(at);
    return found === magic && view.getUint32(at + ownerAt + 4) === id;
  }).map((place) => ({ ...place, length: lengths.get(path) ?? place.length }));
}

type Use = (tree: FileTree, id: NodeId) => Promise<unknown>;
const read: Use = async (tree, id) => {
  const file = await tree.open(id);
  return readRange(file, 0, file.size);
};
const list: Use = async (tree, id) => {
  for await (const page of tree.list(id)) assert.ok(page.length > 0);
};
const attributes: Use = (tree, id) => tree.attributes(id);
const link: Use = (tree, id) => tree.readLink(id);
const stat: Use = (tree, id) => tree.stat(id);

/** Path, magic number of its structure (that of its inode), offset in it, bytes, what is done, field that the error names. */
const damages: readonly (readonly [string, number, number, string, Use, string])[] = [
  ['content', MAGIC.inode, 0, '0000', stat, 'di_magic'], ['content', MAGIC.inode, 4, '01', stat, 'di_version'], ['content', MAGIC.inode, 2, '0000', stat, 'di_mode'],
  ['content', MAGIC.inode, 159, '77', stat, 'di_ino'], ['content', MAGIC.inode, 160, 'ffff', stat, 'di_uuid'], ['content', MAGIC.inode, 76, 'ffffffff', read, 'di_nextents'],
  ['content', MAGIC.inode, 5, '07', read, 'di_format'], ['content', MAGIC.inode, FORK_AT + 8, '7fffffff', read, 'startblock'], ['content', MAGIC.inode, FORK_AT + 13, '000000', read, 'blockcount'],
  ['content', MAGIC.inode, inodeLayout.offsets.di_forkoff, 'ff', read, 'di_forkoff'], ['null', MAGIC.inode, 5, '02', stat, 'di_format'],
  ['pieces', MAGIC.inode, FORK_AT, 'ffff', read, 'bb_level'], ['pieces', MAGIC.inode, FORK_AT + 2, '0000', read, 'bb_numrecs'], ['pieces', MAGIC.inode, FORK_AT + 2, 'ffff', read, 'bb_numrecs'],
  ['pieces', MAGIC.bmapCrc, 4, '0005', read, 'bb_level'], ['pieces', MAGIC.bmapCrc, 6, 'ffff', read, 'bb_numrecs'], ['pieces', MAGIC.bmapCrc, 56, '0000000000000077', read, 'owner'],
  ['pieces', MAGIC.bmapCrc, 24, '0000000000000077', read, 'blkno'], ['pieces', MAGIC.bmapCrc, 40, 'ffff', read, 'uuid'], ['pieces', MAGIC.bmapCrc, 0, '00', read, 'magic'],
  ['short', MAGIC.inode, FORK_AT + 6, '00', list, 'namelen'], ['short', MAGIC.inode, FORK_AT + 6, 'ff', list, 'namelen'], ['short', MAGIC.inode, 56, '0000000000000001', list, 'di_size'],
  ['block', MAGIC.directoryBlockCrc, 64 + 8, '00', list, 'namelen'], ['block', MAGIC.directoryBlockCrc, 64, 'ffff0000', list, 'freetag length'], ['block', MAGIC.directoryBlockCrc, 4088, 'ffffffff', list, 'count'],
  ['attributes', MAGIC.inode, FORK_AT + 35 * 8, 'ffff', attributes, 'totsize'], ['many attributes', MAGIC.attributeLeafCrc, 56, 'ffff', attributes, 'count'],
  ['many attributes', MAGIC.attributeLeafCrc, 84, 'fffe', attributes, 'nameidx'], ['many attributes', MAGIC.attributeLeafCrc, 0, '00ffffff', attributes, 'forw'], ['many attributes', MAGIC.nodeCrc, 58, 'ffff', attributes, 'level'],
  ['remote attribute', MAGIC.attributeValue, 4, '00000007', attributes, 'offset'], ['remote attribute', MAGIC.attributeValue, 8, '00ffffff', attributes, 'bytes'],
  ['long soft', MAGIC.symlink, 8, '00000000', link, 'bytes'], ['long soft', MAGIC.inode, 56, '00ffffffffffffff', link, 'di_size'],
];

for (const [path, magic, offset, hex, use, field] of damages) {
  test(`'${path}' with a wrong ${field} (0x${magic.toString(16)}+${offset} = ${hex}) is refused by that name`, async () => {
    const image = (await fixture('v5')).slice();
    const id = await idOf(await openXfs(image), path);
    const places = magic === MAGIC.inode ? [await inodeSealed(image, path)] : await blocksOf(image, path, magic);
    assert.ok(places.length > 0, 'the structure exists');
    // Every one of its kind, so that which one is read first does not matter.
    for (const place of places) {
      const start = field === 'totsize' ? place.at + FORK_AT + (image[place.at + inodeLayout.offsets.di_forkoff] as number) * 8 : place.at + offset;
      image.set(Buffer.from(hex, 'hex'), start);
      seal(image, place);
    }
    const tree = await openXfs(image);
    await assert.rejects(use(tree, id), (error: unknown) => {
      assert.ok(error instanceof FormatError || error instanceof LimitError, String((error as Error).stack));
      assert.equal(error instanceof FormatError ? error.fault.field : field, field);
      return true;
    });
    await list(tree, tree.rootId);
  });
}

test('a checksum that does not hold is told, and the rest goes on', async () => {
  for (const [path, magic, use] of [['content', MAGIC.inode, stat], ['pieces', MAGIC.bmapCrc, read], ['many attributes', MAGIC.attributeLeafCrc, attributes], ['block', MAGIC.directoryBlockCrc, list], ['long soft', MAGIC.symlink, link]] as const) {
    const image = (await fixture('v5')).slice();
    const id = await idOf(await openXfs(image), path);
    const [place] = magic === MAGIC.inode ? [await inodeSealed(image, path)] : await blocksOf(image, path, magic);
    assert.ok(place !== undefined);
    image[place.at + place.length - 1] = (image[place.at + place.length - 1] as number) ^ 1;
    const tree = await openXfs(image);
    await assert.rejects(use(tree, id), IntegrityError, path);
    assert.equal((await tree.stat(await idOf(tree, 'hello.txt'))).size, 6);
  }
});

test('names are found without a damaged index', async () => {
  const image = (await fixture('v5')).slice();
  for (const place of await blocksOf(image, 'node', MAGIC.nodeCrc)) image[place.at + 100] = (image[place.at + 100] as number) ^ 0xff;
  const tree = await openXfs(image);
  const name = '0'.repeat(57) + '345';
  assert.ok(await tree.lookup(await idOf(tree, 'node'), utf8(name)) !== undefined);
  assert.equal(await tree.lookup(await idOf(tree, 'node'), utf8('absent')), undefined);
  assert.equal(tree.problems().length, 1);
});

test('of a directory with a damaged block the other names are listed before the error', async () => {
  const image = (await fixture('v5')).slice();
  const [place] = await blocksOf(image, 'node', MAGIC.directoryDataCrc);
  assert.ok(place !== undefined);
  image[place.at + 2000] = (image[place.at + 2000] as number) ^ 1;
  const tree = await openXfs(image);
  let count = 0;
  await assert.rejects(async () => {
    for await (const page of tree.list(await idOf(tree, 'node'))) count += page.length;
  }, IntegrityError);
  assert.ok(count > 600 && count < 700, String(count));
});

/** Walks all that can be reached, within bounds. */
async function useAll(tree: FileTree): Promise<void> {
  const queue: NodeId[] = [tree.rootId];
  const seen = new Set<number>(queue);
  const tried = async (work: () => Promise<unknown>): Promise<void> => {
    await work().catch((error: unknown) => { assert.ok(error instanceof HoldfastError, String((error as Error).stack)); });
  };
  let steps = 0;
  for (let id = queue.pop(); id !== undefined; id = queue.pop()) {
    const here = id;
    await tried(async () => {
      const { type } = await tree.stat(here);
      await tried(() => tree.attributes(here));
      if (type === 'symlink') await tree.readLink(here);
      if (type === 'file') await readEnds(tree, here);
      if (type !== 'directory') return;
      for await (const page of tree.list(here)) {
        for (const entry of page) {
          if ((steps += 1) > STEPS_MAX || seen.has(entry.id)) continue;
          seen.add(entry.id);
          queue.push(entry.id);
          if (steps % 16 === 0) await tried(() => tree.lookup(here, entry.name));
        }
      }
    });
  }
}

async function readEnds(tree: FileTree, id: NodeId): Promise<void> {
  const file = await tree.open(id);
  const part = new Uint8Array(Math.min(file.size, 1 << 16));
  await file.readInto(0, part);
  await file.readInto(file.size - part.length, part);
  let count = 0;
  for await (const { length } of file.extents(0, file.size)) {
    assert.ok(length > 0);
    if ((count += 1) > 1000) break;
  }
}

/** Opens and uses an image that was changed in place, then puts the old bytes back: images are large. */
async function withChange(image: Uint8Array, place: { readonly at: number; readonly length: number }, change: (image: Uint8Array) => void): Promise<void> {
  const before = image.slice(place.at, place.at + place.length);
  const memory = process.memoryUsage().arrayBuffers;
  try {
    change(image);
    await useAll(await openXfs(image));
  } catch (error) {
    assert.ok(error instanceof HoldfastError, String((error as Error).stack));
  } finally {
    image.set(before, place.at);
  }
  assert.ok(process.memoryUsage().arrayBuffers - memory < 256 << 20, 'memory');
}

const values = fc.oneof(fc.constantFrom('00', 'ff', '7f', '80', 'ffff', '0000', 'ffffffff', '00000000', 'ffffffffffffffff', '7fffffffffffffff'), fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex')));
/** Offsets: heads of structures are where it hurts. */
const offsets = fc.oneof(fc.nat(96), fc.nat(256), fc.nat(1023), fc.nat(4095));
const changes = fc.array(fc.tuple(offsets, values), { minLength: 1, maxLength: 4 });

function apply(image: Uint8Array, { at, length }: { readonly at: number; readonly length: number }, list_: readonly (readonly [number, string])[]): void {
  for (const [offset, hex] of list_) {
    const start = offset % length;
    image.set(Buffer.from(hex, 'hex').subarray(0, length - start), at + start);
  }
}

test('mutated metadata with good checksums reads or fails in order', async () => {
  const image = (await fixture('v5')).slice();
  const places = structuresOf(image, SIZES);
  assert.ok(places.length > 500);
  await fc.assert(fc.asyncProperty(fc.nat(places.length - 1), changes, fc.boolean(), async (index, list_, sealed) => {
    const place = places[index] as Sealed;
    await withChange(image, place, () => {
      apply(image, place, list_);
      if (sealed) seal(image, place);
    });
  }), { numRuns: RUNS });
});

test('a mutated superblock opens or fails in order', async () => {
  const image = (await fixture('v5')).slice();
  const old = (await fixture('v4')).slice();
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.nat(280), values), { minLength: 1, maxLength: 3 }), fc.boolean(), async (list_, isOld) => {
    const target = isOld ? old : image;
    await withChange(target, { at: 0, length: 512 }, () => {
      apply(target, { at: 0, length: 512 }, list_);
      if (!isOld) sealSuperblock(target);
    });
  }), { numRuns: RUNS });
});

test('mutated metadata without checksums reads or fails in order', async () => {
  const image = (await fixture('v4')).slice();
  const view = new DataView(image.buffer);
  const magics = new Set<number>([MAGIC.bmap, MAGIC.directoryBlock, MAGIC.directoryData]);
  const shortMagics = new Set<number>([MAGIC.directoryLeaf1, MAGIC.directoryLeafN, MAGIC.node, MAGIC.attributeLeaf]);
  const places: number[] = [];
  for (let at = 0; at + 4096 <= image.length; at += 256) {
    const magic = view.getUint32(at);
    if ((magic >>> 16 === MAGIC.inode && (magic & 0xf000) !== 0) || (at % 512 === 0 && (magics.has(magic) || shortMagics.has(view.getUint16(at + 8))))) places.push(at);
  }
  assert.ok(places.length > 500);
  await fc.assert(fc.asyncProperty(fc.nat(places.length - 1), changes, async (index, list_) => {
    const place = { at: places[index] as number, length: 512 };
    await withChange(image, place, () => { apply(image, place, list_); });
  }), { numRuns: RUNS });
});

test('a mutated log with good checksums is replayed or refused in order', async () => {
  const image = (await fixture('dirty')).slice();
  const { geometry } = await readSuperblock(new MemorySource(image));
  const start = geometry.blockAt(geometry.facts.log.block);
  const records = recordsOf(image, start, geometry.facts.log.blocks * 4096);
  assert.ok(records.length >= 2);
  const where = fc.oneof(fc.nat(400), fc.nat(2000), fc.nat(60_000));
  await fc.assert(fc.asyncProperty(fc.nat(records.length - 1), fc.array(fc.tuple(where, values), { minLength: 1, maxLength: 4 }), fc.boolean(), async (index, list_, sealed) => {
    const record = records[index] as (typeof records)[number];
    const place = { at: record.at, length: Math.min(record.headerBytes + record.dataBytes, image.length - record.at) };
    await withChange(image, place, () => {
      apply(image, place, list_);
      if (sealed && new DataView(image.buffer).getUint32(record.at) === RECORD_MAGIC) sealRecord(image, record);
    });
  }), { numRuns: RUNS });
});

test('a log whose records lead astray is refused by field', async () => {
  const good = await fixture('dirty');
  const { geometry } = await readSuperblock(new MemorySource(good));
  const start = geometry.blockAt(geometry.facts.log.block);
  for (const [part, offset, hex, field] of [['data', 4, '7fffffff', 'oh_len'], ['data', 8, '11', 'oh_clientid'], ['head', recordLayout.offsets.h_num_logops, '7fffffff', 'oh_len']] as const) {
    const image = good.slice();
    // The log is replayed from the tail: the first of the last two records.
    const records = recordsOf(image, start, geometry.facts.log.blocks * 4096);
    const record = records.at(-2) as (typeof records)[number];
    image.set(Buffer.from(hex, 'hex'), record.at + offset + (part === 'data' ? record.headerBytes : 0));
    sealRecord(image, record);
    await assert.rejects(openXfs(image), (error: unknown) => error instanceof FormatError && error.fault.field === field, field);
  }
});

test('cut images fail where they end', async () => {
  for (const name of ['v5', 'v4', 'dirty'] as const) {
    const whole = await fixture(name);
    for (const part of [0.001, 0.3, 0.6]) {
      try {
        await useAll(await openXfs(whole.subarray(0, Math.floor(whole.length * part)), { limits: defaultLimits }));
      } catch (error) {
        assert.ok(error instanceof HoldfastError, String((error as Error).stack));
      }
    }
  }
});
