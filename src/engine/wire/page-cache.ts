/**
 * Pages of directories that this host has sent or fetched, kept on its disk: a backup reads those of its parent, and need not fetch them again.
 *
 * Each file holds 32 random bytes and one group record, as containers have them; of an encrypted repository it is sealed, by a key of this file that only who
 * may ask the daemon can derive. Nothing here is believed: readers check each page against its id. What is lost, damaged or too old costs bytes on the wire.
 */
import { HoldfastError, ID_BYTES, IntegrityError, PLACE_BYTES, decodePlace, encodePlace, type ChunkPlace, type DiskFile, type IdBatch, type Limits, type World } from '../../core/index.ts';
import { TABLE_ROW_BYTES, groupCodecs } from '../containers/container.layout.ts';
import { containerNumber, numberOf, type ContainerNumber } from '../containers/container.ts';
import { GROUP_HEADER_BYTES, decodeGroupHead, encodeGroupHead, idsOfTable, type GroupParts } from '../containers/group.ts';
import { sealGroup, type CipherKey } from '../crypto/index.ts';
import { deriveKey } from '../crypto/kdf.ts';
import type { ReadRecord } from '../store/container-records.ts';
import { PlaceCache } from '../store/id-table.ts';

/** Bytes of files kept; the oldest go first. */
const BYTES_MAX = 256 << 20;
/** Files kept: each is opened once by a process that needs pages. */
const FILES_MAX = 1_024;
/** Pages found again, twice; 60 bytes each. Others are fetched. */
const PAGES_MAX = 65_536;
const SALT_BYTES = 32;
const NAME = /^[0-9a-f]{16}$/;

/** What a cache works with; it owns none of it. */
export interface PageCacheParts {
  /** Over a directory for any number of repositories. */
  readonly world: World;
  /** The repository's id. */
  readonly repository: string;
  /** Of an encrypted repository. */
  readonly idKey?: Uint8Array;
  readonly limits: Limits;
  /** Default: 256 MiB. */
  readonly bytesMax?: number;
  /** Sentences for people. */
  onNote?(text: string): void;
}

interface KeptFile {
  readonly number: ContainerNumber;
  readonly bytes: number;
}

/** Keeps groups of pages of one repository. Places in it have offset 0, where no container has a group. */
export class PageCache {
  readonly #parts: PageCacheParts;
  readonly #directory: string;
  readonly #places = new PlaceCache(PAGES_MAX);
  /** In the order of their age. */
  readonly #files = new Map<string, KeptFile>();
  readonly #place = new Uint8Array(PLACE_BYTES);
  #bytes = 0;
  #loaded: Promise<void> | undefined;
  #isOff = false;

  constructor(parts: PageCacheParts) {
    this.#parts = parts;
    this.#directory = `pages-${parts.repository.slice(0, 32)}`;
  }

  /** Whether a place is one of a cache. */
  static holds(place: ChunkPlace): boolean {
    return place.offset === 0;
  }

  /** Writes the places of pages that are here. @returns the positions of all others. */
  async find({ bytes, count }: IdBatch, places: Uint8Array): Promise<readonly number[]> {
    await this.#load();
    const missing: number[] = [];
    for (let i = 0; i < count; i += 1) {
      const isHere = this.#places.get(bytes, i * ID_BYTES, places, i * PLACE_BYTES) && this.#files.has(nameIn(places, i));
      if (!isHere) missing.push(i);
    }
    return missing;
  }

