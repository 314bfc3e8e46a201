/** Damage with a name: the error says which structure and field; and mutated volumes never do anything but fail in order. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { defaultLimits, FormatError, HoldfastError, IntegrityError, lookupPath, MemorySource, textOf, UnsupportedError, utf8, type NodeId } from '../../../core/index.ts';
import { walkDamaged } from '../fat/testing/walk.ts';
import type { Filesystem } from '../filesystem.ts';
import { bootChecksum, CHECKSUM, checksumOf } from './checksum.ts';
import { bootLayout, checkpointLayout, pageLayout, superblockLayout } from './refs.layout.ts';
import { refsDriver } from './refs.ts';
import { goodVolume, shapes } from './testing/volumes.ts';

const CLUSTER = 4096;
const PAGE = 16 << 10;

function openVolume(bytes: Uint8Array): Promise<Filesystem> {
  return refsDriver.open([new MemorySource(bytes)], { limits: defaultLimits });
}

/** Puts right the sum of a page about itself, over its first cluster. */
function sealSelf(bytes: Uint8Array, cluster: number, selfAt: number): void {
  const page = bytes.subarray(cluster * CLUSTER, (cluster + 1) * CLUSTER);
  const reference = page.slice(selfAt, selfAt + 48);
  page.fill(0, selfAt, selfAt + 48);
  const sum = checksumOf(CHECKSUM.crc32c, page) as Uint8Array;
  page.set(reference, selfAt);
  page.set(sum, selfAt + 40);
}

function sealBoot(bytes: Uint8Array): void {
  new DataView(bytes.buffer).setUint16(bootLayout.offsets.Checksum, bootChecksum(bytes.subarray(0, 512)), true);
  bytes.copyWithin(bytes.length - 512, 0, 512);
}

/**
 * Puts right every reference, from the leaves up: rounds until nothing changes, because a page's sum is within the page above it. References
 * are known by their clusters: those of a page that is where they say.
 */
function sealTrees(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer);
  const places = new Map<string, number>();
  const containers = 24;
  const per = (1 << 20) / CLUSTER;
  const virtual = (cluster: number): number => (2 + containers - 1 - Math.floor(cluster / per)) * per * 2 + cluster % per;
  for (let at = 0; at + PAGE <= bytes.length; at += CLUSTER) {
    if (textOf(bytes.subarray(at, at + 4)) !== 'MSB+') continue;
    for (const number of [at / CLUSTER, virtual(at / CLUSTER)]) places.set(String(number), at);
  }
  for (let round = 0; round < 6; round += 1) {
    let changed = 0;
    for (let at = 0; at + 48 <= bytes.length; at += 4) {
      if (view.getUint32(at + 32, true) !== (CHECKSUM.crc64 << 16 | 8 << 24) || view.getUint16(at + 36, true) !== 8) continue;
      const place = places.get(String(view.getUint32(at, true)));
      if (place === undefined || view.getUint32(at + 8, true) !== view.getUint32(at, true) + 1) continue;
      const sum = checksumOf(CHECKSUM.crc64, bytes.subarray(place, place + PAGE)) as Uint8Array;
      if (Buffer.compare(sum, bytes.subarray(at + 40, at + 48)) === 0) continue;
      bytes.set(sum, at + 40);
      changed += 1;
    }
    if (changed === 0) break;
  }
  for (const cluster of [40, 44]) sealSelf(bytes, cluster, 0x100);
}

const boot = bootLayout.offsets;
const damages = [
  [boot.BytesPerSector, '00010000', 'BytesPerSector'], [boot.SectorsPerCluster, '00000000', 'SectorsPerCluster'], [boot.SectorsPerCluster, '10000000', 'SectorsPerCluster'], [boot.BytesPerContainer, '0100100000000000', 'BytesPerContainer'],
  [boot.NumberOfSectors, '000000000000ff00', 'NumberOfSectors'], [boot.NumberOfSectors, '0000000000000000', 'none'],
] as const;

for (const [at, hex, field] of damages) {
  test(`boot sector with '${hex}' at byte ${at}: ${field}`, async () => {
    const bytes = goodVolume('3.14').slice();
    bytes.set(Buffer.from(hex, 'hex'), at);
    sealBoot(bytes);
    const attempt = openVolume(bytes);
    // Without its size, only the superblocks at the end are not found.
    if (field === 'none') assert.match((await attempt).facts.remarks.join(), /superblock/);
    else await assert.rejects(attempt, (error: unknown) => error instanceof FormatError && error.fault.field === field);
  });
}

