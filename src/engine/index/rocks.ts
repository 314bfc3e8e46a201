/**
 * Ids to places in RocksDB, through the optional package `rocksdb-native`: the only file that loads it.
 * Layout: docs/formats/index-rocks.md.
 *
 * Durability: the package has no synchronous write. A batch (ids and their watermarks) is one RocksDB write, thus whole
 * or absent after any crash. A killed process loses nothing. A power cut may lose the newest batches: RocksDB replays
 * its log up to the first record that is not intact ("point in time"), so what is left is an older state whose older
 * watermarks tell the store how much of the containers to replay. `flush` moves everything into synced tables.
 */
import assert from 'node:assert';
import { createRequire } from 'node:module';
import { BusyError, ID_BYTES, IntegrityError, PLACE_BYTES, ToolError, UsageError } from '../../core/index.ts';
import type { ChunkIndex, Disk, IdBatch, Watermark } from '../../core/index.ts';
import { PAGE_ENTRIES } from './entry-page.ts';
import { checkWatermark, isForget } from './watermark-map.ts';

/** Where RocksDB keeps its files, below the disk's root. */
export const ROCKS_DIRECTORY = 'index/rocks';

const KEY_BYTES = 1 + ID_BYTES;
const ID_PREFIX = 0x69; // 'i'
const MARK_PREFIX = 0x77; // 'w'
const FORMAT_KEY: Uint8Array = Buffer.from('format');
const FORMAT_VALUE = 'holdfast-index 1';
const READ_BATCH = 4096;

interface NativeReadBatch { get(key: Uint8Array): Promise<Uint8Array | null>; flush(): Promise<void> }
interface NativeWriteBatch { tryPut(key: Uint8Array, value: Uint8Array): void; tryDelete(key: Uint8Array): void; flush(): Promise<void> }
interface NativeRange { readonly gte: Uint8Array; readonly lt: Uint8Array; readonly capacity: number; readonly limit?: number }
interface NativeDatabase {
  ready(): Promise<void>;
  read(options: { readonly capacity: number; readonly autoDestroy: boolean }): NativeReadBatch;
  write(options: { readonly capacity: number; readonly autoDestroy: boolean }): NativeWriteBatch;
  iterator(range: NativeRange): AsyncIterable<{ readonly key: Uint8Array; readonly value: Uint8Array }>;
  get(key: Uint8Array): Promise<Uint8Array | null>;
  flush(): Promise<void>;
  getProperty(name: string): Promise<string>;
  close(options: { readonly force: boolean }): Promise<void>;
}
type NativeModule = (new (path: string, options: Readonly<Record<string, unknown>>) => NativeDatabase) & {
  readonly RibbonFilterPolicy: new (bitsPerKey: number) => unknown;
};

/** Whether RocksDB can be used, and why not. */
export type RocksVerdict = { readonly available: true } | { readonly available: false; readonly reason: string };

function loadNative(): NativeModule {
  return createRequire(import.meta.url)('rocksdb-native') as NativeModule;
}

/** Tries to load RocksDB for this disk; never throws. `reason` fits into a sentence for people. */
export function probeRocks(disk: Disk): RocksVerdict {
  if (disk.nativePath(ROCKS_DIRECTORY) === undefined) return { available: false, reason: 'this disk has no native paths' };
  try {
    loadNative();
    return { available: true };
  } catch (error) {
    const text = error instanceof Error ? error.message.split('\n')[0] ?? '' : String(error);
    const hint = text.includes('libatomic') ? ' (install the system package libatomic1)' : '';
    return { available: false, reason: `package 'rocksdb-native' does not load: ${text}${hint}` };
  }
}

