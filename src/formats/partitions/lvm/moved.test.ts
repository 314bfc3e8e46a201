/** Volumes whose extents were moved: by a reshape that is over, and by a pvmove that is not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BlockSource, defaultLimits, MemorySource, NotFoundError, readRange, UnsupportedError } from '../../../core/index.ts';
import { LogicalVolumes } from './logical-volume.ts';
import { RAID_RESHAPE_ACTIVE, RAID_SUPER_MAGIC, RAID_SUPER_V190, raidSuperLayout } from './lvm.layout.ts';
import { parseVolumeGroup, type VolumeGroup } from './volume-group.ts';

const EXTENT = 4096;
const STRIPE = 1024;

function groupOf(disks: number, volumes: string): VolumeGroup {
  const pvs = Array.from({ length: disks }, (_, i) => `pv${i} { id="PV${i}" status=["ALLOCATABLE"] pe_start=0 pe_count=8 }`).join(' ');
  return parseVolumeGroup(`vg { id="VG" seqno=1 status=["READ"] extent_size=${EXTENT / 512} physical_volumes { ${pvs} } logical_volumes { ${volumes} } }`, defaultLimits);
}

function bytesOf(group: VolumeGroup, disks: ReadonlyMap<string, BlockSource>, name: string): Promise<Uint8Array> {
  const volumes = new LogicalVolumes({ group, disks, sectorSize: 512, limits: defaultLimits, remark: () => undefined });
  return volumes.openVisible(name).then((source) => readRange(source, 0, source.size));
}

/** What dm-raid keeps on a metadata image. */
function raidSuper(image: Uint8Array, fields: { readonly position: number; readonly dataAt: number; readonly flags: number }): void {
  const view = new DataView(image.buffer, image.byteOffset);
  const { offsets } = raidSuperLayout;
  image.fill(0, 0, raidSuperLayout.size);
  for (const [at, value] of [[offsets.magic, RAID_SUPER_MAGIC], [offsets.compat_features, RAID_SUPER_V190], [offsets.num_devices, 3], [offsets.array_position, fields.position], [offsets.level, 5], [offsets.layout, 2], [offsets.stripe_sectors, STRIPE / 512], [offsets.flags, fields.flags]] as const) view.setUint32(at, value, true);
  view.setBigUint64(offsets.events, 7n, true);
  view.setBigUint64(offsets.data_offset, BigInt(fields.dataAt / 512), true);
  image.fill(0xff, offsets.disk_recovery_offset, offsets.disk_recovery_offset + 16);
}

/** RAID 5 (left-symmetric) of three disks: extent 0 is metadata, extents 1 to 3 are the image, two of them data and one left over from a reshape. */
function reshaped(dataAt: number, flags = 0): { readonly disks: Map<string, BlockSource>; readonly content: Uint8Array } {
  const content = Uint8Array.from({ length: 4 * EXTENT }, (_, i) => (i * 31 + Math.floor(i / STRIPE)) % 251);
  const disks = Array.from({ length: 3 }, (_, position) => {
    const disk = new Uint8Array(8 * EXTENT).fill(0xee);
    raidSuper(disk, { position, dataAt, flags });
    return disk;
  });
  for (let row = 0; row < 2 * EXTENT / STRIPE; row += 1) {
    const parity = 2 - row % 3;
    const at = EXTENT + dataAt + row * STRIPE;
    (disks[parity] as Uint8Array).fill(0, at, at + STRIPE);
    for (let column = 0; column < 2; column += 1) {
      const piece = content.subarray((row * 2 + column) * STRIPE, (row * 2 + column + 1) * STRIPE);
      (disks[(parity + 1 + column) % 3] as Uint8Array).set(piece, at);
      piece.forEach((byte, i) => { (disks[parity] as Uint8Array)[at + i] = (disks[parity] as Uint8Array)[at + i] as number ^ byte; });
    }
  }
  return { content, disks: new Map(disks.map((disk, i) => [`pv${i}`, new MemorySource(disk)])) };
}

