/** `holdfast disks`: real filesystems and registries in a directory, in containers, in a snapshot and in Bacula jobs; damage beside them; names that guests choose. */
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, mkdtempSync, mkdirSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { after, before, test } from 'node:test';
import { createXXHash3 } from 'hash-wasm';
import { utf8 } from '../core/index.ts';
import { encodeAttributes, encodeLstat, SessionWriter, VolumeWriter } from '../formats/bacula/testing/volume-writer.ts';
import { image as poolFixture } from '../formats/filesystems/btrfs/testdata/fixture.ts';
import { fixture as volumeFixture } from '../formats/partitions/testdata/fixture.ts';
import { luksDisk, luksKey } from '../formats/partitions/testing/luks-disk.ts';
import { inOtherGroup, withoutDescription } from '../formats/partitions/testing/lvm-disk.ts';
import type { DiskError, GuestDisk } from './disks.ts';
import { guestsDisk } from './guests/testdata/fixture.ts';
import { partitioned, partitionStart, partitionTable } from './locations/testing/disks.ts';
import { commandIn } from './testing/command.ts';

const work = mkdtempSync(path.join(tmpdir(), 'holdfast-disks-'));
const command = commandIn(work);
let guests: Uint8Array = new Uint8Array();

before(async () => {
  guests = await guestsDisk();
  mkdirSync(path.join(work, 'dir/below'), { recursive: true });
  writeFileSync(path.join(work, 'dir/a-disk'), guests);
  writeFileSync(path.join(work, 'dir/below/noise.raw'), Uint8Array.from({ length: 2 << 20 }, (_, i) => (i * 7919) >> 5));
  writeFileSync(path.join(work, 'dir/below/small.qcow2'), 'QFI\xfb');
  writeFileSync(path.join(work, 'dir/luks'), await volumeFixture('luks1-0'));
});
after(() => { rmSync(work, { recursive: true, force: true }); });

function catalog(code: number, ...words: readonly string[]): { readonly disks: readonly GuestDisk[]; readonly errors: readonly DiskError[] } {
  return command.json(code, 'disks', ...words) as unknown as { disks: readonly GuestDisk[]; errors: readonly DiskError[] };
}

const linux = { family: 'linux', name: 'Debian GNU/Linux 12 (bookworm)', id: 'debian', version: '12', hostname: 'web\u001b[31m1', mounts: 2 };
const windows = { family: 'windows', name: 'Windows 11 Pro', version: '23H2', build: '22631.2653', hostname: 'DESK-7' };

/** What the disk of the fixture holds, wherever it lies. */
function assertGuests({ size, parts }: GuestDisk): void {
  assert.equal(size, guests.length);
  assert.deepEqual(parts.map(({ step, holds, label, locked }) => [step, holds, label, locked]), [
    ['p1', 'ext4', 'root', undefined], ['p2', 'NTFS 3.1', 'System', undefined], ['p3', 'swap', 'paging', undefined], ['p4', 'BitLocker', undefined, true],
  ]);
  assert.deepEqual(parts[0]?.os, linux);
  assert.equal(parts[0]?.uuid, '11111111-2222-3333-4444-555555555555');
  assert.equal(parts[0]?.name, 'linux');
  assert.deepEqual(parts[1]?.os, windows);
}

test('a directory: disks by what they hold, never by name; a locked container is no failure, and its key opens it', () => {
  const { disks, errors } = catalog(0, 'dir');
  assert.deepEqual(errors, []);
  assert.deepEqual(disks.map(({ path: name, format }) => [path.basename(name), format]), [['a-disk', 'raw'], ['luks', 'raw']]);
  assertGuests(disks[0] as GuestDisk);
  assert.deepEqual(disks[1]?.parts.map(({ step, locked }) => [step, locked]), [['luks', true]]);
  writeFileSync(path.join(work, 'key'), 'lab secret');
  assert.deepEqual(catalog(0, 'dir::/luks', '--key', 'key').disks[0]?.parts.map(({ step, locked, error }) => [step, locked, error]), [['luks', undefined, undefined]]);
});

