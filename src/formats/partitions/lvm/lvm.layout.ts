/**
 * LVM2 on disk; all integers are little-endian. Sources: LVM2 `lib/label/label.h`, `lib/format_text/layout.h`; Linux `drivers/md/dm-raid.c`,
 * `drivers/md/dm-snap-persistent.c`, `drivers/md/dm-thin-metadata.c`, `drivers/md/persistent-data/dm-btree-internal.h`.
 */
import { layout, type Layout } from '../../../core/index.ts';

/** Bytes of the sector that all of LVM counts in, whatever the disk has. */
export const SECTOR = 512;

/** The first sectors of a disk, one of which has the label. */
export const LABEL_SECTORS = 4;

/** Where LVM's checksums start. */
export const LVM_CRC_START = 0xf597_a6cf;

/** The label at the start of its sector. */
export const labelLayout: Layout<{ readonly id: 'bytes:8'; readonly sector_xl: 'u64'; readonly crc_xl: 'u32'; readonly offset_xl: 'u32'; readonly type: 'bytes:8' }> =
  layout('LVM label', 'le', { id: 'bytes:8', sector_xl: 'u64', crc_xl: 'u32', offset_xl: 'u32', type: 'bytes:8' });

/** Value of `id`, and of `type`. */
export const LABEL_ID = 'LABELONE';
/** See above. */
export const LABEL_TYPE = 'LVM2 001';

/** The head of a physical volume; data areas and metadata areas follow, each list ended by zeroes. */
export const pvHeaderLayout: Layout<{ readonly pv_uuid: 'bytes:32'; readonly device_size_xl: 'u64' }> = layout('LVM pv_header', 'le', { pv_uuid: 'bytes:32', device_size_xl: 'u64' });

/** One area. */
export const diskLocnLayout: Layout<{ readonly offset: 'u64'; readonly size: 'u64' }> = layout('LVM disk_locn', 'le', { offset: 'u64', size: 'u64' });

/** The head of a metadata area, one sector; places of texts follow. */
export const mdaHeaderLayout: Layout<{ readonly checksum_xl: 'u32'; readonly magic: 'bytes:16'; readonly version: 'u32'; readonly start: 'u64'; readonly size: 'u64' }> =
  layout('LVM mda_header', 'le', { checksum_xl: 'u32', magic: 'bytes:16', version: 'u32', start: 'u64', size: 'u64' });

/** Value of its `magic`. */
export const MDA_MAGIC = ' LVM2 x[5A%r0N*>';

/** One place of a text inside an area; texts wrap from its end to behind its head. */
export const rawLocnLayout: Layout<{ readonly offset: 'u64'; readonly size: 'u64'; readonly checksum: 'u32'; readonly flags: 'u32' }> =
  layout('LVM raw_locn', 'le', { offset: 'u64', size: 'u64', checksum: 'u32', flags: 'u32' });

/** Bit of `flags`: the area is not kept up to date. */
export const LOCN_IGNORED = 1;

/** What dm-raid keeps at the start of each metadata image. */
export const raidSuperLayout: Layout<{
  readonly magic: 'u32'; readonly compat_features: 'u32'; readonly num_devices: 'u32'; readonly array_position: 'u32'; readonly events: 'u64'; readonly failed_devices: 'bytes:8';
  readonly disk_recovery_offset: 'bytes:8'; readonly array_resync_offset: 'bytes:8'; readonly level: 'i32'; readonly layout: 'u32'; readonly stripe_sectors: 'u32';
  readonly flags: 'u32'; readonly reshape_position: 'bytes:8'; readonly new_level: 'i32'; readonly delta_disks: 'i32'; readonly new_layout: 'u32'; readonly new_stripe_sectors: 'u32';
  readonly array_sectors: 'bytes:8'; readonly data_offset: 'u64'; readonly new_data_offset: 'u64'; readonly sectors: 'u64'; readonly extended_failed_devices: 'bytes:24'; readonly incompat_features: 'u32';
}> = layout('dm-raid superblock', 'le', {
  magic: 'u32', compat_features: 'u32', num_devices: 'u32', array_position: 'u32', events: 'u64', failed_devices: 'bytes:8', disk_recovery_offset: 'bytes:8', array_resync_offset: 'bytes:8',
  level: 'i32', layout: 'u32', stripe_sectors: 'u32', flags: 'u32', reshape_position: 'bytes:8', new_level: 'i32', delta_disks: 'i32', new_layout: 'u32', new_stripe_sectors: 'u32',
  array_sectors: 'bytes:8', data_offset: 'u64', new_data_offset: 'u64', sectors: 'u64', extended_failed_devices: 'bytes:24', incompat_features: 'u32',
});

