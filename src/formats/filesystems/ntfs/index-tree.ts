/**
 * B-trees of NTFS: a root in the file's record, blocks in an attribute of its own, a bitmap of those in use.
 * Source: libfsntfs project, "NTFS format specification", "The index".
 */
import { type BlockSource, checkLimit, FormatError, HoldfastError, LimitError, textOf } from '../../../core/index.ts';
import { UnitCache } from '../../mapping/unit-cache.ts';
import type { AttributeSegments } from './attribute-list.ts';
import { openContent, readAll } from './content.ts';
import { applyFixups } from './fixups.ts';
import { ATTRIBUTE, indexBlockLayout, indexNodeLayout, indexRootLayout } from './ntfs.layout.ts';
import type { ClusterSpace } from './volume.ts';

const ENTRY = 'NTFS index entry';
const ENTRY_HEAD = 16;
const FLAG = { below: 1, last: 2 } as const;
/** Bytes of blocks that one open index keeps. */
const CACHE_BYTES = 128 << 10;
/** Bytes of the bitmap of one index: 32 GiB of names. */
const BITMAP_BYTES_MAX = 1 << 20;
/** Damaged blocks of one index after which nothing more is expected of it. */
const DAMAGED_MAX = 256;
/** An index has this part of what a file's list of clusters may take: several stay open. */
const LIST_SHARE = 32;
/** Bytes of blocks that are read at a time where all are wanted. */
const PIECE_BYTES = 64 << 10;
/** The unit of block numbers where a block is smaller than a cluster. */
const SMALL_UNIT = 512;

/** One entry: bytes of the node from `at`. */
export interface IndexEntry {
  readonly node: Uint8Array;
  readonly view: DataView;
  /** Offset of the entry in `node`. */
  readonly at: number;
  readonly keyAt: number;
  readonly keyBytes: number;
}

/** Where an index is, for errors and problems: `MFT record 5 $I30`. */
interface Opened {
  readonly what: string;
  readonly root: Uint8Array;
  readonly blockBytes: number;
  /** Bytes that a block number counts. */
  readonly unitBytes: number;
  readonly blocks: BlockSource | undefined;
  readonly bitmap: Uint8Array;
}

/** Sees an entry; true ends the visit. */
type Visit = (entry: IndexEntry, below: number | undefined) => boolean | undefined;

/** An open index. */
export class IndexTree {
  readonly #space: ClusterSpace;
  readonly #opened: Opened;
  readonly #cache: UnitCache;

  private constructor(space: ClusterSpace, opened: Opened) {
    this.#space = space;
    this.#opened = opened;
    this.#cache = new UnitCache(opened.blockBytes, CACHE_BYTES);
  }

  /** Undefined when the file has no index of that name. @throws {FormatError} @throws {LimitError} */
  static async open(space: ClusterSpace, segments: AttributeSegments, name: string): Promise<IndexTree | undefined> {
    const attribute = await segments.first(ATTRIBUTE.indexRoot, name);
    if (attribute === undefined) return undefined;
    const what = `MFT record ${segments.record.number} ${name}`;
    if (!attribute.resident) throw new FormatError('Open index', { structure: 'NTFS index root', field: 'nonResident', found: what, expected: 'content in the record' });
    const { blockSize } = indexRootLayout.view(attribute.value);
    if (blockSize < SMALL_UNIT || (blockSize & (blockSize - 1)) !== 0 || blockSize > space.limits.filesystemBlockBytesMax) {
      throw new FormatError('Open index', { structure: 'NTFS index root', field: 'blockSize', found: blockSize, expected: 'a power of two from 512' });
    }
    const bounded = { ...space, limits: { ...space.limits, filesystemListBytesMax: Math.ceil(space.limits.filesystemListBytesMax / LIST_SHARE) } };
    const blocks = await openContent(bounded, segments.some(ATTRIBUTE.indexAllocation, name));
    const bits = await openContent(bounded, segments.some(ATTRIBUTE.bitmap, name));
    if (bits !== undefined && bits.size > BITMAP_BYTES_MAX) throw new LimitError('index bitmap bytes', bits.size, BITMAP_BYTES_MAX, what);
    return new IndexTree(space, {
      what, root: attribute.value, blockBytes: blockSize, unitBytes: space.geometry.clusterBytes <= blockSize ? space.geometry.clusterBytes : SMALL_UNIT, blocks,
      bitmap: bits === undefined ? new Uint8Array(0) : await readAll(bits),
    });
  }

