/** Volumes that mkfs.exfat and exfat-fuse made, and what of a volume they do not make. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { equalBytes, IntegrityError, lookupPath, MemorySource, readRange, textOf, UnsupportedError, utf8, type NodeId } from '../../../core/index.ts';
import { blockSourceSuite, fileTreeSuite } from '../../../core/conformance/index.ts';
import { contentOf, expectedTree, openVolume, volume } from '../fat/testdata/fixture.ts';
import { nameHash, setChecksum } from './checksum.ts';
import { exfatTime } from './exfat-time.ts';
import { bootLayout, ENTRY, NO_FAT_CHAIN } from './exfat.layout.ts';
import { exfatDriver } from './exfat.ts';
import { makeSet, sealBoot, sealSet, unitsOf } from './testing/sets.ts';
import { readUpcaseTable } from './upcase-table.ts';

// exfat-fuse does not set the attribute `read-only`, and takes 2100 for a leap year when it writes.
const YEAR_2100 = Date.UTC(2100, 0) / 1000;
const writable = expectedTree.filter(({ stat }) => (stat?.modified?.seconds ?? 0) < YEAR_2100).map((node) => (node.stat?.mode === 0o555 ? { ...node, stat: { ...node.stat, mode: 0o755 } } : node));

for (const name of ['plain', 'small']) {
  fileTreeSuite(`exFAT ${name}`, async () => ({ tree: await openVolume(exfatDriver, await volume(`exfat/${name}`)), expected: writable, cleanup: () => Promise.resolve() }));
}

blockSourceSuite('file in pieces on exFAT', async () => {
  const tree = await openVolume(exfatDriver, await volume('exfat/small'));
  const source = await tree.open(await lookupPath(tree, utf8('pieces.bin')) as NodeId);
  return { source, expected: contentOf('pieces.bin', 40_000), cleanup: () => tree.close() };
});

test('facts tell label, number and state, and nothing is amiss', async () => {
  for (const [name, label, blockBytes] of [['plain', 'Plain', 4096], ['small', 'Ünïcødé 😀', 512]] as const) {
    const tree = await openVolume(exfatDriver, await volume(`exfat/${name}`));
    assert.deepEqual([tree.facts.label, tree.facts.blockBytes, tree.facts.clean, tree.facts.remarks], [label, blockBytes, true, []]);
    for await (const page of tree.list(tree.rootId)) assert.ok(page.length > 0);
    assert.deepEqual(tree.problems(), []);
  }
});

/** A small volume whose root directory holds only its tables and these sets. */
async function withSets(sets: readonly Uint8Array[]): Promise<Uint8Array> {
  const bytes = (await volume('exfat/plain')).slice();
  const boot = bootLayout.view(bytes);
  const root = boot.ClusterHeapOffset * 512 + (boot.FirstClusterOfRootDirectory - 2) * 4096;
  const kept: Uint8Array[] = [];
  for (let at = root; at < root + 4096; at += 32) if ([ENTRY.bitmap, ENTRY.upcase, ENTRY.label].includes(bytes[at] as 0x81)) kept.push(bytes.slice(at, at + 32));
  bytes.fill(0, root, root + 4096);
  bytes.set(Buffer.concat([...kept, ...sets]), root);
  return bytes;
}

async function rootNames(bytes: Uint8Array): Promise<{ readonly names: readonly string[]; readonly problems: readonly string[] }> {
  const tree = await openVolume(exfatDriver, bytes);
  const names: string[] = [];
  for await (const page of tree.list(tree.rootId)) for (const { name } of page) names.push(textOf(name));
  return { names, problems: tree.problems().map(({ kind }) => kind) };
}

const primary = (type: number): Uint8Array => Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? type : 0));

test('entries that are not files: benign ones are passed over, others are told', async () => {
  const good = makeSet({ units: unitsOf('good') });
  assert.deepEqual(await rootNames(await withSets([primary(ENTRY.texfatPadding), primary(0xaa), good, primary(0x05), primary(0x41)])), { names: ['good'], problems: [] });
  assert.deepEqual(await rootNames(await withSets([primary(0x8f), good])), { names: ['good'], problems: ['unknown-entry'] });
  assert.deepEqual(await rootNames(await withSets([makeSet({ units: unitsOf('vendor'), more: [0xe0, 0xe1] }), good])), { names: ['vendor', 'good'], problems: [] });
  assert.deepEqual(await rootNames(await withSets([makeSet({ units: unitsOf('critical'), more: [0xc5] }), good])), { names: ['critical', 'good'], problems: ['damaged-entry'] });
  assert.deepEqual(await rootNames(await withSets([good, primary(0), makeSet({ units: unitsOf('behind') })])), { names: ['good'], problems: [] });
  assert.deepEqual(await rootNames(await withSets([good.subarray(0, 64), makeSet({ units: unitsOf('next') })])), { names: ['next'], problems: ['damaged-entry'] }, 'a torn set');
  assert.deepEqual(await rootNames(await withSets([primary(ENTRY.file), good])), { names: ['good'], problems: ['illegal-name'] }, 'a set without others');
});

