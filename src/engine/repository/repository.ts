/** A repository: chunks, snapshots and what keeps them consistent, behind one door. */
import { hostname } from 'node:os';
import {
  BusyError, defaultLimits, type ChunkIndex, type DiskLock, type FileTree, type Limits, type ProbeVerdict, type TreeProblem, type World,
} from '../../core/index.ts';
import { listContainers } from '../containers/container.ts';
import { Replay, type ReplayReport } from '../containers/replay.ts';
import { createHasher, type HashName } from '../hashing/hasher.ts';
import { openIndex, removeIndex, type IndexKind } from '../index/index.ts';
import { Feeder, type ChunkingPolicy } from '../ingest/feeder.ts';
import { Ingest } from '../ingest/ingest.ts';
import { Slab } from '../ingest/slab.ts';
import type { ContentParts } from '../snapshots/content-reader.ts';
import { listManifests, readManifest, readManifests, resolveManifest, writeManifest, type DamagedManifest, type Manifest, type SnapshotCounts, type SnapshotInfo } from '../snapshots/manifest.ts';
import { MetadataStore } from '../snapshots/metadata-store.ts';
import { SnapshotTree } from '../snapshots/snapshot-tree.ts';
import { LocalStore } from '../store/local-store.ts';
import { StoreFilter } from '../store/store-filter.ts';
import { Arena } from '../workers/arena.ts';
import { WorkerPool } from '../workers/pool.ts';
import { Check, type CheckOptions, type CheckReport } from './check.ts';
import { layOut, makeConfig, probeConfig, readConfig, writeConfig, type RepositoryChoices, type RepositoryConfig } from './config.ts';

/** How to open. */
export interface OpenOptions {
  /** `write` takes the writer's lock; `read` writes nothing and may go on beside a writer. */
  readonly mode: 'read' | 'write';
  readonly index?: IndexKind;
  /** Worker threads; 0 runs everything on this thread. Default: one per core. */
  readonly workers?: number;
  readonly limits?: Limits;
  /** Sentences for people: index rebuilt, fallback used, damage met while opening. */
  onNote?(text: string): void;
}

/** What is stored how. `parent: 'auto'` compares with the latest snapshot of the same host and sources. */
export interface BackupOptions {
  readonly sources: readonly string[];
  readonly tags?: readonly string[];
  readonly host?: string;
  readonly parent?: string;
  readonly chunking?: ChunkingPolicy;
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

interface Parts {
  readonly world: World;
  readonly config: RepositoryConfig;
  readonly limits: Limits;
  readonly arena: Arena;
  readonly scratch: number;
  readonly pool: WorkerPool;
  readonly index: ChunkIndex;
  readonly store: LocalStore;
  readonly metadata: MetadataStore;
  note(text: string): void;
  readonly lock: DiskLock | undefined;
}

/** Clocks of two machines may differ by this much without a word. */
const CLOCK_SKEW_MS = 300_000;

function watch(onNote: OpenOptions['onNote']): (text: string) => void {
  return (text) => { onNote?.(text); };
}

/** Opens the index and brings it up to the containers; an index that names containers that are gone is made anew. */
async function openCurrentIndex(world: World, options: OpenOptions, limits: Limits, hash: HashName): Promise<ChunkIndex> {
  const note = watch(options.onNote);
  const request = { kind: options.index ?? 'auto', mode: options.mode } as const;
  let opened = await openIndex(world, request);
  opened.notes.forEach(note);
  const sizes = new Map((await listContainers(world.disk)).map((container) => [container.number.text, container.size]));
  const watermarks = await opened.index.watermarks();
  let known = watermarks.filter((watermark) => watermark.sealed).map((watermark) => watermark.container);
  // A reader meets a container that was cut when it reads there; a writer must not take its lost chunks for stored.
  const gone = watermarks.find(({ container, offset, sealed }) => (sizes.get(container) ?? -1) < (options.mode === 'write' && sealed ? offset : 0));
  if (gone !== undefined) {
    const what = sizes.has(gone.container) ? `cut to '${sizes.get(gone.container) ?? 0}' of '${gone.offset}' bytes` : 'gone';
    note(`The chunk index names container '${gone.container}', which is ${what}: the index is built again from the containers`);
    await opened.index.close();
    if (options.mode === 'write') await removeIndex(world.disk);
    opened = await openIndex(world, options.mode === 'write' ? request : { kind: 'memory', mode: 'write' });
    known = [];
  }
  try {
    const replay = await new Replay(world, opened.index, { limits, hash, repair: options.mode === 'write' }).run(new Set(known));
    for (const problem of replay.problems) note(`${problem.where}: ${problem.message}`);
    return opened.index;
  } catch (error) {
    await opened.index.close().catch(() => undefined); // the first error counts
    throw error;
  }
}

/** Files that a crash left before they got their name; only the writer may know that nobody is at work on them. */
async function removeLeftovers(world: World): Promise<void> {
  for (const { name } of await world.disk.list('temporary')) await world.disk.remove(`temporary/${name}`);
}

/** Adds containers that a writer sealed since; a snapshot that it committed meanwhile may be the one that is being read. */
async function catchUp(world: World, index: ChunkIndex, limits: Limits, hash: HashName): Promise<void> {
  const known = (await index.watermarks()).filter((watermark) => watermark.sealed).map((watermark) => watermark.container);
  await new Replay(world, index, { limits, hash, repair: false }).run(new Set(known));
}

/** An open repository. Close it: only then are caches written and threads ended. */
export class Repository {
  readonly config: RepositoryConfig;
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
    this.config = parts.config;
  }

