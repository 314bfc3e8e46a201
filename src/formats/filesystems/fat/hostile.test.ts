/** Damage with a name: the error says which structure and field; and mutated volumes never do anything but fail in order. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { FormatError, HoldfastError, lookupPath, MemorySource, utf8, type NodeId } from '../../../core/index.ts';
import { bpb32Layout, bpbLayout, dirEntryLayout } from './fat.layout.ts';
import { fatDriver } from './fat.ts';
import { openVolume, volume } from './testdata/fixture.ts';
import { walkDamaged } from './testing/walk.ts';

/** The field that an attempt is refused for. */
async function refusedField(attempt: () => Promise<unknown>): Promise<string> {
  try {
    await attempt();
  } catch (error) {
    assert.ok(error instanceof FormatError, String(error));
    return error.fault.field;
  }
  return 'none';
}

const { offsets: bpb } = bpbLayout;
const { offsets: wide } = bpb32Layout;
/** Volume, bytes that are changed, the field that the error names. The second boot sector of FAT32 is changed, too. */
const damages = [
  ['fat12', bpb.BPB_BytsPerSec, '0000', 'BPB_BytsPerSec'], ['fat12', bpb.BPB_BytsPerSec, '0020', 'BPB_BytsPerSec'], ['fat12', bpb.BPB_BytsPerSec, '0102', 'BPB_BytsPerSec'], ['fat16', bpb.BPB_SecPerClus, '00', 'BPB_SecPerClus'],
  ['fat16', bpb.BPB_SecPerClus, '03', 'BPB_SecPerClus'], ['fat16', bpb.BPB_RsvdSecCnt, '0000', 'BPB_RsvdSecCnt'], ['fat16', bpb.BPB_NumFATs, '00', 'BPB_NumFATs'], ['fat16', bpb.BPB_NumFATs, 'ff', 'BPB_NumFATs'],
  ['fat16', bpb.BPB_Media, '77', 'BPB_Media'], ['fat16', bpb.BPB_TotSec16, '0000', 'BPB_TotSec32'], ['fat16', bpb.BPB_TotSec16, '1000', 'BPB_TotSec32'], ['fat12', bpb.BPB_RootEntCnt, 'ffff', 'BPB_TotSec32'],
  ['fat32', bpbLayout.size + wide.BPB_FATSz32, '00000000', 'BPB_FATSz32'], ['fat32', bpbLayout.size + wide.BPB_FSVer, '0100', 'BPB_FSVer'], ['fat32', bpbLayout.size + wide.BPB_ExtFlags, '8f00', 'BPB_ExtFlags'],
] as const;

for (const [name, at, hex, field] of damages) {
  test(`${name} with '${hex}' at byte ${at} is refused for its ${field}`, async () => {
    const bytes = (await volume(`fat/${name}`)).slice();
    bytes.set(Buffer.from(hex, 'hex'), at);
    bytes.set(Buffer.from(hex, 'hex'), 6 * 512 + at);
    assert.equal(await refusedField(() => openVolume(fatDriver, bytes)), field);
  });
}

/** A file's first cluster in the root directory of a volume, and where its entry is. */
async function placeOf(bytes: Uint8Array, path: string): Promise<{ readonly id: NodeId; readonly at: number; readonly cluster: number }> {
  const id = await lookupPath(await openVolume(fatDriver, bytes), utf8(path)) as NodeId;
  return { id, at: id * 32, cluster: new DataView(bytes.buffer).getUint16(id * 32 + dirEntryLayout.offsets.DIR_FstClusLO, true) };
}

/** The volume with one table only, so that nothing can stand in for it. */
const TABLE = 512;

test('chains that go astray are refused by the entry that does', async () => {
  for (const [value, found] of [[0, 'free'], [1, '1'], [0xfff7, 'bad'], [0xfff0, '65520'], [0xffff, '1 clusters']] as const) {
    const bytes = (await volume('fat/fat16')).slice();
    const { id, cluster } = await placeOf(bytes, 'Long file name, with spaces.txt');
    new DataView(bytes.buffer).setUint16(TABLE + 2 * cluster, value, true);
    await assert.rejects((await openVolume(fatDriver, bytes)).open(id), (error: unknown) => error instanceof FormatError && error.message.includes(`'${found}'`), found);
  }
});