test('versions that are not documented are refused as such', async () => {
  for (const [major, minor] of [[1, 2], [2, 2], [3, 1], [3, 15], [4, 0]] as const) {
    const bytes = goodVolume('3.14').slice();
    bytes.set([major, minor], boot.MajorVersion);
    sealBoot(bytes);
    await assert.rejects(openVolume(bytes), UnsupportedError);
  }
});

test('damage to all copies of a structure is refused', async () => {
  const bytes = goodVolume('3.14').slice();
  const clusters = bytes.length / CLUSTER;
  for (const cluster of [30, clusters - 2, clusters - 3]) bytes[cluster * CLUSTER + 0x200] = 1;
  await assert.rejects(openVolume(bytes), IntegrityError);
  const counts = goodVolume('3.14').slice();
  for (const cluster of [30, clusters - 2, clusters - 3]) {
    new DataView(counts.buffer).setUint32(cluster * CLUSTER + pageLayout.size + superblockLayout.offsets.CheckpointsCount, 0x7fff_ffff, true);
    sealSelf(counts, cluster, 0xd0);
  }
  await assert.rejects(openVolume(counts), (error: unknown) => error instanceof FormatError && error.fault.field === 'CheckpointsCount');
  const roots = goodVolume('3.14').slice();
  for (const cluster of [40, 44]) {
    new DataView(roots.buffer).setUint32(cluster * CLUSTER + pageLayout.size + checkpointLayout.offsets.RootsCount, 0xffff_ffff, true);
    sealSelf(roots, cluster, 0x100);
  }
  await assert.rejects(openVolume(roots), (error: unknown) => error instanceof FormatError && error.fault.field === 'RootsCount');
});

/** Pages of a directory by the number of its object. */
function pagesOf(bytes: Uint8Array, object: number): readonly number[] {
  const view = new DataView(bytes.buffer);
  return Array.from({ length: bytes.length / CLUSTER }, (_, i) => i * CLUSTER).filter((at) => textOf(bytes.subarray(at, at + 4)) === 'MSB+' && view.getUint32(at + 0x48, true) === object);
}

test('a page with a wrong checksum is refused, and the rest is read', async () => {
  const bytes = goodVolume('3.14').slice();
  const folder = await lookupPath(await openVolume(bytes), utf8('many')) as NodeId;
  bytes[(pagesOf(bytes, folder)[1] as number) + 5000] = 0xee;
  const tree = await openVolume(bytes);
  await assert.rejects(async () => { for await (const page of tree.list(folder)) assert.ok(page.length > 0); }, IntegrityError);
  assert.ok(await lookupPath(tree, utf8('small.txt')) !== undefined);
  await walkDamaged(tree);
});

test('a directory in itself is left out', async () => {
  const bytes = goodVolume('3.14').slice();
  const good = await openVolume(bytes);
  const [folder, deep] = await Promise.all(['folder', 'folder/deep'].map((path) => lookupPath(good, utf8(path))));
  const view = new DataView(bytes.buffer);
  for (const at of pagesOf(bytes, folder as number)) {
    for (let i = at; i < at + PAGE - 8; i += 4) if (view.getUint32(i, true) === deep && view.getUint32(i + 4, true) === 0) view.setUint32(i, folder as number, true);
  }
  sealTrees(bytes);
  const tree = await openVolume(bytes);
  const names: string[] = [];
  for await (const page of tree.list(folder as NodeId)) for (const { name } of page) names.push(textOf(name));
  assert.deepEqual(names, ['second name']);
  assert.deepEqual(tree.problems().map(({ kind }) => kind), ['cross-link']);
});

