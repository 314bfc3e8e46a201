/** Structures of btrfs on disk, little-endian. Source: the kernel's `include/uapi/linux/btrfs_tree.h` and the btrfs documentation, "On-disk format". */
import { layout, type Layout, type View } from '../../../core/index.ts';

type SuperblockFields = {
  readonly csum: 'bytes:32'; readonly fsid: 'bytes:16'; readonly bytenr: 'u64'; readonly flags: 'u64'; readonly magic: 'bytes:8';
  readonly generation: 'u64'; readonly root: 'u64'; readonly chunk_root: 'u64'; readonly log_root: 'u64'; readonly __unused_log_root_transid: 'u64';
  readonly total_bytes: 'u64'; readonly bytes_used: 'u64'; readonly root_dir_objectid: 'u64'; readonly num_devices: 'u64'; readonly sectorsize: 'u32';
  readonly nodesize: 'u32'; readonly __unused_leafsize: 'u32'; readonly stripesize: 'u32'; readonly sys_chunk_array_size: 'u32';
  readonly chunk_root_generation: 'u64'; readonly compat_flags: 'u64'; readonly compat_ro_flags: 'u64'; readonly incompat_flags: 'u64';
  readonly csum_type: 'u16'; readonly root_level: 'u8'; readonly chunk_root_level: 'u8'; readonly log_root_level: 'u8'; readonly dev_item: 'bytes:98';
  readonly label: 'bytes:256'; readonly cache_generation: 'u64'; readonly uuid_tree_generation: 'u64'; readonly metadata_uuid: 'bytes:16';
  readonly nr_global_roots: 'u64'; readonly reserved: 'bytes:216'; readonly sys_chunk_array: 'bytes:2048'; readonly super_roots: 'bytes:672';
  readonly padding: 'bytes:565';
};
const superblockFields: SuperblockFields = {
  csum: 'bytes:32', fsid: 'bytes:16', bytenr: 'u64', flags: 'u64', magic: 'bytes:8', generation: 'u64', root: 'u64', chunk_root: 'u64', log_root: 'u64',
  __unused_log_root_transid: 'u64', total_bytes: 'u64', bytes_used: 'u64', root_dir_objectid: 'u64', num_devices: 'u64', sectorsize: 'u32', nodesize: 'u32',
  __unused_leafsize: 'u32', stripesize: 'u32', sys_chunk_array_size: 'u32', chunk_root_generation: 'u64', compat_flags: 'u64', compat_ro_flags: 'u64',
  incompat_flags: 'u64', csum_type: 'u16', root_level: 'u8', chunk_root_level: 'u8', log_root_level: 'u8', dev_item: 'bytes:98', label: 'bytes:256',
  cache_generation: 'u64', uuid_tree_generation: 'u64', metadata_uuid: 'bytes:16', nr_global_roots: 'u64', reserved: 'bytes:216',
  sys_chunk_array: 'bytes:2048', super_roots: 'bytes:672', padding: 'bytes:565',
};
/** A superblock as a view. */
export type SuperblockView = View<SuperblockFields>;
/** The superblock, 4 KiB. */
export const superblockLayout: Layout<SuperblockFields> = layout('btrfs_super_block', 'le', superblockFields);

type DeviceFields = {
  readonly devid: 'u64'; readonly total_bytes: 'u64'; readonly bytes_used: 'u64'; readonly io_align: 'u32'; readonly io_width: 'u32';
  readonly sector_size: 'u32'; readonly type: 'u64'; readonly generation: 'u64'; readonly start_offset: 'u64'; readonly dev_group: 'u32';
  readonly seek_speed: 'u8'; readonly bandwidth: 'u8'; readonly uuid: 'bytes:16'; readonly fsid: 'bytes:16';
};
const deviceFields: DeviceFields = {
  devid: 'u64', total_bytes: 'u64', bytes_used: 'u64', io_align: 'u32', io_width: 'u32', sector_size: 'u32', type: 'u64', generation: 'u64',
  start_offset: 'u64', dev_group: 'u32', seek_speed: 'u8', bandwidth: 'u8', uuid: 'bytes:16', fsid: 'bytes:16',
};
/** A device, in the superblock and in the chunk tree. */
export const deviceLayout: Layout<DeviceFields> = layout('btrfs_dev_item', 'le', deviceFields);

type HeaderFields = {
  readonly csum: 'bytes:32'; readonly fsid: 'bytes:16'; readonly bytenr: 'u64'; readonly flags: 'u64'; readonly chunk_tree_uuid: 'bytes:16';
  readonly generation: 'u64'; readonly owner: 'u64'; readonly nritems: 'u32'; readonly level: 'u8';
};
const headerFields: HeaderFields = {
  csum: 'bytes:32', fsid: 'bytes:16', bytenr: 'u64', flags: 'u64', chunk_tree_uuid: 'bytes:16', generation: 'u64', owner: 'u64', nritems: 'u32', level: 'u8',
};
/** Head of each tree block. */
export const headerLayout: Layout<HeaderFields> = layout('btrfs_header', 'le', headerFields);