test('a chain that is a circle is refused, even where the file ends before the circle closes', async () => {
  const bytes = (await volume('fat/fat16')).slice();
  const { id, cluster } = await placeOf(bytes, '日本語ñ.txt');
  new DataView(bytes.buffer).setUint16(TABLE + 2 * (cluster + 2), cluster, true);
  await assert.rejects((await openVolume(fatDriver, bytes)).open(id), /circle/);
});

test('a first cluster that does not exist is refused', async () => {
  for (const value of [0, 1, 0xffff]) {
    const bytes = (await volume('fat/fat16')).slice();
    const { id, at } = await placeOf(bytes, 'README.TXT');
    new DataView(bytes.buffer).setUint16(at + dirEntryLayout.offsets.DIR_FstClusLO, value, true);
    assert.equal(await refusedField(async () => (await openVolume(fatDriver, bytes)).open(id)), 'first cluster');
  }
});

test('a directory that is in itself, or in the middle of another, is not walked twice', async () => {
  for (const within of [0, 1]) {
    const bytes = (await volume('fat/fat16')).slice();
    const view = new DataView(bytes.buffer);
    const deep = await placeOf(bytes, 'Deep');
    const down = await placeOf(bytes, 'Deep/down');
    const many = await placeOf(bytes, 'many');
    const second = view.getUint16(TABLE + 2 * many.cluster, true);
    view.setUint16(down.at + dirEntryLayout.offsets.DIR_FstClusLO, within === 0 ? deep.cluster : second, true);
    const tree = await openVolume(fatDriver, bytes);
    const listed: string[] = [];
    for (const id of [tree.rootId, deep.id, many.id, down.id]) {
      try {
        for await (const page of tree.list(id)) listed.push(String(page.length > 0));
      } catch (error) {
        listed.push((error as Error).message.replace(/.*(another directory's).*/, '$1'));
      }
    }
    assert.equal(listed.at(-1), "another directory's");
    await walkDamaged(tree);
  }
});

test('a volume that was cut is refused where it is read', async () => {
  const bytes = (await volume('fat/fat16')).slice(0, 100_000);
  const tree = await openVolume(fatDriver, bytes);
  assert.match(tree.facts.remarks.join(), /cut/);
  const source = await tree.open(await lookupPath(tree, utf8('pieces.bin')) as NodeId);
  await assert.rejects(source.readInto(0, new Uint8Array(source.size)), FormatError);
  await source.close();
  await assert.rejects(openVolume(fatDriver, bytes.subarray(0, 4096)), FormatError);
});

test('nodes that no listing gave are refused', async () => {
  const tree = await openVolume(fatDriver, await volume('fat/fat16'));
  for (const id of [0, 2, 15, 1e9, 2 ** 52, -5, 0.5]) await assert.rejects(tree.stat(id as NodeId), HoldfastError);
});

/** Places that hold metadata: boot sector, tables, directories; and anywhere. */
const places = fc.oneof(fc.nat(90), fc.nat(8192), fc.nat(40_000), fc.nat(300_000));
const values = fc.oneof(fc.constantFrom('00', 'ff', '7f', '80', 'ffffffff', '00000000', '0f', '10', 'e5', 'f8ff', '0200', '0300'), fc.uint8Array({ minLength: 1, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('hex')));
const mutations = fc.record({ changes: fc.array(fc.tuple(places, values), { minLength: 1, maxLength: 12 }), cut: fc.option(fc.double({ min: 0, max: 1, noNaN: true }), { freq: 6, nil: 1 }) });

for (const [name, runs] of [['fat12', 60], ['fat16', 60], ['fat32', 15]] as const) {
  test(`mutated ${name} reads or fails in order, within bounds`, async () => {
    const good = await volume(`fat/${name}`);
    await fc.assert(fc.asyncProperty(mutations, async ({ changes, cut }) => {
      const bytes = good.slice(0, Math.floor(good.length * cut));
      for (const [at, hex] of changes) if (at < bytes.length) bytes.set(Buffer.from(hex, 'hex').subarray(0, bytes.length - at), at);
      const before = process.memoryUsage().arrayBuffers;
      await fatDriver.probe(new MemorySource(bytes));
      try {
        await walkDamaged(await openVolume(fatDriver, bytes));
      } catch (error) {
        assert.ok(error instanceof HoldfastError, String((error as Error).stack));
      }
      assert.ok(process.memoryUsage().arrayBuffers - before < 128 << 20, 'memory');
    }), { numRuns: runs });
  });
}
