/**
 * `check`: looks at every object, every index entry and all that snapshots need, and says what is wrong and where. Changes nothing but `cache/verified`.
 *
 * Levels: structure and existence always; with `readData` payloads are read, decrypted and decompressed, and each chunk is compared with its id. Memory is
 * bounded by containers and damage, not by chunks or files: snapshots are verified by sorting, and only when something is wrong their trees are
 * walked to name the files.
 */
import {
  AbortedError, type ChunkIndex, type Disk, type Limits, type ObjectStore, type World,
} from '../../core/index.ts';
import { containerPath, listContainers, numberOf, type ContainerRow } from '../containers/container.ts';
import { listManifests, listTombstones } from '../snapshots/manifest.ts';
import type { MetadataStore } from '../snapshots/metadata-store.ts';
import { IndexAheadError, type CatchUp } from '../store/catch-up.ts';
import type { LocalStore } from '../store/local-store.ts';
import { ContainerCheck } from './container-check.ts';
import { DamagedPlaces } from './damaged-places.ts';
import { FileFinder } from './file-finder.ts';
import { IndexPrints } from './index-prints.ts';
import { checkObjects } from './object-check.ts';
import { problemSink, type CheckProblem, type ProblemSink } from './problem.ts';
import { checkSelection, selectContainers, type ReadSelection } from './selection.ts';
import { checkSnapshots, type SnapshotVerdict } from './snapshot-check.ts';
import { readVerified, writeVerified } from './verified.ts';

/** What a check is doing; `done` and `total` count objects of the phase: index entries, containers, metadata chunks (no total), snapshots. */
export interface CheckProgress {
  readonly phase: 'objects' | 'index' | 'containers' | 'snapshots' | 'files';
  readonly done: number;
  readonly total?: number;
}

/** How often snapshots are looked at again because others worked meanwhile. */
const SNAPSHOT_ATTEMPTS = 5;
/** Looks at an index that seems to be wrong before it is called so. */
const LOOKS = 2;

/** How deep to look. */
export interface CheckOptions {
  /** Read, decrypt, decompress and hash: everything, or the containers that a selection picks. */
  readonly readData?: boolean | ReadSelection;
  readonly signal?: AbortSignal;
  onProblem(problem: CheckProblem): void;
  onProgress?(progress: CheckProgress): void;
}

/** What was looked at. `ok` only when nothing was wrong. */
export interface CheckReport {
  readonly ok: boolean;
  readonly problems: number;
  readonly containers: number;
  readonly groups: number;
  readonly chunks: number;
  readonly snapshots: number;
  /** Entries of files; what snapshots share counts once. */
  readonly files: number;
  readonly chunksReachable: number;
  readonly metadataRead: number;
  /** Containers that were read, and raw bytes of theirs that were compared with ids. */
  readonly containersRead: number;
  readonly bytesRead: number;
  /** When the container that was read longest ago was read, milliseconds since 1970; null while one never was. */
  readonly verifiedSince: number | null;
  /** Milliseconds by phase. */
  readonly times: Readonly<Partial<Record<CheckProgress['phase'], number>>>;
}

/** What a check works with. */
export interface CheckParts {
  readonly world: World;
  readonly objects: ObjectStore;
  /** The same as they are stored, sealed if so. */
  readonly stored: ObjectStore;
  readonly limits: Limits;
  readonly index: ChunkIndex;
  readonly store: LocalStore;
  readonly metadata: MetadataStore;
  readonly catchUp: CatchUp;
  /** Where temporary files go; names begin with `prefix`. */
  readonly scratch: { readonly disk: Disk; readonly prefix: string };
}

/** Containers that a repair has to look at. */
export interface CheckFindings {
  readonly places: DamagedPlaces;
  readonly damaged: readonly ContainerRow[];
  readonly unindexed: readonly ContainerRow[];
}

/** One run. */
export class Check {
  readonly #parts: CheckParts;
  readonly #options: CheckOptions;
  readonly #selection: ReadSelection | undefined;
  readonly #report: ProblemSink;
  readonly #places = new DamagedPlaces();
  readonly #prints = new IndexPrints();
  readonly #damaged: ContainerRow[] = [];
  readonly #unindexed: ContainerRow[] = [];
  readonly #times: Partial<Record<CheckProgress['phase'], number>> = {};
  #problems = 0;
  #containersRead = 0;
  #verifiedSince: number | null = null;

