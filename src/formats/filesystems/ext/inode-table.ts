/** Inodes by number, through a cache of parts of the inode tables. */
import { FormatError, type BlockSource, type NodeStat } from '../../../core/index.ts';
import { TableCache } from '../../mapping/table-cache.ts';
import { bytesOf } from './block-reader.ts';
import type { GroupTable } from './group-table.ts';
import { checkInode, Inode, inodeStat } from './inode.ts';
import type { ExtGeometry } from './superblock.ts';

/** Bytes of a table that are read at a time. */
const PART_BYTES = 16 << 10;

/** A part of a table, and where in it an inode is. */
interface Place {
  readonly view: DataView;
  readonly at: number;
}

/** See the header. */
export class InodeTable {
  readonly #geometry: ExtGeometry;
  readonly #groups: GroupTable;
  readonly #cache: TableCache;
  readonly #partBytes: number;

  /** `budget` in bytes. */
  constructor(source: BlockSource, geometry: ExtGeometry, groups: GroupTable, budget: number) {
    this.#geometry = geometry;
    this.#groups = groups;
    this.#partBytes = Math.max(PART_BYTES, geometry.blockBytes);
    this.#cache = new TableCache(source, { partBytes: this.#partBytes, budget, structure: 'ext inode table' });
  }

  /** The inode `number`. @throws {FormatError} @throws {IntegrityError} */
  async get(number: number): Promise<Inode> {
    const { view, at } = await this.#part(number);
    return new Inode(number, bytesOf(view).slice(at, at + this.#geometry.inodeBytes), this.#geometry);
  }

  /** What `lstat` would tell; without a promise when the inode is in memory. @throws {FormatError} @throws {IntegrityError} */
  stat(number: number): NodeStat | Promise<NodeStat> {
    const place = this.#part(number);
    return place instanceof Promise ? place.then((found) => this.#stat(number, found)) : this.#stat(number, place);
  }

  #stat(number: number, { view, at }: Place): NodeStat {
    const data = new DataView(view.buffer, at, this.#geometry.inodeBytes);
    checkInode(data, number, this.#geometry);
    return inodeStat(data, number, this.#geometry);
  }

  /** The part of a table with an inode. */
  #part(number: number): Place | Promise<Place> {
    const { inodes, inodesPerGroup, inodeBytes } = this.#geometry;
    if (!Number.isInteger(number) || number < 1 || number > inodes) {
      throw new FormatError('Find ext inode', { structure: 'ext directory entry', field: 'inode', found: number, expected: `1 to ${inodes}` });
    }
    const offset = (number - 1) % inodesPerGroup * inodeBytes;
    const table = this.#groups.inodeTable(Math.floor((number - 1) / inodesPerGroup));
    if (table instanceof Promise) return table.then((found) => this.#load(number, found, offset));
    return this.#load(number, table, offset);
  }

  #load(number: number, table: number, offset: number): Place | Promise<Place> {
    const at = offset % this.#partBytes;
    const loaded = this.#cache.get(table * this.#geometry.blockBytes + offset - at);
    if (loaded instanceof Promise) return loaded.then((view) => this.#checked(number, { view, at }));
    return this.#checked(number, { view: loaded, at });
  }

  #checked(number: number, place: Place): Place {
    if (place.at + this.#geometry.inodeBytes <= place.view.byteLength) return place;
    throw new FormatError(`Read ext inode ${number}`, { structure: 'ext inode table', field: 'offset', found: place.at, expected: 'an inode inside the image: it ends before' });
  }
}
