/** Blocks of a VHDX disk by its BAT. Source: [MS-VHDX], sections 2.4 and 2.5. Entries are decoded by hand: a hot loop. */
import { type BlockSource, FormatError } from '../../../core/index.ts';
import { bitRun } from '../bits.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import { checkEntry, TableCache } from '../../mapping/table-cache.ts';
import type { Region } from './header.ts';
import type { VhdxMetadata } from './metadata.ts';
import { BLOCK, PLACE } from './vhdx.layout.ts';

const STRUCTURE = 'VHDX BAT';
const PART_BYTES = 32 << 10;
const MIB = 1 << 20;
/** Sectors that one bitmap block describes, section 2.4. */
const BITMAP_SECTORS = 2 ** 23;

/** The map of one file; `reserved` are its log and regions, where no block may be. */
export class VhdxBlockMap implements BlockMap {
  readonly #file: BlockSource;
  readonly #metadata: VhdxMetadata;
  readonly #bat: Region;
  readonly #reserved: readonly Region[];
  readonly #cache: TableCache;
  readonly #bitmaps: TableCache;
  readonly #chunkBlocks: number;

  /** @throws {FormatError} when the BAT is too short for the disk. */
  constructor(file: BlockSource, metadata: VhdxMetadata, places: { readonly bat: Region; readonly reserved: readonly Region[] }, tableBytes: number) {
    this.#file = file;
    this.#metadata = metadata;
    this.#bat = places.bat;
    this.#reserved = [{ offset: 0, length: PLACE.end }, ...places.reserved];
    this.#chunkBlocks = BITMAP_SECTORS * metadata.sectorSize / metadata.blockBytes;
    const blocks = Math.ceil(metadata.size / metadata.blockBytes);
    const entries = metadata.parent === undefined
      ? blocks + Math.floor(Math.max(0, blocks - 1) / this.#chunkBlocks)
      : Math.ceil(blocks / this.#chunkBlocks) * (this.#chunkBlocks + 1);
    if (entries * 8 > places.bat.length) throw new FormatError('Open VHDX image', { structure: STRUCTURE, field: 'Length', offset: places.bat.offset, found: places.bat.length, expected: `at least ${entries * 8}` });
    this.#cache = new TableCache(file, { partBytes: PART_BYTES, budget: Math.floor(tableBytes / 2), structure: STRUCTURE });
    this.#bitmaps = new TableCache(file, { partBytes: PART_BYTES, budget: Math.floor(tableBytes / 2), structure: 'VHDX sector bitmap' });
  }

  runAt(offset: number, lengthMax: number): Run | Promise<Run> {
    const block = Math.floor(offset / this.#metadata.blockBytes);
    // After the blocks of each chunk comes the entry of its bitmap.
    const at = (block + Math.floor(block / this.#chunkBlocks)) * 8;
    const partAt = at - at % PART_BYTES;
    const found = this.#cache.get(this.#bat.offset + partAt);
    if (found instanceof Promise) return found.then((view) => this.#inPart(view, at - partAt, offset, lengthMax));
    return this.#inPart(found, at - partAt, offset, lengthMax);
  }

  #inPart(view: DataView, at: number, offset: number, lengthMax: number): Run | Promise<Run> {
    checkEntry(view, at, 8, STRUCTURE);
    const { blockBytes } = this.#metadata;
    const skip = offset % blockBytes;
    const length = Math.min(lengthMax, blockBytes - skip);
    const low = view.getUint32(at, true);
    switch (low & 7) {
      case BLOCK.fullyPresent: return { kind: 'data', length, file: this.#file, at: this.#place(view, at, blockBytes) + skip };
      case BLOCK.notPresent: return { kind: 'parent', length };
      case BLOCK.zero: return { kind: 'zero', length };
      // What they read as is not defined: zeroes give away nothing of what was there.
      case BLOCK.undefined: case BLOCK.unmapped: return { kind: 'hole', length };
      case BLOCK.partiallyPresent: return this.#partial(this.#place(view, at, blockBytes), offset, length);
      default: throw this.#fault('State', at, low & 7, '0 to 3, 6 or 7');
    }
  }

  /** Offset of a block in the file, clear of what else is there. */
  #place(view: DataView, at: number, bytes: number): number {
    const low = view.getUint32(at, true);
    const place = ((low >>> 20) + view.getUint32(at + 4, true) * 2 ** 12) * MIB;
    if (this.#reserved.some(({ offset, length }) => place < offset + length && place + bytes > offset)) throw this.#fault('FileOffsetMB', at, place / MIB, 'clear of headers, log and regions');
    if (place >= this.#file.size) throw this.#fault('FileOffsetMB', at, place / MIB, `before the end '${this.#file.size}' of the file`);
    return place;
  }

  #fault(field: string, at: number, found: number, expected: string): FormatError {
    return new FormatError('Map VHDX block', { structure: STRUCTURE, field, offset: this.#bat.offset + at, found, expected });
  }

  /** Sector by sector from this file or the parent, as the chunk's bitmap says. */
  async #partial(place: number, offset: number, length: number): Promise<Run> {
    const { blockBytes, sectorSize, parent } = this.#metadata;
    const block = Math.floor(offset / blockBytes);
    const chunk = Math.floor(block / this.#chunkBlocks);
    const entryAt = (chunk * (this.#chunkBlocks + 1) + this.#chunkBlocks) * 8;
    if (parent === undefined) throw this.#fault('State', block * 8, BLOCK.partiallyPresent, 'no partial block without a parent');
    const entryPart = await this.#cache.get(this.#bat.offset + entryAt - entryAt % PART_BYTES);
    const entryIn = entryAt % PART_BYTES;
    checkEntry(entryPart, entryIn, 8, STRUCTURE);
    if ((entryPart.getUint32(entryIn, true) & 7) !== BLOCK.fullyPresent) throw this.#fault('bitmap State', entryAt, entryPart.getUint32(entryIn, true) & 7, `${BLOCK.fullyPresent}, as a block is partial`);
    const bitmapAt = this.#place(entryPart, entryIn, MIB);
    const sector = Math.floor(offset / sectorSize) % BITMAP_SECTORS;
    const byteAt = Math.floor(sector / 8);
    const part = await this.#bitmaps.get(bitmapAt + byteAt - byteAt % PART_BYTES);
    const bit = sector - (byteAt - byteAt % PART_BYTES) * 8;
    const sectors = Math.ceil((offset % sectorSize + length) / sectorSize);
    const { set, count } = bitRun(part, { bit, countMax: sectors, highFirst: false });
    const bytes = Math.min(length, count * sectorSize - offset % sectorSize);
    return set ? { kind: 'data', length: bytes, file: this.#file, at: place + offset % blockBytes } : { kind: 'parent', length: bytes };
  }
}
