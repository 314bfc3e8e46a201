/**
 * The volumes of a repository, with a spool on this host for what is not in the repository yet. The repository says what there is: of each volume the snapshot with the
 * highest number counts. Over that lies what the spool holds. One process at a time uses a spool; another host has volumes of its own.
 */
import * as fs from 'node:fs';
import { hostname } from 'node:os';
import * as path from 'node:path';
import { BusyError, FormatError, IntegrityError, NotFoundError, UnsupportedError, UsageError, utf8, type DiskLock } from '../../core/index.ts';
import { makeDirectories, nodeWorld } from '../../engine/index.ts';
import { volumeSnapshot, type ShelfRepository, type VolumeSnapshot } from './repository.ts';
import type { Shelf, ShelfVolume, VolumeFacts } from './shelf-volume.ts';
import { ShelvedVolume, type ShelfParts } from './shelved-volume.ts';
import { spoolCall, syncDirectory } from './spool-file.ts';
import { StoredVolume } from './stored-volume.ts';
import { GONE, VolumeSpool } from './volume-spool.ts';

/** How a shelf is opened. */
export interface ShelfOptions {
  /** A directory of this host, made if it is not there; it belongs to one repository. */
  readonly spool: string;
  /** Default: the name of this host. Volumes of other hosts in the same repository are not on the shelf. */
  readonly host?: string;
  /** Bytes after which a segment of a volume ends; default 128 MiB. */
  readonly segmentBytes?: number;
  /** Bytes in the spool of a volume that start a commit in the background; default 256 MiB. */
  readonly commitBytes?: number;
  /** Bytes in the spool of a volume at which writes wait for a commit; default 16 GiB. */
  readonly spoolBytesMax?: number;
  /** Remarks for people: what was recovered, a commit that has to be tried again. */
  note?(text: string): void;
}

const COMMIT_BYTES = 256 << 20;
const SPOOL_BYTES_MAX = 16 * 2 ** 30;
const NAME_BYTES_MAX = 128;
/** Prefix of the directories of volumes in the spool. */
const PREFIX = 'volume-';
const IDENTITY = 'shelf.json';

/** The newest snapshot of each volume of a host, and those that it supersedes. */
async function storedVolumes(repository: ShelfRepository, host: string): Promise<{ readonly newest: ReadonlyMap<string, VolumeSnapshot>; readonly superseded: readonly VolumeSnapshot[] }> {
  const newest = new Map<string, VolumeSnapshot>();
  const superseded: VolumeSnapshot[] = [];
  for (const snapshot of await repository.snapshots()) {
    const volume = volumeSnapshot(snapshot);
    if (volume?.host !== host) continue;
    const other = newest.get(volume.name);
    if (other === undefined || other.sequence < volume.sequence) {
      newest.set(volume.name, volume);
      if (other !== undefined) superseded.push(other);
    } else superseded.push(volume);
  }
  return { newest, superseded };
}

/** The spool's own id; made once. @throws {UsageError} it belongs to another repository. */
async function spoolIdentity(spool: string, repository: ShelfRepository): Promise<string> {
  const file = path.join(spool, IDENTITY);
  if (!fs.existsSync(file)) {
    const id = Buffer.from(nodeWorld(spool).randomBytes(16)).toString('hex');
    await spoolCall('Write', file, async () => {
      const handle = await fs.promises.open(`${file}.new`, 'w', 0o600);
      await handle.writeFile(JSON.stringify({ id, repository: repository.id }));
      await handle.sync();
      await handle.close();
      await fs.promises.rename(`${file}.new`, file);
    });
    await syncDirectory(spool);
  }
  const found = JSON.parse(fs.readFileSync(file, 'utf8')) as { readonly id?: unknown; readonly repository?: unknown };
  if (typeof found.id !== 'string' || found.repository !== repository.id) {
    throw new UsageError(`Open spool '${spool}': it belongs to repository '${String(found.repository)}', not to '${repository.id}'`, { path: spool });
  }
  return found.id;
}

/** @throws {UsageError} see `Shelf.open`. */
function checkName(name: string): void {
  // eslint-disable-next-line no-control-regex
  if (name !== '' && name !== '.' && name !== '..' && !/[/\u0000-\u001f\u007f]/.test(name) && utf8(name).length <= NAME_BYTES_MAX) return;
  throw new UsageError(`Open volume '${name}': a name has 1 to ${NAME_BYTES_MAX} bytes, no '/', no control characters, and is not '.' or '..'`);
}