test('text is in columns, and what a guest wrote cannot steer a terminal', () => {
  const { code, out } = command.run('disks', 'dir/a-disk');
  assert.equal(code, 0);
  const lines = out.trimEnd().split('\n');
  assert.equal(lines.length, 5);
  assert.ok(!/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/.test(out));
  assert.match(lines[1] ?? '', /^ {2}p1 +1\.05 MB +Linux filesystem 'linux' +ext4 +'root' .* Debian GNU\/Linux 12 \(bookworm\), host web\\x1b\[31m1, 2 mounts$/);
  assert.match(lines[2] ?? '', /Windows 11 Pro, 23H2, build 22631\.2653, host DESK-7$/);
  assert.equal(lines[1]?.indexOf("'root'"), lines[2]?.indexOf("'System'"));
});

test('a snapshot: the newest unless one is named; damaged disks are listed beside the good ones', () => {
  mkdirSync(path.join(work, 'more'));
  command.json(0, 'convert', 'raw:dir/a-disk', '--to', 'qcow2', 'more/b.qcow2');
  command.json(0, 'convert', 'raw:dir/a-disk', '--to', 'vhdx', 'more/c.vhdx');
  const damaged = Uint8Array.from(guests);
  damaged.fill(0xff, 0x10_0000 + 1_024 + 0x18, 0x10_0000 + 1_024 + 0x1c);
  writeFileSync(path.join(work, 'more/a-damaged'), damaged);
  writeFileSync(path.join(work, 'more/d-cut.vhdx'), utf8(`vhdxfile${'\0'.repeat(2 << 20)}`));
  command.json(0, 'init', 'repo');
  const { snapshot } = command.json(0, 'backup', 'dir', '--repo', 'repo');
  command.json(0, 'backup', 'more', '--repo', 'repo');
  const { disks, errors } = catalog(3, 'repo');
  assert.deepEqual(disks.map(({ path: name, format }) => [path.basename(name), format]), [['a-damaged', 'raw'], ['b.qcow2', 'qcow2'], ['c.vhdx', 'vhdx'], ['d-cut.vhdx', 'vhdx']]);
  for (const good of [1, 2]) assertGuests(disks[good] as GuestDisk);
  assert.deepEqual(disks[0]?.parts[1]?.os, windows, 'one filesystem does not take the others with it');
  assert.notEqual(disks[3]?.error, undefined);
  assert.deepEqual([...new Set(errors.map(({ path: name, step }) => `${path.basename(name)} ${step ?? ''}`))], ['a-damaged p1', 'd-cut.vhdx ']);
  const named = catalog(0, `repo::${snapshot}`).disks;
  assert.equal(named[0]?.snapshot, snapshot);
  assertGuests(named[0] as GuestDisk);
});

/** One volume with the disk in two jobs, and a third job without a disk. */
async function volume(): Promise<Uint8Array> {
  const blocks: Uint8Array[] = [];
  const writer = new VolumeWriter({ version: 'BB02', blockBytes: 64_512, hasher: await createXXHash3(), emit: (block) => blocks.push(block) });
  writer.label('Vol-1', { id: 1, time: 1_700_000_000 }, 0, 1_700_000_000_000_000);
  for (const id of [1, 2, 3]) {
    const session = new SessionWriter(writer, { id, time: 1_700_000_000, jobId: 10 + id }, id === 1 ? 1 : 0);
    session.start();
    const content = id === 3 ? utf8('small\n') : guests;
    session.record(1, 1, encodeAttributes({ fileIndex: 1, type: 3, name: utf8('/vm/a-disk') }, encodeLstat({ mode: 0o100644, size: content.length })));
    for (let at = 0; at < content.length; at += 65_536) session.record(1, 2, content.subarray(at, at + 65_536));
    session.end();
  }
  return new Uint8Array(Buffer.concat(blocks));
}

test('Bacula volumes: all jobs or one; a damaged job does not keep the others from being read', async () => {
  const bytes = await volume();
  writeFileSync(path.join(work, 'Vol-1'), bytes);
  const { disks } = catalog(0, 'Vol-1');
  assert.deepEqual(disks.map(({ job, path: name }) => [job, name]), [['job=11', '/vm/a-disk'], ['job=12', '/vm/a-disk']]);
  for (const disk of disks) assertGuests(disk);
  assert.deepEqual(catalog(0, 'Vol-1::job=12').disks.map(({ job }) => job), ['job=12']);
  assert.deepEqual(catalog(0, 'Vol-1::job=13').disks, []);
  bytes.fill(0, 1 << 20, (1 << 20) + 200_000);
  writeFileSync(path.join(work, 'damaged'), bytes);
  const { disks: left, errors } = catalog(3, 'damaged');
  assertGuests(left.find(({ job }) => job === 'job=12') as GuestDisk);
  assert.ok(errors.length > 0);
});

/** Names of the disks of a catalog with the last parts of their paths, and the steps on them. */
function shownDisks(disks: readonly GuestDisk[]): readonly (readonly [string, string, readonly string[]])[] {
  return disks.map(({ path: name, format, parts }) => [name.split(',').map((one) => path.basename(one)).join(','), format, parts.map(({ step }) => step)]);
}

test('files of a volume group that keep no description of it are found by the one that lists them, or told where two do', async () => {
  mkdirSync(path.join(work, 'lone'));
  writeFileSync(path.join(work, 'lone/a'), withoutDescription(await volumeFixture('lvm-0')));
  writeFileSync(path.join(work, 'lone/b'), partitioned(withoutDescription(await volumeFixture('lvm-2'))));
  writeFileSync(path.join(work, 'lone/c'), await volumeFixture('lvm-1'));
  const set = catalog(0, 'lone').disks.at(-1) as GuestDisk;
  assert.deepEqual([set.format, set.missing, set.members?.map(({ path: name, step }) => [path.basename(name), step])], ['lvm', undefined, [['a', ''], ['b', 'p1'], ['c', '']]]);
  assert.ok(set.parts.length > 5 && set.parts.every(({ error }) => error === undefined));
  writeFileSync(path.join(work, 'lone/b'), inOtherGroup(await volumeFixture('lvm-2')));
  const { disks, errors } = catalog(3, 'lone');
  assert.deepEqual(disks.map(({ format }) => format), ['raw', 'raw', 'raw']);
  assert.deepEqual(errors.filter(({ message }) => /2 sets list it/.test(message)).map(({ path: name }) => path.basename(name)), ['a']);
});

test('several files that belong together: members of a volume group, named or found', async () => {
  for (const i of [0, 1, 2]) writeFileSync(path.join(work, `pv-${i}`), await volumeFixture(`lvm-${i}`));
  const alone = catalog(3, 'pv-0');
  assert.ok(alone.errors.length > 0);
  assert.equal(alone.disks[0]?.parts.some(({ step }) => step === 'lv=vg/lin'), true);
  const named = catalog(0, 'pv-0,pv-1,pv-2').disks.at(-1) as GuestDisk;
  assert.ok(named.parts.length > 5 && named.parts.every(({ error }) => error === undefined));
  mkdirSync(path.join(work, 'group'));
  writeFileSync(path.join(work, 'group/a'), partitioned(await volumeFixture('lvm-2')));
  writeFileSync(path.join(work, 'group/b'), partitioned(luksDisk(await volumeFixture('lvm-0'))));
  writeFileSync(path.join(work, 'group/c'), await volumeFixture('lvm-1'));
  writeFileSync(path.join(work, 'group.key'), luksKey);
  const found = catalog(0, 'group', '--key', 'group.key').disks;
  assert.deepEqual(shownDisks(found.slice(0, 3)), [['a', 'raw', ['p1']], ['b', 'raw', ['p1', 'p1::luks']], ['c', 'raw', ['']]]);
  assert.deepEqual(found[3]?.members?.map(({ path: name, step }) => [path.basename(name), step]), [['a', 'p1'], ['b', 'p1::luks'], ['c', '']]);
  assert.deepEqual([found[3]?.format, found[3]?.missing, found[3]?.parts], ['lvm', undefined, named.parts]);
  assert.match(command.run('disks', 'group', '--key', 'group.key').out, /^\S+a,\S+b,\S+c {2}lvm {2}set of 3: \S+a::p1, \S+b::p1::luks, \S+c$/m);
  // The name that is told is one that can be typed.
  assert.equal(command.json(0, 'stat', `${found[3]?.path ?? ''}::lv=vg/lin`, '--key', 'group.key', '--digest', 'sha256').entries.length, 1);
});

test('two copies of a member: nobody guesses which of them belongs to the rest', async () => {
  mkdirSync(path.join(work, 'copies'));
  for (const [name, member] of [['a', 'raid5-0'], ['a-copy', 'raid5-0'], ['b', 'raid5-1']] as const) writeFileSync(path.join(work, 'copies', name), await volumeFixture(member));
  const { disks, errors } = catalog(3, 'copies');
  assert.deepEqual(disks.map(({ members }) => members), [undefined, undefined, undefined]);
  assert.equal(errors.filter(({ message }) => message.includes('another copy')).length, 3);
});

test('a mirror without one disk is listed as it is, and no failure', async () => {
  writeFileSync(path.join(work, 'mirror'), await volumeFixture('stale-0'));
  const { disks } = catalog(0, 'mirror');
  assert.deepEqual(shownDisks(disks), [['mirror', 'raw', ['md=lab']]]);
});

test('a pool over partitions of two disks, which the location of the first one reaches', async () => {
  mkdirSync(path.join(work, 'pool'));
  for (const name of ['a', 'b'] as const) {
    const { size, blocks } = await poolFixture(`mirror-${name}`);
    const file = openSync(path.join(work, 'pool', name), 'w');
    ftruncateSync(file, partitionStart + size);
    writeSync(file, partitionTable(size), 0, 512, 0);
    for (const [number, block] of blocks) writeSync(file, block, 0, block.length, partitionStart + number * 4_096);
    closeSync(file);
  }
  const { disks } = catalog(0, 'pool');
  assert.deepEqual(shownDisks(disks), [['a', 'raw', ['p1']], ['b', 'raw', ['p1']], ['a,b', 'btrfs', ['p1']]]);
  assert.equal(disks[2]?.parts[0]?.holds, 'btrfs');
  const { layers, problems } = command.json(0, 'info', `${disks[2]?.path ?? ''}::p1::/`) as unknown as { layers: readonly { layer: string; missing?: number }[]; problems: readonly unknown[] };
  assert.deepEqual([layers.find(({ layer }) => layer === 'filesystem')?.missing, problems], [undefined, []]);
  assert.equal(command.json(1, 'info', 'pool/a::p1::/').problems[0]?.kind, 'missing-member');
});

test('a key that opens a container on a disk in a job is of use', async () => {
  const blocks: Uint8Array[] = [];
  const writer = new VolumeWriter({ version: 'BB02', blockBytes: 64_512, hasher: await createXXHash3(), emit: (block) => blocks.push(block) });
  writer.label('Vol-2', { id: 1, time: 1_700_000_000 }, 0, 1_700_000_000_000_000);
  const session = new SessionWriter(writer, { id: 1, time: 1_700_000_000, jobId: 11 }, 1);
  const content = await volumeFixture('luks1-0');
  session.start();
  session.record(1, 1, encodeAttributes({ fileIndex: 1, type: 3, name: utf8('/vm/disk') }, encodeLstat({ mode: 0o100644, size: content.length })));
  for (let at = 0; at < content.length; at += 65_536) session.record(1, 2, content.subarray(at, at + 65_536));
  session.end();
  writeFileSync(path.join(work, 'Vol-2'), Buffer.concat(blocks));
  writeFileSync(path.join(work, 'key-2'), 'lab secret');
  for (const words of [['disks', 'Vol-2'], ['stat', 'Vol-2::job=11::/vm/disk::luks']]) assert.doesNotMatch(command.run(...words, '--key', 'key-2').err, /opens nothing/);
  writeFileSync(path.join(work, 'key-3'), 'another');
  assert.match(command.run('ls', 'Vol-2', '--key', 'key-3').err, /key 'key-3' opens nothing here/);
});

test('what is no disk is said to be none, also where nothing else is; images that are not read are told', () => {
  assert.equal(command.json(1, 'disks', 'dir/below/noise.raw').error.code, 'FORMAT');
  assert.equal(command.json(1, 'disks', 'absent').error.code, 'NOT_FOUND');
  mkdirSync(path.join(work, 'none'));
  assert.deepEqual(catalog(0, 'none').disks, []);
  assert.match(command.run('disks', 'none').out, /^no disk was found: .*\n$/);
  writeFileSync(path.join(work, 'none/a.qed'), Buffer.concat([Buffer.from('QED\0'), Buffer.alloc(1 << 20)]));
  const { disks, errors } = catalog(3, 'none');
  assert.deepEqual(disks.map(({ format, error }) => [format, /QED images are recognised/.test(error ?? '')]), [['qed', true]]);
  assert.deepEqual(errors.map(({ code }) => code), ['UNSUPPORTED']);
});
