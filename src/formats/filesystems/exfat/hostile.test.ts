/** Damage with a name: the error says which structure and field; and mutated volumes never do anything but fail in order. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { FormatError, HoldfastError, lookupPath, MemorySource, utf8, type NodeId } from '../../../core/index.ts';
import { openVolume, volume } from '../fat/testdata/fixture.ts';
import { walkDamaged } from '../fat/testing/walk.ts';
import { bootLayout, ENTRY, ENTRY_BYTES, streamLayout } from './exfat.layout.ts';
import { exfatDriver } from './exfat.ts';
import { sealBoot, sealSet } from './testing/sets.ts';

const { offsets: boot } = bootLayout;
/** Bytes of the boot sector that are changed, with its sum and its copy's made good, and the field that the error names. */
const damages = [
  [boot.FileSystemName, '4e54', 'FileSystemName'], [boot.MustBeZero, '01', 'MustBeZero'], [boot.BytesPerSectorShift, '08', 'BytesPerSectorShift'], [boot.BytesPerSectorShift, '0d', 'BytesPerSectorShift'],
  [boot.SectorsPerClusterShift, '11', 'SectorsPerClusterShift'], [boot.FileSystemRevision, '0002', 'FileSystemRevision'], [boot.NumberOfFats, '00', 'NumberOfFats'], [boot.NumberOfFats, '03', 'NumberOfFats'],
  [boot.FatOffset, '10000000', 'FatOffset'], [boot.ClusterCount, '00000000', 'ClusterCount'], [boot.ClusterCount, 'ffffffff', 'ClusterCount'], [boot.FatLength, '01000000', 'FatLength'],
  [boot.ClusterHeapOffset, '20000000', 'ClusterHeapOffset'], [boot.VolumeLength, '0010000000000000', 'VolumeLength'], [boot.VolumeLength, 'ffffffffffffff7f', 'VolumeLength'], [boot.FirstClusterOfRootDirectory, '01000000', 'FirstClusterOfRootDirectory'],
  [boot.FirstClusterOfRootDirectory, 'ffffff7f', 'FirstClusterOfRootDirectory'],
] as const;

for (const [at, hex, field] of damages) {
  test(`'${hex}' at byte ${at} of the boot sector is refused for its ${field}`, async () => {
    const bytes = (await volume('exfat/small')).slice();
    for (const base of [0, 12 * 512]) {
      bytes.set(Buffer.from(hex, 'hex'), base + at);
      sealBoot(bytes, base, 512);
    }
    await assert.rejects(openVolume(exfatDriver, bytes), (error: unknown) => {
      assert.ok(error instanceof FormatError, String(error));
      assert.equal(error.fault.field, field);
      return true;
    });
  });
}

/** A file of the volume whose set is changed and made good again. */
async function changedSet(path: string, change: (set: DataView, volume: DataView) => void): Promise<{ readonly bytes: Uint8Array; readonly id: NodeId }> {
  const bytes = (await volume('exfat/plain')).slice();
  const id = await lookupPath(await openVolume(exfatDriver, bytes), utf8(path)) as NodeId;
  const at = Math.floor(id / 2) * ENTRY_BYTES;
  const set = bytes.subarray(at, at + ENTRY_BYTES * (1 + (bytes[at + 1] as number)));
  change(new DataView(bytes.buffer, at, set.length), new DataView(bytes.buffer));
  sealSet(set);
  return { bytes, id };
}

const stream = (field: keyof typeof streamLayout.offsets): number => ENTRY_BYTES + streamLayout.offsets[field];

test('sets that say what cannot be are refused by the field', async () => {
  for (const [field, change] of [
    ['first cluster', (set: DataView) => { set.setUint32(stream('FirstCluster'), 1, true); }],
    ['first cluster', (set: DataView) => { set.setUint32(stream('FirstCluster'), 0x7fff_ffff, true); }],
    ['DataLength', (set: DataView) => { set.setUint32(stream('DataLength') + 4, 0x10, true); }],
    ['DataLength', (set: DataView) => { set.setUint32(stream('DataLength') + 4, 0xffff_ffff, true); }],
    ['ValidDataLength', (set: DataView) => { set.setUint32(stream('ValidDataLength'), 0x7fff_ffff, true); }],
    ['NameLength', (set: DataView) => { set.setUint8(stream('NameLength'), 200); }],
    ['NameLength', (set: DataView) => { set.setUint8(stream('NameLength'), 0); }],
    ['EntryType', (set: DataView) => { set.setUint8(ENTRY_BYTES, ENTRY.name); }],
  ] as const) {
    const { bytes, id } = await changedSet('日本語ñ.txt', change);
    const tree = await openVolume(exfatDriver, bytes);
    await assert.rejects(tree.open(id), (error: unknown) => {
      assert.ok(error instanceof FormatError, String(error));
      assert.equal(error.fault.field, field);
      return true;
    });
    await walkDamaged(tree);
  }
});

