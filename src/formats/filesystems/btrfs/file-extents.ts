/** The extents of one file as a map of its bytes, read from the tree a leaf at a time. Source: btrfs documentation, "On-disk format", file extent item. */
import { type BlockSource, FormatError, readRange, UnsupportedError } from '../../../core/index.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import type { UnitCache } from '../../mapping/unit-cache.ts';
import { extentLayout, extentPlaceLayout, ITEM } from './btrfs.layout.ts';
import { type Item, itemBytes } from './node.ts';
import type { ItemTree } from './tree.ts';
import { type Compression, compressionOf, PACKED_EXTENT_BYTES_MAX, unpackExtent, type UnpackOptions } from './unpack.ts';

/** What the files of a filesystem share. */
export interface ExtentParts {
  readonly units: UnitCache;
  readonly unpack: UnpackOptions;
}

/** One file. */
export interface ExtentFile {
  readonly tree: ItemTree;
  readonly inode: number;
  readonly size: number;
  /** Its data by logical address. */
  readonly data: BlockSource;
}

/** Where a range of the file is; inside it, `place` gives the run. */
interface Piece {
  readonly start: number;
  readonly end: number;
  run(offset: number, length: number): Run;
}

/** Pieces in order, without overlap; what is between them, from `start` to `end`, are holes. */
interface Window {
  readonly start: number;
  readonly end: number;
  readonly pieces: readonly Piece[];
}

const INLINE = 0;
const REGULAR = 1;
const PREALLOCATED = 2;

/** The map. */
export class FileExtents implements BlockMap {
  readonly #parts: ExtentParts;
  readonly #file: ExtentFile;
  #window: Window | undefined;

  constructor(parts: ExtentParts, file: ExtentFile) {
    this.#parts = parts;
    this.#file = file;
  }

  runAt(offset: number, lengthMax: number): Run | Promise<Run> {
    const window = this.#window;
    if (window !== undefined && offset >= window.start && offset < window.end) return runIn(window, offset, lengthMax);
    return this.#load(offset).then((loaded) => runIn(loaded, offset, lengthMax));
  }