// Two write buffers of 4 MiB; no block cache, because the package knows only RocksDB's 32 MiB one, which took 33 MB and made
// hits no faster than the page cache does. Filters and table indexes then stay in memory, about 1.7 bytes an id.
function options(native: NativeModule, mode: 'read' | 'write'): Readonly<Record<string, unknown>> {
  return {
    readOnly: mode === 'read',
    createIfMissing: mode === 'write',
    writeBufferSize: 4 << 20,
    maxWriteBufferNumber: 2,
    maxBackgroundJobs: 2,
    maxOpenFiles: 256,
    tableBlockSize: 4096,
    blockCache: false,
    tableCacheIndexAndFilterBlocks: false,
    filterPolicy: new native.RibbonFilterPolicy(10),
  };
}

function failure(action: string, error: unknown): Error {
  const causes = error instanceof AggregateError ? error.errors.filter((one) => one instanceof Error) : [];
  const text = [error, ...causes, error instanceof Error ? error.cause : undefined]
    .map((one) => (one instanceof Error ? one.message : '')).filter((one) => one !== '').join(': ');
  const data = { directory: ROCKS_DIRECTORY, message: text };
  if (/lock file|lock hold|LOCK:/.test(text)) return new BusyError(`${action}: another process writes to '${ROCKS_DIRECTORY}': ${text}`, data);
  if (/read only/.test(text)) return new UsageError(`${action}: the index was opened for reading`, data);
  // The package reports one code for all failures. What the system refuses is named below; the rest is damage.
  if (text === '' || /permission denied|no space|quota|too many open|read-only file|cannot allocate|input\/output/i.test(text)) {
    return new ToolError(`${action}: RocksDB failed in '${ROCKS_DIRECTORY}': ${text}`, data, error);
  }
  return new IntegrityError(`${action}: the index in '${ROCKS_DIRECTORY}' is damaged: ${text}`, data, error);
}

async function guard<T>(action: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw failure(action, error);
  }
}

// Several versions of RocksDB's own text log pile up, one for each open; the package has no option for it.
async function removeOldTextLogs(disk: Disk): Promise<void> {
  for (const entry of await disk.list(ROCKS_DIRECTORY)) {
    if (entry.name.startsWith('LOG.old.')) await disk.remove(`${ROCKS_DIRECTORY}/${entry.name}`);
  }
}

/**
 * Opens the index, creating it in mode `write`. Mode `read` works while another process writes and shows the state at
 * the time of the open; {@link probeRocks} must have said yes.
 * @throws {BusyError} another process writes. @throws {IntegrityError} damaged, of another format, or absent in mode `read`.
 */
export async function openRocksIndex(disk: Disk, mode: 'read' | 'write'): Promise<RocksIndex> {
  const path = disk.nativePath(ROCKS_DIRECTORY);
  assert(path !== undefined, 'probeRocks said that RocksDB is available');
  if (mode === 'write') await disk.makeDirectory(ROCKS_DIRECTORY);
  const native = loadNative();
  const database = new native(path, options(native, mode));
  await guard('Open chunk index', () => database.ready());
  try {
    const format = await guard('Open chunk index', () => database.get(FORMAT_KEY));
    const text = format === null ? undefined : Buffer.from(format).toString('latin1');
    if (text === undefined && mode === 'write') await writeFormat(database);
    else if (text !== FORMAT_VALUE) {
      throw new IntegrityError(`Open chunk index: format of '${ROCKS_DIRECTORY}' is '${text ?? 'absent'}', expected '${FORMAT_VALUE}'`);
    }
    if (mode === 'write') await removeOldTextLogs(disk);
  } catch (error) {
    await database.close({ force: true });
    throw error;
  }
  return new RocksIndex(database);
}

async function writeFormat(database: NativeDatabase): Promise<void> {
  for await (const entry of database.iterator({ gte: new Uint8Array([0]), lt: new Uint8Array([255]), capacity: 1, limit: 1 })) {
    throw new IntegrityError(`Open chunk index: '${ROCKS_DIRECTORY}' holds keys but no format`, { keyBytes: entry.key.length });
  }
  const batch = database.write({ capacity: 1, autoDestroy: true });
  batch.tryPut(FORMAT_KEY, Buffer.from(FORMAT_VALUE));
  await guard('Create chunk index', () => batch.flush());
}

