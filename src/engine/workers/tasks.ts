/**
 * What worker threads do: pure functions over the arena. The same code runs inline where there are no workers, which makes simulation deterministic.
 */
import { HoldfastError, IntegrityError } from '../../core/errors.ts'; // not the whole of core: each thread loads what this file names
import type { Limits } from '../../core/limits.ts';
import { createZstd, type Zstd } from '../compression/zstd.ts';
import { TABLE_ROW_BYTES, groupCodecs, type GroupCodec } from '../containers/container.layout.ts';
import { openGroup, sealGroup, type GroupContent, type GroupKey } from '../crypto/group-seal.ts';
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

/** Compresses `[source, source + length)` into `target` (as large as the source); level 0 leaves it as it is. */
export interface CompressTask {
  readonly kind: 'compress';
  readonly source: number;
  readonly length: number;
  readonly target: number;
  readonly level: number;
}

/**
 * Seals the payload `[source, source + length)` with the chunk lengths of `table` into `target`, which takes `sealedGroupBytes` and may begin where the source does.
 * The table's lengths are left out of what is authenticated: they are inside.
 */
export interface SealTask {
  readonly kind: 'seal';
  readonly source: number;
  readonly length: number;
  readonly target: number;
  readonly targetLength: number;
  readonly codec: GroupCodec;
  readonly rawLength: number;
  /** A copy of its own. */
  readonly table: Uint8Array;
  readonly key: Omit<GroupKey, 'aad'>;
}

/**
 * Decodes a payload into `target` and checks each chunk of the table (an arena offset) against its id. With `sealed` the payload is opened first,
 * `rawLength` is what the target takes, and the lengths that were inside are written into the table's rows.
 */
export interface DecodeTask {
  readonly kind: 'decode';
  readonly compressed: boolean;
  readonly payload: number;
  readonly payloadLength: number;
  readonly target: number;
  readonly rawLength: number;
  readonly table: number;
  readonly count: number;
  readonly sealed?: { readonly key: Omit<GroupKey, 'aad'>; readonly limits: Limits };
}

/** What a worker can be asked. */
export type Task = HashTask | CompressTask | SealTask | DecodeTask;

/** `storedLength` 0: compression does not pay, store the source. `damage`: why a group cannot be used; `bad`: ordinals of wrong chunks. */
export interface TaskResult {
  readonly storedLength?: number;
  readonly damage?: string;
  readonly bad?: readonly number[];
}

/** Raw bytes that a task works on: its cost. */
export function taskBytes(task: Task): number {
  switch (task.kind) {
    case 'hash': return task.bytes;
    case 'compress': case 'seal': return task.length;
    case 'decode': return task.sealed === undefined ? task.rawLength : task.payloadLength;
  }
}

/** What each thread needs. */
export interface TaskSettings {
  readonly memory: WasmMemory;
  readonly hash: HashName;
  /** Makes ids keyed. */
  readonly idKey?: Uint8Array;
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
    return new TaskRunner(settings, await createHasher(settings.hash, settings.idKey), await createZstd());
  }

  run(task: Task): TaskResult {
    switch (task.kind) {
      case 'hash': return this.#hash(task);
      case 'compress': return this.#compress(task);
      case 'seal': return this.#seal(task);
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
    return { storedLength: pays ? stored : 0 };
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

  #seal({ source, length, target, targetLength, codec, rawLength, table, key }: SealTask): TaskResult {
    const content = { codec: groupCodecs.indexOf(codec), rawLength, lengths: takeLengths(table), payload: this.#bytes.subarray(source, source + length) };
    const sealed = sealGroup({ ...key, aad: table }, content, this.#bytes.subarray(target, target + targetLength));
    return { storedLength: sealed.length };
  }

  /** The content of a sealed group; its lengths go into the table's rows. */
  #open(task: DecodeTask, { key, limits }: NonNullable<DecodeTask['sealed']>): GroupContent {
    const table = this.#bytes.subarray(task.table, task.table + task.count * TABLE_ROW_BYTES);
    const sealed = this.#bytes.subarray(task.payload, task.payload + task.payloadLength);
    const content = openGroup({ ...key, aad: table }, sealed, { count: task.count, limits, where: 'a sealed group' });
    if (content.rawLength > task.rawLength) throw new IntegrityError(`a sealed group has '${content.rawLength}' bytes, '${task.rawLength}' are expected at most`);
    const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
    content.lengths.forEach((length, i) => { view.setUint32(i * TABLE_ROW_BYTES + 32, length); });
    return content;
  }

  #decode(task: DecodeTask): TaskResult {
    if (task.sealed === undefined) return this.#unpack(task, this.#bytes.subarray(task.payload, task.payload + task.payloadLength));
    let content: GroupContent;
    try {
      content = this.#open(task, task.sealed);
    } catch (error) {
      if (error instanceof HoldfastError) return { damage: error.message };
      throw error;
    }
    const codec = groupCodecs[content.codec];
    if (codec === undefined || codec === 'sealed' || (codec === 'none' && content.payload.length !== content.rawLength)) return { damage: `a sealed group holds codec '${content.codec}' with '${content.payload.length}' bytes` };
    return this.#unpack({ ...task, rawLength: content.rawLength, compressed: codec === 'zstd' }, content.payload);
  }

  #unpack(task: DecodeTask, payload: Uint8Array): TaskResult {
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

/** The lengths of a table, which are 0 in it afterwards. */
function takeLengths(table: Uint8Array): Uint32Array {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  return Uint32Array.from({ length: table.length / TABLE_ROW_BYTES }, (_, i) => {
    const length = view.getUint32(i * TABLE_ROW_BYTES + 32);
    view.setUint32(i * TABLE_ROW_BYTES + 32, 0);
    return length;
  });
}
