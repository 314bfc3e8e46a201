/**
 * The master file table: records by number, through a cache, with the spare copy of the first four.
 * Source: libfsntfs project, "NTFS format specification", "The Master File Table (MFT)".
 */
import { type BlockSource, FormatError, HoldfastError, NotFoundError, readRange } from '../../../core/index.ts';
import { TableCache } from '../../mapping/table-cache.ts';
import type { ProblemList } from '../problem-list.ts';
import { AttributeSegments } from './attribute-list.ts';
import { clusterSource, runsOf } from './content.ts';
import { ATTRIBUTE, RECORD } from './ntfs.layout.ts';
import { type MftRecord, parseRecord, type RecordPlace, sealRecord } from './record.ts';
import type { ClusterSpace } from './volume.ts';

/** Bytes of the table that are read and kept together. */
const PART_BYTES = 64 << 10;
/** Records of which there is a spare copy. */
const MIRRORED = 4;

/** Part of the table in memory. */
interface MftPart {
  /** Byte of the table where it begins. */
  readonly start: number;
  readonly view: DataView;
  /** Which records are sealed, one byte each. */
  readonly sealed: Uint8Array;
}

const noPart: MftPart = { start: -1, view: new DataView(new ArrayBuffer(0)), sealed: new Uint8Array(0) };

/** The table. */
export class MasterFileTable {
  readonly #space: ClusterSpace;
  readonly #problems: ProblemList;
  readonly #partBytes: number;
  /** Which records of a part are sealed, one byte each. */
  readonly #sealed = new WeakMap<DataView, Uint8Array>();
  #cache: TableCache;
  #newest: MftPart = noPart;
  #records = 0;

  private constructor(space: ClusterSpace, problems: ProblemList) {
    this.#space = space;
    this.#problems = problems;
    this.#partBytes = Math.max(PART_BYTES, space.geometry.recordBytes);
    this.#cache = this.#cacheOver(space.source);
  }

  #cacheOver(file: BlockSource): TableCache {
    return new TableCache(file, { partBytes: this.#partBytes, budget: this.#space.limits.filesystemCacheBytesMax / 4, structure: 'MFT' });
  }

  /** Reads record 0 and from it the place of all others. @throws {FormatError} @throws {IntegrityError} */
  static async open(space: ClusterSpace, problems: ProblemList): Promise<MasterFileTable> {
    const table = new MasterFileTable(space, problems);
    const first = await table.#firstRecord();
    const segments = await AttributeSegments.ofRecord(space, first, (number) => table.record(number));
    // The list of the table's own segments is read through those that came before.
    const runs = await runsOf(space, segments.some(ATTRIBUTE.data, ''), (known, { dataSize }) => {
      const size = Math.min(dataSize, known.end * space.geometry.clusterBytes);
      table.#readFrom(clusterSource(space, known, size), size);
    });
    if (runs === undefined) throw new FormatError('Read MFT', { structure: 'MFT record', field: 'data', offset: 0, found: 'none', expected: 'the clusters of the table' });
    return table;
  }

  #readFrom(file: BlockSource, size: number): void {
    this.#records = Math.floor(size / this.#space.geometry.recordBytes);
    this.#cache = this.#cacheOver(file);
    this.#newest = noPart;
  }

  /** Numbers are below this. */
  get count(): number {
    return this.#records;
  }

  async #firstRecord(): Promise<MftRecord> {
    const { geometry, source } = this.#space;
    const at = geometry.mftCluster * geometry.clusterBytes;
    try {
      return await this.#readRecord(RECORD.mft, at);
    } catch (error) {
      if (!(error instanceof RangeError)) return this.#mirrored(RECORD.mft, error);
      return this.#mirrored(RECORD.mft, new FormatError('Read MFT', { structure: 'NTFS boot sector', field: 'mftCluster', offset: 0x30, found: geometry.mftCluster, expected: `a cluster of the ${source.size} bytes of the partition` }));
    }
  }

  /** A record from byte `at` of the volume. @throws {RangeError} when that leaves the partition. */
  async #readRecord(number: number, at: number): Promise<MftRecord> {
    const { recordBytes } = this.#space.geometry;
    const bytes = await readRange(this.#space.source, at, recordBytes);
    const place = { view: new DataView(bytes.buffer), at: 0, bytes: recordBytes, offset: number * recordBytes };
    sealRecord(number, place);
    return parseRecord(number, place);
  }

  /** The spare copy of a record. @throws {unknown} `cause`, when there is no good one. */
  async #mirrored(number: number, cause: unknown): Promise<MftRecord> {
    const { geometry } = this.#space;
    if (!(cause instanceof HoldfastError) || number >= MIRRORED) throw cause;
    let spare: MftRecord;
    try {
      spare = await this.#readRecord(number, geometry.mirrorCluster * geometry.clusterBytes + number * geometry.recordBytes);
    } catch (error) {
      if (error instanceof HoldfastError || error instanceof RangeError) throw cause;
      throw error;
    }
    this.#problems.add('spare-used', `MFT record ${number}`, `${cause.message}; its copy in the mirror was used`);
    return spare;
  }

  /**
   * Where a record is, in memory and sealed; without a promise when its part is there.
   * @throws {NotFoundError} when the table ends before it. @throws {FormatError} @throws {IntegrityError}
   */
  place(number: number): RecordPlace | Promise<RecordPlace> {
    if (!Number.isSafeInteger(number) || number < 0 || number >= this.#records) throw new NotFoundError(`Read MFT record '${number}': the table has ${this.#records}`, { record: number });
    const at = number * this.#space.geometry.recordBytes;
    const start = at - at % this.#partBytes;
    // Records of a directory's files mostly lie side by side.
    if (start === this.#newest.start) return this.#sealedPlace(number, this.#newest, at - start);
    const found = this.#cache.get(start);
    if (found instanceof Promise) return found.then((view) => this.#sealedPlace(number, this.#use(view, start), at - start));
    return this.#sealedPlace(number, this.#use(found, start), at - start);
  }

  #use(view: DataView, start: number): MftPart {
    let sealed = this.#sealed.get(view);
    if (sealed === undefined) {
      sealed = new Uint8Array(Math.ceil(view.byteLength / this.#space.geometry.recordBytes));
      this.#sealed.set(view, sealed);
    }
    this.#newest = { start, view, sealed };
    return this.#newest;
  }

  #sealedPlace(number: number, { view, sealed }: MftPart, at: number): RecordPlace {
    const { recordBytes } = this.#space.geometry;
    if (at + recordBytes > view.byteLength) throw new NotFoundError(`Read MFT record '${number}': the table ends in it`, { record: number });
    const place = { view, at, bytes: recordBytes, offset: number * recordBytes };
    if (sealed[at / recordBytes] !== 1) {
      sealRecord(number, place);
      sealed[at / recordBytes] = 1;
    }
    return place;
  }

  /**
   * The record of a number, in use or not.
   * @throws {NotFoundError} when the table ends before it. @throws {FormatError} @throws {IntegrityError}
   */
  async record(number: number): Promise<MftRecord> {
    try {
      const found = this.place(number);
      return parseRecord(number, found instanceof Promise ? await found : found);
    } catch (error) {
      return this.#mirrored(number, error);
    }
  }
}
