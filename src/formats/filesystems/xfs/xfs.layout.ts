/**
 * Structures of XFS; all integers are big-endian but checksums, which are little-endian, and log items, which have the byte order of the
 * machine that wrote them. Source: "XFS Algorithms & Data Structures", 3rd edition, part III "Global Structures" and "Dynamically Allocated
 * Structures". Directory entries, extent records and attribute entries are hot loops and decoded by hand.
 */
import { layout, type Layout } from '../../../core/index.ts';

/** Disk addresses inside metadata and the log count these, whatever the sector size. */
export const BASIC_BLOCK = 512;

/** Magic numbers, section "Magic Numbers". */
export const MAGIC = {
  superblock: 0x5846_5342, inode: 0x494e,
  bmap: 0x424d_4150, bmapCrc: 0x424d_4133,
  directoryBlock: 0x5844_3242, directoryBlockCrc: 0x5844_4233, directoryData: 0x5844_3244, directoryDataCrc: 0x5844_4433,
  directoryLeaf1: 0xd2f1, directoryLeaf1Crc: 0x3df1, directoryLeafN: 0xd2ff, directoryLeafNCrc: 0x3dff,
  node: 0xfebe, nodeCrc: 0x3ebe, attributeLeaf: 0xfbee, attributeLeafCrc: 0x3bee,
  symlink: 0x5853_4c4d, attributeValue: 0x5841_524d,
} as const;

/** Chapter "Superblocks". A null inode number has all bits set, so `sb_rootino` stays bytes until it is asked for. */
export const superblockLayout: Layout<{
  readonly sb_magicnum: 'u32'; readonly sb_blocksize: 'u32'; readonly sb_dblocks: 'u64'; readonly sb_rblocks: 'u64'; readonly sb_rextents: 'u64';
  readonly sb_uuid: 'bytes:16'; readonly sb_logstart: 'u64'; readonly sb_rootino: 'bytes:8'; readonly sb_rbmino: 'bytes:8'; readonly sb_rsumino: 'bytes:8';
  readonly sb_rextsize: 'u32'; readonly sb_agblocks: 'u32'; readonly sb_agcount: 'u32'; readonly sb_rbmblocks: 'u32'; readonly sb_logblocks: 'u32';
  readonly sb_versionnum: 'u16'; readonly sb_sectsize: 'u16'; readonly sb_inodesize: 'u16'; readonly sb_inopblock: 'u16'; readonly sb_fname: 'bytes:12';
  readonly sb_blocklog: 'u8'; readonly sb_sectlog: 'u8'; readonly sb_inodelog: 'u8'; readonly sb_inopblog: 'u8'; readonly sb_agblklog: 'u8';
  readonly sb_rextslog: 'u8'; readonly sb_inprogress: 'u8'; readonly sb_imax_pct: 'u8'; readonly sb_icount: 'u64'; readonly sb_ifree: 'u64';
  readonly sb_fdblocks: 'u64'; readonly sb_frextents: 'u64'; readonly sb_uquotino: 'bytes:8'; readonly sb_gquotino: 'bytes:8'; readonly sb_qflags: 'u16';
  readonly sb_flags: 'u8'; readonly sb_shared_vn: 'u8'; readonly sb_inoalignmt: 'u32'; readonly sb_unit: 'u32'; readonly sb_width: 'u32';
  readonly sb_dirblklog: 'u8'; readonly sb_logsectlog: 'u8'; readonly sb_logsectsize: 'u16'; readonly sb_logsunit: 'u32'; readonly sb_features2: 'u32';
  readonly sb_bad_features2: 'u32'; readonly sb_features_compat: 'u32'; readonly sb_features_ro_compat: 'u32'; readonly sb_features_incompat: 'u32';
  readonly sb_features_log_incompat: 'u32'; readonly sb_crc: 'u32'; readonly sb_spino_align: 'u32'; readonly sb_pquotino: 'bytes:8'; readonly sb_lsn: 'bytes:8';
  readonly sb_meta_uuid: 'bytes:16';
}> = layout('xfs_dsb', 'be', {
  sb_magicnum: 'u32', sb_blocksize: 'u32', sb_dblocks: 'u64', sb_rblocks: 'u64', sb_rextents: 'u64',
  sb_uuid: 'bytes:16', sb_logstart: 'u64', sb_rootino: 'bytes:8', sb_rbmino: 'bytes:8', sb_rsumino: 'bytes:8',
  sb_rextsize: 'u32', sb_agblocks: 'u32', sb_agcount: 'u32', sb_rbmblocks: 'u32', sb_logblocks: 'u32',
  sb_versionnum: 'u16', sb_sectsize: 'u16', sb_inodesize: 'u16', sb_inopblock: 'u16', sb_fname: 'bytes:12',
  sb_blocklog: 'u8', sb_sectlog: 'u8', sb_inodelog: 'u8', sb_inopblog: 'u8', sb_agblklog: 'u8',
  sb_rextslog: 'u8', sb_inprogress: 'u8', sb_imax_pct: 'u8', sb_icount: 'u64', sb_ifree: 'u64',
  sb_fdblocks: 'u64', sb_frextents: 'u64', sb_uquotino: 'bytes:8', sb_gquotino: 'bytes:8', sb_qflags: 'u16',
  sb_flags: 'u8', sb_shared_vn: 'u8', sb_inoalignmt: 'u32', sb_unit: 'u32', sb_width: 'u32',
  sb_dirblklog: 'u8', sb_logsectlog: 'u8', sb_logsectsize: 'u16', sb_logsunit: 'u32', sb_features2: 'u32',
  sb_bad_features2: 'u32', sb_features_compat: 'u32', sb_features_ro_compat: 'u32', sb_features_incompat: 'u32',
  sb_features_log_incompat: 'u32', sb_crc: 'u32', sb_spino_align: 'u32', sb_pquotino: 'bytes:8', sb_lsn: 'bytes:8',
  sb_meta_uuid: 'bytes:16',
});

