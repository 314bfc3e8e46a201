/**
 * Structures of the log. Records and operation headers are big-endian; items have the byte order of the machine that wrote them, which
 * is little-endian here. Source: "XFS Algorithms & Data Structures", "Journaling Log".
 */
import { layout, type Layout } from '../../../../core/index.ts';

/** First word of a record; all other blocks begin with the number of the cycle in which they were written. */
export const RECORD_MAGIC = 0xfeed_babe;
/** Words of a header that hold what the cycle number replaced in the record's blocks. */
export const CYCLE_WORDS = 64;
/** Bytes of data that one block of header has cycle words for. */
export const HEADER_SPAN = 32_768;
/** Bytes of the largest record's data, of which at most 8 are on their way at a time. */
export const RECORD_BYTES_MAX = 262_144;
/** Records that may be on their way to the disk at a time. */
export const RECORDS_IN_FLIGHT = 8;
/** Bytes of a header that its checksum covers: with and without the end padding of 64-bit machines. */
export const CHECKED_BYTES = [328, 324] as const;
/** Bytes of a further block of header that the checksum covers. */
export const EXTENDED_BYTES = 260;
/** `h_fmt` of a log whose items are little-endian. */
export const FORMAT_LITTLE = 1;

/** Log record header, up to the cycle words and what follows them. */
export const recordLayout: Layout<{
  readonly h_magicno: 'u32'; readonly h_cycle: 'u32'; readonly h_version: 'u32'; readonly h_len: 'u32'; readonly h_lsn_cycle: 'u32'; readonly h_lsn_block: 'u32';
  readonly h_tail_lsn_cycle: 'u32'; readonly h_tail_lsn_block: 'u32'; readonly h_crc: 'bytes:4'; readonly h_prev_block: 'u32'; readonly h_num_logops: 'u32';
  readonly h_cycle_data: 'bytes:256'; readonly h_fmt: 'u32'; readonly h_fs_uuid: 'bytes:16'; readonly h_size: 'u32';
}> = layout('xlog_rec_header', 'be', {
  h_magicno: 'u32', h_cycle: 'u32', h_version: 'u32', h_len: 'u32', h_lsn_cycle: 'u32', h_lsn_block: 'u32',
  h_tail_lsn_cycle: 'u32', h_tail_lsn_block: 'u32', h_crc: 'bytes:4', h_prev_block: 'u32', h_num_logops: 'u32',
  h_cycle_data: 'bytes:256', h_fmt: 'u32', h_fs_uuid: 'bytes:16', h_size: 'u32',
});

/** Operation header. */
export const operationLayout: Layout<{ readonly oh_tid: 'u32'; readonly oh_len: 'u32'; readonly oh_clientid: 'u8'; readonly oh_flags: 'u8'; readonly oh_res2: 'u16' }> =
  layout('xlog_op_header', 'be', { oh_tid: 'u32', oh_len: 'u32', oh_clientid: 'u8', oh_flags: 'u8', oh_res2: 'u16' });

/** Bits of `oh_flags`. */
export const OPERATION = { start: 0x01, commit: 0x02, continues: 0x04, wasContinued: 0x08, end: 0x10, unmount: 0x20 } as const;
/** `oh_clientid` of parts of transactions and of the log itself. */
export const CLIENTS: readonly number[] = [0x69, 0x02, 0xaa];

/** First region of each transaction. */
export const TRANSACTION_MAGIC = 0x5452_414e;
/** Bytes of that region. */
export const TRANSACTION_HEADER = 16;

/** Kinds of items. */
export const ITEM = {
  efi: 0x1236, efd: 0x1237, unlink: 0x1238, inode: 0x123b, buffer: 0x123c, quota: 0x123d, quotaOff: 0x123e, inodeCreate: 0x123f, rui: 0x1240, rud: 0x1241,
  cui: 0x1242, cud: 0x1243, bui: 0x1244, bud: 0x1245, attributeIntent: 0x1246, attributeDone: 0x1247, exchangeIntent: 0x1248, exchangeDone: 0x1249,
  efiRealtime: 0x124a, efdRealtime: 0x124b, ruiRealtime: 0x124c, rudRealtime: 0x124d, cuiRealtime: 0x124e, cudRealtime: 0x124f,
} as const;

/** Buffer item. Bits of chunks of 128 bytes follow, each run of which has a region of its own. */
export const bufferLayout: Layout<{
  readonly blf_type: 'u16'; readonly blf_size: 'u16'; readonly blf_flags: 'u16'; readonly blf_len: 'u16'; readonly blf_blkno: 'u64'; readonly blf_map_size: 'u32';
}> = layout('xfs_buf_log_format', 'le', { blf_type: 'u16', blf_size: 'u16', blf_flags: 'u16', blf_len: 'u16', blf_blkno: 'u64', blf_map_size: 'u32' });

