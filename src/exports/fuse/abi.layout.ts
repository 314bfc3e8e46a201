/**
 * Structures and numbers of the kernel's FUSE interface, version 7.31, as they pass through `/dev/fuse`. Byte order is the host's; only
 * little-endian hosts are served. 64-bit values that others choose freely (`lock_owner`) stay bytes: they need not fit 2^53.
 *
 * Source: Linux, include/uapi/linux/fuse.h (its history of versions says what 7.31 has).
 */
import { layout, type Layout } from '../../core/index.ts';

/** Version that a session answers with; the kernel then behaves as that version says. */
export const fuseVersion = { major: 7, minor: 31 } as const;
/** The root directory's node. */
export const rootNode = 1;
/** Bytes that the kernel wants each read of the device to have room for, at least. */
export const readBufferMin = 8192;
/** Bytes of header and fixed fields that precede the data of the largest request. */
export const requestHeadMax = 4096;
/** The longest name the kernel takes in a directory listing of this version. */
export const listedNameMax = 1024;

/** Operations by their number. */
export const opcodes = {
  lookup: 1, forget: 2, getattr: 3, setattr: 4, readlink: 5, symlink: 6, mknod: 8, mkdir: 9, unlink: 10, rmdir: 11, rename: 12, link: 13,
  open: 14, read: 15, write: 16, statfs: 17, release: 18, fsync: 20, setxattr: 21, getxattr: 22, listxattr: 23, removexattr: 24, flush: 25,
  init: 26, opendir: 27, readdir: 28, releasedir: 29, fsyncdir: 30, access: 34, create: 35, interrupt: 36, destroy: 38, batchForget: 42,
  fallocate: 43, readdirplus: 44, rename2: 45, lseek: 46,
} as const;

/** `FUSE_INIT` flags. */
export const initFlags = {
  asyncRead: 0x1, bigWrites: 0x20, readdirplus: 0x2000, readdirplusAuto: 0x4000, asyncDio: 0x8000, writebackCache: 0x10000,
  parallelDirops: 0x40000, posixAcl: 0x100000, maxPages: 0x400000, cacheSymlinks: 0x800000,
} as const;

/** `FOPEN_` flags of a reply to open. */
export const openFlags = { directIo: 0x1, keepCache: 0x2, cacheDirectory: 0x8 } as const;

/** `FATTR_` flags: which fields of `setattr` count. */
export const setattrFlags = {
  mode: 0x1, uid: 0x2, gid: 0x4, size: 0x8, accessed: 0x10, modified: 0x20, handle: 0x40, accessedNow: 0x80, modifiedNow: 0x100,
} as const;

/** Every request begins with it. */
export const inHeader: Layout<{ readonly len: 'u32'; readonly opcode: 'u32'; readonly unique: 'u64'; readonly nodeid: 'u64'; readonly uid: 'u32'; readonly gid: 'u32'; readonly pid: 'u32'; readonly padding: 'u32' }> =
  layout('fuse_in_header', 'le', { len: 'u32', opcode: 'u32', unique: 'u64', nodeid: 'u64', uid: 'u32', gid: 'u32', pid: 'u32', padding: 'u32' });

/** Every reply begins with it. */
export const outHeader: Layout<{ readonly len: 'u32'; readonly error: 'i32'; readonly unique: 'u64' }> = layout('fuse_out_header', 'le', { len: 'u32', error: 'i32', unique: 'u64' });

/** The start of `FUSE_INIT`, which is longer in newer versions. */
export const initIn: Layout<{ readonly major: 'u32'; readonly minor: 'u32'; readonly max_readahead: 'u32'; readonly flags: 'u32' }> =
  layout('fuse_init_in', 'le', { major: 'u32', minor: 'u32', max_readahead: 'u32', flags: 'u32' });

