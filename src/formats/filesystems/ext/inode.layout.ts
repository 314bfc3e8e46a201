/**
 * Places of fields in an inode of ext2, ext3 and ext4, and in what is kept in it. Read by hand: a listing decodes thousands of them.
 * Source: Linux, Documentation/filesystems/ext4 (inodes, ifork, attributes, directory, inlinedata).
 */

/** Byte offsets in an inode; those from `i_extra_isize` on exist in inodes of more than 128 bytes, as far as `i_extra_isize` says. */
export const INODE = {
  i_mode: 0, i_uid: 2, i_size_lo: 4, i_atime: 8, i_ctime: 12, i_mtime: 16, i_dtime: 20, i_gid: 24, i_links_count: 26, i_blocks_lo: 28, i_flags: 32,
  i_block: 40, i_generation: 100, i_file_acl_lo: 104, i_size_high: 108, i_blocks_high: 116, i_file_acl_high: 118, i_uid_high: 120, i_gid_high: 122,
  i_checksum_lo: 124, i_extra_isize: 128, i_checksum_hi: 130, i_ctime_extra: 132, i_mtime_extra: 136, i_atime_extra: 140, i_crtime: 144, i_crtime_extra: 148,
} as const;

/** Bytes of the oldest form of an inode. */
export const INODE_BYTES_MIN = 128;
/** Bytes of `i_block`: block numbers, the root of an extent tree, a short symlink, a device number or inline data. */
export const I_BLOCK_BYTES = 60;
/** The root directory's inode. */
export const ROOT_INODE = 2;

/** `i_flags`. */
export const INODE_FLAG = {
  compressed_blocks: 0x200, encrypt: 0x800, index: 0x1000, huge_file: 0x4_0000, extents: 0x8_0000, ea_inode: 0x20_0000, inline_data: 0x1000_0000, casefold: 0x4000_0000,
} as const;

/** Header and entries of an extent tree's node. */
export const EXTENT = {
  magic: 0xf30a, headerBytes: 12, entryBytes: 12, eh_magic: 0, eh_entries: 2, eh_max: 4, eh_depth: 6, depthMax: 5,
  ee_block: 0, ee_len: 4, ee_start_hi: 6, ee_start_lo: 8, ei_block: 0, ei_leaf_lo: 4, ei_leaf_hi: 8,
  /** `ee_len` above this means: allocated, not written. */
  writtenMax: 32_768,
} as const;

/** Header of a block of extended attributes, and entries there and in inodes. */
export const XATTR = {
  magic: 0xea02_0000, headerBytes: 32, inodeHeaderBytes: 4, h_refcount: 4, h_blocks: 8, h_checksum: 16,
  entryBytes: 16, e_name_len: 0, e_name_index: 1, e_value_offs: 2, e_value_inum: 4, e_value_size: 8,
} as const;

/** `e_name_index` of attributes that the filesystem itself keeps. */
export const XATTR_INDEX = { acl_access: 2, acl_default: 3, system: 7, encryption: 9, verity: 11 } as const;

/** `e_name_index` to what a name begins with. */
export const xattrPrefixes: Readonly<Record<number, string>> = { 1: 'user.', 2: 'system.posix_acl_access', 3: 'system.posix_acl_default', 4: 'trusted.', 6: 'security.', 10: 'gnu.' };

/** A directory's entry, its checksum at the end of a block, and the fields of a hash tree's nodes. */
export const DIRENT = {
  headerBytes: 8, inode: 0, rec_len: 4, name_len: 6, file_type: 7, tailBytes: 12, tailType: 0xde,
  rootInfo: 24, rootEntries: 32, nodeEntries: 8, indexEntryBytes: 8, levelsMax: 3,
} as const;
