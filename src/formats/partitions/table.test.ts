/** Partition tables of sfdisk, whole, damaged, and what only looks like one. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { FormatError, type HoldfastError, LimitError, MemorySource } from '../../core/index.ts';
import { crc32 } from '../crc32.ts';
import { probeVolumeTable } from './open.ts';
import { fixture, openDisks } from './testdata/fixture.ts';

async function places(bytes: Uint8Array): Promise<string> {
  const table = await openDisks([bytes]);
  return table.volumes.map(({ step, offset, size }) => `${step}@${offset}+${size}`).join(' ');
}

async function copyOf(name: string): Promise<Uint8Array> {
  return (await fixture(name)).slice();
}

const GPT_PLACES = 'p1@32768+1048576 p2@1081344+4096000 p3@5177344+4096000';

test('an MBR with logical partitions has the numbers of Linux', async () => {
  const table = await openDisks([await fixture('mbr')]);
  assert.equal(await places(await fixture('mbr')), 'p1@32768+1048576 p2@1081344+1048576 p5@2150400+2048000 p6@4249600+2048000 p7@6348800+4096000');
  assert.deepEqual(table.volumes.map(({ type }) => type), ['0x0c', '0x83', '0x83', '0x07', '0x8e']);
  assert.equal(table.volumes[2]?.uuid, '12345678-05');
  assert.deepEqual([table.facts.uuid, table.facts.sectorSize, table.problems()], ['12345678', 512, []]);
});

test('a GPT has names, types and identities', async () => {
  const table = await openDisks([await fixture('gpt')]);
  assert.equal(await places(await fixture('gpt')), GPT_PLACES);
  assert.deepEqual(table.volumes.map(({ name, type, uuid }) => [name, type, uuid?.slice(0, 8)]), [
    ['EFI', 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b EFI System', '11111111'], ['naïve λ', '0fc63daf-8483-4772-8e79-3d69d8477de4 Linux filesystem', '22222222'],
    [undefined, 'ebd0a0a2-b9e5-4433-87c0-68b6b72699c7 Microsoft basic data', '33333333'],
  ]);
  assert.equal(table.facts.uuid, '12345678-1234-1234-1234-123456789abc');
});

test('a raw file of a disk with sectors of 4096 bytes is recognised as one', async () => {
  const table = await openDisks([await fixture('gpt-4kn')]);
  assert.equal(table.facts.sectorSize, 4096);
  assert.equal(await places(await fixture('gpt-4kn')), 'p1@262144+1048576 p2@1310720+8192000');
});

test('the backup of a GPT is used where the first copy is damaged: header, entries, or both gone', async () => {
  for (const [from, to] of [[512, 600], [1024, 1100], [512, 1024], [512, 17_408]] as const) {
    const bytes = await copyOf('gpt');
    bytes.fill(0, from, to);
    const table = await openDisks([bytes]);
    assert.match(table.facts.remarks.join(), /backup/);
    assert.equal(table.problems().length, 1);
    assert.equal(await places(bytes), GPT_PLACES);
  }
});

test('the backup is found where the first header says when the disk has grown', async () => {
  const small = await copyOf('gpt');
  const bytes = new Uint8Array(small.length + 3 * 512);
  bytes.set(small);
  assert.equal(await places(bytes), GPT_PLACES, 'the first copy holds');
  bytes.fill(0x5a, 1030, 1040);
  assert.equal(await places(bytes), GPT_PLACES, 'the backup is not at the end');
});

test('the backup is found where the protective MBR ends when the disk has grown and the first header is gone', async () => {
  for (const name of ['gpt', 'gpt-4kn']) {
    const small = await copyOf(name);
    const expected = await places(small);
    const bytes = new Uint8Array(small.length + 3 * 4096);
    bytes.set(small);
    bytes.fill(0, 512, 17_408);
    assert.equal(await places(bytes), expected, name);
    assert.equal((await openDisks([bytes])).problems().length, 1);
  }
});

test('a GPT of which neither copy holds is damaged, and names the field', async () => {
  const bytes = await copyOf('gpt');
  bytes.fill(0, 520, 524);
  bytes.fill(0, bytes.length - 500, bytes.length - 490);
  assert.equal((await probeVolumeTable(new MemorySource(bytes)))?.verdict.match, 'damaged');
  await assert.rejects(openDisks([bytes]), (error: HoldfastError) => error.data['structure'] === 'GPT header');
});

/** Changes a field of the first GPT header and makes its checksum good; the backup is erased. */
async function changedHeader(at: number, value: number): Promise<Uint8Array> {
  const bytes = await copyOf('gpt');
  const view = new DataView(bytes.buffer);
  bytes.fill(0, bytes.length - 512);
  view.setUint32(512 + at, value, true);
  view.setUint32(512 + 16, 0, true);
  view.setUint32(512 + 16, crc32(bytes.subarray(512, 512 + 92)), true);
  return bytes;
}

test('numbers of a GPT header are bounded', async () => {
  for (const [at, value, expected] of [[84, 0, 'SizeOfPartitionEntry'], [84, 130, 'SizeOfPartitionEntry'], [80, 0xffff_ffff, 'volumeTableBytesMax'], [72, 0xffff_ff00, 'offset'], [24, 9, 'MyLBA']] as const) {
    const bytes = await changedHeader(at, value);
    await assert.rejects(openDisks([bytes]), (error) => (error instanceof FormatError && error.fault.field === expected) || (error instanceof LimitError && error.data['limit'] === expected), expected);
  }
});

