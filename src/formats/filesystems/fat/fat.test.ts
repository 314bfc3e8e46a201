/** Volumes that mkfs.fat and mtools made, and what of a directory they do not make. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { equalBytes, lookupPath, MemorySource, readRange, textOf, utf8, type NodeId } from '../../../core/index.ts';
import { blockSourceSuite, fileTreeSuite } from '../../../core/conformance/index.ts';
import { dosTime } from './dos-time.ts';
import { ATTRIBUTE, dirEntryLayout } from './fat.layout.ts';
import { fatDriver } from './fat.ts';
import { shortNameChecksum } from './long-name.ts';
import { contentOf, expectedTree, openVolume, volume } from './testdata/fixture.ts';

for (const name of ['fat12', 'fat16', 'fat32']) {
  fileTreeSuite(name, async () => ({ tree: await openVolume(fatDriver, await volume(`fat/${name}`)), expected: expectedTree, cleanup: () => Promise.resolve() }));
}

blockSourceSuite('file in pieces on FAT12', async () => {
  const tree = await openVolume(fatDriver, await volume('fat/fat12'));
  const source = await tree.open(await lookupPath(tree, utf8('pieces.bin')) as NodeId);
  return { source, expected: contentOf('pieces.bin', 40_000), cleanup: () => tree.close() };
});

test('facts tell type, label, number and state', async () => {
  const found = await Promise.all(['fat12', 'fat16', 'fat32'].map(async (name) => (await openVolume(fatDriver, await volume(`fat/${name}`))).facts));
  assert.deepEqual(found.map(({ version, label, blockBytes, clean }) => [version, label, blockBytes, clean]), [['FAT12', 'FAT12DISK', 512, true], ['FAT16', 'SIXTEEN', 512, true], ['FAT32', 'NAME32', 512, true]]);
  for (const { uuid } of found) assert.match(uuid ?? '', /^[0-9A-F]{4}-[0-9A-F]{4}$/);
});

test('a volume in use is not clean', async () => {
  const bytes = (await volume('fat/fat32')).slice();
  const view = new DataView(bytes.buffer);
  const table = 40 * 512;
  view.setUint32(table + 4, view.getUint32(table + 4, true) & ~0x0800_0000, true);
  assert.equal((await openVolume(fatDriver, bytes)).facts.clean, false);
});

test('the copy of the boot sector and of the table serve when the first is damaged', async () => {
  const bytes = (await volume('fat/fat32')).slice();
  bytes[13] = 0;
  const view = new DataView(bytes.buffer);
  const tableAt = 40 * 512;
  const tree = await openVolume(fatDriver, bytes);
  assert.match(tree.facts.remarks[0] ?? '', /BPB_SecPerClus/);
  const id = await lookupPath(tree, utf8('日本語ñ.txt')) as NodeId;
  const entry = new DataView(bytes.buffer, Number(id) * 32, 32);
  const first = entry.getUint16(dirEntryLayout.offsets.DIR_FstClusLO, true);
  view.setUint32(tableAt + 4 * (first + 3), first, true);
  const damaged = await openVolume(fatDriver, bytes);
  const source = await damaged.open(id);
  assert.ok(equalBytes(await readRange(source, 0, source.size), contentOf('日本語ñ.txt', 70_000)));
  assert.deepEqual(damaged.problems().map(({ kind }) => kind), ['spare-copy']);
});

test('a table that is not mirrored is the only one asked', async () => {
  const bytes = (await volume('fat/fat32')).slice();
  const view = new DataView(bytes.buffer);
  const tableBytes = view.getUint32(36, true) * 512;
  const [first, second] = [40 * 512, 40 * 512 + tableBytes];
  bytes.fill(0, first + 8, first + tableBytes);
  view.setUint16(40, 0x81, true);
  const tree = await openVolume(fatDriver, bytes);
  assert.ok(await lookupPath(tree, utf8('Deep/down/further/inner.bin')) !== undefined);
  assert.deepEqual(tree.problems(), []);
  view.setUint16(40, 0x80, true);
  assert.match((await openVolume(fatDriver, bytes)).facts.remarks.join(), /root directory/);
  assert.ok(second > first);
});

/** One directory entry. */
function shortEntry(name: string, attributes: number, flags = 0): Uint8Array {
  const entry = new Uint8Array(32);
  entry.set(Buffer.from(name, 'latin1'));
  entry[dirEntryLayout.offsets.DIR_Attr] = attributes;
  entry[dirEntryLayout.offsets.DIR_NTRes] = flags;
  return entry;
}

/** One part of a long name. */
function longEntry(order: number, units: readonly number[], short: Uint8Array): Uint8Array {
  const entry = new Uint8Array(32).fill(0xff);
  const view = new DataView(entry.buffer);
  entry.set([order]);
  entry.set([ATTRIBUTE.longName, 0, shortNameChecksum(new DataView(short.buffer), 0), 0xff, 0xff], 11);
  const places = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
  [...units, 0].slice(0, 13).forEach((unit, i) => { view.setUint16(places[i] as number, unit, true); });
  view.setUint16(26, 0, true);
  return entry;
}

