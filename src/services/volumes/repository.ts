/** What a shelf needs of a repository, be it on this host, in a bucket or behind a daemon; and which of its snapshots are volumes. */
import type { FileTree } from '../../core/index.ts';
import type { BackupOptions, BackupResult, SnapshotInfo } from '../../engine/index.ts';
import { VOLUME_TAG } from './stored-volume.ts';

/** See the header; `Repository` has it all. Without `forget`, superseded snapshots stay. */
export interface ShelfRepository {
  readonly id: string;
  snapshots(onDamaged?: (id: string, error: Error) => void): Promise<readonly SnapshotInfo[]>;
  openSnapshot(id: string): Promise<FileTree>;
  backup(tree: FileTree, options: BackupOptions): Promise<BackupResult>;
  forget?(ids: readonly string[]): Promise<void>;
}

/** A snapshot of a volume. */
export interface VolumeSnapshot {
  readonly id: string;
  readonly host: string;
  readonly name: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** Counts the commits of the volume. */
  readonly sequence: number;
  /** The volume was removed where nothing may be removed. */
  readonly isRemoved: boolean;
}

const SOURCE = 'volume:';

/** The source that snapshots of a volume name. */
export function volumeSource(name: string): string {
  return `${SOURCE}${name}`;
}

/** The tags of a volume's snapshot: so much is known without opening it. */
export function volumeTags({ sequence, size, modified, removed }: { readonly sequence: number; readonly size: number; readonly modified: number; readonly removed?: true }): readonly string[] {
  return [VOLUME_TAG, `volume-state=${sequence}/${size}/${modified}${removed === true ? '/removed' : ''}`];
}

/** What a snapshot says about the volume it holds; undefined when it holds none. */
export function volumeSnapshot({ id, host, sources, tags }: Pick<SnapshotInfo, 'id' | 'host' | 'sources' | 'tags'>): VolumeSnapshot | undefined {
  const [source] = sources;
  if (!tags.includes(VOLUME_TAG) || source === undefined || !source.startsWith(SOURCE)) return undefined;
  const state = tags.map((tag) => /^volume-state=(\d{1,15})\/(\d{1,16})\/(\d{1,16})(\/removed)?$/.exec(tag)).find((match) => match !== null);
  if (state === undefined || state === null) return undefined;
  return { id, host, name: source.slice(SOURCE.length), sequence: Number(state[1]), size: Number(state[2]), modified: Number(state[3]), isRemoved: state[4] !== undefined };
}
