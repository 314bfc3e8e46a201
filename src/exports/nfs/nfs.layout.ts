/** Numbers of NFS version 3. Source: RFC 1813, sections 2.4 to 3.3. */
import type { NodeType } from '../../core/index.ts';

/** Number of the program. */
export const NFS = 100_003;

/** Procedures of section 3.3. */
export const procedure = {
  null: 0, getattr: 1, setattr: 2, lookup: 3, access: 4, readlink: 5, read: 6, write: 7, create: 8, mkdir: 9, symlink: 10, mknod: 11, remove: 12, rmdir: 13,
  rename: 14, link: 15, readdir: 16, readdirplus: 17, fsstat: 18, fsinfo: 19, pathconf: 20, commit: 21,
} as const;

/** Status of section 2.6. */
export const status = {
  ok: 0, noEntry: 2, inputOutput: 5, access: 13, notDirectory: 20, isDirectory: 21, invalid: 22, readOnly: 30, nameTooLong: 63, stale: 70, badHandle: 10_001, badCookie: 10_003, tooSmall: 10_005,
} as const;

/** Types of section 2.6. */
export const fileTypes: Readonly<Record<NodeType, number>> = { file: 1, directory: 2, block: 3, character: 4, symlink: 5, socket: 6, fifo: 7 };

/** Bits of ACCESS, section 3.3.4. */
export const accessBits = { read: 0x01, lookup: 0x02, execute: 0x20 } as const;

/** Properties of FSINFO, section 3.3.19: links and symlinks exist, and PATHCONF is the same everywhere. */
export const properties = { link: 0x1, symlink: 0x2, homogeneous: 0x8 } as const;
