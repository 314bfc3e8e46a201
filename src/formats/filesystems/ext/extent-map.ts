/**
 * A file's extent tree: which blocks hold which part.
 * Source: Linux, Documentation/filesystems/ext4 (ifork, "Extent Tree").
 */
import { FormatError, IntegrityError, type BlockSource } from '../../../core/index.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import { type BlockReader, bytesOf } from './block-reader.ts';
import { chainCrc } from './checksum.ts';
import { EXTENT, I_BLOCK_BYTES } from './inode.layout.ts';
import type { Inode } from './inode.ts';

const STRUCTURE = 'ext extent node';
/** Logical blocks are numbers of 32 bits. */
const BLOCKS_MAX = 2 ** 32;

/** A node, and the logical blocks that it is responsible for. */
interface Node {
  readonly view: DataView;
  /** 0 for a leaf. */
  readonly depth: number;
  readonly from: number;
  readonly to: number;
}

/** See the header. */
export class ExtentMap implements BlockMap {
  readonly #source: BlockSource;
  readonly #blocks: BlockReader;
  readonly #inode: Inode;
  readonly #root: Node;
  /** The leaf of the last answer: reading goes on there. */
  #leaf: Node | undefined;

  /** @throws {FormatError} when the root is none. */
  constructor(source: BlockSource, blocks: BlockReader, inode: Inode) {
    this.#source = source;
    this.#blocks = blocks;
    this.#inode = inode;
    const view = new DataView(inode.block.buffer, inode.block.byteOffset, I_BLOCK_BYTES);
    const depth = view.getUint16(EXTENT.eh_depth, true);
    if (depth > EXTENT.depthMax) throw this.#fault('eh_depth', depth, `at most ${EXTENT.depthMax}`);
    this.#checkNode(view, depth, 0, BLOCKS_MAX);
    this.#root = { view, depth, from: 0, to: BLOCKS_MAX };
  }

  runAt(offset: number, lengthMax: number): Run | Promise<Run> {
    const block = Math.floor(offset / this.#blocks.geometry.blockBytes);
    const near = this.#leaf;
    if (near !== undefined && block >= near.from && block < near.to) return this.#inLeaf(near, offset, lengthMax);
    return this.#descend(this.#root, offset, lengthMax);
  }

  #fault(field: string, found: number, expected: string): FormatError {
    return new FormatError(`Read extents of ext inode ${this.#inode.number}`, { structure: STRUCTURE, field, found, expected });
  }

  #descend(node: Node, offset: number, lengthMax: number): Run | Promise<Run> {
    if (node.depth === 0) {
      this.#leaf = node;
      return this.#inLeaf(node, offset, lengthMax);
    }
    const { blockBytes } = this.#blocks.geometry;
    const block = Math.floor(offset / blockBytes);
    const { view } = node;
    const count = view.getUint16(EXTENT.eh_entries, true);
    const index = lastAtMost(view, count, block);
    const next = (position: number): number => (position < count ? view.getUint32(EXTENT.headerBytes + position * EXTENT.entryBytes, true) : node.to);
    if (index < 0) return { kind: 'hole', length: Math.min(lengthMax, next(0) * blockBytes - offset) };
    const at = EXTENT.headerBytes + index * EXTENT.entryBytes;
    const child = view.getUint16(at + EXTENT.ei_leaf_hi, true) * 2 ** 32 + view.getUint32(at + EXTENT.ei_leaf_lo, true);
    const [from, to] = [next(index), next(index + 1)];
    const depth = node.depth - 1;
    const loaded = this.#blocks.get(child, this.#inode.number, { structure: STRUCTURE, field: 'ei_leaf' }, (found) => { this.#checkBlock(found, depth, from, to); });
    if (loaded instanceof Promise) return loaded.then((found) => this.#descend({ view: found, depth, from, to }, offset, lengthMax));
    return this.#descend({ view: loaded, depth, from, to }, offset, lengthMax);
  }

