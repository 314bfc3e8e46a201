/**
 * Objects as files of a `World`'s disk. An object is staged in `temporary/`, synced, and only then linked to its name, which fails if the name
 * exists; so a file under its own name is whole and durable but for the name, and a crash leaves nothing but staged files.
 */
import { BusyError, type Disk, type DiskFile, type ObjectReader, type ObjectRow, type ObjectStore, type ObjectStoreCapabilities, type ObjectWriter, type World } from '../../core/index.ts';

/** Directories beside the objects that are no objects: caches, staging and locks. */
export const cacheDirectories: readonly string[] = ['cache', 'index', 'locks', 'temporary'];

/** Where objects are staged. */
export const STAGING_DIRECTORY = 'temporary';

const PAGE_ROWS = 1_000;

function parentOf(name: string): string {
  const slash = name.lastIndexOf('/');
  return slash < 0 ? '' : name.slice(0, slash);
}

class DiskObjectWriter implements ObjectWriter {
  size = 0;
  readonly #objects: DiskObjects;
  readonly #name: string;
  readonly #staged: string;
  #file: DiskFile | undefined;

  constructor(objects: DiskObjects, file: DiskFile, name: string, staged: string) {
    this.#objects = objects;
    this.#file = file;
    this.#name = name;
    this.#staged = staged;
  }

  async append(...parts: readonly Uint8Array[]): Promise<void> {
    await this.#live().writeFrom(this.size, ...parts);
    for (const part of parts) this.size += part.length;
  }

  async commit(): Promise<void> {
    const file = this.#live();
    this.#file = undefined;
    try {
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#objects.name(this.#staged, this.#name);
  }

  async abandon(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    await file.close();
    await this.#objects.unstage(this.#staged); // on a full disk its bytes are wanted
  }

  #live(): DiskFile {
    if (this.#file === undefined) throw new BusyError(`Write object '${this.#name}': it was committed or given up`);
    return this.#file;
  }
}

/** See the file's header. Several processes may use one disk, each with a `staging` prefix of its own. */
export class DiskObjects implements ObjectStore {
  readonly place: string;
  readonly #world: World;
  readonly #disk: Disk;
  readonly #staging: string;
  readonly #directories = new Set<string>(['']);

  constructor(world: World, staging: string) {
    this.#world = world;
    this.#disk = world.disk;
    this.#staging = staging;
    this.place = world.disk.nativePath('') ?? 'memory';
  }

  /** The link that names an object fails if the name exists: a property of file systems, not to be tried out. */
  async capabilities(): Promise<ObjectStoreCapabilities> {
    return { putIfAbsent: true, listAfterPut: true, remove: true, remote: false };
  }

  async put(name: string, ...parts: readonly Uint8Array[]): Promise<void> {
    const writer = await this.create(name);
    try {
      await writer.append(...parts);
      await writer.commit();
    } finally {
      await writer.abandon();
    }
  }

  async create(name: string): Promise<ObjectWriter> {
    await this.#makeDirectory(STAGING_DIRECTORY);
    // What a crash leaves says whose it was and what it was to be.
    const staged = `${STAGING_DIRECTORY}/${this.#staging}-${name.split('/')[0] ?? ''}-${Buffer.from(this.#world.randomBytes(8)).toString('hex')}`;
    return new DiskObjectWriter(this, await this.#disk.create(staged), name, staged);
  }

  async open(name: string): Promise<ObjectReader> {
    return this.#disk.open(name, 'read');
  }

  async *list(directory: string): AsyncIterable<readonly ObjectRow[]> {
    let page: ObjectRow[] = [];
    for await (const row of this.#walk(directory)) {
      page.push(row);
      if (page.length < PAGE_ROWS) continue;
      yield page;
      page = [];
    }
    if (page.length > 0) yield page;
  }

  async settle(names: readonly string[]): Promise<void> {
    for (const directory of new Set(names.map(parentOf))) await this.#disk.syncDirectory(directory);
  }

  async remove(name: string): Promise<void> {
    await this.#disk.remove(name);
    await this.#disk.syncDirectory(parentOf(name)).catch((error: unknown) => {
      if ((error as { data?: { errno?: string } }).data?.errno !== 'ENOENT') throw error; // its directory never was
    });
  }

  async close(): Promise<void> {}

  /** Gives a staged and synced file its name. */
  async name(staged: string, name: string): Promise<void> {
    try {
      await this.#makeDirectory(parentOf(name));
      await this.#disk.link(staged, name);
      await this.#disk.syncDirectory(parentOf(name));
    } finally {
      await this.unstage(staged);
    }
  }

  /** Removes a staged file; one that stays is removed with what crashes leave. */
  async unstage(staged: string): Promise<void> {
    await this.#disk.remove(staged).catch(() => undefined);
  }

  async *#walk(directory: string): AsyncIterable<ObjectRow> {
    const entries = await this.#disk.list(directory);
    // A directory stands where its objects stand: 'a/b' behind 'a.b', because '/' is behind '.'.
    const keyed = entries.map((entry) => ({ entry, key: entry.directory ? `${entry.name}/` : entry.name })).sort((a, b) => (a.key < b.key ? -1 : 1));
    for (const { entry } of keyed) {
      const name = directory === '' ? entry.name : `${directory}/${entry.name}`;
      if (entry.directory && !(directory === '' && cacheDirectories.includes(entry.name))) yield* this.#walk(name);
      else if (!entry.directory) yield { name, size: entry.size, modified: entry.modified };
    }
  }

  async #makeDirectory(directory: string): Promise<void> {
    if (this.#directories.has(directory)) return;
    await this.#makeDirectory(parentOf(directory));
    if (!(await this.#disk.exists(directory))) await this.#disk.makeDirectory(directory);
    // What is staged need not survive.
    if (directory !== STAGING_DIRECTORY) await this.#disk.syncDirectory(parentOf(directory)); // also of one that was found: its maker may have been killed before it did so
    this.#directories.add(directory);
  }
}