type ChunkFields = {
  readonly length: 'u64'; readonly owner: 'u64'; readonly stripe_len: 'u64'; readonly type: 'u64'; readonly io_align: 'u32'; readonly io_width: 'u32';
  readonly sector_size: 'u32'; readonly num_stripes: 'u16'; readonly sub_stripes: 'u16';
};
const chunkFields: ChunkFields = {
  length: 'u64', owner: 'u64', stripe_len: 'u64', type: 'u64', io_align: 'u32', io_width: 'u32', sector_size: 'u32', num_stripes: 'u16', sub_stripes: 'u16',
};
/** A chunk; its stripes follow. */
export const chunkLayout: Layout<ChunkFields> = layout('btrfs_chunk', 'le', chunkFields);

type StripeFields = {
  readonly devid: 'u64'; readonly offset: 'u64'; readonly dev_uuid: 'bytes:16';
};
const stripeFields: StripeFields = { devid: 'u64', offset: 'u64', dev_uuid: 'bytes:16' };
/** Where one stripe of a chunk lies. */
export const stripeLayout: Layout<StripeFields> = layout('btrfs_stripe', 'le', stripeFields);

type InodeFields = {
  readonly generation: 'u64'; readonly transid: 'u64'; readonly size: 'u64'; readonly nbytes: 'u64'; readonly block_group: 'u64';
  readonly nlink: 'u32'; readonly uid: 'u32'; readonly gid: 'u32'; readonly mode: 'u32'; readonly rdev: 'u64'; readonly flags: 'u64';
  readonly sequence: 'u64'; readonly reserved: 'bytes:32'; readonly atime_sec: 'i64'; readonly atime_nsec: 'u32'; readonly ctime_sec: 'i64';
  readonly ctime_nsec: 'u32'; readonly mtime_sec: 'i64'; readonly mtime_nsec: 'u32'; readonly otime_sec: 'i64'; readonly otime_nsec: 'u32';
};
const inodeFields: InodeFields = {
  generation: 'u64', transid: 'u64', size: 'u64', nbytes: 'u64', block_group: 'u64', nlink: 'u32', uid: 'u32', gid: 'u32', mode: 'u32', rdev: 'u64',
  flags: 'u64', sequence: 'u64', reserved: 'bytes:32', atime_sec: 'i64', atime_nsec: 'u32', ctime_sec: 'i64', ctime_nsec: 'u32', mtime_sec: 'i64',
  mtime_nsec: 'u32', otime_sec: 'i64', otime_nsec: 'u32',
};
/** An inode. */
export const inodeLayout: Layout<InodeFields> = layout('btrfs_inode_item', 'le', inodeFields);

type RootFields = {
  readonly inode: 'bytes:160'; readonly generation: 'u64'; readonly root_dirid: 'u64'; readonly bytenr: 'u64'; readonly byte_limit: 'u64';
  readonly bytes_used: 'u64'; readonly last_snapshot: 'u64'; readonly flags: 'u64'; readonly refs: 'u32'; readonly drop_progress: 'bytes:17';
  readonly drop_level: 'u8'; readonly level: 'u8';
};
const rootFields: RootFields = {
  inode: 'bytes:160', generation: 'u64', root_dirid: 'u64', bytenr: 'u64', byte_limit: 'u64', bytes_used: 'u64', last_snapshot: 'u64', flags: 'u64',
  refs: 'u32', drop_progress: 'bytes:17', drop_level: 'u8', level: 'u8',
};
/** A tree's root; newer kernels store more behind it, which readers don't need. */
export const rootLayout: Layout<RootFields> = layout('btrfs_root_item', 'le', rootFields);

type ExtentFields = {
  readonly generation: 'u64'; readonly ram_bytes: 'u64'; readonly compression: 'u8'; readonly encryption: 'u8'; readonly other_encoding: 'u16';
  readonly type: 'u8';
};
const extentFields: ExtentFields = {
  generation: 'u64', ram_bytes: 'u64', compression: 'u8', encryption: 'u8', other_encoding: 'u16', type: 'u8',
};
/** Head of a file extent: inline bytes or the place on disk follow. */
export const extentLayout: Layout<ExtentFields> = layout('btrfs_file_extent_item', 'le', extentFields);

type ExtentPlaceFields = {
  readonly disk_bytenr: 'u64'; readonly disk_num_bytes: 'u64'; readonly offset: 'u64'; readonly num_bytes: 'u64';
};
const extentPlaceFields: ExtentPlaceFields = { disk_bytenr: 'u64', disk_num_bytes: 'u64', offset: 'u64', num_bytes: 'u64' };
/** The rest of a file extent that is not inline. */
export const extentPlaceLayout: Layout<ExtentPlaceFields> = layout('btrfs_file_extent_item', 'le', extentPlaceFields);

/** Types of keys. */
export const ITEM = {
  INODE_ITEM: 1, INODE_REF: 12, INODE_EXTREF: 13, XATTR: 24, DIR_LOG_INDEX: 72, DIR_ITEM: 84, DIR_INDEX: 96, EXTENT_DATA: 108, EXTENT_CSUM: 128,
  ROOT_ITEM: 132, ROOT_BACKREF: 144, ROOT_REF: 156, DEV_ITEM: 216, CHUNK_ITEM: 228,
} as const;

/** Object ids with a meaning; those at the upper end of 64 bits are negative here. */
export const OBJECT = { ROOT_TREE: 1, CHUNK_TREE: 3, FS_TREE: 5, CSUM_TREE: 7, FIRST_FREE: 256, TREE_RELOC: -8, TREE_LOG: -6, EXTENT_CSUM: -10, DEV_ITEMS: 1, FIRST_CHUNK_TREE: 256 } as const;
