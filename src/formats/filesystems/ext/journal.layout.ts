/**
 * The journal of ext3 and ext4 (JBD2); integers are big-endian.
 * Source: Linux, Documentation/filesystems/ext4 (journal).
 */
import { layout, type Layout } from '../../../core/index.ts';

/** First block of the journal. */
export const journalLayout: Layout<{
  readonly h_magic: 'u32'; readonly h_blocktype: 'u32'; readonly h_sequence: 'u32'; readonly s_blocksize: 'u32'; readonly s_maxlen: 'u32'; readonly s_first: 'u32';
  readonly s_sequence: 'u32'; readonly s_start: 'u32'; readonly s_errno: 'i32'; readonly s_feature_compat: 'u32'; readonly s_feature_incompat: 'u32';
  readonly s_feature_ro_compat: 'u32'; readonly s_uuid: 'bytes:16'; readonly s_nr_users: 'u32'; readonly s_dynsuper: 'u32'; readonly s_max_transaction: 'u32';
  readonly s_max_trans_data: 'u32'; readonly s_checksum_type: 'u8'; readonly s_padding2: 'bytes:3'; readonly s_num_fc_blks: 'u32'; readonly s_head: 'u32';
  readonly s_padding: 'bytes:160'; readonly s_checksum: 'u32'; readonly s_users: 'bytes:768';
}> = layout('ext journal superblock', 'be', {
  h_magic: 'u32', h_blocktype: 'u32', h_sequence: 'u32', s_blocksize: 'u32', s_maxlen: 'u32', s_first: 'u32', s_sequence: 'u32', s_start: 'u32', s_errno: 'i32',
  s_feature_compat: 'u32', s_feature_incompat: 'u32', s_feature_ro_compat: 'u32', s_uuid: 'bytes:16', s_nr_users: 'u32', s_dynsuper: 'u32', s_max_transaction: 'u32',
  s_max_trans_data: 'u32', s_checksum_type: 'u8', s_padding2: 'bytes:3', s_num_fc_blks: 'u32', s_head: 'u32', s_padding: 'bytes:160', s_checksum: 'u32', s_users: 'bytes:768',
});

/** `h_magic` of every block that is not data. */
export const JOURNAL_MAGIC = 0xc03b_3998;
/** `h_blocktype`. */
export const JOURNAL_BLOCK = { descriptor: 1, commit: 2, superblock_v1: 3, superblock_v2: 4, revoke: 5 } as const;
/** `s_feature_compat` and `s_feature_incompat`. */
export const JOURNAL_FEATURE = { checksum: 1, revoke: 0x1, '64bit': 0x2, async_commit: 0x4, csum_v2: 0x8, csum_v3: 0x10, fast_commit: 0x20 } as const;
/** `t_flags` of a tag in a descriptor block. */
export const TAG_FLAG = { escape: 1, same_uuid: 2, last_tag: 8 } as const;
/** Header of each block, its checksum at the end, and the fields of commit and revoke blocks. */
export const JOURNAL_FIELD = { headerBytes: 12, tailBytes: 4, uuidBytes: 16, r_count: 12, r_records: 16, h_chksum_type: 12, h_chksum_size: 13, h_chksum: 16, h_commit_sec: 48, commitBytes: 60 } as const;