  #fault(item: Item, field: string, found: string | number, expected: string | number): FormatError {
    return new FormatError('Read btrfs file', { structure: `btrfs_file_extent_item (${item.objectid} ${item.type} ${item.offset})`, field, found, expected });
  }

  async #load(offset: number): Promise<Window> {
    const { tree, inode, size } = this.#file;
    const pieces: Piece[] = [];
    let end = size;
    for await (const page of tree.pages({ objectid: inode, type: ITEM.EXTENT_DATA, first: offset, last: -1, floor: true })) {
      let previous: Item | undefined;
      for (const item of page) {
        const piece = this.#pieceOf(item);
        const before = pieces.at(-1);
        if (before !== undefined && before.end > piece.start) throw this.#fault(previous ?? item, 'num_bytes', before.end - before.start, `no overlap with the extent at ${piece.start}`);
        pieces.push(piece);
        previous = item;
      }
      end = (pieces.at(-1) as Piece).end;
      // The first page may hold only what ends before the offset: then the next one says how far the hole goes.
      if (end > offset) break;
      end = size;
    }
    this.#window = { start: Math.min(offset, pieces.find((piece) => piece.end > offset)?.start ?? offset), end: Math.max(end, offset + 1), pieces };
    return this.#window;
  }

  #pieceOf(item: Item): Piece {
    const bytes = itemBytes(item);
    const head = extentLayout.view(bytes);
    const { type, ram_bytes: ramBytes } = head;
    if (head.encryption !== 0) throw new UnsupportedError(`Read btrfs file: inode '${item.objectid}' is encrypted`, { inode: item.objectid });
    if (head.other_encoding !== 0) throw new UnsupportedError(`Read btrfs file: encoding '${head.other_encoding}' is not known`, { inode: item.objectid });
    if (item.offset < 0) throw this.#fault(item, 'key.offset', item.offset, 'an offset inside of the file');
    if (type === INLINE) return this.#inline(item, bytes.subarray(extentLayout.size), ramBytes, compressionOf(head.compression));
    if (type !== REGULAR && type !== PREALLOCATED) throw this.#fault(item, 'type', type, '0, 1 or 2');
    const place = extentPlaceLayout.view(bytes, extentLayout.size);
    const { num_bytes: length, disk_bytenr: disk } = place;
    const start = item.offset;
    const end = start + length;
    if (length <= 0 || !Number.isSafeInteger(end)) throw this.#fault(item, 'num_bytes', length, 'a range below 2^53');
    if (disk === 0 || type === PREALLOCATED) {
      const kind = disk === 0 ? 'hole' : 'zero';
      return { start, end, run: (_, most) => ({ kind, length: most }) };
    }
    const compression = compressionOf(head.compression);
    return compression === undefined ? this.#plain(item, place) : this.#packed(item, place, { compression, ramBytes });
  }

  #inline(item: Item, bytes: Uint8Array, ramBytes: number, compression: Compression | undefined): Piece {
    const length = compression === undefined ? bytes.length : ramBytes;
    if (item.offset !== 0) throw this.#fault(item, 'key.offset', item.offset, '0 for an inline extent');
    if (length <= 0 || length > PACKED_EXTENT_BYTES_MAX) throw this.#fault(item, 'ram_bytes', length, `1 to ${PACKED_EXTENT_BYTES_MAX}`);
    const load = async (): Promise<Uint8Array> => (compression === undefined ? bytes : unpackExtent(compression, bytes, length, this.#parts.unpack));
    return { start: 0, end: length, run: (offset, most) => ({ kind: 'packed', length: most, skip: offset, load }) };
  }

  #plain(item: Item, place: { readonly disk_bytenr: number; readonly disk_num_bytes: number; readonly offset: number; readonly num_bytes: number }): Piece {
    const { disk_bytenr: disk, disk_num_bytes: diskBytes, offset: skip, num_bytes: length } = place;
    if (skip + length > diskBytes) throw this.#fault(item, 'offset', skip, `at most ${diskBytes - length}: the extent has ${diskBytes} bytes`);
    const start = item.offset;
    const file = this.#file.data;
    return { start, end: start + length, run: (offset, most) => ({ kind: 'data', length: most, file, at: disk + skip + (offset - start) }) };
  }

  #packed(item: Item, place: { readonly disk_bytenr: number; readonly disk_num_bytes: number; readonly offset: number; readonly num_bytes: number }, how: { readonly compression: Compression; readonly ramBytes: number }): Piece {
    const { disk_bytenr: disk, disk_num_bytes: diskBytes, offset: skip, num_bytes: length } = place;
    const { compression, ramBytes } = how;
    if (ramBytes > PACKED_EXTENT_BYTES_MAX || ramBytes <= 0) throw this.#fault(item, 'ram_bytes', ramBytes, `1 to ${PACKED_EXTENT_BYTES_MAX}`);
    if (diskBytes > PACKED_EXTENT_BYTES_MAX || diskBytes <= 0) throw this.#fault(item, 'disk_num_bytes', diskBytes, `1 to ${PACKED_EXTENT_BYTES_MAX}`);
    if (skip + length > ramBytes) throw this.#fault(item, 'offset', skip, `at most ${ramBytes - length}: the extent unpacks to ${ramBytes} bytes`);
    const { data } = this.#file;
    if (disk + diskBytes > data.size) throw this.#fault(item, 'disk_bytenr', disk, `at most ${data.size - diskBytes}`);
    const unpack = async (): Promise<Uint8Array> => unpackExtent(compression, await readRange(data, disk, diskBytes), ramBytes, this.#parts.unpack);
    const load = async (): Promise<Uint8Array> => {
      const unit = await this.#parts.units.get(disk, unpack);
      // Another file may have claimed that the same extent is something else.
      return unit.length === ramBytes ? unit : unpack();
    };
    const start = item.offset;
    return { start, end: start + length, run: (offset, most) => ({ kind: 'packed', length: most, skip: skip + (offset - start), load }) };
  }
}

function runIn({ end, pieces }: Window, offset: number, lengthMax: number): Run {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((pieces[middle] as Piece).start <= offset) low = middle + 1;
    else high = middle;
  }
  const piece = pieces[low - 1];
  if (piece !== undefined && offset < piece.end) return piece.run(offset, Math.min(lengthMax, piece.end - offset));
  return { kind: 'hole', length: Math.min(lengthMax, (pieces[low]?.start ?? end) - offset) };
}
