/**
 * Dynamic disks of Windows; all integers are big-endian. Microsoft has not documented them. Sources: Linux `block/partitions/ldm.c` and
 * `Documentation/admin-guide/ldm.rst`; the Linux-NTFS project's "LDM Documentation" (PRIVHEAD, TOCBLOCK, VMDB, VBLK).
 */
import { layout, type Layout } from '../../../core/index.ts';

/** Bytes of the sector that LDM counts in. */
export const SECTOR = 512;

/** The private header; three copies on an MBR disk, one at the end of the metadata partition of a GPT disk. */
export const privheadLayout: Layout<{
  readonly magic: 'bytes:8'; readonly checksum: 'u32'; readonly ver_major: 'u16'; readonly ver_minor: 'u16'; readonly timestamp: 'bytes:8'; readonly sequence: 'bytes:8';
  readonly locations: 'bytes:16'; readonly disk_id: 'bytes:64'; readonly host_id: 'bytes:64'; readonly disk_group_id: 'bytes:64'; readonly disk_group_name: 'bytes:32';
  readonly unknown: 'bytes:11'; readonly logical_disk_start: 'u64'; readonly logical_disk_size: 'u64'; readonly config_start: 'u64'; readonly config_size: 'u64';
}> = layout('LDM PRIVHEAD', 'be', {
  magic: 'bytes:8', checksum: 'u32', ver_major: 'u16', ver_minor: 'u16', timestamp: 'bytes:8', sequence: 'bytes:8', locations: 'bytes:16', disk_id: 'bytes:64', host_id: 'bytes:64',
  disk_group_id: 'bytes:64', disk_group_name: 'bytes:32', unknown: 'bytes:11', logical_disk_start: 'u64', logical_disk_size: 'u64', config_start: 'u64', config_size: 'u64',
});

/** The table of contents of the database. */
export const tocblockLayout: Layout<{ readonly magic: 'bytes:8'; readonly head: 'bytes:28'; readonly bitmap1_name: 'bytes:10'; readonly bitmap1_start: 'u64'; readonly bitmap1_size: 'u64' }> =
  layout('LDM TOCBLOCK', 'be', { magic: 'bytes:8', head: 'bytes:28', bitmap1_name: 'bytes:10', bitmap1_start: 'u64', bitmap1_size: 'u64' });

/** The head of the database; of the numbers of records, those that are in force. */
export const vmdbLayout: Layout<{
  readonly magic: 'bytes:4'; readonly last_vblk_seq: 'u32'; readonly vblk_size: 'u32'; readonly vblk_offset: 'u32'; readonly update_status: 'u16'; readonly ver_major: 'u16'; readonly ver_minor: 'u16';
  readonly group_name: 'bytes:31'; readonly group_guid: 'bytes:64'; readonly committed_seq: 'u64'; readonly pending_seq: 'u64'; readonly volumes: 'u32'; readonly components: 'u32';
  readonly partitions: 'u32'; readonly disks: 'u32';
}> = layout('LDM VMDB', 'be', {
  magic: 'bytes:4', last_vblk_seq: 'u32', vblk_size: 'u32', vblk_offset: 'u32', update_status: 'u16', ver_major: 'u16', ver_minor: 'u16', group_name: 'bytes:31', group_guid: 'bytes:64',
  committed_seq: 'u64', pending_seq: 'u64', volumes: 'u32', components: 'u32', partitions: 'u32', disks: 'u32',
});

/** The head of each record, or of each part of a long one. */
export const vblkLayout: Layout<{ readonly magic: 'bytes:4'; readonly sequence: 'u32'; readonly group: 'u32'; readonly record: 'u16'; readonly records: 'u16' }> =
  layout('LDM VBLK', 'be', { magic: 'bytes:4', sequence: 'u32', group: 'u32', record: 'u16', records: 'u16' });

/** Sectors, from the start of the database, where copies of the table of contents may be. */
export const TOC_SECTORS: readonly number[] = [1, 2, 2045, 2046];

/** The sector of the first PRIVHEAD on an MBR disk. */
export const PRIVHEAD_SECTOR = 6;

/** Kinds of records. */
export const VBLK_TYPE = { component: 0x32, partition: 0x33, disk3: 0x34, group3: 0x35, disk4: 0x44, group4: 0x45, volume: 0x51 } as const;

/** Bits of a record's flags that say which optional fields it has. */
export const VBLK_FLAG = { partitionIndex: 0x08, componentStripes: 0x10, volumeId1: 0x08, volumeId2: 0x20, volumeSize: 0x80, volumeDrive: 0x02 } as const;

/** Kinds of volumes in their records. */
export const VOLUME_KIND = { plain: 3, raid5: 4 } as const;

/** How the partitions of a component make it up. */
export const COMPONENT = { stripes: 1, concatenated: 2, raid5: 3 } as const;
