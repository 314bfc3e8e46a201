/**
 * Removes containers that no snapshot needs, beside writers and readers, without a lock and without a clock.
 *
 * 1. mark: which chunks do the manifests reach; 2. copy the needed chunks out of sparse containers; 3. put list n of condemned containers: from then on new sessions
 * store those chunks again; 4. wait until each session that may not know the list has ended; 5. mark the manifests that came since; what they need is reprieved;
 * 6. remove the rest. Until 6 nothing was taken away, and 6 removes only what no manifest can come to need: sessions that began before the list have ended, and those
 * that began after it do not refer to these containers. A collector that dies anywhere is finished by the next one.
 *
 * The index has one place for each chunk. One in a container that is gone, or condemned for good, counts for nothing: the chunk is looked for in all containers then. A chunk
 * that is in none ends the run before anything is condemned, if nobody condemned, decided or forgot anything while it was looked for: else the run looks again.
 */
import {
  AbortedError, BusyError, IntegrityError, NotFoundError, type ChunkIndex, type HoldfastError, type Limits, type ObjectStore, type World,
} from '../../core/index.ts';
import { containerPath, listContainers, type ContainerNumber, type ContainerRow } from '../containers/container.ts';
import { NumberSet } from '../containers/number-set.ts';
import type { Entry } from '../snapshots/entry.ts';
import { listManifests, listTombstones, readManifest } from '../snapshots/manifest.ts';
import type { MetadataStore } from '../snapshots/metadata-store.ts';
import type { RunFile } from '../sort/index.ts';
import type { CatchUp } from '../store/catch-up.ts';
import { MissingContainerError } from '../store/group-cache.ts';
import type { LocalStore } from '../store/local-store.ts';
import { listGenerations, readReprieved, removeStrays, writeCondemned, writeReprieved } from './condemned.ts';
import { evacuate, type Evacuation } from './evacuate.ts';
import { mark } from './mark.ts';
import { purgeIndex } from './purge.ts';
import { relocationsOf } from './relocate.ts';
import { keepSurvivors } from './survivors.ts';
import { searchAbsent, tallyIndex, type ContainerTest, type Tally } from './tally.ts';
import { openSessions, type FenceRules, type OpenSession } from './waiting.ts';

/** What a collector works with. */
export interface CollectorParts extends FenceRules {
  readonly world: World;
  readonly objects: ObjectStore;
  readonly limits: Limits;
  readonly index: ChunkIndex;
  /** Whether the index is the repository's own, so that it may be cleaned up. */
  readonly isIndexHeld: boolean;
  readonly store: LocalStore;
  readonly metadata: MetadataStore;
  readonly catchUp: CatchUp;
  /** Names of temporary files begin so. */
  readonly prefix: string;
  readonly signal?: AbortSignal;
}

