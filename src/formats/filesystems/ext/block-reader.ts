/** Blocks of metadata through one cache; a block that was checked is not checked again while it is there. */
import { FormatError, type BlockSource } from '../../../core/index.ts';
import { TableCache } from '../../mapping/table-cache.ts';
import type { ExtGeometry } from './superblock.ts';

/** What a block is that belongs to no inode: distinct from inodes' numbers. */
export const BLOCK_OWNER = { descriptors: -1, numbers: -2, attributes: -3 } as const;

/** A block, or the promise of one that is not in memory. */
export type Loaded = DataView | Promise<DataView>;

/** See the header. */
export class BlockReader {
  readonly geometry: ExtGeometry;
  readonly #cache: TableCache;
  /** For which owner a block in memory was found sound. */
  readonly #sound = new WeakMap<DataView, number>();

  /** `budget` in bytes. */
  constructor(source: BlockSource, geometry: ExtGeometry, budget: number) {
    this.geometry = geometry;
    this.#cache = new TableCache(source, { partBytes: geometry.blockBytes, budget, structure: 'ext block' });
  }

  /**
   * Block `block`, whole; `check` is called once while the block is in memory, for an `owner` (an inode's number, or one of BLOCK_OWNER), and throws.
   * @throws {FormatError} when the block is outside of the filesystem; `structure` and `field` say what leads there.
   */
  get(block: number, owner: number, place: { readonly structure: string; readonly field: string }, check: (view: DataView) => void): Loaded {
    const { firstDataBlock, blocks, blockBytes } = this.geometry;
    if (block < firstDataBlock || block >= blocks) {
      throw new FormatError('Read ext block', { ...place, found: block, expected: `${firstDataBlock} to ${blocks - 1}: a block of the filesystem` });
    }
    const found = this.#cache.get(block * blockBytes);
    if (found instanceof Promise) return found.then((view) => this.#checked(view, block, owner, check));
    return this.#checked(found, block, owner, check);
  }

  #checked(view: DataView, block: number, owner: number, check: (view: DataView) => void): DataView {
    if (this.#sound.get(view) === owner) return view;
    const { blockBytes } = this.geometry;
    if (view.byteLength < blockBytes) {
      throw new FormatError('Read ext block', { structure: 'ext block', field: 'offset', found: block * blockBytes, expected: 'a block inside the image: it ends before' });
    }
    check(view);
    this.#sound.set(view, owner);
    return view;
  }
}

/** The bytes of a view. */
export function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