/** Bytes that one bit of a buffer item stands for. */
export const BUFFER_CHUNK = 128;
/** Low bits of `blf_flags`; the kind of buffer is above. */
export const BUFFER_FLAG = { inodes: 0x1, cancel: 0x2, quota: 0x1c, typeShift: 11 } as const;
/** Kinds of buffers that a reader never looks at: quota, heads of allocation groups, free space of directories, realtime tables. */
export const BUFFERS_NOT_READ: ReadonlySet<number> = new Set([1, 2, 3, 5, 6, 7, 12, 19, 20]);

/** Inode item. 32-bit machines wrote it without the padding. */
export const inodeItemLayout: Layout<{
  readonly ilf_type: 'u16'; readonly ilf_size: 'u16'; readonly ilf_fields: 'u32'; readonly ilf_asize: 'u16'; readonly ilf_dsize: 'u16'; readonly ilf_pad: 'u32';
  readonly ilf_ino: 'u64'; readonly ilfu_rdev: 'u32'; readonly ilfu_pad: 'bytes:12'; readonly ilf_blkno: 'u64'; readonly ilf_len: 'u32'; readonly ilf_boffset: 'u32';
}> = layout('xfs_inode_log_format', 'le', {
  ilf_type: 'u16', ilf_size: 'u16', ilf_fields: 'u32', ilf_asize: 'u16', ilf_dsize: 'u16', ilf_pad: 'u32',
  ilf_ino: 'u64', ilfu_rdev: 'u32', ilfu_pad: 'bytes:12', ilf_blkno: 'u64', ilf_len: 'u32', ilf_boffset: 'u32',
});

/** The same as 32-bit machines wrote it. */
export const packedInodeItemLayout: Layout<{
  readonly ilf_type: 'u16'; readonly ilf_size: 'u16'; readonly ilf_fields: 'u32'; readonly ilf_asize: 'u16'; readonly ilf_dsize: 'u16';
  readonly ilf_ino: 'u64'; readonly ilfu_rdev: 'u32'; readonly ilfu_pad: 'bytes:12'; readonly ilf_blkno: 'u64'; readonly ilf_len: 'u32'; readonly ilf_boffset: 'u32';
}> = layout('xfs_inode_log_format_32', 'le', {
  ilf_type: 'u16', ilf_size: 'u16', ilf_fields: 'u32', ilf_asize: 'u16', ilf_dsize: 'u16',
  ilf_ino: 'u64', ilfu_rdev: 'u32', ilfu_pad: 'bytes:12', ilf_blkno: 'u64', ilf_len: 'u32', ilf_boffset: 'u32',
});

/** Bits of `ilf_fields`. */
export const FIELDS = {
  core: 0x001, dataLocal: 0x002, dataExtents: 0x004, dataRoot: 0x008, device: 0x010, attributeLocal: 0x040, attributeExtents: 0x080, attributeRoot: 0x100,
  dataOwner: 0x200, attributeOwner: 0x400,
} as const;

/** Inode chunk creation; big-endian but for its first two fields. */
export const inodeCreateLayout: Layout<{
  readonly icl_type: 'u16'; readonly icl_size: 'u16'; readonly icl_ag: 'u32'; readonly icl_agbno: 'u32'; readonly icl_count: 'u32'; readonly icl_isize: 'u32';
  readonly icl_length: 'u32'; readonly icl_gen: 'u32';
}> = layout('xfs_icreate_log', 'be', { icl_type: 'u16', icl_size: 'u16', icl_ag: 'u32', icl_agbno: 'u32', icl_count: 'u32', icl_isize: 'u32', icl_length: 'u32', icl_gen: 'u32' });

/** Head of an intent, or of the item that says that one is done. Extents follow. */
export const intentLayout: Layout<{ readonly type: 'u16'; readonly size: 'u16'; readonly extents: 'u32'; readonly id: 'bytes:8' }> =
  layout('xfs_bui_log_format', 'le', { type: 'u16', size: 'u16', extents: 'u32', id: 'bytes:8' });

/** One change of a mapping that is intended. */
export const mapExtentLayout: Layout<{ readonly me_owner: 'u64'; readonly me_startblock: 'u64'; readonly me_startoff: 'u64'; readonly me_len: 'u32'; readonly me_flags: 'u32' }> =
  layout('xfs_map_extent', 'le', { me_owner: 'u64', me_startblock: 'u64', me_startoff: 'u64', me_len: 'u32', me_flags: 'u32' });