  /** Blocks of the allocation that the bitmap calls used. */
  *#usedBlocks(): Iterable<number> {
    const { blocks, blockBytes, bitmap } = this.#opened;
    const count = Math.min(Math.floor((blocks?.size ?? 0) / blockBytes), bitmap.length * 8);
    for (let block = 0; block < count; block += 1) if (((bitmap[block >>> 3] as number) >>> (block & 7) & 1) !== 0) yield block;
  }

  /**
   * All entries, node by node, in no order. A node that is damaged is told to `damaged` and left out; after many of them, the rest is.
   * @throws {unknown} when `damaged` throws.
   */
  async *nodes(damaged: (where: string, error: unknown) => void): AsyncIterable<readonly IndexEntry[]> {
    const { what, root, blockBytes } = this.#opened;
    const entriesOf = (node: Uint8Array, at: number, where: string): readonly IndexEntry[] => {
      const entries: IndexEntry[] = [];
      try {
        this.#visit(node, at, (entry) => {
          if (entry.keyBytes > 0) entries.push(entry);
          return false;
        });
      } catch (error) {
        damaged(where, error);
      }
      return entries;
    };
    yield entriesOf(root, indexRootLayout.size, what);
    let failures = 0;
    let piece: Uint8Array | undefined;
    let pieceAt = -1;
    for (const block of this.#usedBlocks()) {
      if (failures >= DAMAGED_MAX) return;
      const where = `${what} block ${block}`;
      const at = block * blockBytes;
      if (pieceAt < 0 || at + blockBytes > pieceAt + Math.max(PIECE_BYTES, blockBytes)) {
        piece = await this.#readPiece(at);
        pieceAt = at;
      }
      let node: Uint8Array;
      try {
        if (piece === undefined || at + blockBytes > pieceAt + piece.length) node = await this.#readBlock(at);
        else {
          node = piece.subarray(at - pieceAt, at - pieceAt + blockBytes);
          this.#check(node, at);
        }
      } catch (error) {
        damaged(where, error);
        failures += 1;
        continue;
      }
      yield entriesOf(node, indexBlockLayout.size, where);
    }
  }

  /**
   * Descends: `compare` says where what is looked for stands against an entry's key; at 0, `found` may take it.
   * @throws {FormatError} @throws {IntegrityError} @throws {LimitError} when the tree is too deep.
   */
  async find(compare: (entry: IndexEntry) => number): Promise<IndexEntry | undefined> {
    let node = this.#opened.root;
    let at = indexRootLayout.size;
    for (let depth = 0; ; depth += 1) {
      checkLimit(this.#space.limits, 'filesystemDepthMax', depth, this.#opened.what);
      let hit: IndexEntry | undefined;
      let next: number | undefined;
      this.#visit(node, at, (entry, below) => {
        const order = entry.keyBytes === 0 ? -1 : compare(entry);
        if (order > 0) return false;
        if (order === 0) hit = entry;
        else next = below;
        return true;
      });
      if (hit !== undefined || next === undefined) return hit;
      const place = next * this.#opened.unitBytes;
      node = await this.#cache.get(place, () => this.#readBlock(place));
      at = indexBlockLayout.size;
    }
  }

  async #readBlock(at: number): Promise<Uint8Array> {
    const { blocks, blockBytes, what } = this.#opened;
    if (blocks === undefined || !Number.isSafeInteger(at) || at + blockBytes > blocks.size) {
      throw new FormatError('Read index', { structure: ENTRY, field: 'below', found: at, expected: `a block of the ${blocks?.size ?? 0} bytes of ${what}` });
    }
    const bytes = new Uint8Array(blockBytes);
    await blocks.readInto(at, bytes);
    this.#check(bytes, at);
    return bytes;
  }

  /** Checks a fresh block from byte `at` of the allocation, in place. */
  #check(bytes: Uint8Array, at: number): void {
    const { unitBytes, what } = this.#opened;
    const { signature, vcn } = indexBlockLayout.view(bytes, 0, at);
    if (textOf(signature) !== 'INDX') throw new FormatError('Read index', { structure: indexBlockLayout.name, field: 'signature', offset: at, found: Buffer.from(signature).toString('hex'), expected: `INDX in ${what}` });
    applyFixups({ view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), at: 0, length: bytes.length, structure: indexBlockLayout.name, offset: at });
    if (vcn !== at / unitBytes) throw new FormatError('Read index', { structure: indexBlockLayout.name, field: 'vcn', offset: at + 16, found: vcn, expected: at / unitBytes });
  }

  /** Blocks from byte `at` of the allocation, as many as are read at a time, unchecked; undefined when not all of them can be read. */
  async #readPiece(at: number): Promise<Uint8Array | undefined> {
    const { blocks, blockBytes } = this.#opened;
    const bytes = new Uint8Array(Math.min(Math.max(PIECE_BYTES, blockBytes), (blocks?.size ?? 0) - at));
    try {
      await blocks?.readInto(at, bytes);
      return bytes;
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      return undefined;
    }
  }

  /** Hands over the entries of a node whose header is at `start`, and what stands below each. */
  #visit(node: Uint8Array, start: number, visit: Visit): void {
    const { entriesOffset, usedSize } = indexNodeLayout.view(node, start, start);
    const end = start + usedSize;
    if (entriesOffset < indexNodeLayout.size || end > node.length || entriesOffset > usedSize) {
      throw new FormatError('Read index', { structure: indexNodeLayout.name, field: 'usedSize', offset: start + 4, found: usedSize, expected: `${entriesOffset} to ${node.length - start} in ${this.#opened.what}` });
    }
    const view = new DataView(node.buffer, node.byteOffset, node.byteLength);
    for (let at = start + entriesOffset; ;) {
      const size = at + ENTRY_HEAD <= end ? view.getUint16(at + 8, true) : 0;
      const flags = size === 0 ? 0 : view.getUint16(at + 12, true);
      const tail = (flags & FLAG.below) !== 0 ? 8 : 0;
      const keyBytes = (flags & FLAG.last) !== 0 || size === 0 ? 0 : view.getUint16(at + 10, true);
      if (size < ENTRY_HEAD + tail || size % 8 !== 0 || at + size > end || ENTRY_HEAD + keyBytes + tail > size || (keyBytes === 0 && (flags & FLAG.last) === 0)) {
        throw new FormatError('Read index', { structure: ENTRY, field: 'size', offset: at + 8, found: size, expected: `a multiple of 8 up to ${end - at} in ${this.#opened.what}` });
      }
      const below = tail === 0 ? undefined : view.getUint32(at + size - 4, true) * 0x1_0000_0000 + view.getUint32(at + size - 8, true);
      if (visit({ node, view, at, keyAt: at + ENTRY_HEAD, keyBytes }, below) === true || (flags & FLAG.last) !== 0) return;
      at += size;
    }
  }
}
