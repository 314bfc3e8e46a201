/** A repository behind a daemon: chunks are cut, hashed and compressed here, and only what is missing goes over the wire. */
import { hostname } from 'node:os';
import {
  IntegrityError, NotFoundError, ProtocolError, UnsupportedError, defaultLimits, type FileTree, type Limits, type World,
} from '../../core/index.ts';
import { checkChunkerParameters } from '../chunking/index.ts';
import { createHasher } from '../hashing/hasher.ts';
import { Feeder } from '../ingest/feeder.ts';
import { Ingest } from '../ingest/ingest.ts';
import { SLABS_LATE, Slab } from '../ingest/slab.ts';
import { decodeEntries } from '../snapshots/entry.ts';
import type { DamagedManifest, Manifest, SnapshotCounts, SnapshotInfo } from '../snapshots/manifest.ts';
import { MetadataStore } from '../snapshots/metadata-store.ts';
import { SnapshotTree } from '../snapshots/snapshot-tree.ts';
import { streamClasses, tunerParameters, type StoredGrains, type TunerState } from '../tuner/index.ts';
import { WireClient } from '../wire/client.ts';
import { bytesField, isObject, numberField, objectField, optionalText, parametersField, textField, textsField, type JsonObject } from '../wire/json-body.ts';
import type { Channel } from '../wire/channel/index.ts';
import { PageCache } from '../wire/page-cache.ts';
import { RemoteStore } from '../wire/remote-store.ts';
import { failureError } from '../wire/wire-failure.ts';
import { Arena, type BlockPool } from '../workers/arena.ts';
import { WorkerPool } from '../workers/pool.ts';
import { REPOSITORY_VERSION, type RepositoryConfig } from './config.ts';
import type { BackupOptions, BackupResult, RepositoryStatistics, SnapshotStore } from './snapshot-store.ts';

const ID = /^[0-9a-f]{64}$/;
const countNames = ['files', 'directories', 'others', 'bytes', 'bytesNew', 'bytesStored', 'chunks', 'chunksNew', 'problems'] as const;

/** How to reach it. */
export interface RemoteOptions {
  readonly world: World;
  /** Makes a connection; called again when one broke. */
  open(): Promise<Channel>;
  /** Where it goes, for messages. */
  readonly place: string;
  /** The domain that is expected there; without it, any. */
  readonly domain?: string;
  /** Worker threads; 0 runs everything on this thread. Default: one per core. */
  readonly workers?: number;
  readonly limits?: Limits;
  /** Milliseconds for which a broken connection is made anew. Default 120,000. */
  readonly resumeMs?: number;
  /** Over a directory where pages of directories are kept, some 256 MB for each repository, so that the next backup need not fetch its parent's. Without it none are. */
  readonly cache?: World;
  /** Sentences for people. */
  onNote?(text: string): void;
}

/** An open connection to a repository. Close it when done. */
export class RemoteRepository implements SnapshotStore {
  readonly config: RepositoryConfig;
  /** The chunks, for integrators; writing to it needs {@link beginSession}. */
  readonly store: RemoteStore;
  readonly #options: RemoteOptions;
  readonly #limits: Limits;
  readonly #client: WireClient;
  readonly #arena: Arena;
  readonly #scratch: number;
  readonly #pool: WorkerPool;
  readonly #metadata: MetadataStore;
  #slabs: BlockPool | undefined;

  private constructor(options: RemoteOptions, config: RepositoryConfig, parts: { client: WireClient; arena: Arena; scratch: number; pool: WorkerPool; store: RemoteStore; metadata: MetadataStore }) {
    this.#options = options;
    this.#limits = options.limits ?? defaultLimits;
    this.config = config;
    this.store = parts.store;
    this.#client = parts.client;
    this.#arena = parts.arena;
    this.#scratch = parts.scratch;
    this.#pool = parts.pool;
    this.#metadata = parts.metadata;
  }

