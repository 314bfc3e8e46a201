/** Where a location has led so far: a node of a tree, a repository, a set of Bacula volumes, or a disk. */
import type { Accounts } from './accounts.ts';
import type { BaculaLayer } from './bacula-layer.ts';
import type { KeyUse } from './key-remarks.ts';
import type { BlockSource, TreeProblem } from '../../core/index.ts';
import type { Repository, SnapshotStore } from '../../engine/index.ts';
import type { Filesystem } from '../../formats/filesystems/index.ts';
import type { DiskImage, ImageFormatName } from '../../formats/images/index.ts';
import type { TreeView } from '../trees/walk.ts';

/** How to open locations. */
export interface OpenOptions {
  /** Keys for encrypted layers; each layer takes what fits. */
  readonly keys?: readonly Uint8Array[];
  /** Names of the keys in remarks on those that fit nothing, in the same order. */
  readonly keyNames?: readonly string[];
  /** Learns which keys were of use; a location has its own. */
  readonly keyUse?: KeyUse;
  readonly signal?: AbortSignal;
  /** Where caches of repositories in buckets and behind daemons are; a default of this user's when absent. */
  readonly cacheDirectory?: string | undefined;
  /** File with the key for places behind a daemon. */
  readonly wireKey?: string | undefined;
  /** Ids of the names in ACLs; by default those of this host. */
  readonly accounts?: Accounts;
  /** Remarks for people: an index that is rebuilt, a file that was skipped. */
  onNote?(text: string): void;
  /** Damage and unreadable things met on the way. */
  onProblem?(problem: TreeProblem): void;
}

/** A file, directory or other node. A file may turn out to be a volume, a directory a repository or a set of volumes. */
export interface NodePlace {
  readonly kind: 'node';
  readonly view: TreeView;
  /** Its path on this host, when it is one: repositories and volumes are then opened directly. */
  readonly hostPath?: string;
  /** The guest's filesystem that it is the root of. */
  readonly filesystem?: Filesystem;
}

/** A repository, open for reading; here, in a bucket, or behind a daemon. */
export interface RepositoryPlace {
  readonly kind: 'repository';
  readonly repository: SnapshotStore;
  /** The same, when its objects can be reached from here: what checks it. */
  readonly direct?: Repository;
  readonly name: string;
}

/** Volumes of one set. */
export interface VolumesPlace {
  readonly kind: 'volumes';
  readonly volumes: BaculaLayer;
  readonly name: string;
}

/** A disk: that in a disk image, a partition, a logical volume, an array; or several that belong together. */
export interface DiskPlace {
  readonly kind: 'disk';
  readonly disks: readonly [BlockSource, ...BlockSource[]];
  /** The files that several disks are from, in the same order. */
  readonly files?: readonly { readonly name: string; readonly format: ImageFormatName }[];
  /** For a volume: the disks that were given, on which other members of what is on it may be. */
  readonly among?: readonly BlockSource[];
  /** The container that the first one is in. */
  readonly image?: DiskImage;
  readonly name: string;
  /** The disk as a file. */
  readonly view: TreeView;
}

/** Any of them. */
export type Place = NodePlace | RepositoryPlace | VolumesPlace | DiskPlace;

/** One layer as `info` tells it: `layer` is its kind, the rest depends on that. JSON-safe. */
export interface LayerInfo {
  readonly layer: 'host' | 'repository' | 'snapshot' | 'bacula' | 'job' | 'chain' | 'path' | 'image' | 'volume' | 'table' | 'filesystem' | 'stream';
  readonly [field: string]: unknown;
}

/** A place just reached: what is there, how `info` tells it, and what is to be closed with the location. */
export interface Arrival {
  readonly place: Place;
  readonly layer?: LayerInfo;
  readonly owned?: { close(): Promise<void> };
  /** Damage that touches it, known so far. */
  problems?(): readonly TreeProblem[];
}