function idKeys(ids: IdBatch): Uint8Array {
  const keys = new Uint8Array(ids.count * KEY_BYTES);
  for (let i = 0; i < ids.count; i += 1) {
    keys[i * KEY_BYTES] = ID_PREFIX;
    keys.set(ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES), i * KEY_BYTES + 1);
  }
  return keys;
}

function keyAt(keys: Uint8Array, index: number): Uint8Array {
  return keys.subarray(index * KEY_BYTES, (index + 1) * KEY_BYTES);
}

function markKey(container: string): Uint8Array {
  return Buffer.concat([Uint8Array.of(MARK_PREFIX), Buffer.from(container, 'hex')]);
}

function encodeMark(mark: Watermark): Uint8Array {
  const value = Buffer.alloc(9);
  value.writeBigUInt64BE(BigInt(mark.offset));
  value[8] = mark.sealed ? 1 : 0;
  return value;
}

function decodeMark(key: Uint8Array, value: Uint8Array): Watermark {
  const offset = value.length === 9 ? Number(Buffer.from(value).readBigUInt64BE()) : Number.NaN;
  if (key.length !== 9 || !Number.isSafeInteger(offset) || (value[8] as number) > 1) {
    throw new IntegrityError(`Read watermarks: key of '${key.length}' and value of '${value.length}' bytes are not a watermark`);
  }
  return { container: Buffer.from(key.subarray(1)).toString('hex'), offset, sealed: value[8] === 1 };
}

/** See {@link openRocksIndex}. A writer whose write failed is dead: later writes throw the first error. Conformance: `chunkIndexSuite`. */
export class RocksIndex implements ChunkIndex {
  readonly kind: string = 'rocks';
  readonly #database: NativeDatabase;
  #failed: Error | undefined;
  #closed: Promise<void> | undefined;

  constructor(database: NativeDatabase) {
    this.#database = database;
  }

  async getMany(ids: IdBatch, places: Uint8Array): Promise<Uint8Array> {
    assert(places.length >= ids.count * PLACE_BYTES, 'there is room for each place');
    const found = new Uint8Array((ids.count + 7) >> 3);
    for (let start = 0; start < ids.count; start += READ_BATCH) {
      const count = Math.min(READ_BATCH, ids.count - start);
      const keys = idKeys({ bytes: ids.bytes.subarray(start * ID_BYTES), count });
      const values = await guard('Look up chunks', () => this.#read(keys, count));
      values.forEach((value, i) => {
        if (value === null) return;
        if (value.length !== PLACE_BYTES) throw new IntegrityError(`Look up chunks: place has '${value.length}' bytes, expected '${PLACE_BYTES}'`);
        const at = start + i;
        places.set(value, at * PLACE_BYTES);
        found[at >> 3] = (found[at >> 3] as number) | 1 << (at & 7);
      });
    }
    return found;
  }

  async #read(keys: Uint8Array, count: number): Promise<(Uint8Array | null)[]> {
    const batch = this.#database.read({ capacity: count, autoDestroy: true });
    const gets = Array.from({ length: count }, (_, i) => batch.get(keyAt(keys, i)));
    // Listening to the gets first: a failed batch rejects both them and the flush.
    const [values] = await Promise.all([Promise.all(gets), batch.flush()]);
    return values;
  }