test('a chain in a circle and a directory in itself end', async () => {
  const { bytes, id } = await changedSet('pieces.bin', (set, all) => {
    const { FatOffset } = bootLayout.view(new Uint8Array(all.buffer));
    const first = set.getUint32(stream('FirstCluster'), true);
    const table = FatOffset * 512;
    const second = all.getUint32(table + 4 * first, true);
    all.setUint32(table + 4 * second, first, true);
  });
  await assert.rejects((await openVolume(exfatDriver, bytes)).open(id), /circle/);
  const deep = await lookupPath(await openVolume(exfatDriver, await volume('exfat/plain')), utf8('Deep')) as NodeId;
  const cluster = new DataView((await volume('exfat/plain')).buffer).getUint32(Math.floor(deep / 2) * ENTRY_BYTES + stream('FirstCluster'), true);
  const looped = await changedSet('Deep/down', (set) => { set.setUint32(stream('FirstCluster'), cluster, true); });
  const tree = await openVolume(exfatDriver, looped.bytes);
  const listings = async (node: NodeId): Promise<void> => { for await (const page of tree.list(node)) assert.ok(page.length > 0); };
  await listings(deep);
  await assert.rejects(listings(looped.id), /another directory's/);
  await walkDamaged(tree);
});

test('nodes that no listing gave are refused', async () => {
  const tree = await openVolume(exfatDriver, await volume('exfat/plain'));
  for (const id of [0, 2, 16_385, 1e9, 2 ** 52, -5, 0.5]) await assert.rejects(tree.stat(id as NodeId), HoldfastError);
});

/** Makes boot regions and sets good again, so that what is behind their sums is reached. */
function repaired(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 24 * 512) return bytes;
  for (const base of [0, 12 * 512]) sealBoot(bytes, base, 512);
  for (let at = 0; at + ENTRY_BYTES <= bytes.length; at += ENTRY_BYTES) {
    const size = ENTRY_BYTES * (1 + (bytes[at + 1] as number));
    if (bytes[at] === ENTRY.file && at + size <= bytes.length && size <= 19 * ENTRY_BYTES) sealSet(bytes.subarray(at, at + size));
  }
  return bytes;
}

const values = fc.oneof(fc.constantFrom('00', 'ff', '7f', '80', 'ffffffff', '00000000', '85', 'c0', 'c1', '02', '03'), fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex')));

for (const name of ['plain', 'small'] as const) {
  test(`mutated ${name} reads or fails in order, within bounds`, async () => {
    const good = await volume(`exfat/${name}`);
    const { FatOffset, ClusterHeapOffset, FirstClusterOfRootDirectory, SectorsPerClusterShift } = bootLayout.view(good);
    const root = (ClusterHeapOffset + (FirstClusterOfRootDirectory - 2) * 2 ** SectorsPerClusterShift) * 512;
    // Boot sector, table, root directory and what follows it, anywhere.
    const places = fc.oneof(fc.nat(120), fc.nat(4096).map((at) => FatOffset * 512 + at), fc.nat(4096).map((at) => root + at), fc.nat(60_000).map((at) => root + at), fc.nat(good.length - 1));
    const mutations = fc.record({ changes: fc.array(fc.tuple(places, values), { minLength: 1, maxLength: 12 }), cut: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 8, nil: 1 }), repair: fc.integer({ min: 0, max: 3 }) });
    await fc.assert(fc.asyncProperty(mutations, async ({ changes, cut, repair }) => {
      const bytes = good.slice(0, Math.floor(good.length * cut));
      for (const [at, hex] of changes) if (at < bytes.length) bytes.set(Buffer.from(hex, 'hex').subarray(0, bytes.length - at), at);
      if (repair > 0) repaired(bytes);
      const before = process.memoryUsage().arrayBuffers;
      await exfatDriver.probe(new MemorySource(bytes));
      try {
        await walkDamaged(await openVolume(exfatDriver, bytes));
      } catch (error) {
        assert.ok(error instanceof HoldfastError, String((error as Error).stack));
      }
      assert.ok(process.memoryUsage().arrayBuffers - before < 128 << 20, 'memory');
    }), { numRuns: 60 });
  });
}