  /** @throws {UsageError} on a selection that picks nothing. */
  constructor(parts: CheckParts, options: CheckOptions) {
    const { readData = false } = options;
    this.#parts = parts;
    this.#options = options;
    this.#selection = readData === true ? 'all' : readData === false ? undefined : readData;
    if (this.#selection !== undefined) checkSelection(this.#selection);
    const sink = problemSink((problem) => { this.#problems += 1; options.onProblem(problem); });
    this.#report = (kind, where, cause) => {
      if (cause instanceof AbortedError) throw cause;
      sink(kind, where, cause);
    };
  }

  /** For a repair, after `run`. */
  get findings(): CheckFindings {
    return { places: this.#places, damaged: this.#damaged, unindexed: this.#unindexed };
  }

  /** @throws {AbortedError} @throws {ToolError} no room for temporary files. */
  async run(): Promise<CheckReport> {
    const rows = await this.#listed();
    await this.#phase('objects', () => this.#objects());
    await this.#phase('index', () => this.#index());
    const containers = await this.#phase('containers', () => this.#containers(rows));
    let before = await this.#moment();
    let snapshots = await this.#phase('snapshots', () => this.#snapshots());
    for (let attempt = 1; !snapshots.isSound && this.#problems === 0 && attempt < SNAPSHOT_ATTEMPTS; attempt += 1) {
      // What seems to be missing may have been moved, or be of a snapshot that was forgotten: it proves nothing unless all stood still.
      const after = await this.#moment();
      if (attempt > 1 && after === before) break;
      before = after;
      snapshots = await this.#phase('snapshots', () => this.#snapshots());
    }
    if (!snapshots.isSound) await this.#phase('files', () => this.#nameFiles());
    const { isSound: _, ...counts } = snapshots;
    const { groups, chunks, bytesRead } = containers;
    return {
      ok: this.#problems === 0, problems: this.#problems, containers: rows.length, groups, chunks, ...counts,
      containersRead: this.#containersRead, bytesRead, verifiedSince: this.#verifiedSince, times: this.#times,
    };
  }

  async #phase<T>(phase: CheckProgress['phase'], run: () => Promise<T>): Promise<T> {
    const begun = this.#parts.world.now();
    this.#progress(phase, 0);
    const result = await run();
    this.#times[phase] = this.#parts.world.now() - begun;
    return result;
  }

  #progress(phase: CheckProgress['phase'], done: number, total?: number): void {
    if (this.#options.signal?.aborted === true) throw new AbortedError();
    this.#options.onProgress?.({ phase, done, ...(total === undefined ? {} : { total }) });
  }

  /** What others may have changed: lists of condemned containers, and snapshots. */
  async #moment(): Promise<string> {
    await this.#refresh();
    return `${this.#parts.catchUp.state} ${(await listManifests(this.#parts.objects)).join()}`;
  }

  /** Listed before the index catches up: what is in the list is then in the index. */
  async #listed(): Promise<readonly ContainerRow[]> {
    const { objects, catchUp } = this.#parts;
    const rows = await listContainers(objects);
    await catchUp.run().catch((error: unknown) => {
      if (!(error instanceof IndexAheadError)) throw error;
      this.#report('damaged-index', 'index', error);
    });
    return rows.filter(({ number }) => !catchUp.isDoomed(number.high, number.low));
  }

  async #objects(): Promise<void> {
    const { objects, stored, limits, catchUp } = this.#parts;
    const forgotten = new Set((await listTombstones(objects)).map((id) => `manifests/${id}`));
    const isDoomed = (name: string): boolean => {
      const [, high = '', low = ''] = /^containers\/..\/([0-9a-f]{8})([0-9a-f]{8})\.hfc$/.exec(name) ?? [];
      return forgotten.has(name) || (high !== '' && catchUp.isDoomed(parseInt(high, 16), parseInt(low, 16)));
    };
    await checkObjects({ objects, stored, limits, report: this.#report, isDoomed }, this.#selection !== undefined);
  }

  async #index(): Promise<void> {
    const { index } = this.#parts;
    const total = await index.count();
    let done = 0;
    try {
      for await (const { ids, places } of index.scan()) {
        this.#prints.add(ids.bytes, places, ids.count);
        done += ids.count;
        this.#progress('index', done, total);
      }
    } catch (error) {
      this.#report('damaged-index', 'index', error);
    }
  }