/** Names in the root of a floppy disk that holds these entries. */
async function namesOf(entries: readonly Uint8Array[]): Promise<readonly string[]> {
  const bytes = (await volume('fat/fat12')).slice();
  const root = 512 * 19;
  bytes.fill(0, root, root + 224 * 32);
  entries.forEach((entry, i) => { bytes.set(entry, root + 32 * i); });
  const tree = await openVolume(fatDriver, bytes);
  const names: string[] = [];
  for await (const page of tree.list(tree.rootId)) for (const { name } of page) names.push(Buffer.from(name).toString('latin1') === textOf(name) ? textOf(name) : Buffer.from(name).toString('hex'));
  return [...names, ...tree.problems().map(({ kind }) => kind)];
}

test('short names: code page, case, the letter 0xe5, spaces, nothing', async () => {
  const utf8Hex = (text: string): string => Buffer.from(text).toString('hex');
  assert.deepEqual(await namesOf([
    shortEntry('NAME    EXT', 0x20), shortEntry('BASE    EXT', 0x20, 0x08), shortEntry('BASE2   EXT', 0x20, 0x10), shortEntry('NOEXT      ', 0x20, 0x18), shortEntry('A B     C D', 0x20),
    shortEntry('\x8eB\x9a     \xe1  ', 0x20), shortEntry('\x8eB\x9a     \xe1  ', 0x20, 0x08), shortEntry('\x05X         ', 0x20), shortEntry('\xe5DELETED   ', 0x20), shortEntry('LABEL      ', 0x08), shortEntry('        XXX', 0x20), shortEntry('SL/ASH     ', 0x20), shortEntry('LAST       ', 0x20),
    new Uint8Array(32), shortEntry('BEHIND     ', 0x20),
  ]), ['NAME.EXT', 'base.EXT', 'BASE2.ext', 'noext', 'A B.C D', utf8Hex('ÄBÜ.ß'), utf8Hex('äbü.ß'), utf8Hex('σX'), 'LAST', 'illegal-name', 'illegal-name']);
});

test('long names: only whole ones, with the checksum of their short name', async () => {
  const short = shortEntry('SHORT~1    ', 0x20);
  const other = shortEntry('OTHER~1    ', 0x20);
  const abc = [0x61, 0x62, 0x63];
  const thirteen = [...'1234567890abc'].map((letter) => letter.charCodeAt(0));
  assert.deepEqual(await namesOf([longEntry(0x41, abc, short), short]), ['abc']);
  assert.deepEqual(await namesOf([longEntry(0x42, abc, short), longEntry(1, thirteen, short), short]), ['1234567890abcabc']);
  assert.deepEqual(await namesOf([longEntry(0x41, thirteen, short), short]), ['1234567890abc'], 'no zero behind a full part');
  assert.deepEqual(await namesOf([longEntry(0x41, abc, short), other]), ['OTHER~1'], 'checksum');
  assert.deepEqual(await namesOf([longEntry(0x42, abc, short), short]), ['SHORT~1'], 'a part is missing');
  assert.deepEqual(await namesOf([longEntry(0x43, abc, short), longEntry(1, abc, short), short]), ['SHORT~1'], 'order');
  assert.deepEqual(await namesOf([longEntry(0x42, abc, short), longEntry(0x41, abc, short), short]), ['abc'], 'begins again');
  assert.deepEqual(await namesOf([longEntry(0x41, abc, short), shortEntry('\xe5GONE      ', 0x20), short]), ['SHORT~1'], 'orphan');
  assert.deepEqual(await namesOf([longEntry(0x55, abc, short), short]), ['SHORT~1'], 'more than 20 parts');
  assert.deepEqual(await namesOf([longEntry(0x41, [0x2e, 0x2e], short), short]), ['illegal-name']);
  assert.deepEqual(await namesOf([longEntry(0x41, [0x61, 0xd800, 0xdc00, 0xdc00], short), short]), [Buffer.from('61f0908080edb080', 'hex').toString('hex')], 'a lone surrogate');
});

test('times: every bit, as Linux reads them', () => {
  const seconds = (text: string): number => Date.parse(text) / 1000;
  assert.deepEqual(dosTime(0x21, 0, 0), { seconds: seconds('1980-01-01T00:00:00Z'), nanoseconds: 0 });
  assert.deepEqual(dosTime(0, 0, 0), { seconds: seconds('1980-01-01T00:00:00Z'), nanoseconds: 0 });
  assert.deepEqual(dosTime((44 << 9) | (2 << 5) | 29, (23 << 11) | (59 << 5) | 29, 199), { seconds: seconds('2024-02-29T23:59:59Z'), nanoseconds: 990_000_000 });
  for (const [year, month, day] of [[2100, 2, 28], [2100, 3, 1], [2099, 12, 31], [2107, 12, 31], [2000, 2, 29], [1996, 3, 1]] as const) {
    assert.equal(dosTime((year - 1980) << 9 | month << 5 | day, 0, 0).seconds, Date.UTC(year, month - 1, day) / 1000);
  }
});

test('other formats are not FAT', async () => {
  const probe = (bytes: Uint8Array): Promise<unknown> => fatDriver.probe(new MemorySource(bytes));
  assert.deepEqual(await probe(await volume('fat/fat16')), { match: 'yes', version: 'FAT16' });
  assert.deepEqual(await probe(await volume('exfat/plain')), { match: 'no' });
  assert.deepEqual(await probe(new Uint8Array(100)), { match: 'no' });
  assert.deepEqual(await probe(new Uint8Array(4096)), { match: 'no' });
  const disk = new Uint8Array(512);
  disk.set([0xeb, 0x63, 0x90]);
  disk.set([0x55, 0xaa], 510);
  assert.deepEqual(await probe(disk), { match: 'no' }, 'a master boot record');
});
