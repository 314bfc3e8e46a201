/** Volumes of each kind on dynamic disks of our own writer, which ldmtool reads, too (lab `partitions`). */
import assert from 'node:assert/strict';
import test from 'node:test';
import { defaultLimits, FormatError, HoldfastError, MemorySource, NotFoundError, readRange } from '../../../core/index.ts';
import { memberOf, openVolumeTable, probeVolumeTable } from '../open.ts';
import { diskGuid, dynamicDisks, publicStart, type VolumePlan } from '../testing/ldm-disk.ts';
import type { VolumeTable } from '../volume-table.ts';
import { COMPONENT, vmdbLayout } from './ldm.layout.ts';

const SECTORS = 400;

/** Five volumes over three disks; places and sizes in sectors. */
const plans: readonly VolumePlan[] = [
  { name: 'Volume1', size: 40, components: [{ type: COMPONENT.concatenated, partitions: [{ disk: 0, start: 0, size: 40, volumeOffset: 0 }] }] },
  { name: 'Spanned', size: 50, components: [{ type: COMPONENT.concatenated, partitions: [{ disk: 1, start: 10, size: 20, volumeOffset: 30 }, { disk: 0, start: 40, size: 30, volumeOffset: 0 }] }] },
  { name: 'Stripe1', size: 96, components: [{ type: COMPONENT.stripes, stripe: 8, columns: 3, partitions: [0, 1, 2].map((disk) => ({ disk, start: 100, size: 32, volumeOffset: 0, column: disk })) }] },
  { name: 'Mirror1', size: 30, components: [2, 1].map((disk) => ({ type: COMPONENT.concatenated, partitions: [{ disk, start: 150, size: 30, volumeOffset: 0 }] })) },
  { name: 'Raid1', size: 64, components: [{ type: COMPONENT.raid5, stripe: 16, columns: 3, partitions: [0, 1, 2].map((disk) => ({ disk, start: 200, size: 32, volumeOffset: 0, column: disk })) }] },
];

function sectorsOf(volume: string, first: number, count: number): Uint8Array {
  return Buffer.concat(Array.from({ length: count }, (_, i) => Buffer.from(`${volume} ${first + i}`.padEnd(512, '.'))));
}

/** Puts content where Windows would: written out by hand, not with the reader's maps. */
function fillDisks(disks: readonly Uint8Array[], gpt: boolean): void {
  const put = (disk: number, start: number, bytes: Uint8Array): void => disks[disk]?.set(bytes, (publicStart(gpt) + start) * 512);
  put(0, 0, sectorsOf('Volume1', 0, 40));
  put(0, 40, sectorsOf('Spanned', 0, 30));
  put(1, 10, sectorsOf('Spanned', 30, 20));
  for (let unit = 0; unit < 12; unit += 1) put(unit % 3, 100 + Math.floor(unit / 3) * 8, sectorsOf('Stripe1', unit * 8, 8));
  for (const disk of [1, 2]) put(disk, 150, sectorsOf('Mirror1', 0, 30));
  // Left-symmetric: parity on the last disk first; data goes on behind it.
  const stripe0 = [sectorsOf('Raid1', 0, 16), sectorsOf('Raid1', 16, 16)] as const;
  const stripe1 = [sectorsOf('Raid1', 32, 16), sectorsOf('Raid1', 48, 16)] as const;
  const parity = ([a, b]: readonly [Uint8Array, Uint8Array]): Uint8Array => a.map((byte, i) => byte ^ (b[i] as number));
  put(0, 200, stripe0[0]);
  put(1, 200, stripe0[1]);
  put(2, 200, parity(stripe0));
  put(2, 216, stripe1[0]);
  put(0, 216, stripe1[1]);
  put(1, 216, parity(stripe1));
}

async function openDisks(disks: readonly Uint8Array[]): Promise<VolumeTable> {
  return openVolumeTable(disks.map((bytes) => new MemorySource(bytes)), { limits: defaultLimits });
}

async function content(table: VolumeTable, name: string): Promise<string> {
  const source = await table.volumes.find((volume) => volume.step === `ldm=${name}`)?.open();
  assert.ok(source);
  return Buffer.from(await readRange(source, 0, source.size)).toString('latin1');
}

for (const [what, options] of [['MBR', {}], ['GPT', { gpt: true }], ['MBR with records of version 3', { disk3: true }]] as const) {
  test(`volumes of dynamic disks on ${what}`, async () => {
    const disks = dynamicDisks(3, SECTORS, plans, options);
    fillDisks(disks, 'gpt' in options);
    assert.equal((await probeVolumeTable(new MemorySource(disks[1] as Uint8Array)))?.name, 'ldm');
    assert.deepEqual(await memberOf(new MemorySource(disks[2] as Uint8Array)), { name: 'ldm', group: '9f9f9f9f-0000-0000-0000-000000000001', member: diskGuid(2), members: 3 });
    const table = await openDisks([...disks].reverse());
    assert.deepEqual(table.volumes.map(({ type }) => type), ['simple', 'spanned', 'striped', 'mirrored', 'raid5']);
    for (const { name, size } of plans) assert.equal(await content(table, name), Buffer.from(sectorsOf(name, 0, size)).toString('latin1'), name);
    await table.close();
  });
}

