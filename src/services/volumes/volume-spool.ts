/** The part of a volume that is not in the repository yet: its logs, which bytes they hold, and what is cut off of the last commit. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { FormatError, IntegrityError, SliceSource } from '../../core/index.ts';
import type { Append, AppendLane } from '../../exports/index.ts';
import { sameContent } from '../trees/content.ts';
import { ExtentMap } from './extent-map.ts';
import { FrozenVolume, type VolumeLayers } from './frozen-volume.ts';
import { spoolCall, syncDirectory } from './spool-file.ts';
import { MAX_WRITE_BYTES, SpoolLog, type Operation, type RecoveredLog } from './spool-log.ts';
import type { StoredVolume } from './stored-volume.ts';

/** Prefix of directories that are being removed. */
export const GONE = 'gone-';

/** Whose spool it is. */
export interface SpoolShelf {
  readonly id: string;
  note(text: string): void;
}

/** A moment to be committed. */
export interface Frozen {
  readonly layers: VolumeLayers;
  readonly modified: number;
  /** The last log that is in it. */
  readonly log: number;
}

/** Calls come one at a time, but for reads of {@link layers}. While a lane is lent, {@link recall} comes before any change and {@link catchUp} before any look. */
export class VolumeSpool {
  size: number;
  modified: number;
  /** Bytes of the last commit that were not cut off since. */
  visible: number;
  extents: ExtentMap = new ExtentMap();
  base: StoredVolume | undefined;
  readonly #directory: string;
  readonly #logs = new Map<number, SpoolLog>();
  #next: number;
  /** The least size since the last {@link freeze}. */
  #leastSize = Infinity;
  #isChanged = false;
  #isSound = true;
  /** The lane through which a thread appends to the last log. */
  #lane: AppendLane | undefined;

  private constructor(directory: string, base: StoredVolume | undefined) {
    this.#directory = directory;
    this.base = base;
    this.size = this.visible = base?.size ?? 0;
    this.modified = base?.facts.modified ?? 0;
    this.#next = (base?.facts.log ?? 0) + 1;
  }

  /**
   * Opens what a directory holds over the last commit, and makes it where it is not there. Logs that the commit contains are removed, once it was compared with them.
   * @throws {IntegrityError} the logs belong on top of a commit that is not there, or lost what was synced; nothing was changed. @throws {ToolError}
   */
  static async open(directory: string, base: StoredVolume | undefined, shelf: SpoolShelf): Promise<VolumeSpool> {
    const spool = new VolumeSpool(directory, base);
    if (!fs.existsSync(directory)) {
      await spoolCall('Make directory', directory, () => fs.promises.mkdir(directory, { mode: 0o700 }));
      await syncDirectory(path.dirname(directory));
    }
    const found: RecoveredLog[] = [];
    try {
      for (const number of SpoolLog.numbers(directory)) found.push(await SpoolLog.recover(directory, number));
      await spool.#accept(found, shelf);
    } catch (error) {
      for (const { log } of found) await log.close().catch(() => undefined); // the first error says more
      throw error;
    }
    return spool;
  }