/** How to collect. */
export interface CollectOptions {
  /** Say what would be done. Writes nothing but temporary files. */
  readonly dryRun?: boolean;
  /**
   * Share of stored bytes that may stay unused in containers that hold needed chunks too: the emptiest of them are rewritten until it is reached. 0 rewrites all that
   * hold anything unused, 1 none. Default 0.05.
   */
  readonly maxUnused?: number;
  /** How long to wait for sessions of other writers, milliseconds; then the next run goes on here. Default 0. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal;
  onProgress?(progress: CollectProgress): void;
}

/** How far a run is; `done` counts metadata chunks, chunks copied, milliseconds waited or containers removed. */
export interface CollectProgress {
  readonly phase: 'mark' | 'copy' | 'wait' | 'remove';
  readonly done: number;
  readonly total?: number;
}

/** What a run did, or with `dryRun` would do; bytes are stored bytes. */
export interface CollectReport {
  readonly dryRun: boolean;
  readonly containers: number;
  readonly bytes: number;
  readonly chunksReachable: number;
  /** Containers without a needed chunk, and sparse ones. */
  readonly containersDead: number;
  readonly containersSparse: number;
  readonly chunksCopied: number;
  /** Copied because the copy elsewhere can't be read. */
  readonly chunksRescued: number;
  readonly containersReprieved: number;
  readonly containersRemoved: number;
  readonly snapshotsRemoved: number;
  /** Bytes of removed containers less those of groups copied; with `dryRun` an estimate. */
  readonly bytesReclaimed: number;
  /** Sessions that the removal waits for; the next run goes on when they have ended. */
  readonly waitingFor: readonly OpenSession[];
}

/** What a run saw when it looked for what snapshots need. */
interface Seen {
  /** Of the lists; see {@link CatchUp.state}. */
  state: string;
  readonly manifests: Set<string>;
}

interface Plan {
  /** The newest list that it knows: it may become the next one, or none. */
  readonly generation: number;
  readonly dead: readonly ContainerRow[];
  readonly sparse: readonly ContainerRow[];
  /** All containers when the plan was made. */
  readonly rows: readonly ContainerRow[];
  readonly manifests: ReadonlySet<string>;
  readonly reachable: RunFile;
  /** Share of the sparse containers' bytes that is needed, an estimate. */
  readonly sparseLiveBytes: number;
}

const MAX_UNUSED = 0.05;
const ATTEMPTS = 5;
const POLL_MS = 200;

/** A container with needed chunks, and how many of its bytes are not needed: an estimate by the number of chunks. */
interface Partial {
  readonly row: ContainerRow;
  readonly unused: number;
}

/** The emptiest containers, as many as it takes: what is copied least brings most. */
function chooseSparse(partial: readonly Partial[], maxUnused: number): Pick<Plan, 'sparse' | 'sparseLiveBytes'> {
  let bytes = partial.reduce((sum, { row }) => sum + row.size, 0);
  let unused = partial.reduce((sum, one) => sum + one.unused, 0);
  const sparse: ContainerRow[] = [];
  let sparseLiveBytes = 0;
  const emptiest = partial.filter((one) => one.unused > 0).sort((a, b) => b.unused / b.row.size - a.unused / a.row.size);
  for (const one of emptiest) {
    if (maxUnused >= 1 || unused <= maxUnused * bytes) break;
    sparse.push(one.row);
    sparseLiveBytes += one.row.size - one.unused;
    unused -= one.unused;
    bytes -= one.unused;
  }
  return { sparse, sparseLiveBytes };
}

/** Something that snapshots need was not found; perhaps because others worked meanwhile. */
function isMissing(error: unknown): error is HoldfastError {
  return error instanceof NotFoundError || error instanceof MissingContainerError || error instanceof LossError;
}

/** Chunks of snapshots are in no container. */
class LossError extends IntegrityError {
  constructor(count: number) {
    super(`Collect garbage: snapshots need '${count}' chunks that are not stored; nothing was removed, run check`, { chunks: count });
  }
}

/** One run. The repository must not be used for anything else meanwhile by this process. */
export class Collector {
  readonly #parts: CollectorParts;
  readonly #options: CollectOptions;
  readonly #report = {
    containers: 0, bytes: 0, chunksReachable: 0, containersDead: 0, containersSparse: 0, chunksCopied: 0, chunksRescued: 0, containersReprieved: 0, containersRemoved: 0, snapshotsRemoved: 0, bytesReclaimed: 0,
  };
  #waitingFor: readonly OpenSession[] = [];
  #marks = 0;

  constructor(parts: CollectorParts, options: CollectOptions) {
    this.#parts = options.signal === undefined ? parts : { ...parts, signal: options.signal };
    this.#options = options;
  }

