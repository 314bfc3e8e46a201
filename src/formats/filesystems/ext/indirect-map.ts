/**
 * Block numbers of a file without extents: twelve of its own, then through one, two and three levels of blocks of numbers.
 * Source: Linux, Documentation/filesystems/ext4 (ifork, "Direct/Indirect Block Addressing").
 */
import { FormatError, type BlockSource } from '../../../core/index.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import { BLOCK_OWNER, type BlockReader } from './block-reader.ts';
import type { Inode } from './inode.ts';

const STRUCTURE = 'ext block map';
const DIRECT = 12;
const LEVELS = 3;

/** Bytes that a file of such numbers can have at most. */
export function indirectBytesMax(blockBytes: number): number {
  const perBlock = blockBytes / 4;
  return (DIRECT + perBlock + perBlock ** 2 + perBlock ** 3) * blockBytes;
}

/** Numbers in a table from `index` on, for the logical block `block`; a table of level 0 leads to data. */
interface Position {
  readonly view: DataView;
  readonly index: number;
  readonly end: number;
  readonly level: number;
  /** Blocks from the beginning of entry `index` to the one asked for. */
  readonly skip: number;
}

/** See the header. */
export class IndirectMap implements BlockMap {
  readonly #source: BlockSource;
  readonly #blocks: BlockReader;
  readonly #inode: Inode;
  readonly #own: DataView;
  readonly #perBlock: number;

  constructor(source: BlockSource, blocks: BlockReader, inode: Inode) {
    this.#source = source;
    this.#blocks = blocks;
    this.#inode = inode;
    this.#own = new DataView(inode.block.buffer, inode.block.byteOffset, inode.block.length);
    this.#perBlock = blocks.geometry.blockBytes / 4;
  }

  runAt(offset: number, lengthMax: number): Run | Promise<Run> {
    const { blockBytes } = this.#blocks.geometry;
    const block = Math.floor(offset / blockBytes);
    if (block < DIRECT) return this.#follow({ view: this.#own, index: block, end: DIRECT, level: 0, skip: 0 }, offset, lengthMax);
    let rest = block - DIRECT;
    for (let level = 1, span = this.#perBlock; level <= LEVELS; level += 1, span *= this.#perBlock) {
      if (rest < span) return this.#follow({ view: this.#own, index: DIRECT + level - 1, end: DIRECT + level, level, skip: rest }, offset, lengthMax);
      rest -= span;
    }
    throw this.#inode.fault('i_size_lo', this.#inode.size, `at most ${indirectBytesMax(blockBytes)}: what block numbers reach`);
  }

  #follow(position: Position, offset: number, lengthMax: number): Run | Promise<Run> {
    const { view, index, level, skip } = position;
    if (level === 0) return this.#data(position, offset, lengthMax);
    const { blockBytes } = this.#blocks.geometry;
    const table = view.getUint32(index * 4, true);
    const span = this.#perBlock ** (level - 1);
    if (table === 0) return { kind: 'hole', length: Math.min(lengthMax, (span * this.#perBlock - skip) * blockBytes - offset % blockBytes) };
    const loaded = this.#blocks.get(table, BLOCK_OWNER.numbers, { structure: STRUCTURE, field: `i_block, level ${level}` }, () => undefined);
    const below = (found: DataView): Position => ({ view: found, index: Math.floor(skip / span), end: this.#perBlock, level: level - 1, skip: skip % span });
    if (loaded instanceof Promise) return loaded.then((found) => this.#follow(below(found), offset, lengthMax));
    return this.#follow(below(loaded), offset, lengthMax);
  }

  /** As many numbers as follow each other on the disk, or are all zero. */
  #data({ view, index, end }: Position, offset: number, lengthMax: number): Run {
    const { blockBytes, firstDataBlock, blocks } = this.#blocks.geometry;
    const first = view.getUint32(index * 4, true);
    const inBlock = offset % blockBytes;
    const countMax = Math.min(end - index, Math.ceil((lengthMax + inBlock) / blockBytes));
    let count = 1;
    while (count < countMax && view.getUint32((index + count) * 4, true) === (first === 0 ? 0 : first + count)) count += 1;
    const length = Math.min(lengthMax, count * blockBytes - inBlock);
    if (first === 0) return { kind: 'hole', length };
    if (first < firstDataBlock || first + count > blocks) {
      throw new FormatError(`Map block of ext inode ${this.#inode.number}`, { structure: STRUCTURE, field: 'block number', found: first, expected: `${firstDataBlock} to ${blocks - count}: blocks of the filesystem` });
    }
    return { kind: 'data', length, file: this.#source, at: first * blockBytes + inBlock };
  }
}
