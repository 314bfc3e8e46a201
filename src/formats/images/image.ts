/** What every disk image is once it is open: the bytes of the disk, and what is known about the container. */
import type { BlockSource, OpenContext } from '../../core/index.ts';

/** Names of the formats; `raw` is never recognised, only asked for. */
export type ImageFormatName = 'qcow2' | 'vhdx' | 'vhd' | 'vmdk' | 'vdi' | 'raw';

/** How an image names the file below it. */
export interface ParentFacts {
  /** As written in the image, the most portable first: data from the image, never a path to open as it is. */
  readonly names: readonly string[];
  /** What identifies the parent, where the format says so. */
  readonly identity?: string;
}

/** A state kept inside an image. */
export interface SnapshotFacts {
  readonly id: string;
  readonly name: string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
  /** Bytes of the disk at that time. */
  readonly size: number;
}

/** What `info` tells about a container; JSON-safe. */
export interface ImageFacts {
  readonly format: ImageFormatName;
  readonly version: string;
  /** The format's own word: `dynamic`, `fixed`, `differencing`, `streamOptimized` … */
  readonly variant: string;
  /** Bytes of the disk. */
  readonly size: number;
  /** Bytes of the disk's logical sector. */
  readonly sectorSize: number;
  /** Bytes of the unit of allocation. */
  readonly clusterBytes?: number;
  readonly compression?: 'zlib' | 'zstd';
  /** What a child names this image by. */
  readonly identity?: string;
  readonly parent?: ParentFacts;
  /** Other files that the disk's bytes are in. */
  readonly extents?: readonly string[];
  readonly snapshots?: readonly SnapshotFacts[];
  /** Remarks for people: a dirty bit, a log that was replayed in memory, a spare copy that was used. */
  readonly remarks: readonly string[];
}

/** An open image: the disk's bytes. It owns the file, its parents and its extents. */
export interface DiskImage extends BlockSource {
  readonly facts: ImageFacts;
  /**
   * The disk as it was in an internal snapshot, by name or else by id; only formats that have them. It shares this image's file, and ends with it.
   * @throws {NotFoundError} @throws {FormatError}
   */
  openSnapshot?(nameOrId: string): Promise<DiskImage>;
}

/** What an opener of images may use besides. */
export interface ImageOpenContext extends OpenContext {
  /** Unpacks one Zstandard frame that must fill `target`, or throws: a faster decoder than the one here, which has the last word on what the fast one refuses. */
  readonly unzstd?: (frame: Uint8Array, target: Uint8Array) => void;
}
