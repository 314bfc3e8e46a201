/**
 * One table of caps. Each count, size and chain that is read from bytes is compared with a row of this table before it
 * is believed, so that hostile input costs bounded memory and time. Relations between rows are asserted at load.
 */
import assert from 'node:assert';
import { LimitError } from './errors.ts';

/** Caps by name. */
export interface Limits {
  /** Bytes; the largest Bacula block we accept (its own sanity bound is 20,000,000). */
  readonly baculaBlockBytesMax: number;
  /** Bytes; one Bacula record after joining its continuations. Attribute, ACL and xattr records only: data is streamed. */
  readonly baculaRecordBytesMax: number;
  /** Bytes that one compressed record may expand to. Bacula's own buffer is 64 KiB; newer daemons allow larger. */
  readonly baculaExpandedBytesMax: number;
  /** Files in one job. */
  readonly baculaFilesMax: number;
  /** Volumes in one set. */
  readonly baculaVolumesMax: number;
  /** Bytes of a path. */
  readonly pathBytesMax: number;
  /** Bytes of one name inside a directory. */
  readonly nameBytesMax: number;
  /** Directories below each other. */
  readonly treeDepthMax: number;
  /** Bytes of one extended attribute's value. */
  readonly xattrBytesMax: number;
  /** Extended attributes of one file. */
  readonly xattrsMax: number;
  /** Bytes of one chunk before compression. */
  readonly chunkBytesMax: number;
  /** Raw bytes of one container record (a group of chunks). */
  readonly groupBytesMax: number;
  /** Chunks in one container record. */
  readonly groupChunksMax: number;
  /** Bytes of one container file. */
  readonly containerBytesMax: number;
  /** Bytes of one manifest. */
  readonly manifestBytesMax: number;
  /** Bytes of one list of condemned containers: 19 a container. */
  readonly condemnedBytesMax: number;
  /** Bytes of parity of one object: what its writer and whoever repairs it hold in memory. */
  readonly parityBytesMax: number;
  /** Levels of a recipe's hash tree; 6 levels of 1,000-way pages address more than 2^53 bytes. */
  readonly recipeDepthMax: number;
  /** Bytes of one directory entry of a snapshot. */
  readonly entryBytesMax: number;
  /** Bytes of one key slot or key ring. */
  readonly keyObjectBytesMax: number;
  /** Key slots of one repository; each may cost a derivation when a passphrase is tried. */
  readonly keySlotsMax: number;
  /** Bytes of memory that a key slot may ask for when its key is derived. */
  readonly kdfMemoryBytesMax: number;
  /** Bytes that such a derivation may pass through: its time. */
  readonly kdfWorkBytesMax: number;
  /** Images below each other: backing files and parents. */
  readonly imageChainMax: number;
  /** Files that one image's bytes are in. */
  readonly imageExtentsMax: number;
  /** Internal snapshots of one image. */
  readonly imageSnapshotsMax: number;
  /** Bytes of a text or name list in an image: descriptors, parent locators. */
  readonly imageTextBytesMax: number;
  /** Bytes of the directory of an image's tables, which is held in memory. */
  readonly imageDirectoryBytesMax: number;
  /** Bytes of tables that an image keeps in memory; its parents have less. */
  readonly imageTableBytesMax: number;
  /** Bytes of one compressed unit of an image, before and after it is unpacked. */
  readonly imageUnitBytesMax: number;
  /** Bytes of an image's log that is replayed in memory. */
  readonly imageLogBytesMax: number;
  /** Partitions, logical volumes or arrays of one table. */
  readonly volumePartsMax: number;
  /** Disks that one array, volume group or pool is spread over. */
  readonly volumeMembersMax: number;
  /** Bytes of one table of partitions or one text of a volume group. */
  readonly volumeTableBytesMax: number;
  /**
   * Bytes of memory that a key slot of a guest's encrypted volume may ask for when a key is tried; only who gives a key pays. LUKS2 is made with up to 1 GiB.
   */
  readonly volumeKdfMemoryBytesMax: number;
  /** Bytes that such a derivation may pass through: its time. */
  readonly volumeKdfWorkBytesMax: number;
  /** Bytes of one block, cluster or record of a filesystem. */
  readonly filesystemBlockBytesMax: number;
  /** Bytes of metadata that an open filesystem keeps in memory. */
  readonly filesystemCacheBytesMax: number;
  /** Bytes of one list that must be in memory as a whole: the extents of a file, a chain of clusters, a bitmap. */
  readonly filesystemListBytesMax: number;
  /** Bytes of blocks that a journal or log replaces in memory. */
  readonly filesystemJournalBytesMax: number;
  /** Levels of one tree of a filesystem. */
  readonly filesystemDepthMax: number;
  /** Subvolumes, datasets and snapshots of one filesystem. */
  readonly filesystemVolumesMax: number;
  /** Bytes of a symbolic link's target. */
  readonly symlinkBytesMax: number;
}