  /**
   * Connects. @throws {ToolError} nobody answers. @throws {ProtocolError} keys that do not match, another protocol. @throws {UnsupportedError} a newer version.
   * @throws {NotFoundError} the key is for another domain.
   */
  static async open(options: RemoteOptions): Promise<RemoteRepository> {
    const { world, open, place, resumeMs, onNote, domain } = options;
    const limits = options.limits ?? defaultLimits;
    const client = await WireClient.connect({ world, open: () => open(), place, ...(resumeMs === undefined ? {} : { resumeMs }), ...(onNote === undefined ? {} : { onNote: (text) => { onNote(text); } }) });
    try {
      if (domain !== undefined && client.hello.domain !== domain) throw new NotFoundError(`Open '${place}': the key is for domain '${client.hello.domain}', not '${domain}'`);
      const config = configOf(client.hello.config, place);
      const { idKey } = client.hello;
      if ((config.encryption !== 'none') !== (idKey !== undefined)) throw new ProtocolError(`Open '${place}': the daemon says encryption '${config.encryption}', and ${idKey === undefined ? 'no' : 'a'} key for ids`);
      const arena = new Arena(RemoteStore.arenaBytes(limits) + Slab.arenaBytes(SLABS_LATE) + Feeder.scratchBytes());
      const scratch = arena.reserve(Feeder.scratchBytes());
      const pool = await WorkerPool.create({ memory: arena.memory, hash: config.hash, ...(idKey === undefined ? {} : { idKey: idKey.slice() }) }, options.workers);
      const note = onNote === undefined ? {} : { onNote: (text: string) => { onNote(text); } };
      const pages = options.cache === undefined ? {} : { pages: new PageCache({ world: options.cache, repository: config.id, limits, ...(idKey === undefined ? {} : { idKey }), ...note }) };
      const store = new RemoteStore({ ...pages, client, arena, pool, limits, hash: config.hash, level: config.level, ...(idKey === undefined ? {} : { idKey }) });
      return new RemoteRepository(options, config, { client, arena, scratch, pool, store, metadata: new MetadataStore(store, await createHasher(config.hash, idKey)) });
    } catch (error) {
      await client.close();
      throw error;
    }
  }

  /** Where pages are kept on this host; undefined without a cache. */
  get directory(): string | undefined {
    return this.#options.cache?.disk.nativePath('');
  }

  get id(): string {
    return this.config.id;
  }

  get format(): number {
    return this.config.version;
  }

  /** Name of the domain at the daemon. */
  get domain(): string {
    return this.#client.hello.domain;
  }

  /** Bytes on the sockets so far, framing and handshakes included. */
  get wireBytes(): { readonly sent: number; readonly received: number } {
    return this.#client.counts;
  }

  async snapshots(onDamaged?: DamagedManifest): Promise<readonly SnapshotInfo[]> {
    const found: SnapshotInfo[] = [];
    for (let after: string | undefined; ;) {
      const page = await this.#client.ask('manifests', after === undefined ? {} : { after });
      for (const one of listField(page, 'snapshots')) found.push(infoOf(one));
      for (const one of listField(page, 'damaged')) {
        const error = failureError(textField(one, 'code'), textField(one, 'message'));
        if (onDamaged === undefined) throw error;
        onDamaged(textField(one, 'id'), error);
      }
      const next = optionalText(page, 'next', ID);
      if (next === undefined) return found.sort((a, b) => a.time - b.time);
      if (after !== undefined && next <= after) throw new ProtocolError('List snapshots: the daemon goes in a circle');
      after = next;
    }
  }

