/** What an inode holds, as bytes: through extents, block numbers, or in the inode. */
import { MemorySource, type BlockSource } from '../../../core/index.ts';
import type { BlockMap } from '../../mapping/run.ts';
import { MappedSource } from '../../mapping/mapped-source.ts';
import type { BlockReader } from './block-reader.ts';
import { ExtentMap } from './extent-map.ts';
import { IndirectMap, indirectBytesMax } from './indirect-map.ts';
import { inlineFile } from './inline-data.ts';
import { I_BLOCK_BYTES, INODE } from './inode.layout.ts';
import type { Inode } from './inode.ts';
import { type BlockRange, RangedMap } from './range-table.ts';
import { INCOMPAT, RO_COMPAT } from './superblock.layout.ts';

/** Opens contents. The sources don't own the filesystem's. */
export class Contents {
  readonly #source: BlockSource;
  readonly #blocks: BlockReader;
  readonly #ranges: ReadonlyMap<number, readonly BlockRange[]> | undefined;

  /** `ranges`: parts of inodes that are elsewhere than these say, by number. */
  constructor(source: BlockSource, blocks: BlockReader, ranges?: ReadonlyMap<number, readonly BlockRange[]>) {
    this.#source = source;
    this.#blocks = blocks;
    this.#ranges = ranges;
  }

  /** The content of a file, a directory that is not inline, a long symlink, or a journal. @throws {FormatError} */
  open(inode: Inode): BlockSource {
    if (inode.has('inline_data')) return new MemorySource(inlineFile(inode));
    const { blockBytes } = this.#blocks.geometry;
    return new MappedSource(inode.size, blockBytes, { what: `file, ext inode ${inode.number}`, map: this.map(inode), owned: [], place: { structure: 'ext inode', field: 'i_block' } });
  }

  /** Where the blocks of an inode are. @throws {FormatError} */
  map(inode: Inode): BlockMap {
    const { blockBytes } = this.#blocks.geometry;
    const bytesMax = inode.has('extents') ? 2 ** 32 * blockBytes : indirectBytesMax(blockBytes);
    if (inode.size > bytesMax) throw inode.fault('i_size_lo', inode.size, `at most ${bytesMax}`);
    const map = inode.has('extents') ? new ExtentMap(this.#source, this.#blocks, inode) : new IndirectMap(this.#source, this.#blocks, inode);
    const ranges = this.#ranges?.get(inode.number);
    return ranges === undefined ? map : new RangedMap(map, this.#source, blockBytes, ranges);
  }

  /** The target of a short symlink, which is in its inode; `undefined` for others. */
  shortTarget(inode: Inode): Uint8Array | undefined {
    if (inode.has('inline_data') || inode.size >= I_BLOCK_BYTES) return undefined;
    const { blockBytes, incompat, roCompat } = this.#blocks.geometry;
    // Values of attributes in inodes of their own count among its blocks; such filesystems tell by the size. Source: Linux, fs/ext4/inode.c, ext4_inode_is_fast_symlink.
    if ((incompat & INCOMPAT.ea_inode) !== 0) return inode.size === 0 ? undefined : inode.block.slice(0, inode.size);
    // Without extents the count of blocks tells: a target takes one more than attributes do. Clusters are only used with extents.
    const attributes = inode.attributeBlock === 0 ? 0 : blockBytes / 512;
    const counted = (roCompat & RO_COMPAT.bigalloc) === 0 && inode.data.getUint32(INODE.i_blocks_lo, true) > attributes;
    return inode.has('extents') || counted ? undefined : inode.block.slice(0, inode.size);
  }
}
