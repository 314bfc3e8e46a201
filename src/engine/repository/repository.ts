/** A repository: chunks, snapshots and what keeps them consistent, behind one door. */
import { hostname } from 'node:os';
import {
  defaultLimits, NotFoundError, UnsupportedError, UsageError,
  type ChunkIndex, type ChunkPlace, type FileTree, type Limits, type ObjectStore, type ProbeVerdict, type World,
} from '../../core/index.ts';
import type { CheckOptions, CheckReport } from '../check/check.ts';
import { listContainers } from '../containers/container.ts';
import type { ReplayReport } from '../containers/replay.ts';
import { Collector, type CollectOptions, type CollectReport } from '../gc/collector.ts';
import { SealedObjects, listSlots, type Credential, type KeyProblem, type SlotRow, type Vault } from '../crypto/index.ts';
import { createHasher } from '../hashing/hasher.ts';
import { timedIndex, type IndexKind, type TimeLookup } from '../index/index.ts';
import { Feeder } from '../ingest/feeder.ts';
import { Ingest } from '../ingest/ingest.ts';
import { Slab } from '../ingest/slab.ts';
import { DiskObjects, STAGING_DIRECTORY } from '../objects/index.ts';
import { ProtectedObjects } from '../parity/index.ts';
import { healObjects, type RepairAction } from '../repair/heal-objects.ts';
import type { RepairOptions, RepairReport } from '../repair/repair.ts';
import type { ContentParts } from '../snapshots/content-reader.ts';
import {
  readManifest, readManifests, resolveManifest, writeManifest, writeTombstone, type DamagedManifest, type Manifest, type SnapshotCounts, type SnapshotInfo,
} from '../snapshots/manifest.ts';
import { MetadataStore } from '../snapshots/metadata-store.ts';
import { SnapshotTree } from '../snapshots/snapshot-tree.ts';
import type { CatchUp } from '../store/catch-up.ts';
import { IncomingGroups } from '../store/incoming-groups.ts';
import { LocalStore } from '../store/local-store.ts';
import { Arena } from '../workers/arena.ts';
import { WorkerPool } from '../workers/pool.ts';
import { checkParts, repairParts } from './checking.ts';
import { checkEmpty, layOut, makeConfig, probeConfig, readConfig, writeConfig, type RepositoryChoices, type RepositoryConfig } from './config.ts';
import { RepositoryKeys, checkNewestRing, createVault, openVault } from './encryption.ts';
import { openCurrentIndex, rebuildIndex, type CurrentIndex } from './current-index.ts';
import { readHistory } from './history.ts';
import type { ServedParts } from './served.ts';
import { Session } from './session.ts';
import type { BackupOptions, BackupResult, RepositoryStatistics, SnapshotStore } from './snapshot-store.ts';
import { WriterLock, cacheIdentity } from './writer.ts';

/** How to open. */
export interface OpenOptions {
  /** `read` writes nothing but caches that are not beside the objects. Any number of processes may write and read at once. */
  readonly mode: 'read' | 'write';
  /** Where the objects are, if not beside the caches of the world's disk. The repository does not close it. */
  readonly objects?: ObjectStore;
  /** What may open an encrypted repository; not for one that is not. The caller may overwrite the secrets once it is open. */
  readonly credentials?: readonly Credential[];
  readonly index?: IndexKind;
  /** Worker threads; 0 runs everything on this thread. Default: one per core. */
  readonly workers?: number;
  readonly limits?: Limits;
  /** Times lookups of the chunk index, for metrics. */
  readonly timeLookup?: TimeLookup;
  /** Sentences for people: index rebuilt, fallback used, damage met while opening. */
  onNote?(text: string): void;
  /** Called at the end of `close`: whoever opened `objects` for this repository alone closes them here. */
  onClose?(): Promise<void>;
}