  async resolveSnapshot(text: string): Promise<SnapshotInfo> {
    return infoOf(await this.#client.ask('resolve', { text }));
  }

  async openSnapshot(id: string): Promise<FileTree> {
    const manifest = this.#manifestOf(await this.#client.ask('manifest', { id }));
    if (manifest.id !== id) throw new IntegrityError(`Open snapshot '${id}': the daemon gave the manifest of '${manifest.id}'`);
    return new SnapshotTree(manifest, { store: this.store, metadata: this.#metadata, limits: this.#limits });
  }

  async statistics(): Promise<RepositoryStatistics> {
    const answer = await this.#client.ask('statistics');
    return { containers: numberField(answer, 'containers'), bytesStored: numberField(answer, 'bytesStored'), chunks: numberField(answer, 'chunks'), manifests: numberField(answer, 'manifests') };
  }

  /** Announces that something will be stored. A commit or the end of the connection ends it. @returns the id that its snapshot would get. */
  async beginSession(): Promise<string> {
    const session = await this.#client.begin();
    await this.store.startSession();
    return session;
  }

  async backup(tree: FileTree, options: BackupOptions): Promise<BackupResult> {
    const { world } = this.#options;
    const time = world.now();
    await this.beginSession();
    try {
      return await this.#store(tree, options, time);
    } catch (error) {
      const ended = this.store.endSession(); // says first that nothing more is sent
      await this.#client.request('abandon', [], () => undefined).catch(() => undefined); // what cannot be said, the daemon finds out
      await ended;
      throw error;
    } finally {
      this.#client.forgetSession();
    }
  }

  async #store(tree: FileTree, options: BackupOptions, time: number): Promise<BackupResult> {
    const { store, config } = this;
    const host = options.host ?? hostname();
    const { parent, grains, record } = await this.#history(options, host);
    let problems = 0;
    const before = structuredClone(store.totals);
    const storedSince = (): number => store.totals.storedBytes.data + store.totals.storedBytes.metadata - before.storedBytes.data - before.storedBytes.metadata;
    this.#slabs ??= Slab.pool(this.#arena, SLABS_LATE);
    const ingest = new Ingest({
      world: this.#options.world, arena: this.#arena, scratch: this.#scratch, pool: this.#pool, limits: this.#limits, store, metadata: this.#metadata, tree, slabs: this.#slabs,
      chunking: { policy: options.chunking ?? 'auto', fastcdc: config.fastcdc, fixedBlockBytes: config.fixedBlockBytes, grains },
      ...(parent === undefined ? {} : { parent }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      onProblem: (problem) => { problems += 1; options.onProblem?.(problem); },
      onProgress: (counts, path) => { options.onProgress?.({ files: counts.files, bytes: counts.bytes, bytesNew: counts.bytesNew, bytesStored: storedSince(), currentPath: path }); },
    });
    const root = await ingest.run();
    await store.settle();
    const { files, directories, others, bytes, bytesNew, chunks, chunksNew, unchanged } = ingest.counts;
    const counts: SnapshotCounts = { files, directories, others, bytes, bytesNew, bytesStored: storedSince(), chunks, chunksNew, problems };
    const { hash, fastcdc: { algorithm, minBytes, averageBytes, maxBytes }, fixedBlockBytes } = config;
    const { snapshot } = await this.#client.ask('commit', {
      time, host, sources: options.sources, tags: options.tags ?? [], counts, root: Buffer.from(root).toString('base64'),
      parameters: { hash, algorithm, minBytes, averageBytes, maxBytes, fixedBlockBytes, ...record(ingest.counts.classes) }, ...(parent === undefined ? {} : { parent: parent.id }),
    });
    if (typeof snapshot !== 'string' || !ID.test(snapshot)) throw new ProtocolError('Commit snapshot: the daemon gave no id');
    return { ...counts, snapshot, bytesIn: bytes, metadataBytesNew: store.totals.rawBytes.metadata - before.rawBytes.metadata, unchanged, durable: true };
  }

  async close(): Promise<void> {
    try {
      await this.#client.close();
      await this.store.close();
    } finally {
      await this.#pool.close();
    }
  }

  async #history({ sources, parent, tuning }: BackupOptions, host: string): Promise<{ readonly parent: Manifest | undefined; readonly grains: StoredGrains; record(counts: Ingest['counts']['classes']): Record<string, number> }> {
    const answer = await this.#client.ask('history', { host, sources, ...(parent === undefined ? {} : { parent }), ...(tuning === undefined ? {} : { tuning }) });
    const [state, grains] = grainsOf(answer);
    return { parent: isObject(answer['parent']) ? this.#manifestOf(answer['parent']) : undefined, grains, record: (counts) => tunerParameters(state, grains, counts) };
  }

  #manifestOf(object: JsonObject): Manifest {
    const [root, ...more] = decodeEntries(bytesField(object, 'root'), this.#limits);
    if (root === undefined || more.length > 0 || root.stat.type !== 'directory') throw new ProtocolError('Read manifest: its root is not one directory');
    return { ...infoOf(object), root };
  }
}

/** Where the tuner stands, and the grains to store in; all numbers are checked. */
function grainsOf(answer: JsonObject): readonly [TunerState, StoredGrains] {
  const whole = (object: JsonObject, key: string, most: number): number => {
    const value = numberField(object, key);
    if (!Number.isInteger(value) || Math.abs(value) > most) throw new ProtocolError(`Read history: '${key}' is '${value}'`);
    return value;
  };
  const [states, stored] = [objectField(answer, 'state'), objectField(answer, 'grains')];
  const state = streamClasses.map((name) => {
    const one = objectField(states, name);
    return [name, { grain: whole(one, 'grain', 2), votes: whole(one, 'votes', 1_000), rest: whole(one, 'rest', 1_000) }];
  });
  const grains = streamClasses.map((name) => {
    const one = objectField(stored, name);
    const list = one['grains'];
    if (!Array.isArray(list) || list.length > 4 || !list.every((grain) => Number.isInteger(grain) && grain >= -1 && grain <= 2)) throw new ProtocolError(`Read history: the grains of '${name}' are no list of them`);
    return [name, { grain: whole(one, 'grain', 2), grains: list as readonly number[] }];
  });
  return [Object.fromEntries(state) as TunerState, Object.fromEntries(grains) as StoredGrains];
}

function listField(object: JsonObject, key: string): readonly JsonObject[] {
  const value = object[key];
  if (!Array.isArray(value) || !value.every(isObject)) throw new ProtocolError(`Read message: its field '${key}' is no list of objects`);
  return value;
}

function infoOf(object: JsonObject): SnapshotInfo {
  const counts = objectField(object, 'counts');
  const parent = optionalText(object, 'parent', ID);
  return {
    id: textField(object, 'id', ID), time: numberField(object, 'time'), host: textField(object, 'host'), sources: textsField(object, 'sources'), tags: textsField(object, 'tags'),
    counts: Object.fromEntries(countNames.map((name) => [name, numberField(counts, name)])) as unknown as SnapshotCounts,
    parameters: parametersField(object, 'parameters'), ...(parent === undefined ? {} : { parent }),
  };
}

/** What the daemon says the repository is; all that chunks are cut and hashed by is checked. */
function configOf(object: JsonObject, place: string): RepositoryConfig {
  const version = numberField(object, 'version');
  if (version > REPOSITORY_VERSION) throw new UnsupportedError(`Open '${place}': its layout has version '${version}', this build knows '${REPOSITORY_VERSION}'`);
  const config = object as unknown as RepositoryConfig;
  textField(object, 'id', ID);
  textField(object, 'hash', /^(blake3|sha256)$/);
  textField(object, 'encryption', /^[a-z0-9-]{1,64}$/);
  const level = numberField(object, 'level');
  if (!Number.isInteger(level) || level < 0 || level > 19) throw new ProtocolError(`Open '${place}': its level of compression is '${level}'`);
  textField(objectField(object, 'fastcdc'), 'algorithm', /^fastcdc$/);
  checkChunkerParameters(config.fastcdc);
  checkChunkerParameters({ algorithm: 'fixed', blockBytes: numberField(object, 'fixedBlockBytes') });
  return config;
}