/** Value of its `magic`, `DmRd`. */
export const RAID_SUPER_MAGIC = 0x6452_6d44;
/** Bit of its `compat_features`: the fields from `flags` on are there. */
export const RAID_SUPER_V190 = 1;
/** Bit of its `flags`. */
export const RAID_RESHAPE_ACTIVE = 1;

/** The head of a copy-on-write store. */
export const snapshotLayout: Layout<{ readonly magic: 'u32'; readonly valid: 'u32'; readonly version: 'u32'; readonly chunk_size: 'u32' }> =
  layout('dm-snapshot header', 'le', { magic: 'u32', valid: 'u32', version: 'u32', chunk_size: 'u32' });

/** Value of its `magic`, `SnAp`. */
export const SNAPSHOT_MAGIC = 0x7041_6e53;

/** The superblock of a thin pool's metadata. */
export const thinSuperLayout: Layout<{
  readonly csum: 'u32'; readonly flags: 'u32'; readonly blocknr: 'u64'; readonly uuid: 'bytes:16'; readonly magic: 'u64'; readonly version: 'u32'; readonly time: 'u32';
  readonly trans_id: 'u64'; readonly held_root: 'u64'; readonly data_space_map_root: 'bytes:128'; readonly metadata_space_map_root: 'bytes:128'; readonly data_mapping_root: 'u64';
  readonly device_details_root: 'u64'; readonly data_block_size: 'u32'; readonly metadata_block_size: 'u32'; readonly metadata_nr_blocks: 'u64'; readonly compat_flags: 'u32';
  readonly compat_ro_flags: 'u32'; readonly incompat_flags: 'u32';
}> = layout('thin pool superblock', 'le', {
  csum: 'u32', flags: 'u32', blocknr: 'u64', uuid: 'bytes:16', magic: 'u64', version: 'u32', time: 'u32', trans_id: 'u64', held_root: 'u64', data_space_map_root: 'bytes:128',
  metadata_space_map_root: 'bytes:128', data_mapping_root: 'u64', device_details_root: 'u64', data_block_size: 'u32', metadata_block_size: 'u32', metadata_nr_blocks: 'u64',
  compat_flags: 'u32', compat_ro_flags: 'u32', incompat_flags: 'u32',
});

/** Value of its `magic`, its bit of `flags`, and bytes of a block of metadata. */
export const THIN = { magic: 27_022_010, needsCheck: 1, blockBytes: 4096 } as const;

/** What is added to the checksums of thin metadata, by kind of block. */
export const THIN_CSUM = { superblock: 160_774, btree: 121_107 } as const;

/** The head of a B-tree node; keys of 8 bytes follow, then values. */
export const btreeLayout: Layout<{ readonly csum: 'u32'; readonly flags: 'u32'; readonly blocknr: 'u64'; readonly nr_entries: 'u32'; readonly max_entries: 'u32'; readonly value_size: 'u32'; readonly padding: 'u32' }> =
  layout('thin B-tree node', 'le', { csum: 'u32', flags: 'u32', blocknr: 'u64', nr_entries: 'u32', max_entries: 'u32', value_size: 'u32', padding: 'u32' });

/** Bits of its `flags`. */
export const BTREE_FLAGS = { internal: 1, leaf: 2 } as const;