  get layers(): VolumeLayers {
    return { size: this.size, extents: this.extents, logs: this.#logs, base: this.base, visible: this.visible };
  }

  /** Bytes in logs. */
  get bytes(): number {
    let bytes = 0;
    for (const log of this.#logs.values()) bytes += log.dataBytes;
    return bytes;
  }

  /** Whether it has any log: a volume that was never written to gets one, so that it is there after a crash. */
  get isStarted(): boolean {
    return this.#logs.size > 0;
  }

  /** Whether there is anything that the last commit does not have. */
  get isChanged(): boolean {
    return this.#isChanged || this.base === undefined;
  }

  /** Whether the logs hold what this says they hold: a change that failed before it was logged leaves everything as it was. */
  get isSound(): boolean {
    return this.#isSound;
  }

  /** Lets a thread append up to `bytesMax` bytes. Nothing, where there is no log. */
  lend(lane: AppendLane, bytesMax: number): void {
    this.recall();
    const log = this.#logs.get(this.#next - 1);
    if (log === undefined) return;
    log.lend(lane, this.size, bytesMax);
    this.#lane = lane;
  }

  /** When it returns no thread appends, and what was appended is here. @throws {ToolError} a thread does not end its write: what was appended before that is here. */
  recall(): void {
    const lane = this.#lane;
    this.#lane = undefined;
    if (lane === undefined) return;
    try {
      this.#adopt(lane.close());
    } catch (error) {
      this.#adopt(lane.take());
      throw error;
    }
  }

  /** Takes over what threads have appended so far. */
  catchUp(): void {
    if (this.#lane !== undefined) this.#adopt(this.#lane.take());
  }

  #adopt(appends: readonly Append[]): void {
    const log = this.#logs.get(this.#next - 1) as SpoolLog;
    for (const append of appends) {
      const offset = this.size;
      const at = log.adopt(offset, append);
      this.#apply({ kind: 'write', offset, length: append.length, at, time: append.time }, log.number);
    }
  }

  async write(offset: number, bytes: Uint8Array, time: number): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      const piece = bytes.subarray(done, done + MAX_WRITE_BYTES);
      const log = await this.#log();
      const { count } = log;
      const at = await log.write(offset + done, piece, time).catch((error: unknown) => {
        this.#isSound &&= log.count === count;
        throw error;
      });
      this.#apply({ kind: 'write', offset: offset + done, length: piece.length, at, time }, log.number);
      done += piece.length;
    }
  }

  async truncate(size: number, time: number): Promise<void> {
    const log = await this.#log();
    const { count } = log;
    await log.truncate(size, time).catch((error: unknown) => {
      this.#isSound &&= log.count === count;
      throw error;
    });
    this.#apply({ kind: 'truncate', offset: size, length: 0, at: 0, time }, log.number);
  }

