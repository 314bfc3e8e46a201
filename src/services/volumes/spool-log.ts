/**
 * One log of a volume's spool: operations in their order in one file, the bytes of writes in another.
 * A log is read back only after a crash or a stop: up to the first operation that is torn or whose bytes are not there. A third file says how far it was synced:
 * what is missing before that is damage, what is missing behind was lost with the machine's memory.
 */
import * as fs from 'node:fs';
import * as path from 'node:path';
import { FormatError, IntegrityError } from '../../core/index.ts';
import type { Append, AppendLane } from '../../exports/index.ts';
import { crc32 } from '../../formats/bacula/index.ts';
import { SpoolFile, syncDirectory } from './spool-file.ts';
import { MARKER_STRIDE, OPERATION, markerLayout, operationLayout } from './spool-log.layout.ts';

/** An operation as it was logged. */
export interface Operation {
  readonly kind: 'write' | 'truncate';
  readonly offset: number;
  readonly length: number;
  readonly at: number;
  /** Milliseconds since 1970. */
  readonly time: number;
}

/** What {@link SpoolLog.recover} found. */
export interface RecoveredLog {
  readonly log: SpoolLog;
  readonly operations: readonly Operation[];
  readonly isTorn: boolean;
}

/** Operations are written in pieces of this many bytes, or at a sync. */
const PENDING_BYTES = 32 << 10;
const READ_BYTES = 1 << 20;
/** Bytes after which data is sent to the disk, so that a sync at the end of a job does not wait for all of it. */
const EARLY_BYTES = 64 << 20;

type LoggedValues = Omit<Parameters<typeof operationLayout.encode>[0], 'Checksum' | 'Reserved'>;

/** One log. Calls come one at a time, but for reads. */
export class SpoolLog {
  readonly number: number;
  readonly #directory: string;
  readonly #operations: SpoolFile;
  readonly #data: SpoolFile;
  readonly #marker: SpoolFile;
  readonly #pending: Uint8Array[] = [];
  #operationBytes = 0;
  #dataBytes = 0;
  #isSynced = true;
  /** Which of the two markers is written next. */
  #turn: 0 | 1 = 0;
  /** The sync ahead of time that is under way, and up to where it was begun. */
  #early: Promise<void> = Promise.resolve();
  #earlyBytes = 0;
  #isEarly = false;
  /** Why one failed: the kernel tells it once, so that a later sync would seem to succeed. */
  #lost: Error | undefined;

  private constructor(directory: string, number: number, files: { readonly operations: SpoolFile; readonly data: SpoolFile; readonly marker: SpoolFile }) {
    this.#directory = directory;
    this.number = number;
    this.#operations = files.operations;
    this.#data = files.data;
    this.#marker = files.marker;
  }

  /** Bytes of written data. */
  get dataBytes(): number {
    return this.#dataBytes;
  }

  /** Number of operations logged, durable or not. */
  get count(): number {
    return this.#operationBytes / operationLayout.size + this.#pending.length;
  }

  get isEmpty(): boolean {
    return this.#operationBytes === 0 && this.#pending.length === 0;
  }

  /** Numbers of the logs in a directory, ascending. Operations are made last and go first: without them there is no log. */
  static numbers(directory: string): readonly number[] {
    return fs.readdirSync(directory).flatMap((name) => /^(\d{10})\.operations$/.exec(name)?.[1] ?? []).map(Number).sort((a, b) => a - b);
  }

  /** Begins a log; durable when it resolves. @throws {ToolError} */
  static async create(directory: string, number: number): Promise<SpoolLog> {
    removeFiles(directory, number); // of a log that never began
    const data = await SpoolFile.open(fileName(directory, number, 'data'), 'wx+');
    const marker = await SpoolFile.open(fileName(directory, number, 'synced'), 'wx+');
    const operations = await SpoolFile.open(fileName(directory, number, 'operations'), 'wx+');
    await syncDirectory(directory);
    return new SpoolLog(directory, number, { operations, data, marker });
  }