test('a damaged set keeps its name and refuses all else', async () => {
  const set = makeSet({ units: unitsOf('broken'), size: 5, cluster: 20 });
  set[40] = 0xaa;
  const bytes = await withSets([set, makeSet({ units: unitsOf('fine') })]);
  assert.deepEqual(await rootNames(bytes), { names: ['broken', 'fine'], problems: ['damaged-entry'] });
  const tree = await openVolume(exfatDriver, bytes);
  const id = await lookupPath(tree, utf8('broken')) as NodeId;
  await assert.rejects(tree.stat(id), IntegrityError);
  await assert.rejects(tree.open(id), IntegrityError);
  const unsupported = await openVolume(exfatDriver, await withSets([makeSet({ units: unitsOf('critical'), more: [0xc5] })]));
  await assert.rejects(unsupported.stat(await lookupPath(unsupported, utf8('critical')) as NodeId), UnsupportedError);
});

test('a name whose hash is another one is told', async () => {
  const set = makeSet({ units: unitsOf('hash') });
  set[32 + 4] = 0x77;
  assert.deepEqual(await rootNames(await withSets([sealSet(set)])), { names: ['hash'], problems: ['name-hash'] });
});

test('names with lone surrogates stay apart, those with a slash are left out', async () => {
  assert.deepEqual(await rootNames(await withSets([makeSet({ units: unitsOf('a/b') }), makeSet({ units: unitsOf('..') })])), { names: [], problems: ['illegal-name', 'illegal-name'] });
  const tree = await openVolume(exfatDriver, await withSets([makeSet({ units: [0xd800] }), makeSet({ units: [0xdc00] })]));
  assert.ok(await tree.lookup(tree.rootId, Uint8Array.of(0xed, 0xa0, 0x80)) !== undefined);
  assert.ok(await tree.lookup(tree.rootId, Uint8Array.of(0xed, 0xb0, 0x80)) !== undefined);
});

test('read-only files and directories have the modes that Linux gives them', async () => {
  const tree = await openVolume(exfatDriver, await withSets([makeSet({ units: unitsOf('file'), attributes: 0x21 }), makeSet({ units: unitsOf('folder'), attributes: 0x11 })]));
  const modes = await Promise.all(['file', 'folder'].map(async (name) => (await tree.stat(await lookupPath(tree, utf8(name)) as NodeId)).mode));
  assert.deepEqual(modes, [0o555, 0o755]);
});

test('bytes behind what was written are zeroes; clusters without a chain follow each other', async () => {
  const bytes = await withSets([
    makeSet({ units: unitsOf('half'), flags: 1 | NO_FAT_CHAIN, cluster: 100, size: 10_000, validBytes: 5000 }), makeSet({ units: unitsOf('none'), flags: 1 | NO_FAT_CHAIN, cluster: 100, size: 9000, validBytes: 0 }),
  ]);
  const boot = bootLayout.view(bytes);
  bytes.fill(0xab, boot.ClusterHeapOffset * 512 + 98 * 4096, boot.ClusterHeapOffset * 512 + 101 * 4096);
  const tree = await openVolume(exfatDriver, bytes);
  for (const [name, size, written] of [['half', 10_000, 5000], ['none', 9000, 0]] as const) {
    const source = await tree.open(await lookupPath(tree, utf8(name)) as NodeId);
    const content = await readRange(source, 0, size);
    assert.ok(content.subarray(0, written).every((byte) => byte === 0xab) && content.subarray(written).every((byte) => byte === 0), name);
    const kinds: string[] = [];
    for await (const { kind, length } of source.extents(0, size)) kinds.push(`${kind} ${length}`);
    assert.deepEqual(kinds, written === 0 ? ['zero 9000'] : ['data 5000', 'zero 5000']);
  }
});

test('the copy of the boot region serves; without it nothing does', async () => {
  const bytes = (await volume('exfat/plain')).slice();
  bytes[bootLayout.offsets.BootCode] = 7;
  const tree = await openVolume(exfatDriver, bytes);
  assert.match(tree.facts.remarks[0] ?? '', /main boot region is damaged/);
  assert.ok(await lookupPath(tree, utf8('README.TXT')) !== undefined);
  bytes[12 * 512 + bootLayout.offsets.BootCode] = 7;
  await assert.rejects(openVolume(exfatDriver, bytes), IntegrityError);
  assert.equal((await exfatDriver.probe(new MemorySource(bytes))).match, 'damaged');
  assert.deepEqual(await exfatDriver.probe(new MemorySource(await volume('fat/fat16'))), { match: 'no' });
});

