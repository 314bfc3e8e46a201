/** Volumes that our own writer makes from the same documentation: reader and documentation agree; whether Windows does is not known. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { defaultLimits, equalBytes, lookupPath, MemorySource, readRange, textOf, utf8, type NodeId } from '../../../core/index.ts';
import { blockSourceSuite, fileTreeSuite, type ExpectedNode } from '../../../core/conformance/index.ts';
import { seededBytes } from '../../../core/testing/random.ts';
import type { Filesystem } from '../filesystem.ts';
import { readBootSector } from './bootstrap.ts';
import { bootChecksum, crc64 } from './checksum.ts';
import { filetime } from './record.ts';
import { refsDriver } from './refs.ts';
import { goodVolume, shapes, tree } from './testing/volumes.ts';
import { TIME } from './testing/writer.ts';

function openVolume(bytes: Uint8Array): Promise<Filesystem> {
  return refsDriver.open([new MemorySource(bytes)], { limits: defaultLimits });
}

async function contentOf(filesystem: Filesystem, path: string, stream?: string): Promise<Uint8Array> {
  const source = await filesystem.open(await lookupPath(filesystem, utf8(path)) as NodeId, stream);
  return readRange(source, 0, source.size);
}

for (const [name, shape] of Object.entries(shapes)) {
  fileTreeSuite(`ReFS ${name}`, async () => {
    const { content, sparse, big } = tree(shape.clusterBytes);
    const modified = { seconds: TIME.seconds, nanoseconds: TIME.nanoseconds };
    const expected: readonly ExpectedNode[] = [
      { path: utf8('small.txt'), content: utf8('hello\r\n'), stat: { type: 'file', size: 7, mode: 0o777, modified, created: modified } }, { path: utf8('empty'), content: new Uint8Array(0), stat: { mode: 0o555 } },
      { path: utf8('large.bin'), content }, { path: utf8('apart.bin'), content }, { path: utf8('folder/second name'), content }, { path: utf8('sparse.bin'), content: sparse }, { path: utf8('with-streams'), content: big },
      { path: utf8('link'), target: utf8('../folder/x'), stat: { type: 'symlink', size: 11 } }, { path: utf8('folder/deep/deeper/end'), content: utf8('end') }, { path: utf8('junction'), target: utf8('C:/target'), stat: { type: 'symlink' } },
      { path: utf8('attributes'), attributes: new Map([['user.$LXUID', Uint8Array.of(1, 2, 3, 4)], ['user.stream', utf8('in a stream')]]) }, { path: utf8('many/entry 1999'), content: utf8('1999') }, { path: utf8('日本語😀'), content: utf8('names') },
    ];
    return { tree: await openVolume(goodVolume(name)), expected, cleanup: () => Promise.resolve() };
  });
}

blockSourceSuite('sparse file on ReFS', async () => {
  const filesystem = await openVolume(goodVolume('3.14'));
  return { source: await filesystem.open(await lookupPath(filesystem, utf8('sparse.bin')) as NodeId), expected: tree(4096).sparse, cleanup: () => filesystem.close() };
});

test('facts say that all of it is experimental', async () => {
  const { facts } = await openVolume(goodVolume('3.14'));
  assert.deepEqual([facts.version, facts.label, facts.experimental, facts.uuid, facts.blockBytes], ['ReFS 3.14', 'Läbel', true, '123456789ABCDEF0', 4096]);
  assert.match(facts.remarks.join(), /never compared with Windows/);
});

test('named streams: behind their heads and in clusters', async () => {
  const filesystem = await openVolume(goodVolume('3.14'));
  const id = await lookupPath(filesystem, utf8('with-streams')) as NodeId;
  assert.deepEqual(await filesystem.streams?.(id), [{ name: 'large stream', size: 5000 }]);
  assert.ok(equalBytes(await contentOf(filesystem, 'with-streams', 'large stream'), seededBytes(5000, 3)));
  assert.equal(textOf(await contentOf(filesystem, 'attributes', 'stream')), 'in a stream');
  assert.ok(equalBytes((await filesystem.attributes(id)).get('user.large stream') as Uint8Array, seededBytes(5000, 3)));
});

test('holes and bytes that were never written are known as such', async () => {
  const filesystem = await openVolume(goodVolume('3.14'));
  const source = await filesystem.open(await lookupPath(filesystem, utf8('sparse.bin')) as NodeId);
  const kinds: string[] = [];
  for await (const { kind, length } of source.extents(0, source.size)) kinds.push(`${kind} ${length}`);
  assert.deepEqual(kinds, ['hole 8192', 'data 4096', 'hole 12288', 'data 100', 'zero 3996']);
});

test('each copy serves when the first is damaged: boot sector, superblock, checkpoint, tables', async () => {
  const cluster = 4096;
  const good = goodVolume('3.14');
  for (const [at, what] of [[3, 'boot sector'], [30 * cluster + 0x70, 'superblock'], [40 * cluster + 0x60, 'checkpoint']] as const) {
    const bytes = good.slice();
    bytes[at] = (bytes[at] as number) ^ 0xff;
    const filesystem = await openVolume(bytes);
    assert.match(filesystem.facts.remarks.join(), new RegExp(what), what);
    assert.equal(textOf(await contentOf(filesystem, 'small.txt')), 'hello\r\n');
  }
  // The root of the first table of containers, and of objects: found by the number of their table.
  for (const table of [0x0b, 2]) {
    const bytes = good.slice();
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < bytes.length; at += cluster) if (textOf(bytes.subarray(at, at + 4)) === 'MSB+' && view.getUint32(at + 0x48, true) === table) bytes[at + 0x100] = (bytes[at + 0x100] as number) ^ 1;
    assert.equal(textOf(await contentOf(await openVolume(bytes), 'small.txt')), 'hello\r\n');
  }
});

test('CRC-64 by other means', async () => {
  // Bit by bit with the polynomial as it is written, not reflected.
  const slow = (bytes: Uint8Array): bigint => {
    let sum = (1n << 64n) - 1n;
    for (const byte of bytes) {
      for (let bit = 0; bit < 8; bit += 1) {
        const top = sum >> 63n ^ BigInt(byte >> bit & 1);
        sum = (sum << 1n & (1n << 64n) - 1n) ^ (top === 1n ? 0xad93_d235_94c9_3659n : 0n);
      }
    }
    const turned = BigInt(`0b${[...sum.toString(2).padStart(64, '0')].toReversed().join('')}`);
    return turned ^ (1n << 64n) - 1n;
  };
  for (const length of [0, 1, 9, 300]) {
    const bytes = seededBytes(length, length);
    assert.equal(new DataView(crc64(bytes).buffer).getBigUint64(0, true), slow(bytes));
  }
});

test('boot sectors of two volumes that Windows made', () => {
  // Published in forefst, docs/examples/vbr_win10.txt and decode_vbr_by_hand.md; what is not in the text is zero.
  const old = '000000526546530000000000000000004653525300 0265ed0000feff00000000 0002000008000000 0304000006000000 0000000000000000 bfdfec2c2ced2c3e 0000000400000000';
  const young = '00000052654653000000000000000000465352530002895400003e000000000000020000080000000 30e0200660000000000000000000000 04888b4aa68b4a50 0000000400000000 ffc86039e7a4f04981cb4563786e1a86';
  const sectors = [old, young].map((hex) => {
    const sector = new Uint8Array(512);
    sector.set(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
    return sector;
  });
  assert.deepEqual(sectors.map(bootChecksum), [0xed65, 0x5489]);
  assert.deepEqual(sectors.map(readBootSector).map(({ version, clusterBytes, containerBytes }) => [version, clusterBytes, containerBytes]), [['3.4', 4096, 64 << 20], ['3.14', 4096, 64 << 20]]);
  assert.equal(createHash('sha256').update(sectors[0] as Uint8Array).digest('hex'), '94a8074a208289f197c8441bd3ef13312491189d819c7a097038d32330ac943f');
});

test('times: a hundred nanoseconds, before 1970 and far ahead', () => {
  const of = (ticks: bigint): Uint8Array => new Uint8Array(BigUint64Array.of(ticks).buffer);
  assert.deepEqual(filetime(of(0n)), { seconds: -11_644_473_600, nanoseconds: 0 });
  assert.deepEqual(filetime(of(TIME.ticks)), { seconds: TIME.seconds, nanoseconds: TIME.nanoseconds });
  for (const ticks of [116_444_736_000_000_000n - 1n, 0x7fff_ffff_ffff_ffffn, 132_000_000_123_456_789n]) {
    const { seconds, nanoseconds } = filetime(of(ticks));
    assert.equal((BigInt(seconds) + 11_644_473_600n) * 10_000_000n + BigInt(nanoseconds / 100), ticks);
  }
});

test('probe: versions that are not read are told, others are no ReFS', async () => {
  const good = goodVolume('3.14');
  assert.deepEqual(await refsDriver.probe(new MemorySource(good)), { match: 'yes', version: 'ReFS 3.14' });
  const old = good.slice();
  old[0x28] = 1;
  assert.equal((await refsDriver.probe(new MemorySource(old))).match, 'damaged');
  assert.deepEqual(await refsDriver.probe(new MemorySource(new Uint8Array(4096))), { match: 'no' });
});