  /**
   * Opens a log and reads its operations as far as they are whole. Changes nothing: what is behind goes with {@link cut}, once the logs around it are accepted, too.
   * `isTorn`: there was something behind, and it was never synced. @throws {IntegrityError} what was synced is damaged. @throws {ToolError}
   */
  static async recover(directory: string, number: number): Promise<RecoveredLog> {
    const operations = await SpoolFile.open(fileName(directory, number, 'operations'), 'r+');
    const data = await SpoolFile.open(fileName(directory, number, 'data'), 'r+');
    const hasMarker = fs.existsSync(fileName(directory, number, 'synced')); // logs of the first version have none
    const marker = await SpoolFile.open(fileName(directory, number, 'synced'), hasMarker ? 'r+' : 'wx+');
    const log = new SpoolLog(directory, number, { operations, data, marker });
    try {
      return { log, ...await log.#replay() };
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  /** Cuts off what is behind the operations that were whole. */
  async cut(): Promise<void> {
    await this.#operations.truncate(this.#operationBytes);
    await this.#data.truncate(this.#dataBytes);
  }

  /** Logs a write; its bytes are in the file when it resolves. @returns where they are. */
  async write(offset: number, bytes: Uint8Array, time: number): Promise<number> {
    const at = this.#dataBytes;
    this.#isSynced = false;
    await this.#data.write(at, bytes);
    this.#dataBytes = at + bytes.length;
    await this.#log({ Kind: OPERATION.write, Offset: offset, Length: bytes.length, DataAt: at, DataChecksum: crc32(bytes), Time: time });
    if (!this.#isEarly && this.#dataBytes - this.#earlyBytes >= EARLY_BYTES) this.#syncEarly();
    return at;
  }

  /** Lets a thread write behind what is here, until the lane is closed; what comes is at `offset` of the volume. */
  lend(lane: AppendLane, offset: number, bytesMax: number): void {
    lane.open({ descriptor: this.#data.descriptor, at: this.#dataBytes, offset, bytesMax });
  }

  /** Logs what a thread wrote, in its order. @returns where it is. */
  adopt(offset: number, { length, checksum, time }: Append): number {
    const at = this.#dataBytes;
    this.#isSynced = false;
    this.#dataBytes = at + length;
    this.#keep({ Kind: OPERATION.write, Offset: offset, Length: length, DataAt: at, DataChecksum: checksum, Time: time });
    return at;
  }

  /** Logs a change of size. */
  async truncate(size: number, time: number): Promise<void> {
    this.#isSynced = false;
    await this.#log({ Kind: OPERATION.truncate, Offset: size, Length: 0, DataAt: 0, DataChecksum: 0, Time: time });
  }

  async readInto(at: number, target: Uint8Array): Promise<void> {
    const done = await this.#data.read(at, target);
    if (done < target.length) {
      throw new FormatError(`Read spool '${this.#directory}'`, { structure: 'log', field: 'data', offset: at, found: done, expected: target.length });
    }
  }

  /** When it resolves, everything logged so far survives a crash. */
  async sync(): Promise<void> {
    await this.#early;
    if (this.#lost !== undefined) throw this.#lost;
    if (this.#isSynced) return;
    await this.#flush();
    await this.#data.sync();
    await this.#operations.sync();
    await this.#mark(); // only now: a marker must not be on the disk before what it promises
    this.#isSynced = true;
  }

  async close(): Promise<void> {
    await this.#early;
    await this.#operations.close();
    await this.#data.close();
    await this.#marker.close();
  }

  /** Closes and removes the log. */
  async remove(): Promise<void> {
    await this.close();
    removeFiles(this.#directory, this.number);
  }

  async #log(values: LoggedValues): Promise<void> {
    this.#keep(values);
    if (this.#pending.length * operationLayout.size >= PENDING_BYTES) await this.#flush();
  }

  #keep(values: LoggedValues): void {
    const bytes = operationLayout.encode({ ...values, Checksum: 0, Reserved: 0 });
    new DataView(bytes.buffer).setUint32(0, crc32(bytes.subarray(4)));
    this.#pending.push(bytes);
  }

  #syncEarly(): void {
    this.#isEarly = true;
    this.#earlyBytes = this.#dataBytes;
    this.#early = this.#data.syncData().catch((error: unknown) => { this.#lost = error as Error; }).finally(() => { this.#isEarly = false; });
  }

  async #flush(): Promise<void> {
    const bytes = Buffer.concat(this.#pending.splice(0));
    await this.#operations.write(this.#operationBytes, bytes);
    this.#operationBytes += bytes.length;
  }

  async #mark(): Promise<void> {
    const bytes = markerLayout.encode({ Checksum: 0, Reserved: 0, OperationBytes: this.#operationBytes, DataBytes: this.#dataBytes });
    new DataView(bytes.buffer).setUint32(0, crc32(bytes.subarray(4)));
    await this.#marker.write(this.#turn * MARKER_STRIDE, bytes);
    await this.#marker.sync();
    this.#turn = this.#turn === 0 ? 1 : 0;
  }

  /** How far the log was synced for sure; the next marker replaces the older one. */
  async #readMarkers(): Promise<{ readonly operationBytes: number; readonly dataBytes: number }> {
    let synced = { operationBytes: 0, dataBytes: 0 };
    const one = new Uint8Array(markerLayout.size);
    for (const turn of [0, 1] as const) {
      if (await this.#marker.read(turn * MARKER_STRIDE, one) < one.length) continue;
      const { Checksum, OperationBytes, DataBytes } = markerLayout.view(one);
      if (Checksum !== crc32(one.subarray(4)) || OperationBytes < synced.operationBytes) continue;
      synced = { operationBytes: OperationBytes, dataBytes: DataBytes };
      this.#turn = turn === 0 ? 1 : 0;
    }
    return synced;
  }

  async #replay(): Promise<Omit<RecoveredLog, 'log'>> {
    const [operationBytes, dataBytes] = [await this.#operations.size(), await this.#data.size()];
    const buffer = new Uint8Array(READ_BYTES);
    const one = new Uint8Array(operationLayout.size);
    const operations: Operation[] = [];
    const synced = await this.#readMarkers();
    for (; this.#operationBytes + one.length <= operationBytes; this.#operationBytes += one.length) {
      await this.#operations.read(this.#operationBytes, one);
      const view = operationLayout.view(one);
      if (view.Checksum !== crc32(one.subarray(4))) break; // then no field means anything
      const { Kind, Offset, Length, DataAt, DataChecksum, Time } = view;
      if (Kind !== OPERATION.write && Kind !== OPERATION.truncate) break;
      if (Kind === OPERATION.write) {
        if (DataAt !== this.#dataBytes || DataAt + Length > dataBytes || Length > MAX_WRITE_BYTES) break;
        const bytes = Length <= buffer.length ? buffer.subarray(0, Length) : new Uint8Array(Length);
        await this.#data.read(DataAt, bytes);
        if (crc32(bytes) !== DataChecksum) break;
        this.#dataBytes += Length;
      }
      operations.push({ kind: Kind === OPERATION.write ? 'write' : 'truncate', offset: Offset, length: Length, at: DataAt, time: Time });
    }
    if (this.#operationBytes < synced.operationBytes || this.#dataBytes < synced.dataBytes) {
      throw new IntegrityError(`Recover spool '${this.#directory}': log '${this.number}' is damaged behind '${this.#dataBytes}' bytes of data, and '${synced.dataBytes}' were synced; nothing was changed. Move the directory away to use the volume as it is in the repository`, { path: this.#directory });
    }
    this.#isSynced = false; // a crash of the process may have left it in the kernel's memory only
    return { operations, isTorn: this.#operationBytes < operationBytes || this.#dataBytes < dataBytes };
  }
}

/** Bytes of one logged write; longer writes are logged in pieces. */
export const MAX_WRITE_BYTES: number = 16 << 20;

type LogPart = 'operations' | 'data' | 'synced';

function fileName(directory: string, number: number, part: LogPart): string {
  return path.join(directory, `${String(number).padStart(10, '0')}.${part}`);
}

function removeFiles(directory: string, number: number): void {
  for (const part of ['operations', 'data', 'synced'] as const) fs.rmSync(fileName(directory, number, part), { force: true });
}
