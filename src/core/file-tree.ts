/** Files by name: guest filesystems, live filesystems, Bacula jobs and snapshots all look like this. */
import type { BlockSource } from './block-source.ts';

/**
 * A handle for one inode, stable while its tree is open and equal for all hard links of a file. At most 2^53 − 1;
 * a tree whose inode numbers are wider maps them.
 */
export type NodeId = number & { readonly __node: unique symbol };

/** Kinds of inodes. */
export type NodeType = 'file' | 'directory' | 'symlink' | 'fifo' | 'character' | 'block' | 'socket';

/** Nanoseconds since 1970, split so that no BigInt is needed: seconds may be negative, nanoseconds are 0…999,999,999. */
export interface Timestamp {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** What `lstat` tells, in the field's usual units. Absent fields are unknown to the tree, not zero. */
export interface NodeStat {
  readonly type: NodeType;
  /** Bytes of content; 0 for everything but files and symlinks. */
  readonly size: number;
  /** Permission bits including set-id and sticky, 0…0o7777; the type is not in it. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modified: Timestamp;
  readonly accessed?: Timestamp;
  readonly changed?: Timestamp;
  readonly created?: Timestamp;
  /** Names that the tree knows for this inode; 1 where links are not tracked. */
  readonly links: number;
  readonly deviceMajor?: number;
  readonly deviceMinor?: number;
  /** Inode and device number in the place of origin; used to see that a file did not change. */
  readonly inode?: number;
  readonly device?: number;
  /** A directory that only leads to its children: the origin recorded nothing about it, and its other fields are made up. */
  readonly placeholder?: true;
}

/** One name in a directory. The name has no `/` and no NUL, is never `.` or `..`, and is only bytes. */
export interface DirectoryEntry {
  readonly name: Uint8Array;
  readonly id: NodeId;
  /** Present where the tree gets it for free; otherwise ask `stat(id)`. */
  readonly stat?: NodeStat;
  /** What `stat(id)` would tell as `type`. Present in what {@link FileTree.names} yields where the tree has it; otherwise ask `stat(id)`. */
  readonly type?: NodeType;
}

/** What a tree can tell; a conformance suite and the restore leave out what is not supported, visibly. */
export interface TreeSupports {
  readonly hardLinks: boolean;
  readonly symlinks: boolean;
  readonly devices: boolean;
  readonly attributes: boolean;
  /** Precision of `modified`, in nanoseconds: 1 for ext4, 100 for NTFS, 1e9 for a Bacula job. */
  readonly timestampNanoseconds: number;
  /** Whether `list` yields names in ascending byte order. */
  readonly sorted: boolean;
}

/** Something that could not be read as it should, found while walking: the tree goes on, the caller lists it. */
export interface TreeProblem {
  /** Short and stable: 'unreadable', 'digest-mismatch', 'missing-data', … */
  readonly kind: string;
  /** Place as a person would look for it: path, volume and block, offset. */
  readonly where: string;
  readonly message: string;
}

/**
 * A read-only tree. Failed never looks empty: what cannot be read throws. Concurrent calls are allowed.
 * Conformance: `fileTreeSuite`.
 */
export interface FileTree {
  readonly format: string;
  readonly supports: TreeSupports;
  readonly rootId: NodeId;
  /** Undefined when the directory has no such name. */
  lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined>;
  stat(id: NodeId): Promise<NodeStat>;
  /** Pages of at most a few thousand entries; each name once. */
  list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]>;
  /**
   * The same pages as those of `list`, but of facts only the type of each entry: for those who want names, which a tree can tell several times as fast. Damage
   * to names and to what the types are known from shows as in `list`; that to other facts may not. Trees for which this would gain nothing leave it out.
   */
  names?(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]>;
  /**
   * Opens a file's content, or one of its named streams.
   * @throws {IntegrityError} now or on read, when the content is known to be damaged.
   */
  open(id: NodeId, stream?: string): Promise<BlockSource>;
  readLink(id: NodeId): Promise<Uint8Array>;
  /** Extended attributes by full name (`user.x`, `system.posix_acl_access` in the kernel's binary form, …). */
  attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>>;
  /**
   * A hint: the content of these files is read next, in this order. Returns at once; failures show when the files are read.
   * Trees for which this would gain nothing leave it out.
   */
  readAhead?(ids: readonly NodeId[]): void;
  /**
   * A hint: the one and only walker of this tree has left `directory` and needs no id from below it again, except those of inodes with
   * several names. A tree may then reuse the others: without it, walking a million files costs memory for each.
   */
  forget?(directory: NodeId): void;
  close(): Promise<void>;
}
