/** What every filesystem of a guest is once it is open: a tree of files, and what is known about the filesystem. */
import type { BlockSource, FileTree, NodeId, OpenContext, ProbeVerdict, TreeProblem } from '../../core/index.ts';

/** Families of filesystems, one folder each. */
export type FilesystemName = 'ext' | 'xfs' | 'btrfs' | 'ntfs' | 'fat' | 'exfat' | 'zfs' | 'refs';

/** A tree beside the main one: named by the location step `subvol=`, `dataset=` or `snapshot=`. */
export interface FilesystemVolume {
  readonly kind: 'subvol' | 'dataset' | 'snapshot';
  /** The path or full name that opens it: `a/b` for a subvolume, `pool/data@monday` for a snapshot of a dataset. */
  readonly name: string;
  readonly readOnly: boolean;
}

/** What `info` tells about a filesystem; JSON-safe. */
export interface FilesystemFacts {
  readonly format: FilesystemName;
  /** The name that people use, with its version: `ext4`, `xfs v5`, `NTFS 3.1`, `FAT32`. */
  readonly version: string;
  readonly label?: string;
  /** As the filesystem's own tools write it. */
  readonly uuid?: string;
  /** Bytes that the filesystem covers; may be less than its partition. */
  readonly size: number;
  /** Bytes of the unit of allocation. */
  readonly blockBytes: number;
  /** Bytes of space not in use, where that is known without counting. */
  readonly freeBytes?: number;
  /** Whether it was unmounted in order. */
  readonly clean: boolean;
  /** Read from documentation alone, never compared with what its maker writes. */
  readonly experimental?: true;
  /** Remarks for people: a journal that was replayed in memory, a spare copy that was used, a feature that is left out. */
  readonly remarks: readonly string[];
}

/** A named stream of a file or directory beside its content. */
export interface NamedStream {
  readonly name: string;
  /** Bytes. */
  readonly size: number;
}

/** A filesystem, open for reading. It owns its sources. Conformance: `fileTreeSuite`. */
export interface Filesystem extends FileTree {
  readonly facts: FilesystemFacts;
  /** Damage met so far while reading; grows, and is bounded. */
  problems(): readonly TreeProblem[];
  /** Named streams (NTFS, ReFS); absent where the format has none. Their content: `open(id, name)`. */
  streams?(id: NodeId): Promise<readonly NamedStream[]>;
  /** Subvolumes, datasets and snapshots; absent where the format has none. */
  volumes?(): Promise<readonly FilesystemVolume[]>;
  /**
   * Another tree of the same filesystem; it shares this one's sources and ends with it.
   * @throws {NotFoundError} naming those that exist.
   */
  openVolume?(kind: FilesystemVolume['kind'], name: string): Promise<Filesystem>;
}

/** What an opener of filesystems may use besides. */
export interface FilesystemContext extends OpenContext {
  /** `ignore`: as the blocks are on the disk, without what a journal or log adds. Default: replay in memory. */
  readonly journal?: 'replay' | 'ignore';
  /** Unpacks one Zstandard frame that must fill `target`, or throws: a faster decoder than the one here, which has the last word on what the fast one refuses. */
  readonly unzstd?: (frame: Uint8Array, target: Uint8Array) => void;
}

/** What one device says about the filesystem that it belongs to. */
export interface MemberFacts {
  /** Equal for all devices of one filesystem. */
  readonly filesystem: string;
  /** This device's own identity. */
  readonly member: string;
  /** Devices that belong together. */
  readonly members: number;
}

/** The reader of one family. */
export interface FilesystemDriver {
  readonly name: FilesystemName;
  /** Reads little and never throws for bad content. */
  probe(source: BlockSource): Promise<ProbeVerdict>;
  /** Only families that spread over several devices (btrfs, ZFS). @throws {FormatError} */
  member?(source: BlockSource): Promise<MemberFacts>;
  /**
   * Opens it; several sources only with `member`, in any order. The filesystem then owns them; on failure they remain the caller's.
   * @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} @throws {IntegrityError}
   */
  open(sources: readonly BlockSource[], context: FilesystemContext): Promise<Filesystem>;
}