  /** When it resolves, everything done so far survives a crash. */
  async sync(): Promise<void> {
    try {
      for (const log of this.#logs.values()) await log.sync();
    } catch (error) {
      this.#isSound = false;
      throw error;
    }
  }

  /** The volume as it is now; what is written from now on goes to other logs, which begin only when these are durable: a log never outlives one before it. */
  async freeze(): Promise<Frozen> {
    await this.#logs.get(this.#next - 1)?.cut(); // half the bytes of a write that failed would make it a torn log before another one
    await this.sync();
    const log = this.#next - 1;
    this.#logs.set(this.#next, await SpoolLog.create(this.#directory, this.#next));
    this.#next += 1;
    this.#leastSize = Infinity;
    this.#isChanged = false;
    return { layers: { ...this.layers, extents: this.extents.copy(), logs: new Map(this.#logs) }, modified: this.modified, log };
  }

  /** The commit of what was frozen failed: its logs are needed further. */
  thaw(): void {
    this.#isChanged = true;
  }

  /** `base` has all of `frozen`: its logs go. Nobody may be reading. @returns the base before. */
  async settle(frozen: Frozen, base: StoredVolume): Promise<StoredVolume | undefined> {
    const before = this.base;
    this.base = base;
    this.visible = Math.min(base.size, this.#leastSize);
    this.extents.dropLogs(frozen.log);
    for (const [number, log] of this.#logs) {
      if (number > frozen.log) continue;
      this.#logs.delete(number);
      await log.remove();
    }
    return before;
  }

  /** Closes the files. With `remove`, or when the repository has everything, the directory goes. */
  async close(remove: boolean): Promise<void> {
    this.recall();
    const isGone = remove || !this.isChanged;
    for (const log of this.#logs.values()) await log.close();
    this.#logs.clear();
    if (!isGone) return;
    // Under another name at once: some of its logs without the others would not be believed.
    const parent = path.dirname(this.#directory);
    const gone = path.join(parent, `${GONE}${path.basename(this.#directory)}`);
    fs.rmSync(gone, { recursive: true, force: true });
    await spoolCall('Rename', this.#directory, () => fs.promises.rename(this.#directory, gone));
    await syncDirectory(parent);
    fs.rmSync(gone, { recursive: true, force: true });
  }

  /** Takes logs over, or throws before any byte of them is changed: another start has to find what this one found. */
  async #accept(found: readonly RecoveredLog[], shelf: SpoolShelf): Promise<void> {
    const { base } = this;
    const foreign = base !== undefined && base.facts.shelf !== shelf.id;
    const own = base === undefined || foreign ? 0 : base.facts.log;
    const torn = found.findIndex(({ isTorn }) => isTorn);
    const after = torn < 0 ? undefined : found[torn + 1];
    if (after !== undefined) {
      throw new IntegrityError(`Recover spool '${this.#directory}': the log before '${after.log.number}' was durable when that began, and ends in the middle of an operation: the disk lost it`, { path: this.#directory });
    }
    const known = found.filter(({ log }) => log.number <= own);
    const isStored = base === undefined || await this.#isStored(known, base);
    let next = isStored ? this.#next : known[0]?.log.number ?? this.#next;
    const gone: SpoolLog[] = [];
    for (const { log } of found) {
      const { number, isEmpty } = log;
      if ((isStored && number <= own) || (isEmpty && number !== next)) {
        gone.push(log);
        continue;
      }
      if (!isEmpty && (foreign || number !== next)) {
        throw new IntegrityError(`Recover spool '${this.#directory}': its log '${number}' does not continue the last commit in the repository (log '${own}'${foreign ? ' of another spool' : ''}); move the directory away to use the volume as it is in the repository`, { path: this.#directory });
      }
      next = number + 1;
    }
    if (!isStored) shelf.note(`spool '${this.#directory}': snapshot '${base.snapshot.slice(0, 12)}' does not hold what was written; the spool does, and is committed again`);
    for (const { log, operations } of found) {
      if (gone.includes(log)) continue;
      for (const operation of operations) this.#apply(operation, log.number);
      this.#logs.set(log.number, log);
    }
    this.#next = next;
    for (const log of gone) await log.remove();
    const last = found.at(-1);
    if (last?.isTorn !== true) return;
    if (!gone.includes(last.log)) await last.log.cut();
    shelf.note(`spool '${this.#directory}': writes that were not synced were lost`);
  }

  /**
   * Whether `base` has what the logs that are said to be in it hold: the process may have died before it was read back, or what was read back was wrong, and the
   * snapshot could not be removed.
   */
  async #isStored(known: readonly RecoveredLog[], base: StoredVolume): Promise<boolean> {
    const expected = new VolumeSpool(this.#directory, base);
    for (const { log, operations } of known) {
      expected.#logs.set(log.number, log);
      for (const operation of operations) expected.#apply(operation, log.number);
    }
    if (expected.size !== base.size) return false;
    const volume = new FrozenVolume(expected.layers);
    const least = Math.min(expected.#leastSize, base.size); // from there on the logs say everything, zeroes too
    const ranges = expected.extents.extents.map(({ start, end }) => ({ start, end: Math.min(end, least) }));
    try {
      for (const { start, end } of [...ranges, { start: least, end: base.size }]) {
        if (start < end && !await sameContent(new SliceSource(base, start, end - start), new SliceSource(volume, start, end - start))) return false;
      }
      return true;
    } catch (error) {
      if (error instanceof IntegrityError || error instanceof FormatError) return false;
      throw error;
    }
  }

  async #log(): Promise<SpoolLog> {
    const last = this.#logs.get(this.#next - 1);
    if (last !== undefined) return last;
    const log = await SpoolLog.create(this.#directory, this.#next);
    this.#logs.set(this.#next, log);
    this.#next += 1;
    return log;
  }

  #apply({ kind, offset, length, at, time }: Operation, log: number): void {
    this.#isChanged = true;
    this.modified = time;
    if (kind === 'write') {
      this.extents.set({ start: offset, end: offset + length, log, at });
      this.size = Math.max(this.size, offset + length);
      return;
    }
    this.extents.cut(offset);
    this.visible = Math.min(this.visible, offset);
    this.#leastSize = Math.min(this.#leastSize, offset);
    this.size = offset;
  }
}