  #inLeaf({ view, to }: Node, offset: number, lengthMax: number): Run {
    const { blockBytes } = this.#blocks.geometry;
    const block = Math.floor(offset / blockBytes);
    const count = view.getUint16(EXTENT.eh_entries, true);
    const index = lastAtMost(view, count, block);
    if (index >= 0) {
      const at = EXTENT.headerBytes + index * EXTENT.entryBytes;
      const first = view.getUint32(at, true);
      const stored = view.getUint16(at + EXTENT.ee_len, true);
      const written = stored <= EXTENT.writtenMax;
      const blocks = written ? stored : stored - EXTENT.writtenMax;
      if (block < first + blocks) {
        const length = Math.min(lengthMax, (first + blocks) * blockBytes - offset);
        if (!written) return { kind: 'hole', length };
        const start = view.getUint16(at + EXTENT.ee_start_hi, true) * 2 ** 32 + view.getUint32(at + EXTENT.ee_start_lo, true);
        return { kind: 'data', length, file: this.#source, at: start * blockBytes + offset - first * blockBytes };
      }
    }
    const end = index + 1 < count ? view.getUint32(EXTENT.headerBytes + (index + 1) * EXTENT.entryBytes, true) : to;
    return { kind: 'hole', length: Math.min(lengthMax, end * blockBytes - offset) };
  }

  #checkBlock(view: DataView, depth: number, from: number, to: number): void {
    const max = view.getUint16(EXTENT.eh_max, true);
    const end = EXTENT.headerBytes + max * EXTENT.entryBytes;
    if (view.getUint16(EXTENT.eh_magic, true) === EXTENT.magic && this.#blocks.geometry.checksums === 'crc32c') {
      if (end + 4 > view.byteLength) throw this.#fault('eh_max', max, `at most ${Math.floor((view.byteLength - EXTENT.headerBytes - 4) / EXTENT.entryBytes)}`);
      const stored = view.getUint32(end, true);
      const found = chainCrc(this.#inode.seed, bytesOf(view).subarray(0, end));
      if (found !== stored) {
        throw new IntegrityError(`Read extents of ext inode ${this.#inode.number}: et_checksum is '${stored}', its bytes give '${found}'`, { structure: STRUCTURE, field: 'et_checksum', inode: this.#inode.number });
      }
    }
    this.#checkNode(view, depth, from, to);
  }

  /** A node's entries must be in order, inside of what it is responsible for, and lead to blocks of the filesystem. */
  #checkNode(view: DataView, depth: number, from: number, to: number): void {
    const { firstDataBlock, blocks } = this.#blocks.geometry;
    const magic = view.getUint16(EXTENT.eh_magic, true);
    if (magic !== EXTENT.magic) throw this.#fault('eh_magic', magic, String(EXTENT.magic));
    const [count, max] = [view.getUint16(EXTENT.eh_entries, true), view.getUint16(EXTENT.eh_max, true)];
    const room = Math.floor((view.byteLength - EXTENT.headerBytes) / EXTENT.entryBytes);
    if (max === 0 || max > room) throw this.#fault('eh_max', max, `1 to ${room}`);
    if (count > max) throw this.#fault('eh_entries', count, `at most ${max}`);
    if (view.getUint16(EXTENT.eh_depth, true) !== depth) throw this.#fault('eh_depth', view.getUint16(EXTENT.eh_depth, true), String(depth));
    if (depth > 0 && count === 0) throw this.#fault('eh_entries', 0, 'at least 1 in an index');
    let end = from;
    for (let at = EXTENT.headerBytes; at < EXTENT.headerBytes + count * EXTENT.entryBytes; at += EXTENT.entryBytes) {
      const first = view.getUint32(at, true);
      if (first < end || first >= to) throw this.#fault(depth > 0 ? 'ei_block' : 'ee_block', first, `${end} to ${to - 1}`);
      if (depth > 0) {
        end = first + 1;
        continue;
      }
      const stored = view.getUint16(at + EXTENT.ee_len, true);
      const length = stored <= EXTENT.writtenMax ? stored : stored - EXTENT.writtenMax;
      const start = view.getUint16(at + EXTENT.ee_start_hi, true) * 2 ** 32 + view.getUint32(at + EXTENT.ee_start_lo, true);
      if (length === 0 || first + length > to) throw this.#fault('ee_len', stored, `1 to ${to - first} blocks`);
      if (start < firstDataBlock || start + length > blocks) throw this.#fault('ee_start', start, `${firstDataBlock} to ${blocks - length}: blocks of the filesystem`);
      end = first + length;
    }
  }
}

/** Index of the last entry that begins at `block` or before; −1 when all begin behind it. */
function lastAtMost(view: DataView, count: number, block: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (view.getUint32(EXTENT.headerBytes + middle * EXTENT.entryBytes, true) <= block) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
