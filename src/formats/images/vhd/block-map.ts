/** Blocks of a dynamic or differencing VHD by its BAT. Source: "Virtual Hard Disk Image Format Specification", "Block Allocation Table and Data Blocks". */
import { type BlockSource, FormatError } from '../../../core/index.ts';
import { bitRun } from '../bits.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import { checkEntry, TableCache } from '../../mapping/table-cache.ts';
import type { VhdFooter, VhdHeader } from './header.ts';
import { DYNAMIC_BYTES, footerLayout, NOT_ALLOCATED } from './vhd.layout.ts';

const STRUCTURE = 'VHD BAT';
const PART_BYTES = 32 << 10;
const SECTOR = 512;

/**
 * The map of one file. The bitmap before each block says, in a differencing disk, which sectors are here; in a dynamic one it adds
 * nothing: sectors never written are zeroes in the block, too.
 */
export class VhdBlockMap implements BlockMap {
  readonly #file: BlockSource;
  readonly #header: VhdHeader;
  readonly #cache: TableCache;
  readonly #bitmaps: TableCache;
  readonly #bitmapBytes: number;
  readonly #reserved: readonly { readonly start: number; readonly end: number }[];

  constructor(file: BlockSource, footer: VhdFooter, header: VhdHeader, tableBytes: number) {
    this.#file = file;
    this.#header = header;
    this.#bitmapBytes = Math.ceil(header.blockBytes / SECTOR / 8 / SECTOR) * SECTOR;
    const tableEnd = header.tableOffset + Math.ceil(footer.size / header.blockBytes) * 4;
    this.#reserved = [
      { start: 0, end: footerLayout.size },
      { start: footer.headerOffset, end: footer.headerOffset + DYNAMIC_BYTES },
      { start: header.tableOffset, end: tableEnd },
    ];
    this.#cache = new TableCache(file, { partBytes: PART_BYTES, budget: Math.floor(tableBytes / 2), structure: STRUCTURE });
    this.#bitmaps = new TableCache(file, { partBytes: this.#bitmapBytes, budget: Math.floor(tableBytes / 2), structure: 'VHD sector bitmap' });
  }

  runAt(offset: number, lengthMax: number): Run | Promise<Run> {
    const at = Math.floor(offset / this.#header.blockBytes) * 4;
    const partAt = at - at % PART_BYTES;
    const found = this.#cache.get(this.#header.tableOffset + partAt);
    if (found instanceof Promise) return found.then((view) => this.#inPart(view, at - partAt, offset, lengthMax));
    return this.#inPart(found, at - partAt, offset, lengthMax);
  }

  #inPart(view: DataView, at: number, offset: number, lengthMax: number): Run | Promise<Run> {
    checkEntry(view, at, 4, STRUCTURE);
    const { blockBytes, parent } = this.#header;
    const skip = offset % blockBytes;
    const length = Math.min(lengthMax, blockBytes - skip);
    const entry = view.getUint32(at);
    if (entry === NOT_ALLOCATED) return { kind: 'parent', length };
    const place = entry * SECTOR;
    if (place >= this.#file.size || this.#reserved.some(({ start, end }) => place < end && place + this.#bitmapBytes + blockBytes > start)) {
      throw new FormatError('Map VHD block', { structure: STRUCTURE, field: 'entry', offset: this.#header.tableOffset + at, found: entry, expected: 'a sector of the file that is clear of headers and BAT' });
    }
    if (parent === undefined) return { kind: 'data', length, file: this.#file, at: place + this.#bitmapBytes + skip };
    return this.#partial(place, skip, length);
  }

  async #partial(place: number, skip: number, length: number): Promise<Run> {
    const bitmap = await this.#bitmaps.get(place);
    const inSector = skip % SECTOR;
    const { set, count } = bitRun(bitmap, { bit: Math.floor(skip / SECTOR), countMax: Math.ceil((inSector + length) / SECTOR), highFirst: true });
    const bytes = Math.min(length, count * SECTOR - inSector);
    return set ? { kind: 'data', length: bytes, file: this.#file, at: place + this.#bitmapBytes + skip } : { kind: 'parent', length: bytes };
  }
}
