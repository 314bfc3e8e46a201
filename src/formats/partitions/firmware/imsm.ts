/** Finds the metadata of Intel Matrix RAID on a disk. */
import { type BlockSource } from '../../../core/index.ts';
import { hasMagic, readStructure, textUntilNul } from '../parts.ts';
import { unlessMalformed, type ArrayMark, type ArrayVolume } from './array-mark.ts';
import { deviceLayout, IMSM_DISK_BYTES, IMSM_SIGNATURE, mapLayout, superLayout } from './imsm.layout.ts';

const STRUCTURE = 'IMSM superblock';
const SECTOR = 512;
/** Sectors of the disk, in which the place of the metadata is counted. */
const DISK_SECTORS = [512, 4096] as const;
/** mdadm writes a few sectors; controllers take no more. */
const METADATA_BYTES_MAX = 1 << 20;
const LEVELS: ReadonlyMap<number, string> = new Map([[0, 'raid0'], [1, 'raid1'], [5, 'raid5'], [10, 'raid10']]);

/** Whether all its words but the sum itself add up to it. */
function isIntact(metadata: Uint8Array, expected: number): boolean {
  const view = new DataView(metadata.buffer, metadata.byteOffset, metadata.byteLength);
  let sum = 0;
  for (let at = 0; at + 4 <= metadata.length; at += 4) if (at !== superLayout.offsets.check_sum) sum = (sum + view.getUint32(at, true)) >>> 0;
  return sum === expected;
}

/** A volume, and where the next one is described. */
function volumeAt(metadata: Uint8Array, at: number): { readonly volume: ArrayVolume; readonly next: number } {
  const device = deviceLayout.view(metadata, at);
  const mapAt = at + deviceLayout.size;
  const map = mapLayout.view(metadata, mapAt);
  const mapBytes = mapLayout.size + map.num_members * 4;
  const isMigrating = device.migr_state !== 0;
  const name = textUntilNul(device.volume);
  return {
    volume: {
      // Mirrors of more than two disks are striped.
      level: map.raid_level === 1 && map.num_members > 2 ? 'raid10' : LEVELS.get(map.raid_level) ?? `level ${map.raid_level}`,
      size: (device.size_high * 2 ** 32 + device.size_low) * SECTOR,
      isWhole: (map.num_members === 1 || (map.raid_level === 1 && map.num_members === 2)) && map.pba_of_lba0_lo === 0 && !isMigrating,
      ...(name === '' ? {} : { name }),
    },
    next: mapAt + mapBytes + (isMigrating ? mapLayout.size + mapLayout.view(metadata, mapAt + mapBytes).num_members * 4 : 0),
  };
}

async function readAt(disk: BlockSource, sector: number): Promise<ArrayMark | undefined> {
  const anchor = disk.size - 2 * sector;
  if (!await hasMagic(disk, anchor, IMSM_SIGNATURE)) return undefined;
  const head = superLayout.view(await readStructure(disk, anchor, superLayout.size, STRUCTURE), 0, anchor);
  if (head.mpb_size < superLayout.size || head.mpb_size > METADATA_BYTES_MAX) return undefined;
  // What does not fit into the anchor's sector lies in the sectors before it, in ascending order.
  const before = Math.ceil(head.mpb_size / sector) - 1;
  const metadata = Buffer.concat([await readStructure(disk, anchor, sector, STRUCTURE), await readStructure(disk, anchor - before * sector, before * sector, STRUCTURE)]).subarray(0, head.mpb_size);
  if (!isIntact(metadata, head.check_sum)) return undefined;
  const volumes: ArrayVolume[] = [];
  let at = superLayout.size + head.num_disks * IMSM_DISK_BYTES;
  for (let i = 0; i < head.num_raid_devs; i += 1) {
    const { volume, next } = volumeAt(metadata, at);
    volumes.push(volume);
    at = next;
  }
  return { version: `Intel Matrix RAID ${textUntilNul(head.sig.subarray(IMSM_SIGNATURE.length))}`, volumes };
}

/** The array that a disk is a member of; undefined where there is none, or its metadata is damaged. Never throws for bad content. */
export async function readImsm(disk: BlockSource): Promise<ArrayMark | undefined> {
  for (const sector of DISK_SECTORS) {
    const mark = await unlessMalformed(() => readAt(disk, sector));
    if (mark !== undefined) return mark;
  }
  return undefined;
}