  async putMany(ids: IdBatch, places: Uint8Array, watermarks: readonly Watermark[]): Promise<void> {
    assert(places.length >= ids.count * PLACE_BYTES, 'there is a place for each id');
    watermarks.forEach(checkWatermark);
    const keys = idKeys(ids);
    await this.#write('Add to chunk index', ids.count + watermarks.length, (batch) => {
      for (let i = 0; i < ids.count; i += 1) batch.tryPut(keyAt(keys, i), places.subarray(i * PLACE_BYTES, (i + 1) * PLACE_BYTES));
      for (const mark of watermarks) {
        if (isForget(mark)) batch.tryDelete(markKey(mark.container));
        else batch.tryPut(markKey(mark.container), encodeMark(mark));
      }
    });
  }

  async deleteMany(ids: IdBatch): Promise<void> {
    const keys = idKeys(ids);
    await this.#write('Delete from chunk index', ids.count, (batch) => {
      for (let i = 0; i < ids.count; i += 1) batch.tryDelete(keyAt(keys, i));
    });
  }

  async #write(action: string, capacity: number, fill: (batch: NativeWriteBatch) => void): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed;
    if (capacity === 0) return;
    const batch = this.#database.write({ capacity, autoDestroy: true });
    fill(batch);
    try {
      await guard(action, () => batch.flush());
    } catch (error) {
      if (!(error instanceof UsageError)) this.#failed = error as Error;
      throw error;
    }
  }

  async watermarks(): Promise<readonly Watermark[]> {
    const marks: Watermark[] = [];
    const range = { gte: Uint8Array.of(MARK_PREFIX), lt: Uint8Array.of(MARK_PREFIX + 1), capacity: 256 };
    await guardIntegrity('Read watermarks', async () => {
      for await (const { key, value } of this.#database.iterator(range)) marks.push(decodeMark(key, value));
    });
    return marks;
  }

  /** Pages of the state at the first step. */
  async *scan(): AsyncIterable<{ readonly ids: IdBatch; readonly places: Uint8Array }> {
    let ids = new Uint8Array(PAGE_ENTRIES * ID_BYTES);
    let places = new Uint8Array(PAGE_ENTRIES * PLACE_BYTES);
    let count = 0;
    for await (const { key, value } of this.#idEntries(PAGE_ENTRIES)) {
      ids.set(key.subarray(1), count * ID_BYTES);
      places.set(value, count * PLACE_BYTES);
      count += 1;
      if (count < PAGE_ENTRIES) continue;
      yield { ids: { bytes: ids, count }, places };
      ids = new Uint8Array(PAGE_ENTRIES * ID_BYTES);
      places = new Uint8Array(PAGE_ENTRIES * PLACE_BYTES);
      count = 0;
    }
    if (count > 0) yield { ids: { bytes: ids, count }, places: places.subarray(0, count * PLACE_BYTES) };
  }

  async *#idEntries(capacity: number, limit?: number): AsyncIterable<{ readonly key: Uint8Array; readonly value: Uint8Array }> {
    const range = { gte: Uint8Array.of(ID_PREFIX), lt: Uint8Array.of(ID_PREFIX + 1), capacity };
    try {
      for await (const entry of this.#database.iterator(limit === undefined ? range : { ...range, limit })) {
        if (entry.key.length !== KEY_BYTES || entry.value.length !== PLACE_BYTES) {
          throw new IntegrityError(`Scan chunk index: key of '${entry.key.length}' and value of '${entry.value.length}' bytes are not an id and its place`);
        }
        yield entry;
      }
    } catch (error) {
      throw error instanceof IntegrityError ? error : failure('Scan chunk index', error);
    }
  }

  async count(): Promise<number> {
    for await (const entry of this.#idEntries(1, 1)) {
      assert(entry.key.length === KEY_BYTES, 'the scan checked the key');
      const estimate = Number(await this.#database.getProperty('rocksdb.estimate-num-keys'));
      const others = 1 + (await this.watermarks()).length;
      return Math.max(1, estimate - others);
    }
    return 0;
  }

  async flush(): Promise<void> {
    if (this.#failed !== undefined) throw this.#failed;
    await guard('Flush chunk index', () => this.#database.flush());
  }

  close(): Promise<void> {
    this.#closed ??= guard('Close chunk index', () => this.#database.close({ force: true }));
    return this.#closed;
  }
}

async function guardIntegrity(action: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw error instanceof IntegrityError ? error : failure(action, error);
  }
}