  /**
   * @throws {IntegrityError} snapshots need what is not there or can't be read: nothing is condemned then. @throws {BusyError} other collectors were always first.
   * @throws {AbortedError} what was begun stays to be finished by the next run.
   */
  async run(): Promise<CollectReport> {
    const { catchUp } = this.#parts;
    await catchUp.run();
    if (this.#options.dryRun === true) return this.#preview();
    await this.#sweep(); // what an earlier run decided
    if (await this.#decideAll(undefined)) {
      const known = await this.#condemn();
      if (known !== undefined) await this.#decideAll(known);
    }
    return { dryRun: false, ...this.#report, waitingFor: this.#waitingFor };
  }

  async #preview(): Promise<CollectReport> {
    const plan = await this.#steady((seen) => this.#plan(seen));
    try {
      const dead = plan.dead.reduce((sum, { size }) => sum + size, 0);
      const sparse = plan.sparse.reduce((sum, { size }) => sum + size, 0);
      return { dryRun: true, ...this.#report, bytesReclaimed: Math.max(0, Math.round(dead + sparse - plan.sparseLiveBytes)), waitingFor: [] };
    } finally {
      await plan.reachable.remove();
    }
  }

  #throwIfAborted(): void {
    if (this.#parts.signal?.aborted === true) throw new AbortedError();
  }

  /**
   * Does what fails when something is missing that snapshots need. When others condemned, decided or forgot anything meanwhile, it proves nothing, and it is done again.
   * @throws {IntegrityError} it is missing. @throws {BusyError} others were always first.
   */
  async #steady<T>(work: (seen: Seen) => Promise<T>): Promise<T> {
    const { catchUp } = this.#parts;
    for (let attempt = 1; ; attempt += 1) {
      const seen: Seen = { state: catchUp.state, manifests: new Set() };
      try {
        return await work(seen);
      } catch (error) {
        if (error instanceof BusyError) {
          await catchUp.run();
        } else {
          if (!isMissing(error)) throw error;
          if (!(await this.#hasChanged(seen))) throw error instanceof IntegrityError ? error : new IntegrityError(`Collect garbage: ${error.message}; nothing was removed, run check`, {}, error);
        }
        if (attempt === ATTEMPTS) throw new BusyError('Collect garbage: other processes collect and were always first; run it again');
      }
    }
  }

  /** Whether someone condemned or decided anything since, or one of these snapshots was forgotten. */
  async #hasChanged({ state, manifests }: Seen): Promise<boolean> {
    const { objects, catchUp } = this.#parts;
    await catchUp.run();
    if (catchUp.state !== state) return true;
    const there = new Set(await listManifests(objects));
    return [...manifests].some((id) => !there.has(id));
  }

  /** Marks from all manifests but the known ones; a damaged one ends the run, because nobody knows what it needs. Those that it read enter `manifests`. */
  async #mark(manifests: Set<string>, known?: ReadonlySet<string>): Promise<RunFile> {
    const { objects, limits, world, prefix, store, metadata, signal } = this.#parts;
    const roots = async function* roots(): AsyncIterable<Entry> {
      for (const id of await listManifests(objects)) {
        if (known?.has(id) === true) continue;
        try {
          const { root } = await readManifest(objects, id, limits);
          manifests.add(id);
          yield root;
        } catch (error) {
          if (!(error instanceof NotFoundError)) throw error; // a fence, or removed meanwhile
        }
      }
    };
    this.#marks += 1;
    const { reachable } = await mark(roots(), {
      disk: world.disk, prefix: `${prefix}-mark${this.#marks}`, store, metadata, limits, ...(signal === undefined ? {} : { signal }),
      onProgress: ({ metadataRead }) => { this.#options.onProgress?.({ phase: 'mark', done: metadataRead }); },
    });
    return reachable;
  }

  /** Whether what is in a container counts: it is there, and may stay. */
  async #countingContainers(): Promise<ContainerTest> {
    const { objects, catchUp } = this.#parts;
    const there = new NumberSet();
    for (const { number } of await listContainers(objects)) there.add(number);
    return (high, low) => there.has(high, low) && !catchUp.isDoomed(high, low);
  }

  /** Counts what is reachable by container. @throws {LossError} */
  async #tally(reachable: RunFile): Promise<Tally> {
    const { index } = this.#parts;
    let counts = await this.#countingContainers();
    let { tally, found } = await tallyIndex(index, reachable, counts);
    if (found !== reachable.count) {
      await searchAbsent(this.#parts, reachable, counts);
      counts = await this.#countingContainers();
      ({ tally, found } = await tallyIndex(index, reachable, counts));
    }
    if (found !== reachable.count) throw new LossError(reachable.count - found);
    return tally;
  }

  async #plan(seen: Seen): Promise<Plan> {
    const { objects, catchUp } = this.#parts;
    seen.state = catchUp.state;
    // A number that was decided is never used again, even if its list was lost.
    const generation = Math.max(catchUp.generation, ...await listGenerations(objects, 'reprieved'));
    const open = await openSessions(this.#parts);
    const youngest = Math.min(...open.map(({ modified }) => modified));
    const rows = (await listContainers(objects)).filter(({ number }) => !catchUp.dead.has(number.high, number.low));
    const reachable = await this.#mark(seen.manifests);
    try {
      await catchUp.run(); // manifests may have come since the last time, and what they need was stored before them
      const tally = await this.#tally(reachable);
      const dead: ContainerRow[] = [];
      const partial: Partial[] = [];
      for (const row of rows) {
        const { live = 0, indexed = 0 } = tally.of(row.number) ?? {};
        // A session under way needs what it has stored: that it would be reprieved is certain, so it is not even listed.
        if (live === 0 && row.modified < youngest) dead.push(row);
        else if (live > 0) partial.push({ row, unused: row.size * (1 - live / indexed) });
      }
      const plan = { generation, dead, ...chooseSparse(partial, this.#options.maxUnused ?? MAX_UNUSED) };
      Object.assign(this.#report, {
        containers: rows.length, bytes: rows.reduce((sum, { size }) => sum + size, 0), chunksReachable: reachable.count,
        containersDead: plan.dead.length, containersSparse: plan.sparse.length,
      });
      return { ...plan, rows, manifests: seen.manifests, reachable };
    } catch (error) {
      await reachable.remove();
      throw error;
    }
  }

  /** Steps 1 to 3. @returns the manifests that were marked; undefined when there is nothing to remove, or sessions are in the way of what others condemned. */
  #condemn(): Promise<ReadonlySet<string> | undefined> {
    const { catchUp } = this.#parts;
    return this.#steady(async (seen) => {
      // What others condemned is decided first: a plan must not count on a container that may go.
      if (catchUp.undecided.length > 0 && !(await this.#decideAll(undefined))) return undefined;
      const plan = await this.#plan(seen);
      try {
        return await this.#carryOut(plan);
      } finally {
        await plan.reachable.remove();
      }
    });
  }

  /** Copies, and puts the list. @throws {BusyError} another collector put one: plan again in the knowledge of it. */
  async #carryOut(plan: Plan): Promise<ReadonlySet<string> | undefined> {
    const { world, objects, catchUp, store } = this.#parts;
    const containers = [...plan.dead, ...plan.sparse].map(({ number }) => number);
    if (containers.length === 0) return undefined;
    const before = store.totals.storedBytes.data + store.totals.storedBytes.metadata;
    // First: afterwards the index names the copy that can be read, and that one is moved.
    this.#report.chunksRescued += await keepSurvivors(this.#parts, containers, plan.reachable);
    const copied = await this.#evacuate(plan);
    this.#report.chunksCopied += copied.chunks;
    this.#report.bytesReclaimed -= store.totals.storedBytes.data + store.totals.storedBytes.metadata - before;
    const generation = plan.generation + 1; // taken, if this process has learned of another list meanwhile
    const staying = new NumberSet();
    for (const { number } of plan.rows) staying.add(number);
    for (const number of containers) staying.delete(number);
    this.#throwIfAborted();
    await writeCondemned(world, objects, { generation, containers }, relocationsOf(this.#parts, containers, staying));
    await catchUp.run();
    return plan.manifests;
  }

  async #evacuate(plan: Plan): Promise<Evacuation> {
    const sparse = new NumberSet();
    for (const { number } of plan.sparse) sparse.add(number);
    return evacuate(this.#parts, sparse, plan.reachable, (done) => { this.#options.onProgress?.({ phase: 'copy', done: done.chunks }); });
  }

  /** Steps 4 to 6 for all lists that are not decided. @returns false when sessions are in the way. */
  async #decideAll(known: ReadonlySet<string> | undefined): Promise<boolean> {
    const { catchUp } = this.#parts;
    const lists = [...catchUp.undecided].sort((a, b) => a.generation - b.generation);
    for (const { generation } of lists) {
      if (!(await this.#waitFor(generation))) return false;
      await this.#decide(generation, known);
    }
    if (lists.length > 0 || known !== undefined) await this.#sweep();
    return true;
  }

  /** Until no session is left that may refer to containers of a list. */
  async #waitFor(generation: number): Promise<boolean> {
    const { world } = this.#parts;
    const deadline = world.now() + (this.#options.waitMs ?? 0);
    for (;;) {
      this.#throwIfAborted();
      const open = await openSessions(this.#parts);
      this.#waitingFor = open.filter(({ epoch }) => epoch < generation);
      if (this.#waitingFor.length === 0) return true;
      const left = deadline - world.now();
      if (left <= 0) return false;
      this.#options.onProgress?.({ phase: 'wait', done: this.#waitingFor.length });
      await world.sleep(Math.min(POLL_MS, left), this.#parts.signal);
    }
  }

  /** Looks what manifests need that came since the mark; `known` were in it. */
  async #decide(generation: number, known: ReadonlySet<string> | undefined): Promise<void> {
    const { objects, catchUp } = this.#parts;
    const reprieved = await this.#steady((seen) => this.#neededOf(generation, seen, known));
    if (reprieved === undefined) return; // another collector decided it
    try {
      await writeReprieved(objects, generation, reprieved);
    } catch (error) {
      if (!(error instanceof BusyError)) throw error; // another collector decided it: what it says counts
    }
    this.#report.containersReprieved += (await readReprieved(objects, generation, this.#parts.limits)).length;
    await catchUp.run();
  }

  /** Containers of a list that hold what snapshots need; undefined when the list was decided meanwhile. */
  async #neededOf(generation: number, seen: Seen, known: ReadonlySet<string> | undefined): Promise<readonly ContainerNumber[] | undefined> {
    const { catchUp } = this.#parts;
    seen.state = catchUp.state;
    const reachable = await this.#mark(seen.manifests, known);
    try {
      await catchUp.run(); // containers of those manifests, which may have come a moment ago
      const list = catchUp.undecided.find((one) => one.generation === generation);
      if (list === undefined) return undefined;
      const tally = await this.#tally(reachable);
      return list.containers.filter((number) => (tally.of(number)?.live ?? 0) > 0 && catchUp.dead.has(number.high, number.low));
    } finally {
      await reachable.remove();
    }
  }

  /** Step 6: forgotten snapshots first, then containers of decided lists, the youngest first; then the index forgets them. */
  async #sweep(): Promise<void> {
    const { objects, catchUp } = this.#parts;
    await this.#removeForgotten();
    await removeStrays(objects, catchUp.lists);
    const doomed = await this.#doomed();
    // Another collector may have been killed between writing a list and making it durable: what goes because of it must not outlive it.
    if (doomed.length > 0) await objects.settle(['condemned', 'reprieved'].map((directory) => `${directory}/${String(catchUp.generation).padStart(8, '0')}`));
    for (const [done, { number, size }] of doomed.entries()) {
      this.#throwIfAborted();
      this.#options.onProgress?.({ phase: 'remove', done, total: doomed.length });
      await objects.remove(containerPath(number));
      this.#report.containersRemoved += 1;
      this.#report.bytesReclaimed += size;
    }
    if (doomed.length === 0) return;
    await catchUp.run();
    if (this.#parts.isIndexHeld) await purgeIndex(this.#parts);
  }

  async #doomed(): Promise<readonly ContainerRow[]> {
    const { objects, catchUp } = this.#parts;
    const rows = (await listContainers(objects)).filter(({ number }) => catchUp.isDoomed(number.high, number.low));
    return rows.sort((a, b) => b.modified - a.modified);
  }

  /**
   * A manifest goes before its tombstone: a crash in between must not bring the snapshot back. Its session, where a writer could not remove it, goes before
   * the manifest that says that it ended.
   */
  async #removeForgotten(): Promise<void> {
    const { objects } = this.#parts;
    for (const id of await listTombstones(objects)) {
      this.#throwIfAborted();
      await objects.remove(`sessions/${id}`);
      await objects.remove(`manifests/${id}`);
      await objects.remove(`tombstones/${id}`);
      this.#report.snapshotsRemoved += 1;
    }
  }
}
