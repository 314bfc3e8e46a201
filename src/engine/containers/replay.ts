/**
 * Enters into an index what containers say: those of other writers, or all of them for `--rebuild-index`. Needs nothing but the containers: no
 * manifest, no key. A container has its name only once it is whole and durable, so heads and tables are enough; what a disk did to it since
 * shows in checksums, and with `verify` in those of the payloads too.
 */
import {
  FormatError, ID_BYTES, LimitError, PLACE_BYTES, encodePlace, equalBytes, HoldfastError, IntegrityError, NotFoundError, UnsupportedError,
  type ChunkIndex, type IdBatch, type Limits, type ObjectReader, type ObjectStore,
} from '../../core/index.ts';
import { createZstd } from '../compression/zstd.ts';
import { createHasher, type HashName, type Hasher } from '../hashing/hasher.ts';
import { crc32 } from './checksums.ts';
import { TABLE_ROW_BYTES } from './container.layout.ts';
import { FetchedReader, fetchTables } from './fetched-reader.ts';
import { containerPath, readContainerHeader, scanGroups, type ContainerNumber, type ContainerRow, type ScannedGroup } from './container.ts';
import { readFooter, type FooterRow } from './footer.ts';

/** What a replay did; `problems` are sentences with their place. */
export interface ReplayReport {
  readonly containers: number;
  readonly chunks: number;
  readonly problems: readonly { readonly kind: string; readonly where: string; readonly message: string }[];
}

type Problem = ReplayReport['problems'][number];

/** Containers that are read while one is entered, where requests cost milliseconds. Each may be some 5 MB of tables. */
const CONTAINERS_AHEAD = 4;

/** How to replay. */
export interface ReplayOptions {
  readonly limits: Limits;
  readonly hash: HashName;
  /** Compare payloads with their checksums, so that rotten chunks are not taken for stored; reads everything. */
  readonly verify: boolean;
  /** Whether a container is about to go: its chunks count only where no other place is known. */
  isDead?(number: ContainerNumber): boolean;
  /** Told after the chunks of a container are in the index. */
  onIndexed?(ids: IdBatch, container: ContainerRow): Promise<void>;
  onContainer?(done: number, total: number): void;
}

/** Replay into one index. */
export class Replay {
  readonly #objects: ObjectStore;
  readonly #index: ChunkIndex;
  readonly #options: ReplayOptions;
  readonly #problems: Problem[] = [];
  #containers = 0;
  #chunks = 0;

  constructor(objects: ObjectStore, index: ChunkIndex, options: ReplayOptions) {
    this.#objects = objects;
    this.#index = index;
    this.#options = options;
  }

