/** What a place of snapshots can do for whoever backs up and restores, be it a repository of this host, one in a bucket, or one behind a daemon. */
import type { FileTree, TreeProblem } from '../../core/index.ts';
import type { ChunkingPolicy } from '../ingest/lanes.ts';
import type { DamagedManifest, SnapshotCounts, SnapshotInfo } from '../snapshots/manifest.ts';
import type { RepositoryConfig } from './config.ts';

/** What is stored how. `parent: 'auto'` compares with the latest snapshot of the same host and sources. */
export interface BackupOptions {
  readonly sources: readonly string[];
  readonly tags?: readonly string[];
  readonly host?: string;
  readonly parent?: string;
  readonly chunking?: ChunkingPolicy;
  /** `auto` (default) learns from the last backups how coarsely to store each class of streams; `off` leaves that as it is. */
  readonly tuning?: 'auto' | 'off';
  readonly signal?: AbortSignal;
  onProgress?(progress: { readonly files: number; readonly bytes: number; readonly bytesNew: number; readonly bytesStored: number; readonly currentPath: Uint8Array }): void;
  onProblem?(problem: TreeProblem): void;
}

/** What a backup did. When it resolves, the snapshot survives a crash. */
export interface BackupResult extends SnapshotCounts {
  /** Id of the snapshot. */
  readonly snapshot: string;
  readonly bytesIn: number;
  /** New bytes of directories and recipes, before compression. */
  readonly metadataBytesNew: number;
  /** Files taken over from the parent without reading them. */
  readonly unchanged: number;
  readonly durable: true;
}

/** Sizes of what is there. */
export interface RepositoryStatistics {
  readonly containers: number;
  /** Bytes of all containers. */
  readonly bytesStored: number;
  readonly chunks: number;
  readonly manifests: number;
}

/** Snapshots of files. One backup at a time; reads may overlap with everything. */
export interface SnapshotStore {
  /** 64 hexadecimal digits. */
  readonly id: string;
  /** Version of the layout. */
  readonly format: number;
  readonly config: RepositoryConfig;
  /** Directory of this host that holds the snapshots or their caches: a backup must not read it. Undefined where there is none. */
  readonly directory: string | undefined;
  /**
   * All snapshots, oldest first. With `onDamaged`, manifests that can't be used go there and the rest is returned.
   * @throws {IntegrityError} and others, without `onDamaged`: nothing is left out silently.
   */
  snapshots(onDamaged?: DamagedManifest): Promise<readonly SnapshotInfo[]>;
  /** Finds `latest`, an id or a unique prefix. @throws {NotFoundError} @throws {UsageError} ambiguous. */
  resolveSnapshot(text: string): Promise<SnapshotInfo>;
  /** The files of a snapshot. Valid until the store is closed. @throws {NotFoundError} @throws {IntegrityError} */
  openSnapshot(id: string): Promise<FileTree>;
  /**
   * Stores a tree as a new snapshot. Entries that can't be read are reported and left out.
   * @throws {AbortedError} @throws {ToolError} disk full, connection lost, …: then there is no snapshot.
   */
  backup(tree: FileTree, options: BackupOptions): Promise<BackupResult>;
  statistics(): Promise<RepositoryStatistics>;
  /** Takes snapshots out of sight; absent where the place does not allow it. @throws {NotFoundError} @throws {UnsupportedError} */
  forget?(ids: readonly string[]): Promise<void>;
  close(): Promise<void>;
}