  async #containers(rows: readonly ContainerRow[]): Promise<ContainerCheck> {
    const { world, scratch } = this.#parts;
    for (const { number } of rows) this.#places.addPresent(number);
    const verified = await readVerified(world.disk);
    const wanted = this.#selection === undefined ? [] : selectContainers(rows, this.#selection, verified);
    const isWanted = new Set(wanted.map(({ number }) => number.text));
    const check = new ContainerCheck({ ...this.#parts, prints: this.#prints, places: this.#places, report: this.#report });
    const gone: ContainerRow[] = [];
    const suspects: ContainerRow[] = [];
    for (const [done, row] of rows.entries()) {
      this.#progress('containers', done, rows.length);
      const isRead = isWanted.has(row.number.text);
      const verdict = await check.check(row, isRead);
      if (verdict === 'gone') gone.push(row);
      if (verdict === 'damaged') this.#damaged.push(row);
      if (verdict === 'suspect') suspects.push(row);
      if (isRead) this.#containersRead += 1;
      if (isRead && (verdict === 'sound' || verdict === 'suspect')) verified.set(row.number.text, world.now());
      else if (verdict === 'damaged') verified.delete(row.number.text);
    }
    await this.#compareAgain(check, suspects);
    await this.#dangling(gone);
    const times = rows.map(({ number }) => verified.get(number.text));
    this.#verifiedSince = times.includes(undefined) || times.length === 0 ? null : Math.min(...times as number[]);
    if (this.#containersRead > 0 && scratch.disk === world.disk) await writeVerified(world, scratch.prefix, rows, verified);
    return check;
  }

  /** The index may have changed between the look at it and that at a container, here by catching up or on disk by its holder: only what is seen again and again is damage. */
  async #compareAgain(check: ContainerCheck, rows: readonly ContainerRow[]): Promise<void> {
    let suspects = rows;
    for (let look = 1; suspects.length > 0 && look <= LOOKS; look += 1) {
      await this.#refresh();
      const prints = new IndexPrints();
      for await (const { ids, places } of this.#parts.index.scan()) prints.add(ids.bytes, places, ids.count);
      const rest: ContainerRow[] = [];
      for (const row of suspects) {
        if (this.#parts.catchUp.isDoomed(row.number.high, row.number.low)) continue;
        if (!(await check.compareAgain(row, prints, look === LOOKS))) rest.push(row);
      }
      suspects = rest;
    }
    this.#unindexed.push(...suspects);
  }

  /** Entries of the index must name containers that exist, unless a collector took them meanwhile. */
  async #dangling(gone: readonly ContainerRow[]): Promise<void> {
    const { objects, catchUp } = this.#parts;
    const later = new Set((await listContainers(objects)).map(({ number }) => number.text));
    await this.#refresh(); // a list says why one is not there any more
    const removed = new Set(gone.map(({ number }) => number.text));
    for (const { high, low, print } of this.#prints.all()) {
      const { text } = numberOf(high, low);
      if (this.#places.isPresent(high, low) && !removed.has(text)) continue;
      if (catchUp.dead.has(high, low)) continue;
      if (later.has(text)) this.#places.addPresent(numberOf(high, low)); // it came after the list
      else this.#report('missing-container', `container ${text}`, `The index has ${print.count} chunks in it, but the object '${containerPath(numberOf(high, low))}' is gone`);
    }
  }

  async #snapshots(): Promise<SnapshotVerdict> {
    const { objects, scratch } = this.#parts;
    const { signal } = this.#options;
    const ids = await listManifests(objects);
    await this.#refresh(); // what their manifests need was stored before them
    return checkSnapshots({
      ...this.#parts, ...scratch, places: this.#places, report: this.#report, ...(signal === undefined ? {} : { signal }),
      onProgress: ({ metadataRead }) => { this.#progress('snapshots', metadataRead); },
    }, ids);
  }

  async #refresh(): Promise<void> {
    const { objects, catchUp } = this.#parts;
    await catchUp.run().catch((error: unknown) => { if (!(error instanceof IndexAheadError)) throw error; });
    for (const { number } of await listContainers(objects)) this.#places.addPresent(number);
  }

  async #nameFiles(): Promise<void> {
    const { objects } = this.#parts;
    const { signal } = this.#options;
    const before = this.#problems;
    await this.#refresh();
    const finder = new FileFinder({ ...this.#parts, places: this.#places, report: this.#report, refresh: () => this.#refresh(), ...(signal === undefined ? {} : { signal }) });
    const ids = await listManifests(objects);
    for (const [done, id] of ids.entries()) {
      this.#progress('files', done, ids.length);
      await finder.walk(id);
    }
    // Nothing may be wrong and without a name.
    if (this.#problems === before) this.#report('damaged-snapshots', 'snapshots', 'What they need does not fit together, and no file shows it: if a collector ran meanwhile, check again');
  }
}
