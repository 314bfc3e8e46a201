/** Inodes by number, through a cache of parts of the inode tables. */
import { FormatError, type BlockSource, type NodeStat, type NodeType } from '../../../core/index.ts';
import { TableCache } from '../../mapping/table-cache.ts';
import { bytesOf } from './block-reader.ts';
import type { GroupTable } from './group-table.ts';
import { checkInode, Inode, type InodePlace, inodeStat, inodeType } from './inode.ts';
import type { ExtGeometry } from './superblock.ts';

/** Bytes of a table that are read at a time. */
const PART_BYTES = 32 << 10;

/** See the header. */
export class InodeTable {
  readonly #geometry: ExtGeometry;
  readonly #groups: GroupTable;
  readonly #cache: TableCache;
  readonly #partBytes: number;
  /** The part that was used last, and the numbers of the inodes in it. */
  #newest: { readonly first: number; readonly end: number; readonly view: DataView } = { first: 0, end: 0, view: new DataView(new ArrayBuffer(0)) };

  /** Inodes that are not what the table says, by number. */
  readonly #replaced: ReadonlyMap<number, Uint8Array> | undefined;

  /** `budget` in bytes; `replaced`: whole inodes that stand for those of the table, not copied. */
  constructor({ source, geometry, replaced }: { readonly source: BlockSource; readonly geometry: ExtGeometry; readonly replaced?: ReadonlyMap<number, Uint8Array> | undefined }, groups: GroupTable, budget: number) {
    this.#geometry = geometry;
    this.#groups = groups;
    this.#replaced = replaced;
    this.#partBytes = Math.max(PART_BYTES, geometry.blockBytes);
    this.#cache = new TableCache(source, { partBytes: this.#partBytes, budget, structure: 'ext inode table' });
  }

  /** The inode `number`. @throws {FormatError} @throws {IntegrityError} */
  async get(number: number): Promise<Inode> {
    const { view, at } = await this.#part(number);
    return new Inode(number, bytesOf(view).slice(at, at + this.#geometry.inodeBytes), this.#geometry);
  }

  /** The bytes of an inode that may be none yet: not checked, a copy. @throws {FormatError} */
  async raw(number: number): Promise<Uint8Array> {
    const { view, at } = await this.#part(number);
    return bytesOf(view).slice(at, at + this.#geometry.inodeBytes);
  }

  /** What `lstat` would tell; without a promise when the inode is in memory. @throws {FormatError} @throws {IntegrityError} */
  stat(number: number): NodeStat | Promise<NodeStat> {
    const place = this.#part(number);
    return place instanceof Promise ? place.then((found) => this.#statAt(number, found)) : this.#statAt(number, place);
  }

  #statAt(number: number, place: InodePlace): NodeStat {
    checkInode(place, number, this.#geometry);
    return inodeStat(place, number, this.#geometry);
  }

  /** The type alone of what `stat` tells, with the same checks. @throws {FormatError} @throws {IntegrityError} */
  type(number: number): NodeType | Promise<NodeType> {
    const place = this.#part(number);
    return place instanceof Promise ? place.then((found) => this.#typeAt(number, found)) : this.#typeAt(number, place);
  }

  #typeAt(number: number, place: InodePlace): NodeType {
    checkInode(place, number, this.#geometry);
    return inodeType(place, number, this.#geometry);
  }

  /** The part of a table with an inode. */
  #part(number: number): InodePlace | Promise<InodePlace> {
    const replaced = this.#replaced?.get(number);
    if (replaced !== undefined) return { view: new DataView(replaced.buffer, replaced.byteOffset, replaced.length), at: 0 };
    const { first, end, view } = this.#newest;
    // Files of a directory mostly lie side by side.
    if (number >= first && number < end) return { view, at: (number - first) * this.#geometry.inodeBytes };
    return this.#find(number);
  }

  #find(number: number): InodePlace | Promise<InodePlace> {
    const { inodes, inodesPerGroup, inodeBytes } = this.#geometry;
    if (!Number.isInteger(number) || number < 1 || number > inodes) {
      throw new FormatError('Find ext inode', { structure: 'ext directory entry', field: 'inode', found: number, expected: `1 to ${inodes}` });
    }
    const offset = (number - 1) % inodesPerGroup * inodeBytes;
    const table = this.#groups.inodeTable(Math.floor((number - 1) / inodesPerGroup));
    if (table instanceof Promise) return table.then((found) => this.#load(number, found, offset));
    return this.#load(number, table, offset);
  }

  #load(number: number, table: number, offset: number): InodePlace | Promise<InodePlace> {
    const at = offset % this.#partBytes;
    const loaded = this.#cache.get(table * this.#geometry.blockBytes + offset - at);
    if (loaded instanceof Promise) return loaded.then((view) => this.#checked(number, { view, at }));
    return this.#checked(number, { view: loaded, at });
  }

  #checked(number: number, place: InodePlace): InodePlace {
    const { inodesPerGroup, inodeBytes } = this.#geometry;
    const { view, at } = place;
    if (at + inodeBytes > view.byteLength) {
      throw new FormatError(`Read ext inode ${number}`, { structure: 'ext inode table', field: 'offset', found: at, expected: 'an inode inside the image: it ends before' });
    }
    const first = number - at / inodeBytes;
    const groupEnd = number - (number - 1) % inodesPerGroup + inodesPerGroup;
    this.#newest = { first, end: Math.min(first + Math.floor(view.byteLength / inodeBytes), groupEnd), view };
    return place;
  }
}
