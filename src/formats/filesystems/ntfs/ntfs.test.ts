/** Volumes that mkntfs and ntfs-3g made: all that was put in, and the suites that every tree and every source must pass. */
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { defaultLimits, lookupPath, MemorySource, type NodeId, type NodeStat, readRange, textOf, UnsupportedError, utf8 } from '../../../core/index.ts';
import { blockSourceSuite, fileTreeSuite, type ExpectedNode } from '../../../core/conformance/index.ts';
import type { Filesystem } from '../filesystem.ts';
import { linuxMetadata } from './extended-attributes.ts';
import { ntfsDriver } from './ntfs.ts';
import { attributeAt, editBlock, recordBlock } from './testing/record-editor.ts';
import { fixture, imageNames, lines, openBytes } from './testdata/fixture.ts';

const nowhere = (): Promise<void> => Promise.resolve();

function plain(path: string, length: number, stat: Partial<NodeStat> = {}): ExpectedNode {
  return { path: utf8(path), content: lines(path.split('/').at(-1) ?? '', length), stat: { type: 'file', size: length, mode: 0o644, uid: 0, gid: 0, ...stat } };
}

const lateZeroes = new Uint8Array(300_000);
lateZeroes.set(lines('late', 5000), 20_000);

/** What all three images hold. */
const common: readonly ExpectedNode[] = [
  plain('hello.txt', 1000, { mode: 0o640, uid: 1000, gid: 100, links: 2 }), plain('empty', 0, { mode: 0o4755, uid: 70_001, gid: 70_002, links: 21, modified: { seconds: -11_644_473_599, nanoseconds: 234_567_800 } }),
  plain('日本語ñ🧪.txt', 12), plain('Deep/down/further/inner.bin', 70_000, { links: 2 }), plain('many/a rather long name number 1', 1), plain('many/a rather long name number 150', 150),
  plain('pieces.bin', 320_000, { modified: { seconds: 13_574_649_599, nanoseconds: 999_999_900 } }),
  { path: utf8('other.bin'), content: new Uint8Array(Buffer.concat(Array.from({ length: 40 }, () => lines('other.bin', 8000)))) },
  { path: utf8('late-zeroes'), content: lateZeroes }, { path: utf8('Deep/again'), sameAs: utf8('hello.txt') }, { path: utf8(`many/${'q'.repeat(100)}10`), sameAs: utf8('empty') },
  { path: utf8('Deep/interix-link'), target: utf8('../hello.txt'), stat: { type: 'symlink', size: 12, mode: 0o777 } }, { path: utf8('fifo'), stat: { type: 'fifo' } },
  { path: utf8('null'), stat: { type: 'character', deviceMajor: 1, deviceMinor: 3 } }, { path: utf8('Deep/down'), stat: { type: 'directory', mode: 0o1700 } },
  { path: utf8('Deep/down/further/inner.bin'), attributes: new Map([['system.ntfs_dos_name', utf8('INNER~1.BIN')]]) },
];

const numbers = utf8(Array.from({ length: 9000 }, (_, i) => `${i + 1}\n`).join(''));
const overlay = new Uint8Array(Buffer.concat([numbers, lines('text', 40_000)]));

/** What only `rich` holds. */
const rich: readonly ExpectedNode[] = [
  { path: utf8('hello.txt'), attributes: new Map([['user.Zone.Identifier', lines('stream', 26)]]) }, { path: utf8('Deep'), attributes: new Map([['user.ünï', lines('stream', 40)]]) },
  { path: utf8('Deep/wsl-link'), target: utf8('../hello.txt'), stat: { type: 'symlink' } }, { path: utf8('Deep/wsl-null'), stat: { type: 'block', deviceMajor: 7, deviceMinor: 300 } },
  { path: utf8('Links/relative'), target: utf8('../Deep/down') }, { path: utf8('Links/absolute'), target: utf8('../Deep/again') }, { path: utf8('Links/junction'), target: utf8('../Deep/down') },
  { path: utf8('Links/elsewhere'), target: utf8('D:/no/such') },
  plain('packed/text', 150_000), { path: utf8('packed/gap'), content: new Uint8Array(Buffer.concat([lines('part one', 66_000), Buffer.alloc(70_000), lines('part two', 30_000)])) },
  { path: utf8('packed/mixed'), content: new Uint8Array(Buffer.concat([numbers, Buffer.alloc(65_536), lines('text', 20_000)])) },
  ...[0, 1, 2, 3].map((algorithm) => ({ path: utf8(`overlay/with-${algorithm}`), content: overlay, stat: { type: 'file' as const } })),
];

