/** Backup: any locations into one snapshot of a repository. */
import * as os from 'node:os';
import { ToolError, UsageError } from '../core/index.ts';
import type { BackupResult, SnapshotStore } from '../engine/index.ts';
import { problemError, type EntryError } from './entry-error.ts';
import { openSources, type SourceOptions, type Sources } from './sources.ts';

/** How far a backup is; bytes of content. */
export interface BackupProgress {
  readonly files: number;
  readonly bytes: number;
}

/** What to store and how. */
export interface BackupOptions extends SourceOptions {
  readonly tags?: readonly string[];
  /** A snapshot to compare with, or `none`; by default the last one of the same sources and host. */
  readonly parent?: string;
  readonly host?: string;
  readonly chunking?: 'auto' | 'fastcdc' | 'fixed';
  onProgress?(progress: BackupProgress): void;
}

/** What a backup did. With `errors` the snapshot exists but is incomplete in the listed places. */
export type BackupReport = Omit<BackupResult, 'problems'> & { readonly errors: readonly EntryError[] };

/**
 * A snapshot of nothing would be the one that `latest` means and that retention keeps: it must not come about by a mistake. Sources that are readable and
 * empty are stored.
 */
async function refuseNothing(sources: Sources): Promise<void> {
  const { found, others, failures, first, leftOut } = await sources.look();
  if (found) return;
  const [missing] = sources.errors();
  const failed = first === undefined ? missing && `${missing.path}: ${missing.message}` : `${first.where}: ${first.message}`;
  if (failed !== undefined) throw new ToolError(`Back up: nothing of the sources can be read, so nothing was stored; ${failed}`, { failures });
  if (leftOut !== undefined && others === 0) throw new UsageError(`Back up: nothing is left of the sources, so nothing was stored; ${leftOut}`);
}

/**
 * Stores sources as one snapshot. Resolves when the snapshot is durable.
 * @throws {NotFoundError} no source is there; nothing was written then. @throws {ToolError} nothing of them can be read. @throws {UsageError} all is left out, or
 * sources collide. @throws {AbortedError} no snapshot was made.
 * @throws {ToolError} the disk is full, for instance: the repository stays good.
 */
export async function backupPaths(repository: SnapshotStore, texts: readonly string[], options: BackupOptions = {}): Promise<BackupReport> {
  const sources = await openSources(texts, options);
  try {
    return await storeSources(repository, sources, options);
  } finally {
    await sources.close();
  }
}

/** The second half of {@link backupPaths}, for callers that look at the sources first. */
export async function storeSources(repository: SnapshotStore, sources: Sources, options: BackupOptions): Promise<BackupReport> {
  await refuseNothing(sources);
  const failed: EntryError[] = [];
  const { problems: _, ...result } = await repository.backup(sources.tree, {
    tags: options.tags ?? [],
    sources: sources.names,
    host: options.host ?? os.hostname(),
    ...(options.parent === 'none' ? {} : { parent: options.parent ?? 'auto' }),
    chunking: options.chunking ?? 'auto',
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    // The engine's paths begin at the root of the tree, without its slash.
    onProblem: (problem) => failed.push(problemError({ ...problem, where: problem.where.startsWith('/') ? problem.where : `/${problem.where}` })),
    ...(options.onProgress === undefined ? {} : { onProgress: (progress: BackupProgress) => options.onProgress?.(progress) }),
  });
  return { ...result, errors: [...sources.errors(), ...failed] };
}