test('runs that are not understood are refused, never guessed', async () => {
  const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer);
  for (const [what, change] of [
    ['flags', (bytes: Uint8Array, at: number) => { view(bytes).setUint32(at + 8, 0x99_0040, true); }],
    ['gap', (bytes: Uint8Array, at: number) => { view(bytes).setUint32(at + 0x0c, 9, true); }],
    ['container', (bytes: Uint8Array, at: number) => { view(bytes).setUint32(at, 0x3fff_ffff, true); }],
    ['length', (bytes: Uint8Array, at: number) => { view(bytes).setUint32(at + 0x14, 0, true); }],
  ] as const) {
    const bytes = goodVolume('3.14').slice();
    for (const page of pagesOf(bytes, 0x600)) for (let at = page; at < page + PAGE; at += 4) if (view(bytes).getUint32(at + 8, true) === 0x18_0040) change(bytes, at);
    sealTrees(bytes);
    const tree = await openVolume(bytes);
    const id = await lookupPath(tree, utf8('large.bin')) as NodeId;
    await assert.rejects(tree.open(id).then((source) => source.readInto(0, new Uint8Array(source.size))), HoldfastError, what);
  }
});

test('a compressed volume gives only what is within the metadata', async () => {
  const bytes = goodVolume('3.14').slice();
  for (const table of [0x0b, 0x0c]) {
    for (const at of pagesOf(bytes, table)) {
      bytes[at + 0xa0] = 0x0f;
      bytes[at + 0xa4] = 1;
    }
  }
  sealTrees(bytes);
  const tree = await openVolume(bytes);
  await assert.rejects(tree.open(await lookupPath(tree, utf8('large.bin')) as NodeId), UnsupportedError);
  await (await tree.open(await lookupPath(tree, utf8('small.txt')) as NodeId)).close();
});

test('nodes that no listing gave are refused', async () => {
  const tree = await openVolume(goodVolume('3.14'));
  for (const id of [0, 2, 0x500_0000, 2 ** 52, 2 ** 52 + 64 * 4096 + 4000, 2 ** 53 - 1, -5, 2 ** 52 + 5 * 4096]) await assert.rejects(tree.stat(id as NodeId), HoldfastError, String(id));
});

test('a volume that was cut is refused where it is read', async () => {
  const bytes = goodVolume('3.14').slice(0, 6 << 20);
  await openVolume(bytes).then(walkDamaged, (error: unknown) => { assert.ok(error instanceof HoldfastError, String(error)); });
  for (const size of [100, 512, 5000, 31 * CLUSTER, 45 * CLUSTER]) await assert.rejects(openVolume(bytes.subarray(0, size)), HoldfastError);
});

const values = fc.oneof(fc.constantFrom('00', 'ff', '7f', '80', 'ffffffff', '00000000', '0100', 'ffffffffffffffff'), fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex')));

for (const [name, runs] of [['3.14', 25], ['3.4', 6], ['3.10 large clusters', 6]] as const) {
  test(`mutated ReFS ${name} reads or fails in order, within bounds`, async () => {
    const good = goodVolume(name);
    const { clusterBytes } = shapes[name] as { readonly clusterBytes: number };
    const view = new DataView(good.buffer);
    const pages = Array.from({ length: good.length / clusterBytes }, (_, i) => i * clusterBytes).filter((at) => view.getUint32(at, true) === 0x2b42_534d);
    // Boot sector, superblock, checkpoints; heads and rows of pages of trees.
    const places = fc.oneof(fc.nat(80), fc.constantFrom(30, 40, 44).chain((cluster) => fc.nat(0x600).map((by) => cluster * clusterBytes + by)), fc.constantFrom(...pages).chain((at) => fc.oneof(fc.nat(0x140), fc.nat(2000), fc.nat(PAGE - 1)).map((by) => at + by)));
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(places, values), { minLength: 1, maxLength: 8 }), fc.integer({ min: 0, max: 4 }), async (changes, repair) => {
      const bytes = good.slice();
      for (const [at, hex] of changes) if (at < bytes.length) bytes.set(Buffer.from(hex, 'hex').subarray(0, bytes.length - at), at);
      if (repair > 0) {
        sealBoot(bytes);
        if (name === '3.14') sealTrees(bytes);
        if (name === '3.14') sealSelf(bytes, 30, 0xd0);
      }
      const before = process.memoryUsage().arrayBuffers;
      await refsDriver.probe(new MemorySource(bytes));
      try {
        await walkDamaged(await openVolume(bytes));
      } catch (error) {
        assert.ok(error instanceof HoldfastError, String((error as Error).stack));
      }
      assert.ok(process.memoryUsage().arrayBuffers - before < 200 << 20, 'memory');
    }), { numRuns: runs });
  });
}