test('a missing disk takes with it only what has no copy of it', async () => {
  const disks = dynamicDisks(3, SECTORS, plans);
  fillDisks(disks, false);
  for (const missing of [0, 1, 2]) {
    const table = await openDisks(disks.filter((_, i) => i !== missing));
    assert.match(table.facts.remarks.join(), new RegExp(`${diskGuid(missing)}.*not given`));
    for (const { name, size } of plans) {
      const lost = { Volume1: [0], Spanned: [0, 1], Stripe1: [0, 1, 2], Mirror1: [], Raid1: [] }[name] ?? [];
      if (lost.includes(missing)) await assert.rejects(content(table, name), NotFoundError, name);
      else assert.equal(await content(table, name), Buffer.from(sectorsOf(name, 0, size)).toString('latin1'), `${name} without ${missing}`);
    }
  }
});

test('a disk that was away: the newest database counts, copies and parity on that disk do not', async () => {
  const disks = dynamicDisks(3, SECTORS, plans, { sequence: 6 });
  const group = [...disks.slice(0, 2), dynamicDisks(3, SECTORS, plans.slice(0, 4), { sequence: 5 })[2] as Uint8Array];
  fillDisks(group, false);
  const stale = group[2] as Uint8Array;
  stale.fill(0x5a, (publicStart(false) + 150) * 512, (publicStart(false) + 232) * 512);
  const table = await openDisks([...group].reverse());
  assert.match(table.facts.remarks.join(), new RegExp(`${diskGuid(2)} fell behind: change '5', the group is at '6'`));
  for (const { name, size } of plans.filter((plan) => plan.name !== 'Stripe1')) assert.equal(await content(table, name), Buffer.from(sectorsOf(name, 0, size)).toString('latin1'), name);
  // With one more of them gone, nobody else has what the stale one held.
  const two = await openDisks([group[0] as Uint8Array, stale]);
  for (const name of ['Mirror1', 'Raid1']) await assert.rejects(content(two, name), NotFoundError, name);
});

test('the copies of PRIVHEAD and of the table of contents are used', async () => {
  const [disk] = dynamicDisks(1, SECTORS, plans.slice(0, 1)) as readonly [Uint8Array];
  fillDisks([disk], false);
  disk.fill(0, 6 * 512, 7 * 512);
  disk.fill(0, disk.length - 2046 * 512, disk.length - 2045 * 512);
  assert.equal(await content(await openDisks([disk]), 'Volume1'), Buffer.from(sectorsOf('Volume1', 0, 40)).toString('latin1'));
});

test('damage is named by structure and field', async () => {
  for (const [back, bytes, field] of [[2031, [0x58], 'magic'], [2030, [0x58], 'magic']] as const) {
    const [disk] = dynamicDisks(1, SECTORS, plans.slice(0, 1)) as readonly [Uint8Array];
    disk.set(bytes, disk.length - back * 512);
    await assert.rejects(openDisks([disk]), (error) => error instanceof FormatError && error.fault.field === field);
  }
});

test('a database with records of an unfinished change is not used', async () => {
  const [disk, whole] = dynamicDisks(2, SECTORS, plans.slice(0, 2)) as readonly [Uint8Array, Uint8Array];
  fillDisks([disk, whole], false);
  const vmdb = disk.length - 2048 * 512 + 17 * 512;
  new DataView(disk.buffer).setUint32(vmdb + vmdbLayout.offsets.partitions, 4);
  await assert.rejects(openDisks([disk]), (error) => error instanceof FormatError && error.fault.field === 'partitions');
  const table = await openDisks([disk, whole]);
  assert.deepEqual(table.problems().map(({ kind, where }) => [kind, where]), [['damaged-table', `disk ${diskGuid(0)}`]]);
  assert.equal(await content(table, 'Spanned'), Buffer.from(sectorsOf('Spanned', 0, 50)).toString('latin1'));
});

test('databases cut or changed anywhere fail in order', async () => {
  const [disk] = dynamicDisks(1, SECTORS, plans.slice(0, 2)) as readonly [Uint8Array];
  const base = disk.length - 2048 * 512 + 17 * 512;
  for (let at = base; at < base + 2048; at += 3) {
    const changed = disk.slice();
    changed[at] = (changed[at] as number) ^ 0xff;
    try {
      const table = await openDisks([changed]);
      for (const volume of table.volumes) await volume.open().then((source) => source.readInto(0, new Uint8Array(Math.min(512, source.size))));
    } catch (error) {
      assert.ok(error instanceof HoldfastError, String((error as Error).stack));
    }
  }
});