  /** Whether there is a repository in this world. */
  static probe(world: World): Promise<ProbeVerdict> {
    return probeConfig(world);
  }

  /**
   * Makes a repository and opens it for writing. Durable when it resolves.
   * @throws {BusyError} when the place is not empty. @throws {UsageError} on parameters out of range.
   */
  static async create(world: World, choices: RepositoryChoices = {}, options: Omit<OpenOptions, 'mode'> = {}): Promise<Repository> {
    const config = makeConfig(world, choices);
    await layOut(world);
    await writeConfig(world, config);
    return Repository.open(world, { ...options, mode: 'write' });
  }

  /**
   * @throws {NotFoundError} no repository. @throws {UnsupportedError} a newer layout. @throws {BusyError} another writer.
   */
  static async open(world: World, options: OpenOptions): Promise<Repository> {
    const config = await readConfig(world);
    const limits = options.limits ?? defaultLimits;
    const lock = options.mode === 'write' ? await world.disk.lock('locks/writer', 'holdfast') : undefined;
    let opened: ChunkIndex | undefined;
    try {
      if (lock !== undefined) await removeLeftovers(world);
      const arena = new Arena(LocalStore.arenaBytes(limits) + Slab.arenaBytes() + Feeder.scratchBytes());
      const scratch = arena.reserve(Feeder.scratchBytes());
      const index = await openCurrentIndex(world, options, limits, config.hash);
      opened = index;
      const filter = options.mode === 'write' ? await StoreFilter.open(world, index, await index.watermarks()) : StoreFilter.none(world, index);
      const pool = await WorkerPool.create({ memory: arena.memory, hash: config.hash }, options.workers);
      const store = new LocalStore({
        world, index, filter, arena, pool, limits, hash: config.hash, level: config.level,
        repository: new Uint8Array(Buffer.from(config.id.slice(0, 16), 'hex')),
        ...(options.mode === 'write' ? {} : { refresh: () => catchUp(world, index, limits, config.hash) }),
      });
      const metadata = new MetadataStore(store, await createHasher(config.hash));
      return new Repository({ world, config, limits, arena, scratch, pool, index, store, metadata, note: watch(options.onNote), lock });
    } catch (error) {
      await opened?.close().catch(() => undefined); // the first error counts
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

  /** The chunks themselves, for integrators and daemons. */
  get store(): LocalStore {
    return this.#parts.store;
  }

  /**
   * All snapshots, oldest first. With `onDamaged`, manifests that can't be used go there and the rest is returned.
   * @throws {IntegrityError} and others, without `onDamaged`: nothing is left out silently.
   */
  async snapshots(onDamaged?: DamagedManifest): Promise<readonly SnapshotInfo[]> {
    const all = await readManifests(this.#parts.world, this.#parts.limits, onDamaged);
    return all.map(withoutRoot).sort((a, b) => a.time - b.time);
  }

  /**
   * Finds `latest`, an id or a unique prefix. With damaged manifests, `latest` is the latest of the others, and a note says so.
   * @throws {NotFoundError} @throws {UsageError} ambiguous.
   */
  async resolveSnapshot(text: string): Promise<SnapshotInfo> {
    const { world, limits, note } = this.#parts;
    const manifest = await resolveManifest(world, text, limits, (id, error) => { note(`Snapshot ${id.slice(0, 12)} can't be used: ${error.message}`); });
    if (text === 'latest' && manifest.time > world.now() + CLOCK_SKEW_MS) {
      note(`Snapshot ${manifest.id.slice(0, 12)}, the latest, is dated '${Math.round((manifest.time - world.now()) / 1000)}' seconds in the future: a clock was wrong; name snapshots by id`);
    }
    return withoutRoot(manifest);
  }

  /** The files of a snapshot. Valid until the repository is closed. */
  async openSnapshot(id: string): Promise<FileTree> {
    return this.#tree(await readManifest(this.#parts.world, id, this.#parts.limits));
  }

  /**
   * Stores a tree as a new snapshot. Entries that can't be read are reported and left out.
   * @throws {AbortedError} @throws {ToolError} disk full, …: then there is no snapshot, and the repository is as good as before.
   */
  async backup(tree: FileTree, options: BackupOptions): Promise<BackupResult> {
    const { world, store, config } = this.#parts;
    const host = options.host ?? hostname();
    const time = world.now();
    const parent = await this.#parentOf(options, host);
    let problems = 0;
    const before = structuredClone(store.totals);
    const ingest = new Ingest({
      ...this.#parts, tree, slabs: this.#slabs(),
      chunking: { policy: options.chunking ?? 'auto', fastcdc: config.fastcdc, fixedBlockBytes: config.fixedBlockBytes },
      ...(parent === undefined ? {} : { parent }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      onProblem: (problem) => { problems += 1; options.onProblem?.(problem); },
      onProgress: (counts, path) => {
        options.onProgress?.({ files: counts.files, bytes: counts.bytes, bytesNew: counts.bytesNew, bytesStored: this.#storedSince(before), currentPath: path });
      },
    });
    const root = await ingest.run();
    await store.flush();
    await this.#assertWriter();
    const { files, directories, others, bytes, bytesNew, chunks, chunksNew, unchanged } = ingest.counts;
    const counts: SnapshotCounts = { files, directories, others, bytes, bytesNew, bytesStored: this.#storedSince(before), chunks, chunksNew, problems };
    const snapshot = await writeManifest(world, {
      time, host, sources: options.sources, tags: options.tags ?? [], counts,
      parameters: { hash: config.hash, algorithm: config.fastcdc.algorithm, minBytes: config.fastcdc.minBytes, averageBytes: config.fastcdc.averageBytes, maxBytes: config.fastcdc.maxBytes, fixedBlockBytes: config.fixedBlockBytes },
      ...(parent === undefined ? {} : { parent: parent.id }),
    }, root);
    return { ...counts, snapshot, bytesIn: bytes, metadataBytesNew: store.totals.rawBytes.metadata - before.rawBytes.metadata, unchanged, durable: true };
  }

  /** Examines everything; see {@link CheckOptions}. Never changes anything. */
  check(options: CheckOptions): Promise<CheckReport> {
    const { world, limits, index, store, metadata } = this.#parts;
    return new Check({ world, limits, index, store, metadata }, options).run();
  }

  async statistics(): Promise<RepositoryStatistics> {
    const { world, index } = this.#parts;
    const containers = await listContainers(world.disk);
    return {
      containers: containers.length, bytesStored: containers.reduce((sum, container) => sum + container.size, 0),
      chunks: await index.count(), manifests: (await listManifests(world)).length,
    };
  }

  /**
   * Forgets the index and builds it from the containers alone, reading all of them. Needs no snapshot and no other open repository.
   * @throws {BusyError} another writer.
   */
  static async rebuildIndex(world: World, options: Omit<OpenOptions, 'mode'> & { onProgress?(done: number, total: number): void } = {}): Promise<ReplayReport> {
    const config = await readConfig(world);
    const lock = await world.disk.lock('locks/writer', 'holdfast rebuild-index');
    try {
      await removeIndex(world.disk);
      const { index, notes } = await openIndex(world, { kind: options.index ?? 'auto', mode: 'write' });
      notes.forEach(watch(options.onNote));
      try {
        const report = await new Replay(world, index, { limits: options.limits ?? defaultLimits, hash: config.hash, repair: true }).run(new Set(), options.onProgress);
        await index.flush();
        return report;
      } finally {
        await index.close();
      }
    } finally {
      await lock.release();
    }
  }

  async close(): Promise<void> {
    try {
      await this.#parts.store.close();
    } finally {
      await this.#parts.lock?.release();
    }
  }

  /** A writer whose lock was taken over may have had its open container sealed by the other: nothing is certain any more. */
  async #assertWriter(): Promise<void> {
    if (await this.#parts.lock?.isHeld() === true) return;
    throw new BusyError('Commit snapshot: this process no longer holds the writer\'s lock; nothing was committed, start the backup again');
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

  async #parentOf(options: BackupOptions, host: string): Promise<Manifest | undefined> {
    const { world, limits } = this.#parts;
    if (options.parent === undefined) return undefined;
    if (options.parent !== 'auto') return resolveManifest(world, options.parent, limits, () => undefined);
    let best: Manifest | undefined;
    const onDamaged: DamagedManifest = (id, error) => {
      options.onProblem?.({ kind: 'damaged-manifest', where: `snapshot ${id.slice(0, 12)}`, message: `Look for a parent: ${error.message}` });
    };
    for (const manifest of await readManifests(world, limits, onDamaged)) {
      if (manifest.host !== host || manifest.sources.join('\0') !== options.sources.join('\0')) continue;
      if (best === undefined || manifest.time > best.time) best = manifest;
    }
    return best;
  }
}

function withoutRoot(manifest: Manifest): SnapshotInfo {
  const { root: _, ...info } = manifest;
  return info;
}