  /** Reads these containers; one that goes away meanwhile is passed over. */
  async run(containers: readonly ContainerRow[]): Promise<ReplayReport> {
    const isDead = (row: ContainerRow): boolean => this.#options.isDead?.(row.number) === true;
    // Dead ones first, then the older ones: the place that comes last wins, and a chunk is stored again because its older copy is damaged or about to go.
    const byAge = [...containers].sort((a, b) => a.modified - b.modified);
    const todo = [...byAge.filter(isDead), ...byAge.filter((row) => !isDead(row))];
    const { remote } = await this.#objects.capabilities();
    const width = remote && !this.#options.verify ? CONTAINERS_AHEAD : 1;
    const ahead: Promise<FoundGroups | undefined>[] = [];
    try {
      for (const [done, row] of todo.entries()) {
        this.#options.onContainer?.(done, todo.length);
        while (ahead.length < width && done + ahead.length < todo.length) {
          const reading = this.#read(todo[done + ahead.length] as ContainerRow, remote);
          reading.catch(() => undefined); // whoever awaits it meets the error
          ahead.push(reading);
        }
        const found = await ahead.shift();
        if (found === undefined) continue;
        await this.#enter(row, found, isDead(row)).catch((error: unknown) => { this.#noteDamage('damaged-index', `container ${row.number.text}`, error); });
      }
    } finally {
      await Promise.allSettled(ahead);
    }
    return { containers: this.#containers, chunks: this.#chunks, problems: this.#problems };
  }

  /** Undefined when the container is gone, or nothing can be said of it but a note. */
  async #read(row: ContainerRow, remote: boolean): Promise<FoundGroups | undefined> {
    const where = `container ${row.number.text}`;
    let file: ObjectReader | undefined;
    try {
      file = await this.#objects.open(containerPath(row.number));
      if (remote) file = await this.#fetch(file);
      // A damaged head costs nothing but a note: the object's name says the number, and each group names its place.
      await readContainerHeader(file, row.number).catch((error: unknown) => { this.#noteDamage('damaged-container', where, error); });
      return await this.#groups(file, row.number);
    } catch (error) {
      if (error instanceof NotFoundError) return undefined;
      this.#noteDamage('damaged-container', where, error);
      return undefined;
    } finally {
      await file?.close();
    }
  }

  /** Brings what will be read into memory. */
  async #fetch(file: ObjectReader): Promise<ObjectReader> {
    if (!this.#options.verify) return fetchTables(file, this.#options.limits);
    const fetched = new FetchedReader(file);
    await fetched.fetch([{ offset: 0, length: file.size }]);
    return fetched;
  }

  /** Collects the chunks that can be used. */
  async #groups(file: ObjectReader, number: ContainerNumber): Promise<FoundGroups> {
    const result: FoundGroups = { ids: [], places: [] };
    const footer = await this.#footer(file, number);
    if (footer === undefined) this.#note('cut-container', `container ${number.text}`, `It ends at '${file.size}' without a footer: groups are looked for one by one`);
    for await (const found of scanGroups(file, number, this.#options.limits, footer)) {
      if ('fault' in found) this.#note('damaged-group', `container ${number.text} at ${found.offset}`, found.fault);
      // Without its footer it was damaged: then nothing in it is believed unseen.
      else if ((footer !== undefined && !this.#options.verify) || await isPayloadGood(file, found.group)) collect({ number, group: found.group }, result);
      else await this.#salvage(file, { number, group: found.group }, result);
    }
    return result;
  }

  /** Of a damaged group the chunks count that still match their ids; the others may be stored again. */
  async #salvage(file: ObjectReader, found: FoundGroup, result: FoundGroups): Promise<void> {
    const { head, offset } = found.group;
    const payload = await payloadOf(file, found.group);
    let raw = payload;
    let bad = new Set(Array.from({ length: head.count }, (_, ordinal) => ordinal));
    try {
      if (head.codec === 'sealed') throw new IntegrityError('a sealed group is whole or lost');
      if (head.codec === 'zstd') {
        raw = new Uint8Array(head.rawLength);
        (await createZstd()).decompress(payload, raw);
      }
      bad = wrongChunks(found.group.table, raw, await createHasher(this.#options.hash));
    } catch (error) {
      if (!isDamage(error)) throw error; // then no chunk of it can be read
    }
    this.#note('damaged-group', `container ${found.number.text} at ${offset}`, `the payload does not match its checksum: ${bad.size} of ${head.count} chunks are lost`);
    collect(found, result, bad);
  }

  /** Undefined when there is none, or none that can be used: then records are found one behind the other. */
  async #footer(file: ObjectReader, number: ContainerNumber): Promise<readonly FooterRow[] | undefined> {
    try {
      return await readFooter(file, this.#options.limits);
    } catch (error) {
      this.#noteDamage('damaged-footer', `container ${number.text}`, error);
      return undefined;
    }
  }

  async #enter(row: ContainerRow, found: FoundGroups, isDead: boolean): Promise<void> {
    const ids = new Uint8Array(Buffer.concat(found.ids));
    const all = { ids: { bytes: ids, count: ids.length / ID_BYTES }, places: new Uint8Array(Buffer.concat(found.places)) };
    const { ids: batch, places } = isDead ? await this.#unknown(all) : all;
    await this.#index.putMany(batch, places, [{ container: row.number.text, offset: row.size, sealed: true }]);
    await this.#options.onIndexed?.(batch, row);
    this.#containers += 1;
    this.#chunks += batch.count;
  }

  /** The part that the index knows no place for. */
  async #unknown(all: { ids: IdBatch; places: Uint8Array }): Promise<{ ids: IdBatch; places: Uint8Array }> {
    const found = await this.#index.getMany(all.ids, new Uint8Array(all.places.length));
    const ids = new Uint8Array(all.ids.bytes.length);
    const places = new Uint8Array(all.places.length);
    let count = 0;
    for (let i = 0; i < all.ids.count; i += 1) {
      if (((found[i >> 3] as number) & (1 << (i & 7))) !== 0) continue;
      ids.set(all.ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES), count * ID_BYTES);
      places.set(all.places.subarray(i * PLACE_BYTES, (i + 1) * PLACE_BYTES), count * PLACE_BYTES);
      count += 1;
    }
    return { ids: { bytes: ids, count }, places: places.subarray(0, count * PLACE_BYTES) };
  }

  #noteDamage(kind: string, where: string, error: unknown): void {
    if (!isDamage(error)) throw error;
    this.#note(kind, where, error);
  }

  #note(kind: string, where: string, cause: unknown): void {
    this.#problems.push({ kind, where, message: cause instanceof Error ? cause.message : String(cause) });
  }
}

