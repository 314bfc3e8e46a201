/**
 * What worker threads do: pure functions over the arena. The same code runs inline where there are no workers, which makes simulation deterministic.
 */
import { IntegrityError } from '../../core/errors.ts'; // not the whole of core: each thread loads what this file names
import { createZstd, type Zstd } from '../compression/zstd.ts';
import { crc32 } from '../containers/checksums.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';
import { createHasher, type HashName, type Hasher } from '../hashing/hasher.ts';
import type { WasmMemory } from './wasm.ts';

/** Hashes `count` ranges: `ranges` is an arena offset of u32 pairs (offset, length); ids go to `ids`, 32 bytes each. */
export interface HashTask {
  readonly kind: 'hash';
  readonly ranges: number;
  readonly ids: number;
  readonly count: number;
  /** Sum of the lengths. */
  readonly bytes: number;
}

/** Compresses `[source, source + length)` into `target` (as large as the source); level 0 only takes the checksum. */
export interface CompressTask {
  readonly kind: 'compress';
  readonly source: number;
  readonly length: number;
  readonly target: number;
  readonly level: number;
}

/** Decodes a payload into `target` and checks each chunk of the table (an arena offset) against its id. */
export interface DecodeTask {
  readonly kind: 'decode';
  readonly compressed: boolean;
  readonly payload: number;
  readonly payloadLength: number;
  readonly target: number;
  readonly rawLength: number;
  readonly table: number;
  readonly count: number;
}

/** What a worker can be asked. */
export type Task = HashTask | CompressTask | DecodeTask;

/** `storedLength` 0: compression does not pay, store the source. `damage`: why a group cannot be used; `bad`: ordinals of wrong chunks. */
export interface TaskResult {
  readonly storedLength?: number;
  readonly payloadCrc32?: number;
  readonly damage?: string;
  readonly bad?: readonly number[];
}

/** Raw bytes that a task works on: its cost. */
export function taskBytes(task: Task): number {
  switch (task.kind) {
    case 'hash': return task.bytes;
    case 'compress': return task.length;
    case 'decode': return task.rawLength;
  }
}

/** What each thread needs. */
export interface TaskSettings {
  readonly memory: WasmMemory;
  readonly hash: HashName;
}

/** Bytes tried first: where two samples do not shrink, the rest is not tried (0.97 keeps group overhead out of the decision). */
const SAMPLE_BYTES = 32_768;
const WORTH_RATIO = 0.97;

/** Runs tasks on this thread. */
export class TaskRunner {
  readonly #bytes: Uint8Array;
  readonly #hasher: Hasher;
  readonly #zstd: Zstd;
  readonly #id = new Uint8Array(32);

  private constructor(settings: TaskSettings, hasher: Hasher, zstd: Zstd) {
    this.#bytes = new Uint8Array(settings.memory.buffer);
    this.#hasher = hasher;
    this.#zstd = zstd;
  }

  static async create(settings: TaskSettings): Promise<TaskRunner> {
    return new TaskRunner(settings, await createHasher(settings.hash), await createZstd());
  }

  run(task: Task): TaskResult {
    switch (task.kind) {
      case 'hash': return this.#hash(task);
      case 'compress': return this.#compress(task);
      case 'decode': return this.#decode(task);
    }
  }

  #hash(task: HashTask): TaskResult {
    const ranges = new Uint32Array(this.#bytes.buffer, task.ranges, task.count * 2);
    for (let i = 0; i < task.count; i += 1) {
      const offset = ranges[i * 2] as number;
      this.#hasher.digestInto(this.#bytes.subarray(offset, offset + (ranges[i * 2 + 1] as number)), this.#bytes, task.ids + i * 32);
    }
    return {};
  }

  #compress(task: CompressTask): TaskResult {
    const source = this.#bytes.subarray(task.source, task.source + task.length);
    const target = this.#bytes.subarray(task.target, task.target + task.length);
    const stored = task.level > 0 && this.#isWorthwhile(source, target, task.level) ? this.#zstd.compress(source, target, task.level) : 0;
    const pays = stored > 0 && stored < task.length;
    return { storedLength: pays ? stored : 0, payloadCrc32: crc32(pays ? target.subarray(0, stored) : source) };
  }

  #isWorthwhile(source: Uint8Array, target: Uint8Array, level: number): boolean {
    if (source.length < SAMPLE_BYTES * 4) return true;
    for (const start of [0, (source.length >>> 1) & ~63]) {
      const sample = source.subarray(start, start + SAMPLE_BYTES);
      const size = this.#zstd.compress(sample, target, level);
      if (size > 0 && size < sample.length * WORTH_RATIO) return true;
    }
    return false;
  }

  #decode(task: DecodeTask): TaskResult {
    const payload = this.#bytes.subarray(task.payload, task.payload + task.payloadLength);
    const raw = this.#bytes.subarray(task.target, task.target + task.rawLength);
    if (task.compressed) {
      try {
        this.#zstd.decompress(payload, raw);
      } catch (error) {
        if (error instanceof IntegrityError) return { damage: error.message };
        throw error;
      }
    } else {
      raw.set(payload);
    }
    const bad: number[] = [];
    const view = new DataView(this.#bytes.buffer, task.table, task.count * TABLE_ROW_BYTES);
    let at = 0;
    for (let i = 0; i < task.count; i += 1) {
      const length = view.getUint32(i * TABLE_ROW_BYTES + 32);
      this.#hasher.digestInto(raw.subarray(at, at + length), this.#id, 0);
      const row = task.table + i * TABLE_ROW_BYTES;
      if (Buffer.compare(this.#id, this.#bytes.subarray(row, row + 32)) !== 0) bad.push(i);
      at += length;
    }
    return bad.length === 0 ? {} : { bad };
  }
}