/** Byte of `sb_versionnum`, and bits of it and of `sb_features2` that matter to a reader. */
export const VERSION = { at: 100, number: 0xf, directory2: 0x2000, caseInsensitive: 0x4000, moreBits: 0x8000, fileTypes2: 0x200 } as const;

/** Bits of `sb_features_incompat`, by the names that `xfs_info` and `mkfs.xfs` use. */
export const INCOMPATIBLE = {
  ftype: 0x1, sparseInodes: 0x2, metaUuid: 0x4, bigtime: 0x8, needsRepair: 0x10, nrext64: 0x20, exchange: 0x40, parent: 0x80,
} as const;

/** Chapter "On-disk Inode": the core. Versions 1 and 2 end before `di_crc`; times stay bytes, as their form depends on `di_flags2`. */
export const inodeLayout: Layout<{
  readonly di_magic: 'u16'; readonly di_mode: 'u16'; readonly di_version: 'u8'; readonly di_format: 'u8'; readonly di_onlink: 'u16';
  readonly di_uid: 'u32'; readonly di_gid: 'u32'; readonly di_nlink: 'u32'; readonly di_projid: 'u32'; readonly di_big_nextents: 'u64';
  readonly di_atime: 'bytes:8'; readonly di_mtime: 'bytes:8'; readonly di_ctime: 'bytes:8'; readonly di_size: 'u64'; readonly di_nblocks: 'u64';
  readonly di_extsize: 'u32'; readonly di_nextents: 'u32'; readonly di_anextents: 'u16'; readonly di_forkoff: 'u8'; readonly di_aformat: 'u8';
  readonly di_dmevmask: 'u32'; readonly di_dmstate: 'u16'; readonly di_flags: 'u16'; readonly di_gen: 'u32'; readonly di_next_unlinked: 'u32';
}> = layout('xfs_dinode', 'be', {
  di_magic: 'u16', di_mode: 'u16', di_version: 'u8', di_format: 'u8', di_onlink: 'u16',
  di_uid: 'u32', di_gid: 'u32', di_nlink: 'u32', di_projid: 'u32', di_big_nextents: 'u64',
  di_atime: 'bytes:8', di_mtime: 'bytes:8', di_ctime: 'bytes:8', di_size: 'u64', di_nblocks: 'u64',
  di_extsize: 'u32', di_nextents: 'u32', di_anextents: 'u16', di_forkoff: 'u8', di_aformat: 'u8',
  di_dmevmask: 'u32', di_dmstate: 'u16', di_flags: 'u16', di_gen: 'u32', di_next_unlinked: 'u32',
});

