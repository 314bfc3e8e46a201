/**
 * The superblock of ext2, ext3 and ext4, and the group descriptor; integers are little-endian.
 * Source: Linux, Documentation/filesystems/ext4 (super, group_descr).
 */
import { layout, type Layout } from '../../../core/index.ts';

/** 1024 bytes at offset 1024; copies stand at the beginning of some groups. */
export const superblockLayout: Layout<{
  readonly s_inodes_count: 'u32'; readonly s_blocks_count_lo: 'u32'; readonly s_r_blocks_count_lo: 'u32'; readonly s_free_blocks_count_lo: 'u32';
  readonly s_free_inodes_count: 'u32'; readonly s_first_data_block: 'u32'; readonly s_log_block_size: 'u32'; readonly s_log_cluster_size: 'u32';
  readonly s_blocks_per_group: 'u32'; readonly s_clusters_per_group: 'u32'; readonly s_inodes_per_group: 'u32'; readonly times: 'bytes:12';
  readonly s_magic: 'u16'; readonly s_state: 'u16'; readonly s_errors: 'u16'; readonly s_minor_rev_level: 'u16'; readonly checks: 'bytes:8';
  readonly s_creator_os: 'u32'; readonly s_rev_level: 'u32'; readonly reserved_owner: 'bytes:4'; readonly s_first_ino: 'u32'; readonly s_inode_size: 'u16';
  readonly s_block_group_nr: 'u16'; readonly s_feature_compat: 'u32'; readonly s_feature_incompat: 'u32'; readonly s_feature_ro_compat: 'u32';
  readonly s_uuid: 'bytes:16'; readonly s_volume_name: 'bytes:16'; readonly s_last_mounted: 'bytes:64'; readonly preallocation: 'bytes:6';
  readonly s_reserved_gdt_blocks: 'u16'; readonly s_journal_uuid: 'bytes:16'; readonly s_journal_inum: 'u32'; readonly s_journal_dev: 'u32';
  readonly s_last_orphan: 'u32'; readonly s_hash_seed: 'bytes:16'; readonly s_def_hash_version: 'u8'; readonly s_jnl_backup_type: 'u8'; readonly s_desc_size: 'u16';
  readonly s_default_mount_opts: 'u32'; readonly s_first_meta_bg: 'u32'; readonly s_mkfs_time: 'u32'; readonly s_jnl_blocks: 'bytes:68';
  readonly s_blocks_count_hi: 'u32'; readonly s_r_blocks_count_hi: 'u32'; readonly s_free_blocks_count_hi: 'u32'; readonly extra_isize: 'bytes:4';
  readonly s_flags: 'u32'; readonly raid_and_mmp: 'bytes:16'; readonly s_log_groups_per_flex: 'u8'; readonly s_checksum_type: 'u8'; readonly errors: 'bytes:214';
  readonly s_backup_bgs_0: 'u32'; readonly s_backup_bgs_1: 'u32'; readonly encryption: 'bytes:20'; readonly s_lpf_ino: 'u32'; readonly s_prj_quota_inum: 'u32';
  readonly s_checksum_seed: 'u32'; readonly times_hi: 'bytes:8'; readonly s_encoding: 'u16'; readonly s_encoding_flags: 'u16'; readonly s_orphan_file_inum: 'u32';
  readonly s_reserved: 'bytes:376'; readonly s_checksum: 'u32';
}> = layout('ext superblock', 'le', {
  s_inodes_count: 'u32', s_blocks_count_lo: 'u32', s_r_blocks_count_lo: 'u32', s_free_blocks_count_lo: 'u32', s_free_inodes_count: 'u32', s_first_data_block: 'u32',
  s_log_block_size: 'u32', s_log_cluster_size: 'u32', s_blocks_per_group: 'u32', s_clusters_per_group: 'u32', s_inodes_per_group: 'u32', times: 'bytes:12',
  s_magic: 'u16', s_state: 'u16', s_errors: 'u16', s_minor_rev_level: 'u16', checks: 'bytes:8', s_creator_os: 'u32', s_rev_level: 'u32', reserved_owner: 'bytes:4',
  s_first_ino: 'u32', s_inode_size: 'u16', s_block_group_nr: 'u16', s_feature_compat: 'u32', s_feature_incompat: 'u32', s_feature_ro_compat: 'u32', s_uuid: 'bytes:16',
  s_volume_name: 'bytes:16', s_last_mounted: 'bytes:64', preallocation: 'bytes:6', s_reserved_gdt_blocks: 'u16', s_journal_uuid: 'bytes:16', s_journal_inum: 'u32',
  s_journal_dev: 'u32', s_last_orphan: 'u32', s_hash_seed: 'bytes:16', s_def_hash_version: 'u8', s_jnl_backup_type: 'u8', s_desc_size: 'u16', s_default_mount_opts: 'u32',
  s_first_meta_bg: 'u32', s_mkfs_time: 'u32', s_jnl_blocks: 'bytes:68', s_blocks_count_hi: 'u32', s_r_blocks_count_hi: 'u32', s_free_blocks_count_hi: 'u32',
  extra_isize: 'bytes:4', s_flags: 'u32', raid_and_mmp: 'bytes:16', s_log_groups_per_flex: 'u8', s_checksum_type: 'u8', errors: 'bytes:214', s_backup_bgs_0: 'u32',
  s_backup_bgs_1: 'u32', encryption: 'bytes:20', s_lpf_ino: 'u32', s_prj_quota_inum: 'u32', s_checksum_seed: 'u32', times_hi: 'bytes:8', s_encoding: 'u16',
  s_encoding_flags: 'u16', s_orphan_file_inum: 'u32', s_reserved: 'bytes:376', s_checksum: 'u32',
});

/** `s_magic`. */
export const EXT_MAGIC = 0xef53;

/** `s_feature_compat`: a reader may not know them. */
export const COMPAT = { has_journal: 0x4, sparse_super2: 0x200, fast_commit: 0x400, orphan_file: 0x1000 } as const;

/** `s_feature_incompat`: a reader must know them. */
export const INCOMPAT = {
  compression: 0x1, filetype: 0x2, recover: 0x4, journal_dev: 0x8, meta_bg: 0x10, extents: 0x40, '64bit': 0x80, mmp: 0x100, flex_bg: 0x200, ea_inode: 0x400,
  dirdata: 0x1000, csum_seed: 0x2000, largedir: 0x4000, inline_data: 0x8000, encrypt: 0x1_0000, casefold: 0x2_0000,
} as const;

/** `s_feature_ro_compat`: only a writer must know them; those that change what a reader does. */
export const RO_COMPAT = { sparse_super: 0x1, large_file: 0x2, btree_dir: 0x4, gdt_csum: 0x10, bigalloc: 0x200, metadata_csum: 0x400 } as const;

/** Fields of a group descriptor that a reader needs; 32 bytes, or more with `64bit`. */
export const groupDescriptor = { bytesMin: 32, inodeTableLow: 8, checksum: 30, inodeTableHigh: 40 } as const;
