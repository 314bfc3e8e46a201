/** One volume of a shelf: puts what its handles do in order, and commits it. */
import { BusyError, IntegrityError, SliceSource, UnsupportedError, UsageError, type BlockSource } from '../../core/index.ts';
import type { AppendLane } from '../../exports/index.ts';
import { sameContent } from '../trees/content.ts';
import { CommitTree } from './commit-tree.ts';
import { FrozenVolume, readLayers } from './frozen-volume.ts';
import { volumeSnapshot, volumeSource, volumeTags, type ShelfRepository } from './repository.ts';
import type { ShelfVolume, VolumeFacts } from './shelf-volume.ts';
import { StoredVolume, type StoredFacts, type StoredSegment } from './stored-volume.ts';
import type { Frozen, VolumeSpool } from './volume-spool.ts';

/** What the volumes of a shelf share. */
export interface ShelfParts {
  readonly repository: ShelfRepository;
  /** Id of the spool. */
  readonly id: string;
  readonly host: string;
  readonly segmentBytes?: number;
  /** A volume is committed in the background when its spool holds so many bytes, and a sixteenth of its size. */
  readonly commitBytes: number;
  /** A write waits for a commit when its volume's spool holds so many bytes. */
  readonly spoolBytesMax: number;
  now(): number;
  note(text: string): void;
  /** One commit at a time: a repository takes one backup at a time. */
  exclusive<T>(run: () => Promise<T>): Promise<T>;
}

/** A commit that is more than that of what changed. */
interface CommitWish {
  readonly name?: string;
  /** The commit gets a higher number. */
  readonly sequence?: number;
  readonly isRemoved?: boolean;
}

/** Bytes that a thread may append before this one is asked again. */
const LENT_BYTES = 64 << 20;

/** See the header. */
export class ShelvedVolume {
  readonly name: string;
  readonly #parts: ShelfParts;
  /** To be used through {@link #spool}. */
  readonly #kept: VolumeSpool;
  #handles = 0;
  /** Changes as they were asked for: one that waits for room in the spool is not overtaken by later ones. */
  #asked: Promise<void> = Promise.resolve();
  /** Changes and the beginnings of reads, in order. */
  #order: Promise<void> = Promise.resolve();
  readonly #reads = new Set<Promise<void>>();
  #commits: Promise<void> = Promise.resolve();
  /** Commits in the background that have not ended: one at work, and one behind it for what was written meanwhile. */
  #pending = 0;
  /** Bytes in the spool when the last commit in the background failed: the next write must not try again at once. */
  #failedBytes = -Infinity;
  /** Last logs of the commits that were tried since one succeeded. */
  readonly #attempts = new Set<number>();
  /** A change of the spool that failed: every later one does, too. */
  #failure: Error | undefined;
  /** Changes that were asked for and have not ended: no thread appends beside them. */
  #changes = 0;

  constructor(name: string, parts: ShelfParts, spool: VolumeSpool) {
    this.name = name;
    this.#parts = parts;
    this.#kept = spool;
  }

