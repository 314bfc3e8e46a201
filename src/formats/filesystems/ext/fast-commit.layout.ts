/**
 * Fast commits: a log of small changes behind the log of a journal's blocks. Integers are little-endian; records don't cross blocks.
 * Source: Linux, Documentation/filesystems/ext4 (journal, "Fast commits"); fs/ext4/fast_commit.h.
 */

/** `fc_tag`: what a record says. */
export const FC_TAG = { add_range: 1, del_range: 2, creat: 3, link: 4, unlink: 5, inode: 6, pad: 7, tail: 8, head: 9 } as const;

/** Bytes of `fc_tag` and `fc_len` before each value. */
export const FC_RECORD_BYTES = 4;

/** Offsets of fields in values, and the bytes of those of one size. */
export const FC_FIELD = {
  head: { fc_features: 0, fc_tid: 4, bytes: 8 },
  tail: { fc_tid: 0, fc_crc: 4, bytes: 8 },
  range: { fc_ino: 0, fc_ex: 4, bytes: 16 },
  hole: { fc_ino: 0, fc_lblk: 4, fc_len: 8, bytes: 12 },
  name: { fc_parent_ino: 0, fc_ino: 4, fc_dname: 8, nameBytesMax: 255 },
  inode: { fc_ino: 0, fc_raw_inode: 4 },
} as const;

/** Blocks for fast commits when `s_num_fc_blks` is 0. */
export const FC_BLOCKS_DEFAULT = 256;
