/**
 * Metadata of Intel Matrix RAID (IMSM, Rapid Storage); all integers are little-endian. All disks of an array have the same, and it names them by the serial
 * number that a disk tells its controller: an image does not say which of them it is.
 * Source: mdadm 4.2, `super-intel.c`, structures `imsm_super`, `imsm_disk`, `imsm_dev`, `imsm_map`; images that it made.
 */
import { layout, type Layout } from '../../../core/index.ts';

/** Start of `sig`; a version follows. */
export const IMSM_SIGNATURE = 'Intel Raid ISM Cfg Sig. ';

/** `imsm_super`, up to its disks; it lies in the last sector but one, and what does not fit into a sector in those before. */
export const superLayout: Layout<{
  readonly sig: 'bytes:32'; readonly check_sum: 'u32'; readonly mpb_size: 'u32'; readonly family_num: 'u32'; readonly generation_num: 'u32'; readonly error_log_size: 'u32';
  readonly attributes: 'u32'; readonly num_disks: 'u8'; readonly num_raid_devs: 'u8'; readonly rest: 'bytes:158';
}> = layout('IMSM superblock', 'le', {
  sig: 'bytes:32', check_sum: 'u32', mpb_size: 'u32', family_num: 'u32', generation_num: 'u32', error_log_size: 'u32', attributes: 'u32', num_disks: 'u8', num_raid_devs: 'u8', rest: 'bytes:158',
});

/** Bytes of an `imsm_disk`. */
export const IMSM_DISK_BYTES = 48;

/** `imsm_dev`, a volume, up to its map. */
export const deviceLayout: Layout<{
  readonly volume: 'bytes:16'; readonly size_low: 'u32'; readonly size_high: 'u32'; readonly rest: 'bytes:64'; readonly migr_state: 'u8'; readonly more: 'bytes:23';
}> = layout('IMSM volume', 'le', { volume: 'bytes:16', size_low: 'u32', size_high: 'u32', rest: 'bytes:64', migr_state: 'u8', more: 'bytes:23' });

/** `imsm_map`; a table of `num_members` words follows, and a second map while the volume migrates. */
export const mapLayout: Layout<{
  readonly pba_of_lba0_lo: 'u32'; readonly blocks_per_member_lo: 'u32'; readonly num_data_stripes_lo: 'u32'; readonly blocks_per_strip: 'u16'; readonly map_state: 'u8';
  readonly raid_level: 'u8'; readonly num_members: 'u8'; readonly num_domains: 'u8'; readonly rest: 'bytes:30';
}> = layout('IMSM map', 'le', {
  pba_of_lba0_lo: 'u32', blocks_per_member_lo: 'u32', num_data_stripes_lo: 'u32', blocks_per_strip: 'u16', map_state: 'u8', raid_level: 'u8', num_members: 'u8', num_domains: 'u8', rest: 'bytes:30',
});