/** See the header. */
export class VolumeShelf implements Shelf {
  readonly #repository: ShelfRepository;
  readonly #spool: string;
  readonly #parts: ShelfParts;
  readonly #lock: DiskLock;
  readonly #volumes = new Map<string, ShelvedVolume>();
  /** Volumes of the repository that were not used so far. */
  readonly #stored = new Map<string, VolumeSnapshot>();
  /** Volumes that were removed where nothing may be removed; a new one of that name goes on counting. */
  readonly #buried = new Map<string, VolumeSnapshot>();
  /** Volumes whose spool or snapshot is damaged, and why: nothing is done with them, and nothing of theirs goes. */
  readonly #refused = new Map<string, Error>();
  /** Opening, removing, renaming: one after another. */
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(repository: ShelfRepository, spool: string, parts: ShelfParts, lock: DiskLock) {
    this.#repository = repository;
    this.#spool = spool;
    this.#parts = parts;
    this.#lock = lock;
  }

  /**
   * Opens the shelf and recovers what a crash left in the spool. A volume whose spool is damaged, or does not continue what the repository has, is told of in a note;
   * whatever is wanted of it is an IntegrityError, and its spool and snapshots stay as they are. The others are not held up.
   * @throws {BusyError} another process uses the spool. @throws {UsageError} it belongs to another repository. @throws {ToolError}
   */
  static async open(repository: ShelfRepository, options: ShelfOptions): Promise<VolumeShelf> {
    const spool = path.resolve(options.spool);
    await spoolCall('Make directory', spool, async () => { makeDirectories(spool); });
    const lock = await nodeWorld(spool).disk.lock('lock', 'volume shelf');
    try {
      const note = (text: string): void => { options.note?.(text); };
      let turn: Promise<unknown> = Promise.resolve();
      const parts: ShelfParts = {
        repository, note, id: await spoolIdentity(spool, repository), host: options.host ?? hostname(), now: () => Date.now(),
        ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
        commitBytes: options.commitBytes ?? COMMIT_BYTES, spoolBytesMax: options.spoolBytesMax ?? SPOOL_BYTES_MAX,
        exclusive: (run) => {
          const result = turn.then(run);
          turn = result.catch(() => undefined); // its caller gets the error
          return result;
        },
      };
      const shelf = new VolumeShelf(repository, spool, parts, lock);
      await shelf.#recover();
      return shelf;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** The host whose volumes these are. */
  get host(): string {
    return this.#parts.host;
  }

  list(): readonly VolumeFacts[] {
    const stored = [...this.#stored.values()].map(({ name, size, modified }) => ({ name, size, modified, committed: size }));
    const refused = [...this.#refused.keys()].filter((name) => !this.#stored.has(name)).map((name) => ({ name, size: 0, modified: 0, committed: 0 }));
    return [...stored, ...refused, ...[...this.#volumes.values()].map(({ facts }) => facts)].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async open(name: string, options: { readonly create?: boolean } = {}): Promise<ShelfVolume> {
    checkName(name);
    return this.#take(async () => {
      if (!this.#has(name) && options.create !== true) throw new NotFoundError(`Open volume '${name}': no such volume`, { volume: name });
      return (await this.#load(name)).handle();
    });
  }

  remove(name: string): Promise<void> {
    return this.#take(() => this.#remove(name));
  }

  rename(from: string, to: string): Promise<void> {
    checkName(to);
    return this.#take(async () => {
      if (from === to) return;
      const volume = await this.#idle('Rename', from);
      if (this.#has(to)) await this.#remove(to);
      await volume.commit();
      await volume.commitAs(to, this.#buried.get(to)?.sequence ?? 0);
      const { facts, snapshot: renamed } = volume;
      if (!await this.#mayForget()) await this.#bury(volume);
      await volume.close(true);
      this.#volumes.delete(from);
      if (renamed !== undefined) this.#stored.set(to, { ...facts, id: renamed, host: this.#parts.host, name: to, sequence: 0, isRemoved: false });
    });
  }

  async close(): Promise<void> {
    await this.#turn;
    let failure: unknown;
    for (const volume of this.#volumes.values()) {
      await volume.sync().catch((error: unknown) => { failure ??= error; });
      await volume.commit().catch((error: unknown) => { failure ??= error; });
      await volume.close().catch((error: unknown) => { failure ??= error; });
    }
    for (const error of this.#refused.values()) failure ??= error; // what their spools hold is not in the repository
    this.#volumes.clear();
    this.#stored.clear();
    this.#refused.clear();
    await this.#lock.release();
    if (failure !== undefined) throw failure;
  }

  #take<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(run);
    this.#turn = result.catch(() => undefined); // its caller gets the error
    return result;
  }

  #has(name: string): boolean {
    return this.#volumes.has(name) || this.#stored.has(name) || this.#refused.has(name);
  }

  async #recover(): Promise<void> {
    const { newest, superseded } = await storedVolumes(this.#repository, this.#parts.host);
    for (const snapshot of newest.values()) (snapshot.isRemoved ? this.#buried : this.#stored).set(snapshot.name, snapshot);
    for (const entry of fs.readdirSync(this.#spool)) {
      if (entry.startsWith(PREFIX)) await this.#loadOrRefuse(entry.slice(PREFIX.length));
      else if (entry.startsWith(GONE)) fs.rmSync(path.join(this.#spool, entry), { recursive: true, force: true });
    }
    // Those of a damaged one may be the only good ones.
    await this.#forget(superseded.filter(({ name }) => !this.#refused.has(name)).map(({ id }) => id));
  }

  async #loadOrRefuse(name: string): Promise<void> {
    try {
      await this.#load(name);
    } catch (error) {
      if (!(error instanceof IntegrityError || error instanceof FormatError)) throw error;
      this.#refused.set(name, error);
      this.#parts.note(`volume '${name}' is not served: ${error.message}`);
    }
  }

  async #load(name: string): Promise<ShelvedVolume> {
    const refused = this.#refused.get(name);
    if (refused !== undefined) throw refused;
    const known = this.#volumes.get(name);
    if (known !== undefined) return known;
    const snapshot = this.#stored.get(name) ?? this.#buried.get(name);
    const base = snapshot === undefined ? undefined : await StoredVolume.open(await this.#repository.openSnapshot(snapshot.id), snapshot.id);
    const spool = await VolumeSpool.open(path.join(this.#spool, `${PREFIX}${name}`), base, this.#parts).catch(async (error: unknown) => {
      await base?.close();
      throw error;
    });
    if ((base === undefined || base.facts.removed === true) && !spool.isStarted) await spool.truncate(0, this.#parts.now());
    const volume = new ShelvedVolume(name, this.#parts, spool);
    this.#volumes.set(name, volume);
    this.#stored.delete(name);
    return volume;
  }

  async #idle(action: string, name: string): Promise<ShelvedVolume> {
    if (!this.#has(name)) throw new NotFoundError(`${action} volume '${name}': no such volume`, { volume: name });
    const volume = await this.#load(name);
    if (volume.isOpen) throw new BusyError(`${action} volume '${name}': it is open`);
    return volume;
  }

  async #remove(name: string): Promise<void> {
    const volume = await this.#idle('Remove', name);
    const isForgetful = await this.#mayForget();
    await volume.settled(); // the last commit in the background is to go, too
    if (!isForgetful && volume.snapshot !== undefined) await this.#bury(volume);
    const { snapshot } = volume;
    await volume.close(true);
    this.#volumes.delete(name);
    if (isForgetful && snapshot !== undefined) await this.#repository.forget?.([snapshot]);
  }

  /** Commits that a volume is gone. */
  async #bury(volume: ShelvedVolume): Promise<void> {
    await volume.commitRemoval();
    const { name, sequence, snapshot: id = '' } = volume;
    this.#buried.set(name, { id, host: this.#parts.host, name, size: 0, modified: 0, sequence, isRemoved: true });
  }

  async #mayForget(): Promise<boolean> {
    if (this.#repository.forget === undefined) return false;
    try {
      await this.#repository.forget([]);
      return true;
    } catch (error) {
      if (error instanceof UnsupportedError || error instanceof UsageError) return false;
      throw error;
    }
  }

  async #forget(ids: readonly string[]): Promise<void> {
    if (ids.length > 0 && await this.#mayForget()) await this.#repository.forget?.(ids);
  }
}
