/** Inodes by number, through a cache of parts of the inode tables. */
import { FormatError, type BlockSource } from '../../../core/index.ts';
import { TableCache } from '../../mapping/table-cache.ts';
import { bytesOf } from './block-reader.ts';
import type { GroupTable } from './group-table.ts';
import { Inode } from './inode.ts';
import type { ExtGeometry } from './superblock.ts';

/** Bytes of a table that are read at a time. */
const PART_BYTES = 16 << 10;

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
    const { inodes, inodesPerGroup, blockBytes } = this.#geometry;
    if (!Number.isInteger(number) || number < 1 || number > inodes) {
      throw new FormatError('Find ext inode', { structure: 'ext directory entry', field: 'inode', found: number, expected: `1 to ${inodes}` });
    }
    const found = this.#groups.inodeTable(Math.floor((number - 1) / inodesPerGroup));
    const table = (typeof found === 'number' ? found : await found) * blockBytes;
    const { partAt, at } = this.#place(number);
    const loaded = this.#cache.get(table + partAt);
    const part = loaded instanceof Promise ? await loaded : loaded;
    return this.#decode(number, part, at);
  }

  /** The inode if it is in memory already. @throws {FormatError} @throws {IntegrityError} */
  peek(number: number): Inode | undefined {
    const { inodes, inodesPerGroup, blockBytes } = this.#geometry;
    if (number < 1 || number > inodes) return undefined;
    const table = this.#groups.inodeTable(Math.floor((number - 1) / inodesPerGroup));
    if (typeof table !== 'number') {
      table.catch(() => undefined);
      return undefined;
    }
    const { partAt, at } = this.#place(number);
    const part = this.#cache.get(table * blockBytes + partAt);
    if (part instanceof Promise) {
      part.catch(() => undefined);
      return undefined;
    }
    return this.#decode(number, part, at);
  }

  #place(number: number): { readonly partAt: number; readonly at: number } {
    const { inodesPerGroup, inodeBytes } = this.#geometry;
    const offset = (number - 1) % inodesPerGroup * inodeBytes;
    const at = offset % this.#partBytes;
    return { partAt: offset - at, at };
  }

  #decode(number: number, part: DataView, at: number): Inode {
    const { inodeBytes } = this.#geometry;
    if (at + inodeBytes > part.byteLength) {
      throw new FormatError(`Read ext inode ${number}`, { structure: 'ext inode table', field: 'offset', found: at, expected: 'an inode inside the image: it ends before' });
    }
    return new Inode(number, bytesOf(part).slice(at, at + inodeBytes), this.#geometry);
  }
}
