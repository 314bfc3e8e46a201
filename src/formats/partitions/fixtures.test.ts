/** Arrays, volume groups and containers that Linux made: each volume's bytes are what the kernel showed, whole and without spare disks. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { blockSourceSuite } from '../../core/conformance/index.ts';
import { defaultLimits, IntegrityError, LimitError, MemorySource, NotFoundError, readRange, UnsupportedError } from '../../core/index.ts';
import { memberOf, openVolumeTable, probeVolumeTable } from './open.ts';
import { fixture, fixtureDisks, openDisks, openStep } from './testdata/fixture.ts';
import { arrays, containers, groupVolumes } from './testdata/sums.ts';
import { withText } from './testing/lvm-disk.ts';
import type { VolumeTable } from './volume-table.ts';

async function sum(table: VolumeTable, step: string): Promise<string> {
  const source = await openStep(table, step);
  return createHash('sha256').update(await readRange(source, 0, source.size)).digest('hex');
}

for (const { name, disks, spares, sha256, size, level, version, step } of arrays) {
  test(`md array ${name}: ${level}, ${version}`, async () => {
    const all = await fixtureDisks(name, disks);
    assert.equal((await probeVolumeTable(new MemorySource(all[0] as Uint8Array)))?.name, 'md');
    const table = await openDisks([...all].reverse());
    assert.deepEqual([table.volumes[0]?.step, table.volumes[0]?.type, table.volumes[0]?.size, table.facts.version], [step, level, size, version]);
    assert.equal(await sum(table, step), sha256);
    for (const missing of spares) assert.equal(await sum(await openDisks(all.filter((_, i) => !missing.includes(i))), step), sha256, `without ${missing.join()}`);
  });
}

test('more disks missing than redundancy makes up for: an error, never zeroes', async () => {
  for (const [name, count, missing] of [['raid5', 3, [0, 1]], ['raid6', 4, [0, 1, 2]], ['raid0', 3, [1]]] as const) {
    const table = await openDisks((await fixtureDisks(name, count)).filter((_, i) => !(missing as readonly number[]).includes(i)));
    await assert.rejects(openStep(table, 'md=lab'), NotFoundError, name);
  }
});

test('a disk that fell behind is not read', async () => {
  const disks = await fixtureDisks('stale', 2);
  const table = await openDisks(disks);
  assert.match(table.facts.remarks.join(), /disk 1 .*(?:fell behind|spare or faulty)/);
  assert.notEqual(await sum(await openDisks([disks[1] as Uint8Array]), 'md=lab'), await sum(table, 'md=lab'), 'alone, it is all there is');
});

test('what belongs to a partition, or to the time before the disk was partitioned, is not the disk\'s', async () => {
  const [member] = await fixtureDisks('raid10', 1) as readonly [Uint8Array];
  const disk = new Uint8Array(2 << 20);
  disk.set(member, 1 << 20);
  assert.equal((await probeVolumeTable(new MemorySource(disk)))?.name, 'md', 'a 0.90 superblock where the disk\'s own would be');
  const table = [0, 0, 0, 0, 0xfd, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0];
  disk.set([...table, ...new Uint8Array(48), 0x55, 0xaa], 446);
  assert.equal((await probeVolumeTable(new MemorySource(disk)))?.name, 'mbr', 'it lies in a partition');
  const group = (await fixture('lvm-0')).slice();
  group.set([...table, ...new Uint8Array(48), 0x55, 0xaa], 446);
  assert.equal((await probeVolumeTable(new MemorySource(group)))?.name, 'mbr', 'an LVM label behind a table');
});

test('disks of different arrays are not mixed', async () => {
  await assert.rejects(openDisks([await fixture('raid5-0'), await fixture('raid6-1')]), /set_uuid/);
});

test('a damaged superblock is a problem while another disk has one, and an error alone', async () => {
  const [a, b, c] = await fixtureDisks('raid5', 3) as [Uint8Array, Uint8Array, Uint8Array];
  const bad = b.slice();
  bad[4096 + 100] = 0x77;
  const table = await openDisks([a, bad, c]);
  assert.equal(table.problems()[0]?.kind, 'damaged-member');
  assert.equal(await sum(table, 'md=lab'), arrays.find(({ name }) => name === 'raid5')?.sha256);
  assert.equal((await probeVolumeTable(new MemorySource(bad)))?.verdict.match, 'damaged');
  await assert.rejects(openVolumeTable([new MemorySource(bad)], { limits: defaultLimits }, 'md'), IntegrityError);
});

for (const { step, type, sha256, size } of groupVolumes) {
  test(`LVM ${step}: ${type}`, async () => {
    const disks = await fixtureDisks('lvm', 3);
    const table = await openDisks(disks);
    const volume = table.volumes.find((one) => one.step === step);
    assert.deepEqual([volume?.type, volume?.size], [type, size]);
    assert.equal(await sum(table, step), sha256);
    for (const missing of [0, 1, 2]) {
      const part = await openDisks(disks.filter((_, i) => i !== missing));
      assert.match(part.facts.remarks.join(), /was not given/);
      const found = await sum(part, step).catch((error: unknown) => error);
      if (type.startsWith('raid')) assert.equal(found, sha256, `without ${missing}`);
      else assert.ok(found === sha256 || found instanceof NotFoundError, String(found));
    }
  });
}

test('members of a group say so; pools have no content', async () => {
  const members = await Promise.all((await fixtureDisks('lvm', 3)).map((bytes) => memberOf(new MemorySource(bytes))));
  assert.equal(new Set(members.map((one) => one?.group)).size, 1);
  assert.equal(new Set(members.map((one) => one?.member)).size, 3);
  assert.deepEqual(members.map((one) => one?.members), [3, 3, 3]);
  await assert.rejects(openStep(await openDisks(await fixtureDisks('lvm', 3)), 'lv=vg/pool'), UnsupportedError);
});

test('a thin volume that a snapshot takes the place of at the next start looks like the snapshot', async () => {
  const disks = (await fixtureDisks('lvm', 3)).map((bytes) => withText(bytes, 'origin = "thin"', 'merge = "thin" '));
  const table = await openDisks(disks);
  const expected = groupVolumes.find(({ step }) => step === 'lv=vg/thinsnap');
  assert.equal(await sum(table, 'lv=vg/thin'), expected?.sha256);
  assert.equal(table.volumes.find(({ step }) => step === 'lv=vg/thin')?.size, expected?.size);
});

test('the newest description counts when one disk has an old or damaged one', async () => {
  const disks = (await fixtureDisks('lvm', 3)).map((bytes) => bytes.slice());
  disks[0]?.fill(0, 4096 + 40, 4096 + 60);
  const table = await openDisks(disks);
  assert.equal(table.problems()[0]?.kind, 'damaged-table');
  assert.equal(await sum(table, 'lv=vg/lin'), groupVolumes.find(({ step }) => step === 'lv=vg/lin')?.sha256);
});

for (const { name, key, sha256, size } of containers) {
  test(`container ${name}`, async () => {
    const disk = [await fixture(`${name}-0`)];
    for (const given of [key, `${key}\n`, `${key}\r\n`]) {
      const table = await openDisks(disk, given);
      assert.equal(table.volumes[0]?.size, size);
      assert.equal(await sum(table, 'luks'), sha256);
    }
    const failure = await openStep(await openDisks(disk, 'another secret'), 'luks').catch((error: unknown) => error);
    assert.ok(failure instanceof NotFoundError && /slots in use: number 0/.test(failure.message) && !/another|secret/.test(`${failure.message}${JSON.stringify(failure.data)}`), String(failure));
    await assert.rejects(openStep(await openDisks(disk), 'luks'), /no key was given/);
  });
}

test('the second header of LUKS2 is used where the first is damaged', async () => {
  const bytes = (await fixture('luks2-0')).slice();
  bytes[5000] = 0x20;
  const table = await openDisks([bytes], containers[1].key);
  assert.match(table.facts.remarks.join(), /one of its two headers is damaged/);
  assert.equal(await sum(table, 'luks'), containers[1].sha256);
});

test('a derivation that asks for more than allowed is refused', async () => {
  const table = await openVolumeTable([new MemorySource(await fixture('luks2-0'))], { limits: { ...defaultLimits, volumeKdfMemoryBytesMax: 1024 }, keys: [Buffer.from('x')] });
  await assert.rejects(openStep(table, 'luks'), LimitError);
});

for (const [what, name, count, step] of [['degraded RAID 5', 'raid5', 2, 'md=lab'], ['thin snapshot', 'lvm', 3, 'lv=vg/thinsnap'], ['old snapshot', 'lvm', 3, 'lv=vg/snap'], ['LUKS2', 'luks2', 1, 'luks']] as const) {
  blockSourceSuite(what, async () => {
    const table = await openDisks(await fixtureDisks(name, count), containers[0].key);
    const source = await openStep(table, step);
    return { source, expected: await readRange(source, 0, source.size), cleanup: () => table.close() };
  });
}