const part = (name: string, pv: number, extent: number, extents: number): string => `${name} { id="${name}" status=["READ"] segment_count=1 segment1 { start_extent=0 extent_count=${extents} type="striped" stripe_count=1 stripes=["pv${pv}",${extent}] } }`;
const raid = `r { id="r" status=["READ","VISIBLE"] segment_count=1 segment1 { start_extent=0 extent_count=6 reshape_count=1 type="raid5" device_count=3 stripe_size=${STRIPE / 512} raids=["m0","d0","m1","d1","m2","d2"] } } `
  + [0, 1, 2].map((i) => `${part(`m${i}`, i, 0, 1)} ${part(`d${i}`, i, 1, 3)}`).join(' ');

test('a volume that was reshaped is read from either end of its images, whole and without one', async () => {
  const group = groupOf(3, raid);
  assert.equal(group.volumes.get('r')?.extents, 4);
  for (const dataAt of [0, EXTENT]) {
    const { disks, content } = reshaped(dataAt);
    assert.deepEqual(await bytesOf(group, disks, 'r'), content);
    disks.delete('pv1');
    assert.deepEqual(await bytesOf(group, disks, 'r'), content);
  }
  await assert.rejects(bytesOf(group, reshaped(0, RAID_RESHAPE_ACTIVE).disks, 'r'), UnsupportedError);
  await assert.rejects(bytesOf(group, reshaped(EXTENT * 2).disks, 'r'), /data_offset/);
  await assert.rejects(bytesOf(groupOf(3, raid.replace(`stripe_size=${STRIPE / 512}`, 'stripe_size=1')), reshaped(0).disks, 'r'), /about to be reshaped/);
});

test('while extents are being moved, only the place that they come from counts', async () => {
  const group = groupOf(2, 'a { id="a" status=["READ","VISIBLE"] segment_count=1 segment1 { start_extent=0 extent_count=1 type="striped" stripe_count=1 stripes=["pvmove0",0] } } '
    + 'pvmove0 { id="p" status=["READ","PVMOVE","LOCKED"] segment_count=1 segment1 { start_extent=0 extent_count=1 type="mirror" mirror_count=2 extents_moved=0 mirrors=["pv0",2,"pv1",3] } }');
  const disks = new Map<string, BlockSource>([['pv0', new MemorySource(new Uint8Array(8 * EXTENT).fill(1))], ['pv1', new MemorySource(new Uint8Array(8 * EXTENT).fill(2))]]);
  assert.deepEqual(await bytesOf(group, disks, 'a'), new Uint8Array(EXTENT).fill(1));
  disks.delete('pv0');
  await assert.rejects(bytesOf(group, disks, 'a'), NotFoundError);
});

test('of a mirror without its first copy another one is read, which is remarked', async () => {
  const group = groupOf(2, 'm { id="m" status=["READ","VISIBLE"] segment_count=1 segment1 { start_extent=0 extent_count=1 type="mirror" mirror_count=2 mirrors=["pv0",2,"pv1",3] } }');
  const disks = new Map<string, BlockSource>([['pv0', new MemorySource(new Uint8Array(8 * EXTENT).fill(1))], ['pv1', new MemorySource(new Uint8Array(8 * EXTENT).fill(2))]]);
  for (const [missing, byte, remarks] of [['pv1', 1, 0], ['pv0', 2, 1]] as const) {
    const said: string[] = [];
    const volumes = new LogicalVolumes({ group, disks: new Map([...disks].filter(([name]) => name !== missing)), sectorSize: 512, limits: defaultLimits, remark: (text) => { said.push(text); } });
    const source = await volumes.openVisible('m');
    assert.deepEqual(await readRange(source, 0, source.size), new Uint8Array(EXTENT).fill(byte));
    assert.equal(said.length, remarks, said.join());
  }
});
