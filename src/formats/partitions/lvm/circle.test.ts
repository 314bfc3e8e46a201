/** Volumes that lie on each other: a text can say so, and a mirror goes on where one of its images fails. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HoldfastError, defaultLimits } from '../../../core/index.ts';
import { LogicalVolumes } from './logical-volume.ts';
import { parseVolumeGroup } from './volume-group.ts';

function volume(name: string, segment: string): string {
  return `${name} { id="${name}" status=["READ","VISIBLE"] segment_count=1 segment1 { start_extent=0 extent_count=1 ${segment} } }`;
}

async function opened(volumes: readonly string[], name: string): Promise<void> {
  const text = `vg { id="VG" seqno=1 format="lvm2" status=["READ"] extent_size=2048 physical_volumes { pv0 { id="PV" device="/dev/x" status=["ALLOCATABLE"] dev_size=8192 pe_start=2048 pe_count=2 } } logical_volumes { ${volumes.join(' ')} } }`;
  const group = parseVolumeGroup(text, defaultLimits);
  await new LogicalVolumes({ group, disks: new Map(), sectorSize: 512, limits: defaultLimits, remark: () => undefined }).openVisible(name);
}

test('mirrors of themselves, and of each other without a circle, end soon', async () => {
  const begun = performance.now();
  const chain = Array.from({ length: 30 }, (_, i) => volume(`l${i}`, `type="mirror" mirror_count=2 mirrors=["l${i + 1}",0,"l${i + 1}",0]`));
  await assert.rejects(opened([volume('a', 'type="mirror" mirror_count=2 mirrors=["a",0,"a",0]')], 'a'), HoldfastError);
  await assert.rejects(opened([volume('a', 'type="raid1" device_count=4 raids=["a","a","a","a"]')], 'a'), HoldfastError);
  await assert.rejects(opened(chain, 'l0'), HoldfastError);
  assert.ok(performance.now() - begun < 20_000, 'it took too long');
});
