/** Disks of a firmware's RAID, as mdadm wrote them: named where they have a part, left alone where they have all, and never an error of ours. */
import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { type BlockSource, defaultLimits, HoldfastError, MemorySource, UnsupportedError } from '../../../core/index.ts';
import { openVolumeTable, probeVolumeTable } from '../open.ts';
import { joined } from '../parts.ts';
import { fixture } from '../testdata/fixture.ts';
import { configurationLayout, DDF_CONFIGURATION } from './ddf.layout.ts';

const DISK_BYTES = 64 << 20;

/** A disk that is a hole but for its end. */
function diskOf(tail: Uint8Array): BlockSource {
  const file = new MemorySource(tail);
  return joined([{ length: DISK_BYTES - tail.length, at: 0 }, { length: tail.length, file, at: 0 }], 512, 'disk');
}

/** The description with the sum that its words have now, so that a change gets past it. */
function summed(tail: Uint8Array): Uint8Array {
  const [anchor, before] = [tail.length - 1024, tail.length - 1536];
  const words = new DataView(Uint8Array.from([...tail.subarray(anchor, anchor + 512), ...tail.subarray(before, before + 512)]).buffer);
  const length = Math.min(words.getUint32(0x24, true), words.byteLength);
  let sum = 0;
  for (let at = 0; at + 4 <= length; at += 4) if (at !== 0x20) sum = (sum + words.getUint32(at, true)) >>> 0;
  new DataView(tail.buffer, tail.byteOffset + anchor).setUint32(0x20, sum, true);
  return tail;
}

for (const [name, version, level, size] of [
  ['imsm-raid0', 'Intel Matrix RAID 1.0.00', 'raid0', 121_634_816], ['imsm-raid10', 'Intel Matrix RAID 1.2.01', 'raid10', 121_634_816],
  ['ddf-raid0', 'DDF 01.02.00', 'raid0', 67_108_864], ['ddf-raid10', 'DDF 01.02.00', 'raid10', 67_108_864],
] as const) {
  test(`${name}: named, and refused when it is read`, async () => {
    const disk = diskOf(await fixture(`${name}-tail`));
    assert.deepEqual(await probeVolumeTable(disk), { name: 'firmware-raid', verdict: { match: 'yes', version } });
    const table = await openVolumeTable([disk], { limits: defaultLimits });
    const [volume, ...others] = table.volumes;
    assert.deepEqual([volume?.type, volume?.size, others.length], [level, size, 0]);
    await assert.rejects(async () => volume?.open(), (error) => error instanceof UnsupportedError && error.message.includes(level));
    await table.close();
  });
}

test('a disk of a mirror is read as it stands', async () => {
  for (const name of ['imsm-raid1', 'ddf-raid1']) assert.equal(await probeVolumeTable(diskOf(await fixture(`${name}-tail`))), undefined, name);
});

test('a disk that is an array of its own, as controllers present single disks, is read as it stands', async () => {
  const tail = (await fixture('ddf-raid0-tail')).slice();
  const view = new DataView(tail.buffer, tail.byteOffset, tail.length);
  const { signature, primary_element_count: count } = configurationLayout.offsets;
  let changed = 0;
  for (let at = 0; at + 512 <= tail.length; at += 512) {
    if (view.getUint32(at + signature) !== DDF_CONFIGURATION) continue;
    view.setUint16(at + count, 1);
    changed += 1;
  }
  assert.ok(changed > 0);
  assert.equal(await probeVolumeTable(diskOf(tail)), undefined);
});

test('a damaged description is none, and never fails otherwise', async () => {
  const [imsm, ddf] = [await fixture('imsm-raid10-tail'), await fixture('ddf-raid10-tail')];
  const changed = imsm.slice();
  assert.deepEqual(summed(imsm.slice()), imsm);
  changed[changed.length - 1024 + 0x3c] = 1;
  assert.equal(await probeVolumeTable(diskOf(changed)), undefined, 'the sum does not fit');
  const places = [fc.constant(imsm), fc.constant(ddf.slice(-512)), fc.constant(ddf)] as const;
  await fc.assert(fc.asyncProperty(fc.oneof(...places), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }), async (tail, changes) => {
    const bytes = tail.slice();
    const used = bytes.length > 1 << 20 ? 400 * 512 : bytes.length;
    for (const [at, value] of changes) bytes[tail === imsm ? bytes.length - 1536 + at % 1024 : at % used] = value;
    if (tail === imsm) summed(bytes);
    const table = await probeVolumeTable(diskOf(bytes)) === undefined ? undefined : await openVolumeTable([diskOf(bytes)], { limits: defaultLimits });
    for (const volume of table?.volumes ?? []) await assert.rejects(volume.open(), HoldfastError);
  }), { numRuns: 200 });
});