function isDamage(error: unknown): boolean {
  return error instanceof FormatError || error instanceof LimitError || error instanceof UnsupportedError || error instanceof RangeError
    || (error instanceof HoldfastError && error.code === 'INTEGRITY');
}

/** What a container holds. */
interface FoundGroups {
  readonly ids: Uint8Array[];
  readonly places: Uint8Array[];
}

/** A group and the container it is in. */
interface FoundGroup {
  readonly number: ContainerNumber;
  readonly group: ScannedGroup;
}

async function payloadOf(file: ObjectReader, group: ScannedGroup): Promise<Uint8Array> {
  const payload = new Uint8Array(group.head.storedLength);
  await file.readInto(group.offset + group.head.recordLength - group.head.storedLength, payload);
  return payload;
}

async function isPayloadGood(file: ObjectReader, group: ScannedGroup): Promise<boolean> {
  return crc32(await payloadOf(file, group)) === group.head.payloadCrc32;
}

/** Ordinals of chunks whose bytes do not have their id. */
function wrongChunks(table: Uint8Array, raw: Uint8Array, hasher: Hasher): Set<number> {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const id = new Uint8Array(ID_BYTES);
  const wrong = new Set<number>();
  let at = 0;
  for (let row = 0; row < table.length; row += TABLE_ROW_BYTES) {
    const length = view.getUint32(row + ID_BYTES);
    hasher.digestInto(raw.subarray(at, at + length), id, 0);
    if (!equalBytes(id, table.subarray(row, row + ID_BYTES))) wrong.add(row / TABLE_ROW_BYTES);
    at += length;
  }
  return wrong;
}

/** Appends the group's chunks, all but those in `bad`. */
function collect(found: FoundGroup, result: FoundGroups, bad: ReadonlySet<number> = new Set()): void {
  const { number, group: { head, offset, table } } = found;
  const count = head.count - bad.size;
  const idBytes = new Uint8Array(count * ID_BYTES);
  const placeBytes = new Uint8Array(count * PLACE_BYTES);
  const place = { containerHigh: number.high, containerLow: number.low, offset, length: head.recordLength };
  for (let ordinal = 0, i = 0; ordinal < head.count; ordinal += 1) {
    if (bad.has(ordinal)) continue;
    idBytes.set(table.subarray(ordinal * TABLE_ROW_BYTES, ordinal * TABLE_ROW_BYTES + ID_BYTES), i * ID_BYTES);
    encodePlace(placeBytes, i, { ...place, ordinal });
    i += 1;
  }
  result.ids.push(idBytes);
  result.places.push(placeBytes);
}
