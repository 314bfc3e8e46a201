/** Looking for damage: in a repository, in Bacula volumes, or in any tree by reading all of it. */
import assert from 'node:assert';
import { FormatError, UnsupportedError, UsageError, type FileTree, type TreeProblem } from '../core/index.ts';
import type { CheckProgress, ReadSelection } from '../engine/index.ts';
import { isFatal, problemFrom } from './entry-error.ts';
import type { BaculaLayer } from './locations/bacula-layer.ts';
import type { Location } from './locations/index.ts';
import { pieceBytes, readContent } from './trees/content.ts';
import { walk, type TreeView, type WalkEntry } from './trees/walk.ts';

/** How deep to look. */
export interface CheckOptions {
  /** Read and verify all content, not only the structure; of a repository perhaps only a selection. */
  readonly readData?: boolean | ReadSelection;
  readonly signal?: AbortSignal;
  /** `unit` says what `files` and `totalFiles` count where it isn't files. */
  onProgress?(progress: { readonly files: number; readonly bytes: number; readonly totalFiles?: number; readonly unit?: string }): void;
  /** Each problem as it is found, besides the list in the result. */
  onProblem?(problem: TreeProblem): void;
}

/** What was found. */
export interface CheckReport {
  readonly ok: boolean;
  readonly problems: readonly TreeProblem[];
  /** What was looked at; the names depend on what the location is. */
  readonly counts: Readonly<Record<string, unknown>>;
}

/** Reads every file, link and attribute of a tree; what can't be read is a problem, and the check goes on. */
async function readTree(view: TreeView, options: CheckOptions, add: (problem: TreeProblem) => void): Promise<{ files: number; bytes: number }> {
  const counts = { files: 0, bytes: 0 };
  const buffer = new Uint8Array(pieceBytes);
  const failed = (path: Uint8Array, error: unknown): void => {
    if (isFatal(error)) throw error;
    add(problemFrom(path, error));
  };
  const content = async (entry: WalkEntry): Promise<void> => {
    const source = await view.tree.open(entry.id);
    try {
      await readContent(source, { data: (_, bytes) => { counts.bytes += bytes.length; }, empty: () => undefined }, buffer, { signal: options.signal });
    } finally {
      await source.close();
    }
  };
  const one = async (entry: WalkEntry): Promise<void> => {
    try {
      if (view.tree.supports.attributes) await view.tree.attributes(entry.id);
      if (entry.stat.type === 'symlink') await view.tree.readLink(entry.id);
      if (entry.stat.type !== 'file') return;
      await content(entry);
      counts.files += 1;
      options.onProgress?.(counts);
    } catch (error) {
      failed(entry.path, error);
    }
  };
  const stat = await view.tree.stat(view.id);
  if (stat.type === 'directory') await walk(view, { page: async (entries) => { for (const entry of entries) await one(entry); }, failed }, options.signal);
  else await one({ path: view.path, name: view.path, id: view.id, stat });
  return counts;
}

/** Attributes have no digest; that they can be decoded is all that can be said of them. */
async function readAttributes(tree: FileTree, options: CheckOptions, add: (problem: TreeProblem) => void): Promise<void> {
  const failed = (path: Uint8Array, error: unknown): void => {
    if (isFatal(error)) throw error;
    add(problemFrom(path, error));
  };
  await walk({ tree, id: tree.rootId, path: new Uint8Array() }, {
    page: async (entries) => {
      for (const entry of entries) await tree.attributes(entry.id).catch((error: unknown) => { failed(entry.path, error); });
    },
    failed,
  }, options.signal);
}

/** @throws {UsageError} for a selection: only containers of a repository can be read in parts. */
function isWhole({ readData = false }: CheckOptions): boolean {
  if (typeof readData !== 'boolean') throw new UsageError('Read a part of the data: only a repository can be checked in parts');
  return readData;
}

/** Volumes: what opening them found, then (with `readData`) the content of every file of every job. */
async function checkVolumes(volumes: BaculaLayer, options: CheckOptions, add: (problem: TreeProblem) => void): Promise<CheckReport['counts']> {
  const known = volumes.problems();
  for (const problem of known) add(problem);
  if (isWhole(options)) {
    for await (const problem of volumes.verify(options.signal)) add(problem);
    for (const { step } of volumes.jobs) await readAttributes((await volumes.open(step)).tree, options, add);
  }
  const counts = { files: 0, bytes: 0 };
  for (const { job } of volumes.jobs) {
    counts.files += job.files;
    counts.bytes += job.bytes;
  }
  return { volumes: volumes.volumes, jobs: volumes.jobs.length, ...counts };
}

/**
 * Checks what an open location denotes. Damage is in the result, not thrown.
 * @throws {FormatError} when it is neither a repository, nor volumes, nor something inside them.
 * @throws {AbortedError} and when the check itself can't be made, such as a repository that is in use.
 */
export async function checkLocation(location: Location, options: CheckOptions = {}): Promise<CheckReport> {
  const problems: TreeProblem[] = [];
  const add = (problem: TreeProblem): void => {
    problems.push(problem);
    options.onProblem?.(problem);
  };
  let counts: CheckReport['counts'];
  if (location.place.kind === 'repository') {
    const { direct, name } = location.place;
    if (direct === undefined) throw new UnsupportedError(`Check '${name}': only the host of the daemon reaches its objects; run 'holdfast check' there`, { root: name });
    const { ok: _, problems: found, ...rest } = await direct.check({
      readData: options.readData ?? false,
      onProblem: add,
      onProgress: (progress) => { options.onProgress?.(checkProgress(progress)); },
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
    assert(found === problems.length, 'each problem that a check counted was reported');
    counts = rest;
  } else if (location.place.kind === 'node' && location.source.steps.length === 0) {
    // A volume whose label is destroyed looks like any file: "no damage found" would be the worst answer.
    throw new FormatError(`Check '${location.text}'`, { structure: 'location', field: 'kind', found: 'plain files', expected: 'a repository or Bacula volumes: nothing else says what its bytes should be' });
  } else if (location.place.kind === 'volumes') counts = await checkVolumes(location.place.volumes, options, add);
  else counts = await readTree(await location.node(), options, add);
  return { ok: problems.length === 0, problems, counts };
}

/** Progress of a repository's check as all checks show it. */
export function checkProgress({ phase, done, total }: CheckProgress): { readonly files: number; readonly bytes: number; readonly totalFiles?: number; readonly unit: string } {
  const units: Readonly<Record<CheckProgress['phase'], string>> = { objects: 'objects', index: 'chunks', containers: 'containers', snapshots: 'directory pages', files: 'snapshots' };
  return { files: done, bytes: 0, unit: units[phase], ...(total === undefined ? {} : { totalFiles: total }) };
}

/** A problem on one line for people. */
export function problemLine(problem: TreeProblem): string {
  return `${problem.kind} at ${problem.where}: ${problem.message}`;
}
