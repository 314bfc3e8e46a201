/** Changes to physical volumes of `testdata/`, whose label is in sector 1 and whose description is at 4096, for tests. */
import { crc32Register } from '../../crc32.ts';
import { diskLocnLayout, labelLayout, LVM_CRC_START, mdaHeaderLayout, pvHeaderLayout, rawLocnLayout, SECTOR } from '../lvm/lvm.layout.ts';

const AREA = 4096;

function viewOf(disk: Uint8Array): DataView {
  return new DataView(disk.buffer, disk.byteOffset, disk.byteLength);
}

/** Makes the checksums of the label and of the description hold again. */
export function repairLvm(disk: Uint8Array): void {
  const view = viewOf(disk);
  const { offsets } = labelLayout;
  view.setUint32(SECTOR + offsets.crc_xl, crc32Register(LVM_CRC_START, disk.subarray(SECTOR + offsets.offset_xl, 2 * SECTOR)), true);
  const locn = AREA + mdaHeaderLayout.size;
  const start = AREA + view.getUint32(locn + rawLocnLayout.offsets.offset, true);
  const end = start + view.getUint32(locn + rawLocnLayout.offsets.size, true);
  if (end <= disk.length) view.setUint32(locn + rawLocnLayout.offsets.checksum, crc32Register(LVM_CRC_START, disk.subarray(start, end)), true);
  view.setUint32(AREA, crc32Register(LVM_CRC_START, disk.subarray(AREA + mdaHeaderLayout.offsets.magic, AREA + SECTOR)), true);
}

/** A copy of a disk as `pvcreate --pvmetadatacopies 0` makes it: its label lists no metadata area. */
export function withoutDescription(disk: Uint8Array): Uint8Array {
  const copy = disk.slice();
  // Behind the only data area and the end of that list.
  const areas = SECTOR + labelLayout.size + pvHeaderLayout.size + 2 * diskLocnLayout.size;
  copy.fill(0, areas, areas + diskLocnLayout.size);
  copy.fill(0, AREA, AREA + SECTOR);
  repairLvm(copy);
  return copy;
}

/** A copy of a disk that says to be in another group with the same disks. */
export function inOtherGroup(disk: Uint8Array): Uint8Array {
  const copy = disk.slice();
  const at = viewOf(copy).getUint32(AREA + mdaHeaderLayout.size + rawLocnLayout.offsets.offset, true) + AREA;
  const id = Buffer.from(copy.buffer, copy.byteOffset, copy.length).indexOf('id = "', at) + 'id = "'.length;
  copy.set(Buffer.from('XXXXXX'), id);
  repairLvm(copy);
  return copy;
}

/** A copy of a disk whose newest description says `to` where it said `from`; both have the same length. */
export function withText(disk: Uint8Array, from: string, to: string): Uint8Array {
  const copy = disk.slice();
  const at = viewOf(copy).getUint32(AREA + mdaHeaderLayout.size + rawLocnLayout.offsets.offset, true) + AREA;
  const found = Buffer.from(copy.buffer, copy.byteOffset, copy.length).indexOf(from, at);
  if (found < 0 || from.length !== to.length) throw new RangeError(`'${from}' cannot become '${to}'`);
  copy.set(Buffer.from(to), found);
  repairLvm(copy);
  return copy;
}