/** Its reply; `pages` holds `max_pages` and `map_alignment`, `background` holds `max_background` and `congestion_threshold`, the first one low. */
export const initOut: Layout<{
  readonly major: 'u32'; readonly minor: 'u32'; readonly max_readahead: 'u32'; readonly flags: 'u32'; readonly background: 'u32'; readonly max_write: 'u32';
  readonly time_gran: 'u32'; readonly pages: 'u32'; readonly unused: 'bytes:32';
}> = layout('fuse_init_out', 'le', {
  major: 'u32', minor: 'u32', max_readahead: 'u32', flags: 'u32', background: 'u32', max_write: 'u32', time_gran: 'u32', pages: 'u32', unused: 'bytes:32',
});

/** One node with a number of lookups that the kernel takes back. */
export const forgetOne: Layout<{ readonly nodeid: 'u64'; readonly nlookup: 'u64' }> = layout('fuse_forget_one', 'le', { nodeid: 'u64', nlookup: 'u64' });

/** `FUSE_SETATTR`. */
export const setattrIn: Layout<{
  readonly valid: 'u32'; readonly padding: 'u32'; readonly fh: 'u64'; readonly size: 'u64'; readonly lock_owner: 'bytes:8'; readonly atime: 'i64'; readonly mtime: 'i64';
  readonly ctime: 'i64'; readonly atimensec: 'u32'; readonly mtimensec: 'u32'; readonly ctimensec: 'u32'; readonly mode: 'u32'; readonly unused4: 'u32'; readonly uid: 'u32';
  readonly gid: 'u32'; readonly unused5: 'u32';
}> = layout('fuse_setattr_in', 'le', {
  valid: 'u32', padding: 'u32', fh: 'u64', size: 'u64', lock_owner: 'bytes:8', atime: 'i64', mtime: 'i64', ctime: 'i64', atimensec: 'u32', mtimensec: 'u32',
  ctimensec: 'u32', mode: 'u32', unused4: 'u32', uid: 'u32', gid: 'u32', unused5: 'u32',
});

/** `FUSE_OPEN` and `FUSE_OPENDIR`. */
export const openIn: Layout<{ readonly flags: 'u32'; readonly open_flags: 'u32' }> = layout('fuse_open_in', 'le', { flags: 'u32', open_flags: 'u32' });

/** `FUSE_CREATE`; the name follows. */
export const createIn: Layout<{ readonly flags: 'u32'; readonly mode: 'u32'; readonly umask: 'u32'; readonly open_flags: 'u32' }> =
  layout('fuse_create_in', 'le', { flags: 'u32', mode: 'u32', umask: 'u32', open_flags: 'u32' });

/** Reply to open; behind an entry it is also the reply to create. */
export const openOut: Layout<{ readonly fh: 'u64'; readonly open_flags: 'u32'; readonly padding: 'u32' }> = layout('fuse_open_out', 'le', { fh: 'u64', open_flags: 'u32', padding: 'u32' });

/** `FUSE_READ`, `FUSE_READDIR`, `FUSE_READDIRPLUS`; `FUSE_WRITE` is the same and its data follows. */
export const readIn: Layout<{
  readonly fh: 'u64'; readonly offset: 'u64'; readonly size: 'u32'; readonly read_flags: 'u32'; readonly lock_owner: 'bytes:8'; readonly flags: 'u32'; readonly padding: 'u32';
}> = layout('fuse_read_in', 'le', { fh: 'u64', offset: 'u64', size: 'u32', read_flags: 'u32', lock_owner: 'bytes:8', flags: 'u32', padding: 'u32' });

/** The first field of what closes, flushes or syncs a handle. */
export const handleIn: Layout<{ readonly fh: 'u64' }> = layout('fuse_release_in', 'le', { fh: 'u64' });

/** `FUSE_GETXATTR` (the name follows) and `FUSE_LISTXATTR`; its reply when `size` was 0. */
export const getxattrIn: Layout<{ readonly size: 'u32'; readonly padding: 'u32' }> = layout('fuse_getxattr_in', 'le', { size: 'u32', padding: 'u32' });