test('TexFAT: the table in use is the one that the flag names', async () => {
  // The second table takes the place of what was free before the clusters.
  const bytes = (await volume('exfat/plain')).slice();
  const boot = bootLayout.view(bytes);
  const length = boot.FatLength * 512;
  const first = boot.FatOffset * 512;
  assert.ok(first + 2 * length <= boot.ClusterHeapOffset * 512, 'there is room for a second table');
  bytes.copyWithin(first + length, first, first + length);
  bytes.fill(0, first + 8, first + length);
  bytes[bootLayout.offsets.NumberOfFats] = 2;
  bytes[bootLayout.offsets.VolumeFlags] = 1;
  sealBoot(bytes, 0, 512);
  const tree = await openVolume(exfatDriver, bytes);
  const source = await tree.open(await lookupPath(tree, utf8('pieces.bin')) as NodeId);
  assert.ok(equalBytes(await readRange(source, 0, 40_000), contentOf('pieces.bin', 40_000)));
  assert.match(tree.facts.remarks.join(), /second table/);
  assert.match(tree.facts.remarks.join(), /allocation bitmap/, 'there is no second bitmap');
});

test('a damaged up-case table is no loss but for hashes', async () => {
  const bytes = (await volume('exfat/plain')).slice();
  const boot = bootLayout.view(bytes);
  const root = boot.ClusterHeapOffset * 512 + (boot.FirstClusterOfRootDirectory - 2) * 4096;
  for (let at = root; at < root + 4096; at += 32) if (bytes[at] === ENTRY.upcase) bytes[at + 4] = (bytes[at + 4] as number) ^ 1;
  const tree = await openVolume(exfatDriver, bytes);
  assert.match(tree.facts.remarks.join(), /up-case table/);
  assert.ok(await lookupPath(tree, utf8('lower.txt')) !== undefined);
});

test('up-case table: runs that stay as they are', () => {
  const bytes = new Uint8Array(Uint16Array.of(0xffff, 0x61, 0x41, 0x42).buffer);
  const table = readUpcaseTable(bytes, tableSum(bytes));
  assert.deepEqual([table[0x60], table[0x61], table[0x62], table[0x63]], [0x60, 0x41, 0x42, 0x63]);
  assert.throws(() => readUpcaseTable(bytes, 1), IntegrityError);
});

/** Written again from the specification, figure 4. */
function tableSum(bytes: Uint8Array): number {
  return bytes.reduce((sum, byte) => (((sum & 1) === 1 ? 0x8000_0000 : 0) + Math.floor(sum / 2) + byte) % 2 ** 32, 0);
}

test('sums of a set and hashes of names are those that mkfs and drivers wrote', async () => {
  const bytes = await volume('exfat/plain');
  const boot = bootLayout.view(bytes);
  const root = boot.ClusterHeapOffset * 512 + (boot.FirstClusterOfRootDirectory - 2) * 4096;
  let sets = 0;
  for (let at = root; at < root + 4096; at += 32) {
    if (bytes[at] !== ENTRY.file) continue;
    const set = bytes.subarray(at, at + 32 * (1 + (bytes[at + 1] as number)));
    if (set.length + at > root + 4096) continue;
    assert.equal(setChecksum(set), new DataView(set.buffer, set.byteOffset).getUint16(2, true));
    sets += 1;
  }
  assert.ok(sets > 3);
  const identity = Uint16Array.from({ length: 0x1_0000 }, (_, i) => i);
  // 0x41, turned right by one bit, then the high byte 0 is added.
  assert.equal(nameHash(Uint16Array.of(0x41), 1, identity), 0x8020);
});

test('times: units of 10 ms, offsets east and west, none', () => {
  const at = (text: string): number => Date.parse(text) / 1000;
  const stamp = (...[year, month, day, hour, minute, second]: readonly [number, number, number, number, number, number]): number => ((year - 1980) << 25 | month << 21 | day << 16 | hour << 11 | minute << 5 | second >> 1) >>> 0;
  assert.deepEqual(exfatTime(stamp(2024, 2, 29, 23, 59, 58), 199, 0), { seconds: at('2024-02-29T23:59:59Z'), nanoseconds: 990_000_000 });
  assert.equal(exfatTime(stamp(2020, 6, 1, 12, 0, 0), 0, 0x80 | 8).seconds, at('2020-06-01T10:00:00Z'), 'two hours east');
  assert.equal(exfatTime(stamp(2020, 6, 1, 12, 0, 0), 0, 0x80 | (-14 & 0x7f)).seconds, at('2020-06-01T15:30:00Z'), 'three and a half hours west');
  assert.equal(exfatTime(stamp(2020, 6, 1, 12, 0, 0), 0, 0x08).seconds, at('2020-06-01T12:00:00Z'), 'not valid');
  assert.equal(exfatTime(stamp(2107, 12, 31, 23, 59, 58), 0, 0).seconds, at('2107-12-31T23:59:58Z'));
});
