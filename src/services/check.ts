/** Looking for damage: in a repository, in Bacula volumes, or in any tree by reading all of it. */
import assert from 'node:assert';
import { UsageError, type FileTree, type TreeProblem } from '../core/index.ts';
import type { CheckProgress, ReadSelection } from '../engine/index.ts';
import { checkDisk, type CheckedPart } from './check-disk.ts';
import { checkTree, type TreeCounts } from './check-tree.ts';
import { isFatal, problemFrom, type EntryError } from './entry-error.ts';
import type { BaculaLayer } from './locations/bacula-layer.ts';
import type { Location } from './locations/index.ts';
import type { DiskPlace } from './locations/place.ts';
import { diskOf } from './next-step.ts';
import { objectsNeeded } from './repository-place.ts';
import { walk } from './trees/walk.ts';

/** How deep to look. */
export interface CheckOptions {
  /** Read and verify all content, not only the structure; of a repository perhaps only a selection. */
  readonly readData?: boolean | ReadSelection;
  readonly signal?: AbortSignal;
  /** `unit` says what `files` and `totalFiles` count where it isn't files. */
  onProgress?(progress: { readonly files: number; readonly bytes: number; readonly totalFiles?: number; readonly unit?: string }): void;
  /** Each problem as it is found, besides the list in the result. */
  onProblem?(problem: TreeProblem): void;
  /** Of a disk: each part as it was looked at, besides `parts` of the counts. */
  onPart?(part: CheckedPart): void;
}

/** What was found. */
export interface CheckReport {
  /** No damage was found, in what could be looked at. */
  readonly ok: boolean;
  readonly problems: readonly TreeProblem[];
  /** What could not be looked at, because no key opens it. */
  readonly errors: readonly EntryError[];
  /** What was looked at; the names depend on what the location is. */
  readonly counts: Readonly<Record<string, unknown>>;
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

/** One check under way. */
class Check {
  readonly problems: TreeProblem[] = [];
  readonly errors: EntryError[] = [];
  readonly #location: Location;
  readonly #options: CheckOptions;

  constructor(location: Location, options: CheckOptions) {
    this.#location = location;
    this.#options = options;
  }

  /** @returns the counts. */
  async run(): Promise<CheckReport['counts']> {
    const { place } = this.#location;
    if (place.kind === 'repository') return this.#repository();
    if (place.kind === 'volumes') return checkVolumes(place.volumes, this.#options, this.#add);
    const disk = await diskOf(this.#location);
    if (disk !== undefined) return this.#disk(disk);
    // A volume whose label is destroyed looks like any file: "no damage found" would be the worst answer.
    if (this.#location.source.steps.length === 0) throw new UsageError(`Check '${this.#location.text}': these are plain files; only a repository, Bacula volumes or a disk say what their bytes should be`, { root: this.#location.text });
    return this.#tree();
  }

  readonly #add = (problem: TreeProblem): void => {
    this.problems.push(problem);
    this.#options.onProblem?.(problem);
  };

  async #repository(): Promise<CheckReport['counts']> {
    const { place } = this.#location;
    assert(place.kind === 'repository');
    const { direct, name } = place;
    const { readData = false, signal, onProgress } = this.#options;
    if (direct === undefined) throw objectsNeeded(name);
    const { ok: _, problems: found, ...rest } = await direct.check({
      readData,
      onProblem: this.#add,
      onProgress: (progress) => { onProgress?.(checkProgress(progress)); },
      ...(signal === undefined ? {} : { signal }),
    });
    assert(found === this.problems.length, 'each problem that a check counted was reported');
    return rest;
  }

  async #disk(disk: DiskPlace): Promise<CheckReport['counts']> {
    const parts: CheckedPart[] = [];
    const { onPart, onProgress } = this.#options;
    const counts = await checkDisk(disk, {
      opening: this.#location.options, readData: isWhole(this.#options), text: this.#location.text,
      problem: this.#add,
      locked: (error) => { this.errors.push(error); },
      part: (part) => {
        parts.push(part);
        onPart?.(part);
      },
      ...(onProgress === undefined ? {} : { progress: (progress) => { onProgress(progress); } }),
    });
    this.#addFromLayers();
    return { ...counts, parts };
  }

  /** What was named inside something: all of it is read. */
  async #tree(): Promise<CheckReport['counts']> {
    const counts: TreeCounts = { files: 0, directories: 0, bytes: 0 };
    const { signal, onProgress } = this.#options;
    await checkTree(await this.#location.node(), { content: true, counts, signal, problem: this.#add, ...(onProgress === undefined ? {} : { progress: () => { onProgress(counts); } }) });
    this.#addFromLayers();
    return { ...counts };
  }

  /** What layers met on the way, and nobody told. */
  #addFromLayers(): void {
    const told = new Set(this.problems.map(({ message }) => message));
    for (const problem of this.#location.problems()) if (!told.has(problem.message)) this.#add(problem);
  }
}

/**
 * Checks what an open location denotes. Damage is in the result, not thrown.
 * @throws {FormatError} when it is neither a repository, nor volumes, nor a disk, nor something inside them.
 * @throws {AbortedError} and when the check itself can't be made, such as a repository that is in use.
 */
export async function checkLocation(location: Location, options: CheckOptions = {}): Promise<CheckReport> {
  const check = new Check(location, options);
  const counts = await check.run();
  return { ok: check.problems.length === 0, problems: check.problems, errors: check.errors, counts };
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