test('logical partitions whose chain comes back, leaves or breaks: what came before counts', async () => {
  const good = await fixture('mbr');
  const first = 4160 * 512;
  const view = Buffer.from(good.buffer, good.byteOffset);
  const second = first + view.readUInt32LE(first + 446 + 16 + 8) * 512;
  for (const [at, value] of [[second + 446 + 16 + 8, 0], [second + 446 + 16 + 8, 0x00ff_ffff]] as const) {
    const bytes = await copyOf('mbr');
    new DataView(bytes.buffer).setUint32(at, value, true);
    assert.match(await places(bytes), /p2@\S+ p5@\S+ p6@\S+$/);
    assert.equal((await openDisks([bytes])).problems().length, 1);
  }
  const bytes = await copyOf('mbr');
  bytes.fill(0, second + 510, second + 512);
  assert.match(await places(bytes), /p2@\S+ p5@\S+$/);
});

test('entries that share bytes or leave the disk are problems', async () => {
  const bytes = await copyOf('mbr');
  const view = new DataView(bytes.buffer);
  view.setUint32(446 + 12, 3000, true);
  assert.deepEqual((await openDisks([bytes])).problems().map(({ kind }) => kind), ['overlap']);
  const cut = await openDisks([bytes.subarray(0, 6_000_000)]);
  assert.deepEqual(cut.problems().map(({ kind }) => kind).sort(), ['damaged-table', 'overlap', 'truncated']);
});

/** A boot sector whose bytes at the place of the entries are what code might be. */
function bootSector(jump: readonly number[], oem: string, entries: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(1 << 20);
  bytes.set(jump);
  bytes.set(Buffer.from(oem), 3);
  bytes.set([0, 2, 4, 1, 0, 2, 0, 2, 0, 0, 0xf8], 11);
  bytes.set(entries, 446);
  bytes.set([0x55, 0xaa], 510);
  return bytes;
}

test('boot sectors of filesystems are no partition tables, whatever their code looks like', async () => {
  const entry = [0, 0, 0, 0, 0x83, 0, 0, 0, 63, 0, 0, 0, 100, 0, 0, 0];
  // The second lies on the disk in part; both on the same sectors; the one over the whole disk that mkfs.fat writes for BIOSes.
  for (const entries of [entry.with(13, 0xff), [...entry, ...entry], [0x80, 0, 1, 0, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0]]) {
    assert.equal(await probeVolumeTable(new MemorySource(bootSector([0xeb, 0x3c, 0x90], 'mkfs.fat', entries))), undefined);
    assert.equal(await probeVolumeTable(new MemorySource(bootSector([0xeb, 0x52, 0x90], 'NTFS    ', entries))), undefined);
  }
  assert.equal(await probeVolumeTable(new MemorySource(bootSector([0, 0, 0], '', entry.with(0, 0x33)))), undefined, 'an indicator that is none');
  assert.equal(await probeVolumeTable(new MemorySource(bootSector([0, 0, 0], '', [...entry.slice(0, 8), 0, 0, 0, 0xff, ...entry.slice(12)]))), undefined, 'no entry on the disk');
  assert.equal((await probeVolumeTable(new MemorySource(bootSector([0xfa, 0x33, 0xc0], '', entry))))?.name, 'mbr');
});

test('a table in the first sector of what the disk held before is one: its maker kept the rest of the sector', async () => {
  const table = [0, 0, 0, 0, 0x83, 0, 0, 0, 63, 0, 0, 0, 100, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0];
  for (const [jump, oem] of [[[0xeb, 0x3c, 0x90], 'mkfs.fat'], [[0xeb, 0x52, 0x90], 'NTFS    '], [[0xeb, 0x76, 0x90], 'EXFAT   ']] as const) {
    const bytes = bootSector(jump, oem, table);
    assert.equal((await probeVolumeTable(new MemorySource(bytes)))?.name, 'mbr');
    assert.equal(await places(bytes), 'p1@32256+51200 p2@131072+917504');
  }
  for (const name of ['luks1-0', 'luks2-0']) {
    const bytes = await copyOf(name);
    assert.equal((await probeVolumeTable(new MemorySource(bytes)))?.name, 'luks');
    bytes.set([...table.slice(0, 16), ...new Uint8Array(48)], 446);
    bytes.set([0x55, 0xaa], 510);
    assert.equal((await probeVolumeTable(new MemorySource(bytes)))?.name, 'mbr');
  }
});

test('a GPT that a later MBR does not protect is not read', async () => {
  const bytes = await copyOf('gpt');
  bytes[446 + 4] = 0x83;
  assert.equal((await probeVolumeTable(new MemorySource(bytes)))?.name, 'mbr');
});

test('an entry that lies about the disk cannot be opened', async () => {
  const bytes = await copyOf('mbr');
  new DataView(bytes.buffer).setUint32(446 + 8, 0x0fff_ffff, true);
  const table = await openDisks([bytes]);
  const volume = table.volumes.find(({ step }) => step === 'p1');
  assert.ok(volume);
  await assert.rejects(volume.open(), FormatError);
});