/** `FUSE_RENAME2`; the two names follow. */
export const rename2In: Layout<{ readonly newdir: 'u64'; readonly flags: 'u32'; readonly padding: 'u32' }> = layout('fuse_rename2_in', 'le', { newdir: 'u64', flags: 'u32', padding: 'u32' });

/** `FUSE_LSEEK`. */
export const lseekIn: Layout<{ readonly fh: 'u64'; readonly offset: 'u64'; readonly whence: 'u32'; readonly padding: 'u32' }> =
  layout('fuse_lseek_in', 'le', { fh: 'u64', offset: 'u64', whence: 'u32', padding: 'u32' });

/** Attributes of a node, inside replies. */
export const attributesLayout: Layout<{
  readonly ino: 'u64'; readonly size: 'u64'; readonly blocks: 'u64'; readonly atime: 'i64'; readonly mtime: 'i64'; readonly ctime: 'i64'; readonly atimensec: 'u32';
  readonly mtimensec: 'u32'; readonly ctimensec: 'u32'; readonly mode: 'u32'; readonly nlink: 'u32'; readonly uid: 'u32'; readonly gid: 'u32'; readonly rdev: 'u32';
  readonly blksize: 'u32'; readonly flags: 'u32';
}> = layout('fuse_attr', 'le', {
  ino: 'u64', size: 'u64', blocks: 'u64', atime: 'i64', mtime: 'i64', ctime: 'i64', atimensec: 'u32', mtimensec: 'u32', ctimensec: 'u32', mode: 'u32',
  nlink: 'u32', uid: 'u32', gid: 'u32', rdev: 'u32', blksize: 'u32', flags: 'u32',
});

/** Reply to getattr and setattr up to the attributes. */
export const attrOut: Layout<{ readonly attr_valid: 'u64'; readonly attr_valid_nsec: 'u32'; readonly dummy: 'u32' }> =
  layout('fuse_attr_out', 'le', { attr_valid: 'u64', attr_valid_nsec: 'u32', dummy: 'u32' });

/** Reply to lookup up to the attributes. */
export const entryOut: Layout<{
  readonly nodeid: 'u64'; readonly generation: 'u64'; readonly entry_valid: 'u64'; readonly attr_valid: 'u64'; readonly entry_valid_nsec: 'u32'; readonly attr_valid_nsec: 'u32';
}> = layout('fuse_entry_out', 'le', { nodeid: 'u64', generation: 'u64', entry_valid: 'u64', attr_valid: 'u64', entry_valid_nsec: 'u32', attr_valid_nsec: 'u32' });

/** One entry of a listing up to its name, which is padded to 8 bytes. */
export const dirent: Layout<{ readonly ino: 'u64'; readonly off: 'u64'; readonly namelen: 'u32'; readonly type: 'u32' }> =
  layout('fuse_dirent', 'le', { ino: 'u64', off: 'u64', namelen: 'u32', type: 'u32' });

/** Reply to write. */
export const writeOut: Layout<{ readonly size: 'u32'; readonly padding: 'u32' }> = layout('fuse_write_out', 'le', { size: 'u32', padding: 'u32' });

/** Reply to lseek. */
export const lseekOut: Layout<{ readonly offset: 'u64' }> = layout('fuse_lseek_out', 'le', { offset: 'u64' });

/** Reply to statfs. */
export const statfsOut: Layout<{
  readonly blocks: 'u64'; readonly bfree: 'u64'; readonly bavail: 'u64'; readonly files: 'u64'; readonly ffree: 'u64'; readonly bsize: 'u32'; readonly namelen: 'u32';
  readonly frsize: 'u32'; readonly padding: 'u32'; readonly spare: 'bytes:24';
}> = layout('fuse_kstatfs', 'le', {
  blocks: 'u64', bfree: 'u64', bavail: 'u64', files: 'u64', ffree: 'u64', bsize: 'u32', namelen: 'u32', frsize: 'u32', padding: 'u32', spare: 'bytes:24',
});