/** What version 3 has behind `di_next_unlinked`; offset 100 of the inode. */
export const inode3Layout: Layout<{
  readonly di_crc: 'u32'; readonly di_changecount: 'bytes:8'; readonly di_lsn: 'bytes:8'; readonly di_flags2_high: 'u32'; readonly di_flags2: 'u32';
  readonly di_cowextsize: 'u32'; readonly di_pad2: 'bytes:12'; readonly di_crtime: 'bytes:8'; readonly di_ino: 'u64'; readonly di_uuid: 'bytes:16';
}> = layout('xfs_dinode', 'be', {
  di_crc: 'u32', di_changecount: 'bytes:8', di_lsn: 'bytes:8', di_flags2_high: 'u32', di_flags2: 'u32',
  di_cowextsize: 'u32', di_pad2: 'bytes:12', di_crtime: 'bytes:8', di_ino: 'u64', di_uuid: 'bytes:16',
});

/** Offset of version 3's part of an inode. */
export const INODE3_AT = 100;
/** Bytes before the forks: versions 1 and 2, and version 3. */
export const INODE_CORE = { old: 100, v3: 176 } as const;
/** `di_format` and `di_aformat`. */
export const FORK = { device: 0, local: 1, extents: 2, btree: 3 } as const;
/** Bits of `di_flags` and `di_flags2`. */
export const INODE_FLAG = { realtime: 1, bigtime2: 0x8, nrext642: 0x10 } as const;

/** Where a kind of metadata block keeps what describes itself; the last four only in version 5. Offsets in bytes. */
export interface BlockFamily {
  readonly name: string;
  readonly magicAt: number;
  readonly magicBytes: 2 | 4;
  readonly crcAt: number;
  readonly blknoAt: number;
  readonly uuidAt: number;
  readonly ownerAt: number;
  readonly lsnAt: number;
}

/** Kinds of blocks by their headers: chapters "Common XFS Types", "Directories", "Extended Attributes", "B+trees". */
export const FAMILY: Readonly<Record<'longBtree' | 'directoryData' | 'dirattr' | 'symlink' | 'attributeValue', BlockFamily>> = {
  longBtree: { name: 'xfs_btree_lblock', magicAt: 0, magicBytes: 4, crcAt: 64, blknoAt: 24, uuidAt: 40, ownerAt: 56, lsnAt: 32 },
  directoryData: { name: 'xfs_dir3_blk_hdr', magicAt: 0, magicBytes: 4, crcAt: 4, blknoAt: 8, uuidAt: 24, ownerAt: 40, lsnAt: 16 },
  dirattr: { name: 'xfs_da3_blkinfo', magicAt: 8, magicBytes: 2, crcAt: 12, blknoAt: 16, uuidAt: 32, ownerAt: 48, lsnAt: 24 },
  symlink: { name: 'xfs_dsymlink_hdr', magicAt: 0, magicBytes: 4, crcAt: 12, blknoAt: 40, uuidAt: 16, ownerAt: 32, lsnAt: 48 },
  attributeValue: { name: 'xfs_attr3_rmt_hdr', magicAt: 0, magicBytes: 4, crcAt: 12, blknoAt: 40, uuidAt: 16, ownerAt: 32, lsnAt: 48 },
};

/** Bytes of the header of a remote symlink target's or attribute value's block in version 5. */
export const REMOTE_HEADER = 56;

/** Blocks of a directory from this byte on hold its index; entries are below. */
export const DIRECTORY_LEAF_BYTES: number = 2 ** 35;