  /** With everything that threads have appended. */
  get #spool(): VolumeSpool {
    this.#kept.catchUp();
    return this.#kept;
  }

  get facts(): VolumeFacts {
    const { size, modified, visible, extents } = this.#spool;
    return { name: this.name, size, modified, committed: Math.min(visible, extents.at(0)?.start ?? visible) };
  }

  get isOpen(): boolean {
    return this.#handles > 0;
  }

  /** A handle; see {@link ShelfVolume}. */
  handle(): ShelfVolume {
    this.#handles += 1;
    return new VolumeHandle(this);
  }

  async release(): Promise<void> {
    this.#handles -= 1;
    await this.sync();
    if (this.#handles === 0) this.#spool.base?.rest();
    this.#commitInBackground(2); // one at work may not have what was written last
  }

  readInto(offset: number, target: Uint8Array): Promise<void> {
    const begun = this.#order.then(() => {
      const read = readLayers(this.#spool.layers, offset, target, { sequential: true });
      const ended = read.catch(() => undefined).then(() => { this.#reads.delete(ended); }); // the reader gets the error itself
      this.#reads.add(ended);
      return { read };
    });
    return begun.then(({ read }) => read);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    if (!Number.isSafeInteger(offset) || offset < 0 || !Number.isSafeInteger(offset + bytes.length)) throw new RangeError(`Write volume '${this.name}' at '${offset}': no such place`);
    await this.#inTurn(() => this.#makeRoom(bytes.length), () => this.#spool.write(offset, bytes, this.#parts.now()));
    const { commitBytes } = this.#parts;
    if (this.#spool.bytes >= Math.max(commitBytes, this.#spool.size / 16, this.#failedBytes + commitBytes)) this.#commitInBackground();
  }

  /** See `OpenStoredFile.offer`. So few bytes at a time that whether to commit is asked often enough. */
  offer(lane: AppendLane): void {
    const room = Math.min(this.#parts.spoolBytesMax - this.#spool.bytes, LENT_BYTES);
    if (this.#changes > 0 || this.#failure !== undefined || room <= 0) return;
    this.#recall();
    if (this.#failure === undefined) this.#kept.lend(lane, room);
  }

  truncate(size: number): Promise<void> {
    if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`Truncate volume '${this.name}' to '${size}': no such size`);
    return this.#inTurn(() => undefined, () => this.#spool.truncate(size, this.#parts.now()));
  }

  sync(): Promise<void> {
    return this.#inTurn(() => undefined, () => this.#spool.sync());
  }

  /** @throws {IntegrityError} what was stored is not what was written; the spool keeps everything. */
  commit(): Promise<void> {
    const commit = this.#commits.then(() => this.#commit());
    this.#commits = commit.catch(() => undefined); // whoever asked gets the error; the next commit tries again
    return commit;
  }

  /** Commits this name and then, as {@link snapshot}, another one, whose commits so far counted up to `sequence`. Only to be closed or removed afterwards. */
  async commitAs(name: string, sequence: number): Promise<void> {
    await this.commit();
    await this.#commit({ name, sequence });
  }

  /** Commits that the volume is gone, where nothing may be forgotten. */
  async commitRemoval(): Promise<void> {
    await this.truncate(0);
    await this.#commit({ isRemoved: true });
  }

  /** Resolves when no commit is under way. */
  settled(): Promise<void> {
    return this.#commits;
  }

  /** The snapshot that holds the last commit. */
  get snapshot(): string | undefined {
    return this.#spool.base?.snapshot;
  }

  /** Number of the last commit; 0 when there was none. */
  get sequence(): number {
    return this.#spool.base?.facts.sequence ?? 0;
  }

  /** Ends the spool. `remove`: also what is not in the repository. */
  async close(remove = false): Promise<void> {
    await this.#commits;
    await this.#order;
    await Promise.all(this.#reads);
    await this.#spool.close(remove);
    await this.#spool.base?.close();
  }

  async #makeRoom(bytes: number): Promise<void> {
    if (this.#spool.bytes + bytes > this.#parts.spoolBytesMax && this.#spool.bytes > 0) await this.commit();
  }

  /** Runs one change of a handle when those asked for before it were begun, and `ready` is done. */
  #inTurn(ready: () => Promise<void> | undefined, run: () => Promise<void>): Promise<void> {
    const turn = this.#asked.then(ready);
    const done = turn.then(() => this.#change(run));
    this.#asked = turn.catch(() => undefined); // whoever asked gets the error; the next one makes room itself
    return done;
  }

  /** Runs one change. `isCommit`: also after one that failed before it was logged; what was done before that is to be stored all the same. */
  #change<T>(run: () => Promise<T>, isCommit = false): Promise<T> {
    this.#changes += 1;
    this.#recall();
    const done = this.#order.then(async () => {
      try {
        if (this.#failure !== undefined && !(isCommit && this.#spool.isSound)) throw this.#failure;
        return await run();
      } catch (error) {
        this.#failure ??= error as Error;
        throw error;
      } finally {
        this.#changes -= 1;
      }
    });
    this.#order = done.then(() => undefined, () => undefined); // its caller gets the error, the next one meets `#failure`
    return done;
  }

  /** Ends appending by threads. One that does not end its write leaves the volume failed: it may write yet, and be answered. */
  #recall(): void {
    try {
      this.#kept.recall();
    } catch (error) {
      this.#failure ??= error as Error;
    }
  }

  #commitInBackground(pendingMax = 1): void {
    if (this.#pending >= pendingMax || this.#failure !== undefined) return;
    this.#pending += 1;
    this.commit().then(() => { this.#failedBytes = -Infinity; }, (error: unknown) => {
      this.#failedBytes = this.#spool.bytes;
      this.#parts.note(`volume '${this.name}' stays in the spool for now: ${(error as Error).message}`);
    }).finally(() => { this.#pending -= 1; });
  }

  async #commit(wish?: CommitWish): Promise<void> {
    await this.#parts.exclusive(async () => {
      const frozen = await this.#change(async () => (this.#spool.isChanged || wish !== undefined ? this.#spool.freeze() : undefined), true);
      if (frozen === undefined) return;
      let stored: StoredVolume;
      let [sequence, lost]: [number, readonly string[]] = [0, []];
      try {
        ({ sequence, lost } = await this.#checkNewest(frozen.layers.base));
        this.#attempts.add(frozen.log);
        stored = await this.#store(frozen, { ...wish, sequence: Math.max(wish?.sequence ?? 0, sequence) });
      } catch (error) {
        this.#spool.thaw();
        throw error;
      }
      const before = await this.#change(async () => {
        await Promise.all(this.#reads);
        return this.#spool.settle(frozen, stored);
      }, true);
      await before?.close();
      if (this.#handles === 0) stored.rest();
      this.#attempts.clear();
      for (const snapshot of before === undefined ? lost : [before.snapshot, ...lost]) await this.#forget(snapshot);
    });
  }

  /**
   * Two spools that commit the same volume would each undo what the other did. A commit of this process whose answer was lost, or that came back wrong and could not be removed,
   * is ours: what is committed now has all of it, gets a higher number, and is read back itself.
   * @returns the highest number so far, and our snapshots that are to go. @throws {BusyError} the newest commit is not ours.
   */
  async #checkNewest(base: StoredVolume | undefined): Promise<{ readonly sequence: number; readonly lost: readonly string[] }> {
    const own = base?.facts.sequence ?? 0;
    const lost: string[] = [];
    let sequence = own;
    for (const snapshot of await this.#parts.repository.snapshots()) {
      const other = volumeSnapshot(snapshot);
      if (other?.name !== this.name || other.host !== this.#parts.host || other.id === base?.snapshot || other.sequence < own) continue;
      if (!other.isRemoved) {
        if (!await this.#isOurs(other.id)) throw new BusyError(`Commit volume '${this.name}': somebody else committed it (snapshot '${other.id.slice(0, 12)}'); use one spool for each volume`, { volume: this.name });
        lost.push(other.id);
      }
      sequence = Math.max(sequence, other.sequence);
    }
    return { sequence, lost };
  }

  /** Whether this process tried to commit just that; a copy of the spool that somebody else uses has the same id. */
  async #isOurs(snapshot: string): Promise<boolean> {
    if (this.#attempts.size === 0) return false;
    const stored = await StoredVolume.open(await this.#parts.repository.openSnapshot(snapshot), snapshot);
    await stored.close();
    return stored.facts.shelf === this.#parts.id && this.#attempts.has(stored.facts.log);
  }

  /** Stores a moment and reads it back. */
  async #store({ layers, modified, log }: Frozen, { name = this.name, sequence = 0, isRemoved = false }: CommitWish): Promise<StoredVolume> {
    const { repository, id, host, segmentBytes } = this.#parts;
    const volume = new FrozenVolume(layers);
    const facts: Omit<StoredFacts, 'segments'> = {
      format: 'holdfast volume', version: 1, name, size: volume.size, modified, sequence: Math.max(layers.base?.facts.sequence ?? 0, sequence) + 1, shelf: id, log,
      ...(isRemoved ? { removed: true } : {}),
    };
    const tree = new CommitTree({ volume, base: layers.base, kept: keptSegments(frozenBase(layers), layers), facts, ...(segmentBytes === undefined ? {} : { segmentBytes }) });
    const stop = new AbortController();
    let failure: Error | undefined;
    const backup = repository.backup(tree, {
      sources: [volumeSource(name)], tags: volumeTags(facts), host, chunking: 'fastcdc', tuning: 'off', signal: stop.signal,
      ...(layers.base === undefined ? {} : { parent: layers.base.snapshot }),
      onProblem: ({ kind, message }) => {
        if (kind === 'damaged-parent') return this.#parts.note(message);
        failure ??= new IntegrityError(`Commit volume '${name}': ${message}`, { volume: name });
        stop.abort(); // the facts are the tree's last file: without them there is no snapshot
      },
    });
    const { snapshot } = await backup.catch((error: unknown) => { throw failure ?? error; });
    const stored = await StoredVolume.open(await repository.openSnapshot(snapshot), snapshot);
    try {
      if (failure !== undefined) throw failure;
      await checkStored(stored, volume, tree.fresh);
      return stored;
    } catch (error) {
      await stored.close();
      await this.#forget(snapshot);
      throw error;
    }
  }

  /** Takes a superseded snapshot away where that is allowed; the newest one is known by its number. */
  async #forget(snapshot: string): Promise<void> {
    try {
      await this.#parts.repository.forget?.([snapshot]);
    } catch (error) {
      if (!(error instanceof UnsupportedError) && !(error instanceof UsageError)) this.#parts.note(`snapshot '${snapshot.slice(0, 12)}' of volume '${this.name}' is superseded and stays: ${(error as Error).message}`);
    }
  }
}

function frozenBase({ base }: Frozen['layers']): readonly StoredSegment[] {
  return base?.segments ?? [];
}

/** Segments of the base that no change touches. One that ends inside a block is split again when the volume goes on behind it. */
function keptSegments(segments: readonly StoredSegment[], { size, visible, extents }: Frozen['layers']): readonly StoredSegment[] {
  return segments.filter(({ offset, length, isTorn }) => {
    const end = offset + length;
    return end <= visible && !extents.touches(offset, end) && !(isTorn && end < size);
  });
}

/** Reads new segments back from the repository. @throws {IntegrityError} other bytes came. */
async function checkStored(stored: StoredVolume, volume: BlockSource, fresh: CommitTree['fresh']): Promise<void> {
  if (stored.size !== volume.size) throw new IntegrityError(`Commit volume '${stored.facts.name}': '${stored.size}' bytes came back, expected '${volume.size}'`);
  const part = (source: BlockSource, offset: number, length: number): BlockSource => new SliceSource(source, offset, length);
  for (const { offset, length } of fresh) {
    if (await sameContent(part(stored, offset, length), part(volume, offset, length))) continue;
    throw new IntegrityError(`Commit volume '${stored.facts.name}': other bytes came back from the repository for the segment at '${offset}'; nothing was removed from the spool`, { volume: stored.facts.name, offset });
  }
}

class VolumeHandle implements ShelfVolume {
  readonly #volume: ShelvedVolume;
  #isClosed = false;

  constructor(volume: ShelvedVolume) {
    this.#volume = volume;
  }

  get name(): string {
    return this.#volume.name;
  }

  get size(): number {
    return this.#volume.facts.size;
  }

  get modified(): number {
    return this.#volume.facts.modified;
  }

  async readInto(offset: number, target: Uint8Array): Promise<void> {
    this.#check();
    return this.#volume.readInto(offset, target);
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#check();
    return this.#volume.write(offset, bytes);
  }

  async truncate(size: number): Promise<void> {
    this.#check();
    return this.#volume.truncate(size);
  }

  offer(lane: AppendLane): void {
    if (!this.#isClosed) this.#volume.offer(lane);
  }

  async sync(): Promise<void> {
    this.#check();
    return this.#volume.sync();
  }

  async commit(): Promise<void> {
    this.#check();
    return this.#volume.commit();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#volume.release();
  }

  #check(): void {
    if (this.#isClosed) throw new UsageError(`Use volume '${this.name}': this handle is closed`);
  }
}
