/**
 * Superblocks of Linux md arrays; all integers are little-endian.
 * Source: Linux `include/uapi/linux/raid/md_p.h`, structures `mdp_superblock_s` (0.90) and `mdp_superblock_1` (1.x).
 */
import { layout, type Layout } from '../../../core/index.ts';

/** Value of `magic`. */
export const MD_MAGIC = 0xa92b4efc;

/** Head of the 0.90 superblock: generic constant information. */
export const constantLayout: Layout<{
  readonly md_magic: 'u32'; readonly major_version: 'u32'; readonly minor_version: 'u32'; readonly patch_version: 'u32'; readonly gvalid_words: 'u32';
  readonly set_uuid0: 'bytes:4'; readonly ctime: 'u32'; readonly level: 'i32'; readonly size: 'u32'; readonly nr_disks: 'u32'; readonly raid_disks: 'u32';
  readonly md_minor: 'u32'; readonly not_persistent: 'u32'; readonly set_uuid1: 'bytes:12';
}> = layout('md superblock 0.90', 'le', {
  md_magic: 'u32', major_version: 'u32', minor_version: 'u32', patch_version: 'u32', gvalid_words: 'u32', set_uuid0: 'bytes:4', ctime: 'u32', level: 'i32',
  size: 'u32', nr_disks: 'u32', raid_disks: 'u32', md_minor: 'u32', not_persistent: 'u32', set_uuid1: 'bytes:12',
});

/** The state, at word 32. */
export const stateLayout: Layout<{
  readonly utime: 'u32'; readonly state: 'u32'; readonly active_disks: 'u32'; readonly working_disks: 'u32'; readonly failed_disks: 'u32'; readonly spare_disks: 'u32';
  readonly sb_csum: 'u32'; readonly events: 'u64'; readonly cp_events: 'u64'; readonly recovery_cp: 'u32';
}> = layout('md superblock 0.90', 'le', {
  utime: 'u32', state: 'u32', active_disks: 'u32', working_disks: 'u32', failed_disks: 'u32', spare_disks: 'u32', sb_csum: 'u32', events: 'u64', cp_events: 'u64', recovery_cp: 'u32',
});

/** The personality, at word 64. */
export const personalityLayout: Layout<{ readonly layout: 'u32'; readonly chunk_size: 'u32' }> = layout('md superblock 0.90', 'le', { layout: 'u32', chunk_size: 'u32' });

/** One of the descriptors: 27 from word 128, and the disk's own at word 992. */
export const descriptorLayout: Layout<{ readonly number: 'u32'; readonly major: 'u32'; readonly minor: 'u32'; readonly raid_disk: 'u32'; readonly state: 'u32' }> =
  layout('md superblock 0.90', 'le', { number: 'u32', major: 'u32', minor: 'u32', raid_disk: 'u32', state: 'u32' });

/** Places in the 0.90 superblock, in bytes. */
export const SUPER_90 = { bytes: 4096, state: 128, personality: 256, disks: 512, diskBytes: 128, disksMax: 27, thisDisk: 3968 } as const;

/** Bits of `state` in a descriptor. */
export const DISK_STATE = { faulty: 1, active: 2, sync: 4, removed: 8, writeMostly: 512 } as const;

/** The 1.x superblock; the roles follow, two bytes each. */
export const super1Layout: Layout<{
  readonly magic: 'u32'; readonly major_version: 'u32'; readonly feature_map: 'u32'; readonly pad0: 'u32'; readonly set_uuid: 'bytes:16'; readonly set_name: 'bytes:32';
  readonly ctime: 'bytes:8'; readonly level: 'i32'; readonly layout: 'u32'; readonly size: 'u64'; readonly chunksize: 'u32'; readonly raid_disks: 'u32'; readonly bitmap_offset: 'i32';
  readonly new_level: 'i32'; readonly reshape_position: 'bytes:8'; readonly delta_disks: 'i32'; readonly new_layout: 'u32'; readonly new_chunk: 'u32'; readonly new_offset: 'i32';
  readonly data_offset: 'u64'; readonly data_size: 'u64'; readonly super_offset: 'u64'; readonly recovery_offset: 'bytes:8'; readonly dev_number: 'u32'; readonly cnt_corrected_read: 'u32';
  readonly device_uuid: 'bytes:16'; readonly devflags: 'u8'; readonly bblog_shift: 'u8'; readonly bblog_size: 'u16'; readonly bblog_offset: 'i32';
  readonly utime: 'bytes:8'; readonly events: 'u64'; readonly resync_offset: 'bytes:8'; readonly sb_csum: 'u32'; readonly max_dev: 'u32'; readonly pad3: 'bytes:32';
}> = layout('md superblock 1', 'le', {
  magic: 'u32', major_version: 'u32', feature_map: 'u32', pad0: 'u32', set_uuid: 'bytes:16', set_name: 'bytes:32', ctime: 'bytes:8', level: 'i32', layout: 'u32', size: 'u64',
  chunksize: 'u32', raid_disks: 'u32', bitmap_offset: 'i32', new_level: 'i32', reshape_position: 'bytes:8', delta_disks: 'i32', new_layout: 'u32', new_chunk: 'u32', new_offset: 'i32',
  data_offset: 'u64', data_size: 'u64', super_offset: 'u64', recovery_offset: 'bytes:8', dev_number: 'u32', cnt_corrected_read: 'u32', device_uuid: 'bytes:16',
  devflags: 'u8', bblog_shift: 'u8', bblog_size: 'u16', bblog_offset: 'i32', utime: 'bytes:8', events: 'u64', resync_offset: 'bytes:8', sb_csum: 'u32', max_dev: 'u32', pad3: 'bytes:32',
});

/** Bits of `feature_map`. */
export const FEATURE = {
  bitmap: 1, recoveryOffset: 2, reshapeActive: 4, badBlocks: 8, replacement: 16, reshapeBackwards: 32, newOffset: 64, recoveryBitmap: 128, clustered: 256, journal: 512,
  ppl: 1024, multiplePpls: 2048, raid0Layout: 4096,
} as const;

/** Roles above those of data disks. */
export const ROLE = { spare: 0xffff, faulty: 0xfffe, journal: 0xfffd, max: 0xff00 } as const;