/** The defaults; callers copy and change rows, never the relations. */
export const defaultLimits: Limits = Object.freeze({
  baculaBlockBytesMax: 20_000_000,
  baculaRecordBytesMax: 64 << 20,
  baculaExpandedBytesMax: 16 << 20,
  baculaFilesMax: 200_000_000,
  baculaVolumesMax: 10_000,
  pathBytesMax: 65_536,
  nameBytesMax: 65_535,
  treeDepthMax: 4_096,
  xattrBytesMax: 16 << 20,
  xattrsMax: 65_535,
  chunkBytesMax: 1 << 20,
  groupBytesMax: 2 << 20,
  groupChunksMax: 65_535,
  containerBytesMax: 1 << 30,
  manifestBytesMax: 16 << 20,
  condemnedBytesMax: 64 << 20,
  parityBytesMax: 32 << 20,
  recipeDepthMax: 8,
  entryBytesMax: 1 << 20,
  keyObjectBytesMax: 64 << 10,
  keySlotsMax: 64,
  kdfMemoryBytesMax: 256 << 20,
  kdfWorkBytesMax: 1 << 30,
  imageChainMax: 64,
  imageExtentsMax: 8_192,
  imageSnapshotsMax: 65_536,
  imageTextBytesMax: 1 << 20,
  imageDirectoryBytesMax: 32 << 20,
  imageTableBytesMax: 16 << 20,
  imageUnitBytesMax: 4 << 20,
  imageLogBytesMax: 64 << 20,
  volumePartsMax: 4_096,
  volumeMembersMax: 256,
  volumeTableBytesMax: 16 << 20,
  volumeKdfMemoryBytesMax: 2 ** 30,
  volumeKdfWorkBytesMax: 2 ** 35,
  filesystemBlockBytesMax: 32 << 20,
  filesystemCacheBytesMax: 32 << 20,
  filesystemListBytesMax: 64 << 20,
  filesystemJournalBytesMax: 128 << 20,
  filesystemDepthMax: 32,
  filesystemVolumesMax: 65_536,
  symlinkBytesMax: 64 << 10,
});

assert(defaultLimits.chunkBytesMax <= defaultLimits.groupBytesMax, 'a chunk fits into a group');
assert(defaultLimits.groupBytesMax < defaultLimits.containerBytesMax, 'a group fits into a container');
assert(defaultLimits.kdfMemoryBytesMax <= defaultLimits.kdfWorkBytesMax, 'a derivation passes through its memory at least once');
assert(defaultLimits.imageUnitBytesMax <= defaultLimits.imageTableBytesMax, 'an unpacked unit is no larger than the tables');
assert(defaultLimits.volumeKdfMemoryBytesMax <= defaultLimits.volumeKdfWorkBytesMax, 'a derivation for a volume passes through its memory at least once');
assert(defaultLimits.filesystemBlockBytesMax <= defaultLimits.filesystemCacheBytesMax, 'the cache of a filesystem holds its largest block');
assert(defaultLimits.nameBytesMax <= defaultLimits.pathBytesMax, 'a name fits into a path');
assert(defaultLimits.baculaExpandedBytesMax <= defaultLimits.baculaRecordBytesMax, 'an expanded record is bounded like a joined one');

/**
 * Compares a number from the input with its cap.
 * @throws {LimitError} when `found` exceeds `limits[name]`; `where` says what was being read.
 */
export function checkLimit(limits: Limits, name: keyof Limits, found: number, where: string): void {
  if (found > limits[name]) throw new LimitError(name, found, limits[name], where);
}