for (const name of imageNames) {
  fileTreeSuite(`NTFS ${name}`, async () => ({ tree: await openBytes(await fixture(name)), expected: name === 'rich' ? [...common, ...rich] : common, cleanup: nowhere }));
}

async function idOf(tree: Filesystem, path: string): Promise<NodeId> {
  const id = await lookupPath(tree, utf8(path));
  assert.ok(id !== undefined, path);
  return id;
}

for (const [path, content] of [['pieces.bin', lines('pieces.bin', 320_000)], ['packed/gap', rich.find(({ path: one }) => textOf(one) === 'packed/gap')?.content], ['overlay/with-1', overlay], ['hello.txt', lines('hello.txt', 1000)]] as const) {
  blockSourceSuite(`NTFS ${path}`, async () => {
    const tree = await openBytes(await fixture('rich'));
    return { source: await tree.open(await idOf(tree, path)), expected: content ?? new Uint8Array(0), cleanup: nowhere };
  });
}

describe('NTFS', () => {
  it('is recognised, and told with its label, serial number and clusters', async () => {
    for (const [name, blockBytes, label] of [['rich', 4096, 'Rich ñ'], ['narrow', 512, undefined], ['wide', 65_536, undefined]] as const) {
      const bytes = await fixture(name);
      assert.deepEqual(await ntfsDriver.probe(new MemorySource(bytes)), { match: 'yes', version: 'NTFS' });
      const { facts } = await openBytes(bytes);
      assert.deepEqual({ version: facts.version, blockBytes: facts.blockBytes, label: facts.label, clean: facts.clean, remarks: facts.remarks }, { version: 'NTFS 3.1', blockBytes, label, clean: true, remarks: [] });
      assert.match(facts.uuid ?? '', /^[0-9A-F]{16}$/);
    }
  });

  it('is not found where there is another filesystem or nothing', async () => {
    for (const bytes of [new Uint8Array(4096), new Uint8Array(10), new Uint8Array(4096).fill(0xff), Uint8Array.from({ length: 8192 }, (_, i) => i)]) {
      assert.deepEqual(await ntfsDriver.probe(new MemorySource(bytes)), { match: 'no' });
    }
  });

  it('has named streams, also those too long for attributes', async () => {
    const tree = await openBytes(await fixture('rich'));
    const id = await idOf(tree, 'hello.txt');
    const streams = await tree.streams?.(id) ?? [];
    assert.deepEqual(new Map(streams.map(({ name, size }) => [name, size])), new Map([['Zone.Identifier', 26], ['large', 70_000]]));
    const large = await tree.open(id, 'large');
    assert.ok(Buffer.compare(await readRange(large, 0, large.size), lines('stream', 70_000)) === 0);
    assert.ok(!(await tree.attributes(id)).has('user.large'));
    assert.deepEqual(await tree.streams?.(await idOf(tree, 'overlay/with-0')), [], 'the chunks of a compressed file are no stream');
  });

  it('refuses the content that is elsewhere, and only that', async () => {
    const bytes = (await fixture('rich')).slice();
    const id = await idOf(await openBytes(bytes), 'overlay/with-0');
    for (const [tag, feature] of [[0x8000_0013, /deduplication/], [0x9000_301a, undefined], [0x8000_0007, /0x80000007/]] as const) {
      editBlock(bytes, recordBlock(bytes, id), (_, view) => { view.setUint32(attributeAt(view, 0xc0) + 24, tag, true); });
      const tree = await openBytes(bytes);
      assert.equal((await tree.stat(id)).size, overlay.length);
      if (feature === undefined) assert.equal((await tree.open(id)).size, overlay.length);
      else await assert.rejects(tree.open(id), (error: unknown) => error instanceof UnsupportedError && feature.test(error.message));
      assert.deepEqual(tree.problems(), []);
    }
  });

  it('refuses what EFS encrypted', async () => {
    const bytes = (await fixture('rich')).slice();
    const id = await idOf(await openBytes(bytes), 'pieces.bin');
    editBlock(bytes, recordBlock(bytes, id), (_, view) => {
      const at = attributeAt(view, 0x10) + 24 + 32;
      view.setUint32(at, view.getUint32(at, true) | 0x4000, true);
    });
    await assert.rejects((await openBytes(bytes)).open(id), (error: unknown) => error instanceof UnsupportedError && /EFS/.test(error.message));
  });

  it('reads zeroes where a file was not written yet, whatever its clusters hold', async () => {
    const bytes = (await fixture('rich')).slice();
    const id = await idOf(await openBytes(bytes), 'other.bin');
    editBlock(bytes, recordBlock(bytes, id), (_, view) => { view.setUint32(attributeAt(view, 0x80) + 56, 100_001, true); });
    const source = await (await openBytes(bytes)).open(id);
    const found = await readRange(source, 0, source.size);
    const expected = new Uint8Array(320_000);
    expected.set(new Uint8Array(Buffer.concat(Array.from({ length: 40 }, () => lines('other.bin', 8000)))).subarray(0, 100_001));
    assert.ok(Buffer.compare(found, expected) === 0);
    const kinds: string[] = [];
    for await (const { kind, offset } of source.extents(90_000, 200_000)) kinds.push(`${kind} ${offset}`);
    assert.deepEqual(kinds, ['data 90000', 'zero 100001']);
  });

  it('tells a dirty volume', async () => {
    const bytes = (await fixture('narrow')).slice();
    editBlock(bytes, recordBlock(bytes, 3), (_, view) => { view.setUint16(attributeAt(view, 0x70) + 24 + 10, 1, true); });
    const { facts } = await openBytes(bytes);
    assert.equal(facts.clean, false);
    assert.match(facts.remarks.join(), /dirty/);
  });

  it('has the owner, mode and device that WSL keeps', async () => {
    const entry = (name: string, value: readonly number[], next: number): Buffer => {
      const bytes = Buffer.alloc(20);
      bytes.writeUInt32LE(next);
      bytes.writeUInt8(name.length, 5);
      bytes.writeUInt16LE(value.length, 6);
      bytes.set(utf8(name), 8);
      bytes.set(value, 9 + name.length);
      return bytes;
    };
    const bytes = Buffer.concat([entry('$LXUID', [0x39, 0x30, 0, 0], 20), entry('$LXGID', [0xe8, 3, 0, 0], 20), entry('$LXMOD', [0xed, 0x81, 0, 0], 0)]);
    assert.deepEqual(linuxMetadata(new Uint8Array(bytes)), { uid: 12_345, gid: 1000, mode: 0o100755 });
  });

  it('finds names by their exact letters, and hides its own files and names for DOS', async () => {
    const tree = await openBytes(await fixture('rich'));
    for (const absent of ['Hello.txt', 'HELLO.TXT', '$MFT', '$Extend', 'Deep/down/further/INNER~1.BIN']) assert.equal(await lookupPath(tree, utf8(absent)), undefined, absent);
    const names: string[] = [];
    for await (const page of tree.list(tree.rootId)) names.push(...page.map(({ name }) => textOf(name)));
    assert.ok(names.every((name) => !name.startsWith('$')) && names.includes('hello.txt'), names.join());
  });

  it('shows holes as holes, and what was never written as zeroes', async () => {
    const tree = await openBytes(await fixture('rich'));
    const source = await tree.open(await idOf(tree, 'late-zeroes'));
    const kinds: string[] = [];
    for await (const { kind, offset } of source.extents(0, source.size)) kinds.push(`${kind} ${offset}`);
    assert.deepEqual(kinds, ['hole 0', 'data 16384', 'zero 25000', 'hole 28672']);
  });
});

test('closing a volume closes its source, once and again', async () => {
  let closed = 0;
  const source = Object.assign(new MemorySource(await fixture('narrow')), { close: () => { closed += 1; return Promise.resolve(); } });
  const tree = await ntfsDriver.open([source], { limits: defaultLimits });
  await tree.close();
  assert.equal(closed, 1);
});