interface Parts {
  readonly world: World;
  /** As they are stored; `objects` keeps their parity. */
  readonly stored: ObjectStore;
  readonly objects: ObjectStore;
  readonly config: RepositoryConfig;
  readonly limits: Limits;
  readonly arena: Arena;
  readonly scratch: number;
  readonly pool: WorkerPool;
  readonly index: ChunkIndex;
  readonly isIndexHeld: boolean;
  readonly catchUp: CatchUp;
  readonly store: LocalStore;
  readonly metadata: MetadataStore;
  note(text: string): void;
  /** Of whoever writes, be it only caches that are not beside the objects. */
  readonly lock: WriterLock | undefined;
  readonly isWriter: boolean;
  onClose(): Promise<void>;
  /** Of an encrypted repository. */
  readonly vault: Vault | undefined;
  forgetLost(isLost: (place: ChunkPlace) => boolean): Promise<void>;
}

/** Of containers that are kept in memory until they were sent: three of data and one of metadata may be under way. */
const SENT_CONTAINER_BYTES = 16 << 20;

/** Clocks of two machines may differ by this much without a word. */
const CLOCK_SKEW_MS = 300_000;

/** An open repository. Close it: only then are caches written and threads ended. */
export class Repository implements SnapshotStore {
  readonly config: RepositoryConfig;
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.config = parts.config;
  }

  /** Whether there is a repository in this world. */
  static probe(world: World, objects: ObjectStore = localObjects(world)): Promise<ProbeVerdict> {
    return probeConfig(objects);
  }

  /** What a repository says about itself; needs no key. @throws {NotFoundError} @throws {UnsupportedError} @throws {IntegrityError} */
  static parameters(world: World, objects: ObjectStore = localObjects(world)): Promise<RepositoryConfig> {
    return readConfig(objects);
  }

  /**
   * Makes a repository and opens it for writing. Durable when it resolves.
   * @throws {BusyError} when the place is not empty. @throws {UsageError} on parameters out of range.
   */
  static async create(world: World, choices: RepositoryChoices = {}, options: Omit<OpenOptions, 'mode' | 'credentials'> = {}): Promise<Repository> {
    await Repository.establish(world, choices, options);
    const credentials = (choices.encryption?.slots ?? []).map(({ credential }) => credential);
    return Repository.open(world, { ...options, mode: 'write', credentials });
  }

  /**
   * Makes a repository and does not open it: with `objects` elsewhere nothing of the world's disk is touched. Durable when it resolves.
   * @throws as {@link create}.
   */
  static async establish(world: World, choices: RepositoryChoices, options: Pick<OpenOptions, 'objects' | 'limits'> = {}): Promise<RepositoryConfig> {
    const config = makeConfig(world, choices);
    const limits = options.limits ?? defaultLimits;
    const objects = new ProtectedObjects(options.objects ?? localObjects(world), { percent: 0, limits, note: () => undefined }); // a repair adds what is missing
    if (options.objects === undefined) await layOut(world, objects);
    else await checkEmpty(objects);
    await createVault({ objects, world, repository: config.id, limits }, config, choices);
    await writeConfig(objects, config);
    return config;
  }

  /**
   * @throws {NotFoundError} no repository. @throws {UnsupportedError} a newer layout. @throws {UsageError} it is encrypted and no credential opens it,
   * or it is not and one is given.
   */
  static async open(world: World, options: OpenOptions): Promise<Repository> {
    const config = await readConfig(options.objects ?? localObjects(world));
    const limits = options.limits ?? defaultLimits;
    const note = (text: string): void => { options.onNote?.(text); };
    const isWriter = options.mode === 'write';
    const lock = isWriter || options.objects !== undefined ? await WriterLock.take(world, await cacheIdentity({ world, ...(options.objects === undefined ? {} : { objects: options.objects }) })) : undefined;
    let opened: CurrentIndex | undefined;
    let vault: Vault | undefined;
    try {
      const stored = options.objects ?? new DiskObjects(world, lock?.writer.id ?? READER);
      // Who created them may have been killed before they were durable; a key that is lost takes with it what is sealed from now on.
      if (isWriter) await stored.settle(config.encryption === 'none' ? ['config'] : ['config', 'keys/ring']);
      const safe = new ProtectedObjects(stored, { percent: config.parity ?? 0, limits, note });
      vault = await openVault({ objects: safe, world, repository: config.id, limits }, config, options.credentials ?? []);
      const objects = vault === undefined ? safe : new SealedObjects(safe, vault, limits);
      if (isWriter && vault !== undefined) await checkNewestRing(vault, safe);
      const arena = new Arena(LocalStore.arenaBytes(limits) + Slab.arenaBytes() + Feeder.scratchBytes() + IncomingGroups.arenaBytes(limits));
      const scratch = arena.reserve(Feeder.scratchBytes());
      opened = await openCurrentIndex({ world, objects, limits, hash: config.hash, note, ...(lock === undefined ? {} : { writer: lock.writer.id }) }, options.index ?? 'auto');
      const { filter, catchUp, isHeld, forgetLost } = opened;
      const index = options.timeLookup === undefined ? opened.index : timedIndex(opened.index, options.timeLookup);
      const idKey = vault?.idKey;
      const pool = await WorkerPool.create({ memory: arena.memory, hash: config.hash, ...(idKey === undefined ? {} : { idKey: idKey.slice() }) }, options.workers);
      const store = new LocalStore({
        world, objects, ...((await objects.capabilities()).remote ? { containerBytes: SENT_CONTAINER_BYTES } : {}), index, filter, arena, pool, limits, hash: config.hash, level: config.level, catchUp, note,
        repository: new Uint8Array(Buffer.from(config.id.slice(0, 16), 'hex')), ...(vault === undefined ? {} : { vault }),
      });
      const metadata = new MetadataStore(store, await createHasher(config.hash, idKey));
      return new Repository({
        world, stored, objects, config, limits, arena, scratch, pool, index, isIndexHeld: isHeld, catchUp, store, metadata, note, lock, isWriter, vault, forgetLost, onClose: async () => options.onClose?.(),
      });
    } catch (error) {
      vault?.close();
      await opened?.index.close().catch(() => undefined); // the first error counts
      await lock?.release();
      throw error;
    }
  }

  get id(): string {
    return this.config.id;
  }

  get format(): number {
    return this.config.version;
  }

  /** Directory of this host that holds the repository, or only its caches when its objects are elsewhere. Undefined without one. */
  get directory(): string | undefined {
    return this.#parts.world.disk.nativePath('');
  }

  /** The chunks themselves, for integrators and daemons. */
  get store(): LocalStore {
    return this.#parts.store;
  }

  /** What a wire server works with. @throws {UsageError} opened for reading. */
  served(): ServedParts {
    const { lock, isWriter, vault } = this.#parts;
    if (lock === undefined || !isWriter) throw new UsageError('Serve a repository: it was opened for reading');
    return { ...this.#parts, writer: lock.writer, ...(vault === undefined ? {} : { idKey: vault.idKey }) };
  }

  /**
   * All snapshots, oldest first. With `onDamaged`, manifests that can't be used go there and the rest is returned.
   * @throws {IntegrityError} and others, without `onDamaged`: nothing is left out silently.
   */
  async snapshots(onDamaged?: DamagedManifest): Promise<readonly SnapshotInfo[]> {
    const all = await readManifests(this.#parts.objects, this.#parts.limits, onDamaged);
    return all.map(withoutRoot).sort((a, b) => a.time - b.time);
  }

  /**
   * Finds `latest`, an id or a unique prefix. With damaged manifests, `latest` is the latest of the others, and a note says so.
   * @throws {NotFoundError} @throws {UsageError} ambiguous.
   */
  async resolveSnapshot(text: string): Promise<SnapshotInfo> {
    const { world, objects, limits, note } = this.#parts;
    const manifest = await resolveManifest(objects, text, limits, (id, error) => { note(`Snapshot ${id.slice(0, 12)} can't be used: ${error.message}`); });
    if (text === 'latest' && manifest.time > world.now() + CLOCK_SKEW_MS) {
      note(`Snapshot ${manifest.id.slice(0, 12)}, the latest, is dated '${Math.round((manifest.time - world.now()) / 1000)}' seconds in the future: a clock was wrong; name snapshots by id`);
    }
    return withoutRoot(manifest);
  }

  /** The files of a snapshot. Valid until the repository is closed. */
  async openSnapshot(id: string): Promise<FileTree> {
    return this.#tree(await readManifest(this.#parts.objects, id, this.#parts.limits));
  }

  /**
   * Stores a tree as a new snapshot. Entries that can't be read are reported and left out.
   * @throws {AbortedError} @throws {ToolError} disk full, …: then there is no snapshot, and the repository is as good as before.
   */
  async backup(tree: FileTree, options: BackupOptions): Promise<BackupResult> {
    const { world, objects, catchUp, lock, isWriter } = this.#parts;
    if (lock === undefined || !isWriter) throw new UsageError('Back up: the repository was opened for reading');
    const time = world.now();
    const session = await Session.begin(world, objects, catchUp, { writer: lock.writer, purpose: 'backup' });
    try {
      // What a backup that failed before has stored may be gone by now: nothing counts as under way that this session did not begin.
      await this.#parts.store.flush();
      return await this.#store(tree, options, { id: session.id, time });
    } finally {
      await session.end();
    }
  }

  async #store(tree: FileTree, options: BackupOptions, snapshot: { readonly id: string; readonly time: number }): Promise<BackupResult> {
    const { objects, store, config } = this.#parts;
    const host = options.host ?? hostname();
    const { parent, chunking, record } = await readHistory(this.#parts, { ...options, host });
    let problems = 0;
    const before = structuredClone(store.totals);
    const ingest = new Ingest({
      ...this.#parts, tree, slabs: this.#slabs(),
      chunking,
      ...(parent === undefined ? {} : { parent }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      onProblem: (problem) => { problems += 1; options.onProblem?.(problem); },
      onProgress: (counts, path) => {
        options.onProgress?.({ files: counts.files, bytes: counts.bytes, bytesNew: counts.bytesNew, bytesStored: this.#storedSince(before), currentPath: path });
      },
    });
    const root = await ingest.run();
    await store.flush();
    const { files, directories, others, bytes, bytesNew, chunks, chunksNew, unchanged } = ingest.counts;
    const counts: SnapshotCounts = { files, directories, others, bytes, bytesNew, bytesStored: this.#storedSince(before), chunks, chunksNew, problems };
    await writeManifest(objects, {
      ...snapshot, host, sources: options.sources, tags: options.tags ?? [], counts,
      parameters: { hash: config.hash, algorithm: config.fastcdc.algorithm, minBytes: config.fastcdc.minBytes, averageBytes: config.fastcdc.averageBytes, maxBytes: config.fastcdc.maxBytes, fixedBlockBytes: config.fixedBlockBytes, ...record(ingest.counts.classes) },
      ...(parent === undefined ? {} : { parent: parent.id }),
    }, root);
    return {
      ...counts, snapshot: snapshot.id, bytesIn: bytes, metadataBytesNew: store.totals.rawBytes.metadata - before.rawBytes.metadata, unchanged, durable: true,
    };
  }

  /**
   * Takes snapshots out of sight; a collector may then remove what only they need. Durable when it resolves.
   * @throws {NotFoundError} one of them does not exist; the others before it are forgotten. @throws {UnsupportedError} nothing may be removed from the store.
   */
  async forget(ids: readonly string[]): Promise<void> {
    const { world, objects, limits } = this.#parts;
    await this.#checkRemoval('Forget snapshots');
    for (const id of ids) {
      await readManifest(objects, id, limits).catch((error: unknown) => {
        if (error instanceof NotFoundError) throw error; // a damaged one may go
      });
      await writeTombstone(world, objects, id);
    }
  }

  /**
   * Removes what no snapshot needs, beside writers and readers of other processes; see {@link Collector}. Nothing else may use this repository object meanwhile.
   * @throws {IntegrityError} snapshots need what is not there: nothing was removed. @throws {UsageError} opened for reading.
   */
  async collect(options: CollectOptions & { readonly fenceAfterMs?: number } = {}): Promise<CollectReport> {
    const { world, objects, catchUp, lock, isWriter } = this.#parts;
    if (lock === undefined || !isWriter) throw new UsageError('Collect garbage: the repository was opened for reading');
    if (options.dryRun !== true) await this.#checkRemoval('Collect garbage');
    const prefix = `${STAGING_DIRECTORY}/${lock.writer.id}-gc`;
    const rules = { cache: lock.writer.cache, ...(options.fenceAfterMs === undefined ? {} : { fenceAfterMs: options.fenceAfterMs }) };
    if (options.dryRun === true) return new Collector({ ...this.#parts, ...rules, prefix, isDryRun: true }, options).run();
    // Announced like a backup: the age of other sessions is told by the store's clock, not ours.
    const session = await Session.begin(world, objects, catchUp, { writer: lock.writer, purpose: 'collect' });
    try {
      await this.#parts.store.flush(); // as before a backup
      return await new Collector({ ...this.#parts, ...rules, prefix, ownSession: session.id }, options).run();
    } finally {
      await session.end();
    }
  }

  /** When the store saw each snapshot committed, milliseconds since 1970 by its own clock; by id. */
  async storedTimes(): Promise<ReadonlyMap<string, number>> {
    const times = new Map<string, number>();
    for await (const page of this.#parts.objects.list('manifests')) for (const { name, modified } of page) times.set(name.slice('manifests/'.length), modified);
    return times;
  }

  /**
   * Examines everything; see {@link CheckOptions}. Changes no object. A repository that is open for writing forgets chunks that were found damaged, so
   * that the next backup of the same content stores them again.
   */
  async check(options: CheckOptions): Promise<CheckReport> {
    const { report, findings: { places } } = await checkParts(this.#parts, options);
    const { isWriter, isIndexHeld, forgetLost, store } = this.#parts;
    if (isWriter && isIndexHeld && !places.isEmpty) {
      await forgetLost((place) => places.isPresent(place.containerHigh, place.containerLow) && places.isProven(place));
      await store.groups.forget();
    }
    return report;
  }

  /**
   * Heals small objects from their parity, also those without which a repository can't be opened; needs no key. The first step of {@link repair}.
   * @returns what was done.
   */
  static async healObjects(world: World, options: Pick<OpenOptions, 'objects' | 'limits'> & RepairOptions = {}): Promise<readonly RepairAction[]> {
    const actions: RepairAction[] = [];
    const lock = await WriterLock.take(world, await cacheIdentity({ world, ...(options.objects === undefined ? {} : { objects: options.objects }) }));
    try {
      const objects = options.objects ?? new DiskObjects(world, lock.writer.id);
      await healObjects({ objects, limits: options.limits ?? defaultLimits, isDryRun: options.dryRun === true }, (action, name, message) => { actions.push({ action, name, message }); });
    } finally {
      await lock.release();
    }
    return actions;
  }

  /**
   * Repairs what can be repaired: heals small objects, checks, acts, checks again. See `src/engine/repair`.
   * @throws as {@link open}, when what is needed to open it is beyond repair.
   */
  static async repair(world: World, options: Omit<OpenOptions, 'mode'> & RepairOptions & CheckOptions): Promise<RepairReport> {
    const healed = options.healed ?? await Repository.healObjects(world, options);
    const repository = await Repository.open(world, { ...options, mode: 'write' });
    try {
      return await repairParts(repository.#parts, options, healed);
    } finally {
      await repository.close();
    }
  }

  async statistics(): Promise<RepositoryStatistics> {
    const { objects, index } = this.#parts;
    const containers = await listContainers(objects);
    let damaged = 0;
    const manifests = await readManifests(objects, this.#parts.limits, () => { damaged += 1; });
    return {
      containers: containers.length, bytesStored: containers.reduce((sum, container) => sum + container.size, 0),
      chunks: await index.count(), manifests: manifests.length + damaged,
    };
  }

  /**
   * Forgets the index and builds it from the containers alone, reading and verifying all of them. Needs no snapshot, and no key.
   * @throws {BusyError} another process holds the index.
   */
  static async rebuildIndex(world: World, options: Omit<OpenOptions, 'mode'> & { onProgress?(done: number, total: number): void } = {}): Promise<ReplayReport> {
    const objects = options.objects ?? localObjects(world);
    const config = await readConfig(objects);
    const lock = await WriterLock.take(world, await cacheIdentity({ world, ...(options.objects === undefined ? {} : { objects: options.objects }) }));
    try {
      return await rebuildIndex({ world, objects, limits: options.limits ?? defaultLimits, hash: config.hash, note: (text) => { options.onNote?.(text); } }, options.index ?? 'auto', options.onProgress);
    } finally {
      await lock.release();
    }
  }

  /** Opens the keys of an encrypted repository to change them. @throws as {@link open}; {UsageError} also when it is not encrypted. */
  static async openKeys(world: World, options: Pick<OpenOptions, 'objects' | 'credentials' | 'limits' | 'onClose'>): Promise<RepositoryKeys> {
    const config = await readConfig(options.objects ?? localObjects(world));
    const lock = await WriterLock.take(world, await cacheIdentity({ world, ...(options.objects === undefined ? {} : { objects: options.objects }) }));
    try {
      const limits = options.limits ?? defaultLimits;
      const objects = new ProtectedObjects(options.objects ?? new DiskObjects(world, lock.writer.id), { percent: 0, limits, note: () => undefined }); // a repair adds what is missing
      const vault = await openVault({ objects, world, repository: config.id, limits }, config, options.credentials ?? []);
      if (vault === undefined) throw new UsageError(`Change keys of the repository in '${objects.place}': it is not encrypted`);
      return new RepositoryKeys(vault, async () => {
        await lock.release();
        await options.onClose?.();
      });
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** The key slots of a repository, and objects that should be some and can't be read; none when it is not encrypted. Needs no key. */
  static async keySlots(world: World, options: Pick<OpenOptions, 'objects' | 'limits'> = {}): Promise<{ readonly slots: readonly SlotRow[]; readonly problems: readonly KeyProblem[] }> {
    const objects = options.objects ?? localObjects(world);
    const config = await readConfig(objects);
    return listSlots({ objects, world, repository: config.id, limits: options.limits ?? defaultLimits });
  }

  async close(): Promise<void> {
    try {
      await this.#parts.store.close();
    } finally {
      this.#parts.vault?.close();
      await this.#parts.lock?.release();
      await this.#parts.onClose();
    }
  }

  async #checkRemoval(action: string): Promise<void> {
    const { objects } = this.#parts;
    if ((await objects.capabilities()).remove) return;
    throw new UnsupportedError(`${action} in '${objects.place}': from here nothing can be removed, only backups can be stored (append-only)`);
  }

  #slabPool: ReturnType<typeof Slab.pool> | undefined;

  /** Made by the first backup; the arena has room for one. */
  #slabs(): ReturnType<typeof Slab.pool> {
    this.#slabPool ??= Slab.pool(this.#parts.arena);
    return this.#slabPool;
  }

  #storedSince(before: LocalStore['totals']): number {
    const { storedBytes } = this.#parts.store.totals;
    return storedBytes.data + storedBytes.metadata - before.storedBytes.data - before.storedBytes.metadata;
  }

  #tree(manifest: Manifest): SnapshotTree {
    const parts: ContentParts = { store: this.#parts.store, metadata: this.#parts.metadata, limits: this.#parts.limits };
    return new SnapshotTree(manifest, parts);
  }
}

/** Staging prefix of those who stage nothing. */
const READER = '0'.repeat(16);

/** The objects of a repository that is one directory, for reading. */
function localObjects(world: World): ObjectStore {
  return new DiskObjects(world, READER);
}

function withoutRoot(manifest: Manifest): SnapshotInfo {
  const { root: _, ...info } = manifest;
  return info;
}