  /** Reads the record at a place, as a `RecordSource` does. @throws {IntegrityError} it is not here any more, or cut. */
  async read(place: ChunkPlace, target: Uint8Array): Promise<ReadRecord> {
    const number = numberOf(place.containerHigh, place.containerLow);
    const salt = new Uint8Array(SALT_BYTES);
    try {
      await this.#withFile(number, async (file) => {
        await file.readInto(0, salt);
        await file.readInto(SALT_BYTES, target.subarray(0, place.length));
      });
    } catch (error) {
      throw new IntegrityError(`Read pages that were kept in '${number.text}': they cannot be read`, {}, error);
    }
    const key = this.#keyOf(salt);
    return { length: place.length, ...(key === undefined ? {} : { key }) };
  }

  /** Forgets the file with a page, which turned out bad. @returns false when there was none. */
  async forget(id: Uint8Array): Promise<boolean> {
    const place = new Uint8Array(PLACE_BYTES);
    const [missing] = await this.find({ bytes: id, count: 1 }, place);
    if (missing !== undefined) return false;
    const name = nameIn(place, 0);
    await this.#guard(() => this.#remove(name));
    this.#files.delete(name); // where nothing is kept any more it stays on the disk, and is not believed again
    return true;
  }

  /** Keeps a group whose codec is no seal. Its buffers are only read. Never rejects: a disk that is full ends the keeping. */
  async add(group: GroupParts): Promise<void> {
    await this.#load();
    await this.#guard(() => this.#write(group));
  }

  #load(): Promise<void> {
    this.#loaded ??= this.#guard(() => this.#open());
    return this.#loaded;
  }

  async #write(group: GroupParts): Promise<void> {
    const { world } = this.#parts;
    const number = containerNumber(world.randomBytes(8));
    const salt = world.randomBytes(SALT_BYTES);
    const { codec, table, count, rawLength, payload } = this.#sealed(group, salt);
    const head = encodeGroupHead({ codec, table, count, rawLength, payload }, { containerLow: number.low, offset: 0 });
    const length = head.length + table.length + payload.length;
    await world.disk.makeDirectory(this.#directory);
    const file = await world.disk.create(this.#pathOf(number));
    this.#files.set(number.text, { number, bytes: SALT_BYTES + length });
    this.#bytes += SALT_BYTES + length;
    try {
      await file.writeFrom(0, salt, head, table, payload);
    } catch (error) {
      await this.#remove(number.text);
      throw error;
    } finally {
      await file.close();
    }
    this.#index(number, length, idsOfTable(table));
    await this.#trim();
  }

  #sealed(group: GroupParts, salt: Uint8Array): GroupParts {
    const key = this.#keyOf(salt);
    if (key === undefined) return group;
    const table = group.table.slice();
    const view = new DataView(table.buffer);
    const lengths = Uint32Array.from({ length: group.count }, (_, i) => {
      const at = i * TABLE_ROW_BYTES + ID_BYTES;
      const length = view.getUint32(at);
      view.setUint32(at, 0);
      return length;
    });
    const { codec, rawLength, payload } = group;
    const sealed = sealGroup({ cipher: key.cipher, subkey: key.key, sequence: 0, aad: table }, { codec: groupCodecs.indexOf(codec), rawLength, lengths, payload });
    return { codec: 'sealed', table, count: group.count, rawLength: 0, payload: sealed };
  }

  /** Each file has a key of its own, under which one group is sealed. */
  #keyOf(salt: Uint8Array): CipherKey | undefined {
    const { idKey } = this.#parts;
    return idKey === undefined ? undefined : { cipher: 'chacha20-poly1305', key: deriveKey(idKey, salt, 'kept pages') };
  }

  /** What is there already; a file that is none of ours or cut is removed. */
  async #open(): Promise<void> {
    const { disk } = this.#parts.world;
    const rows = (await disk.list(this.#directory)).filter(({ name, directory }) => NAME.test(name) && !directory).sort((a, b) => a.modified - b.modified);
    for (const { name, size } of rows) {
      const number = containerNumber(Buffer.from(name, 'hex'));
      this.#files.set(name, { number, bytes: size });
      this.#bytes += size;
    }
    await this.#trim();
    for (const { number, bytes } of this.#files.values()) {
      try {
        await this.#withFile(number, async (file) => { this.#index(number, bytes - SALT_BYTES, await this.#idsOf(file, number)); });
      } catch (error) {
        if (!(error instanceof HoldfastError || error instanceof RangeError)) throw error;
        await this.#remove(number.text);
      }
    }
  }

  async #idsOf(file: DiskFile, number: ContainerNumber): Promise<Uint8Array> {
    const head = new Uint8Array(GROUP_HEADER_BYTES);
    await file.readInto(SALT_BYTES, head);
    const { count } = decodeGroupHead(head, { containerLow: number.low, offset: 0 }, this.#parts.limits);
    const table = new Uint8Array(count * TABLE_ROW_BYTES);
    await file.readInto(SALT_BYTES + GROUP_HEADER_BYTES, table);
    return idsOfTable(table);
  }

  #index({ high, low }: ContainerNumber, length: number, ids: Uint8Array): void {
    for (let ordinal = 0; ordinal * ID_BYTES < ids.length; ordinal += 1) {
      encodePlace(this.#place, 0, { containerHigh: high, containerLow: low, offset: 0, length, ordinal });
      this.#places.put(ids, ordinal * ID_BYTES, this.#place, 0);
    }
  }

  async #trim(): Promise<void> {
    const { bytesMax = BYTES_MAX } = this.#parts;
    for (const name of this.#files.keys()) {
      if (this.#bytes <= bytesMax && this.#files.size <= FILES_MAX) return;
      await this.#remove(name);
    }
  }

  async #remove(name: string): Promise<void> {
    const file = this.#files.get(name);
    if (file === undefined) return;
    this.#files.delete(name);
    this.#bytes -= file.bytes;
    await this.#parts.world.disk.remove(this.#pathOf(file.number));
  }

  async #withFile(number: ContainerNumber, use: (file: DiskFile) => Promise<void>): Promise<void> {
    const file = await this.#parts.world.disk.open(this.#pathOf(number), 'read');
    try {
      await use(file);
    } finally {
      await file.close();
    }
  }

  #pathOf(number: ContainerNumber): string {
    return `${this.#directory}/${number.text}`;
  }

  /** After an error of the disk nothing is kept any more; what was found stays readable. */
  async #guard(run: () => Promise<void>): Promise<void> {
    if (this.#isOff) return;
    try {
      await run();
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      this.#isOff = true;
      this.#parts.onNote?.(`pages of directories are not kept on this host from now on: ${error.message}`);
    }
  }
}

function nameIn(places: Uint8Array, index: number): string {
  const { containerHigh, containerLow } = decodePlace(places, index);
  return numberOf(containerHigh, containerLow).text;
}
