/** A file allocation table, as FAT12, FAT16, FAT32 and exFAT have it: the number of the next cluster for each cluster. */
import { FormatError, type BlockSource } from '../../../core/index.ts';
import { TableCache } from '../../mapping/table-cache.ts';

/** {@link ClusterTable.next} of the last cluster of a chain. */
export const CHAIN_END = 0xffff_ffff;
const PART_BYTES = 64 << 10;

/** Where a table is and how its entries look. */
export interface ClusterTablePlace {
  /** Byte of the volume. */
  readonly at: number;
  readonly bits: 12 | 16 | 32;
  /** Bits of an entry that count. */
  readonly mask: number;
  readonly lastCluster: number;
  /** Name of the table in errors. */
  readonly structure: string;
}

/** One table. Parts of it are kept in memory within `budget` bytes. */
export class ClusterTable {
  readonly lastCluster: number;
  readonly structure: string;
  readonly #place: ClusterTablePlace;
  readonly #cache: TableCache;
  #partAt = -1;
  #part: DataView = new DataView(new ArrayBuffer(0));

  constructor(source: BlockSource, place: ClusterTablePlace, budget: number) {
    this.#place = place;
    this.lastCluster = place.lastCluster;
    this.structure = place.structure;
    this.#cache = new TableCache(source, { partBytes: PART_BYTES, budget, structure: place.structure });
  }

  /** Byte of the volume where the entry of `cluster` begins. */
  placeOf(cluster: number): number {
    return this.#place.at + Math.floor(cluster * this.#place.bits / 8);
  }

  /**
   * The cluster after `cluster`, or {@link CHAIN_END}; `cluster` is a legal number. Without a promise where the part is in memory.
   * @throws {FormatError} when the entry is free, bad or no cluster's number.
   */
  next(cluster: number): number | Promise<number> {
    // A table of 12-bit entries is smaller than one part: no entry lies across two.
    const within = this.placeOf(cluster) - this.#place.at;
    const at = this.#place.at + within - within % PART_BYTES;
    if (at === this.#partAt) return this.#decode(this.#part, within % PART_BYTES, cluster);
    const found = this.#cache.get(at);
    if (found instanceof Promise) return found.then((view) => this.#use(at, view, cluster));
    return this.#use(at, found, cluster);
  }

  #use(at: number, view: DataView, cluster: number): number {
    this.#partAt = at;
    this.#part = view;
    return this.#decode(view, (this.placeOf(cluster) - this.#place.at) % PART_BYTES, cluster);
  }

  #decode(view: DataView, at: number, cluster: number): number {
    const { bits, mask, lastCluster } = this.#place;
    if (at + (bits === 32 ? 4 : 2) > view.byteLength) this.#fail(cluster, 'nothing: the volume ends there');
    let value: number;
    if (bits === 32) value = (view.getUint32(at, true) & mask) >>> 0;
    else {
      value = view.getUint16(at, true);
      if (bits === 12) value = cluster & 1 ? value >>> 4 : value & 0xfff;
    }
    if (value >= 2 && value <= lastCluster) return value;
    if (value > (mask >>> 0) - 8) return CHAIN_END;
    return this.#fail(cluster, value === 0 ? 'free' : value === (mask >>> 0) - 8 ? 'bad' : value);
  }

  #fail(cluster: number, found: string | number): never {
    throw new FormatError('Follow chain of clusters', {
      structure: this.structure, field: `entry ${cluster}`, offset: this.placeOf(cluster), found, expected: `a cluster of 2 to ${this.lastCluster}, or the end`,
    });
  }
}
