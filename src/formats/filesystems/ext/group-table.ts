/** Group descriptors: where each group's inodes are. A damaged one is taken from a copy. */
import { FormatError, HoldfastError, IntegrityError } from '../../../core/index.ts';
import { BLOCK_OWNER, type BlockReader, bytesOf } from './block-reader.ts';
import { chainCrc16, chainCrcAround, chainCrcOfU32 } from './checksum.ts';
import { groupDescriptor } from './superblock.layout.ts';
import { groupStart, hasSuperblock, type ExtGeometry } from './superblock.ts';

const STRUCTURE = 'ext group descriptor';
/** Places that are remembered: one number each. */
const PLACES_MAX = 65_536;
/** Groups whose copies are tried for a damaged descriptor. */
const usualGroups: readonly number[] = [0, 1, 2, 3, 4, 5, 7, 9, 25, 27];

/** Finds the tables of inodes. */
export class GroupTable {
  readonly #blocks: BlockReader;
  readonly #geometry: ExtGeometry;
  readonly #onCopy: (group: number, error: HoldfastError) => void;
  /** First block of a group's inodes. */
  readonly #places = new Map<number, number>();

  /** `onCopy` hears of descriptors that were taken from a copy. */
  constructor(blocks: BlockReader, onCopy: (group: number, error: HoldfastError) => void) {
    this.#blocks = blocks;
    this.#geometry = blocks.geometry;
    this.#onCopy = onCopy;
  }

  /** The first block of the inodes of `group`. @throws {FormatError} @throws {IntegrityError} */
  inodeTable(group: number): number | Promise<number> {
    return this.#places.get(group) ?? this.#find(group);
  }

  async #find(group: number): Promise<number> {
    let failure: HoldfastError | undefined;
    for (const block of this.#copies(group)) {
      try {
        const place = await this.#read(block, group);
        if (failure !== undefined) this.#onCopy(group, failure);
        if (this.#places.size >= PLACES_MAX) this.#places.clear();
        this.#places.set(group, place);
        return place;
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        failure ??= error;
      }
    }
    throw failure as HoldfastError;
  }

  /** Blocks that hold the descriptor of a group: that in use first. */
  #copies(group: number): readonly number[] {
    const geometry = this.#geometry;
    const perBlock = geometry.blockBytes / geometry.descriptorBytes;
    const index = Math.floor(group / perBlock);
    if (index >= geometry.metaGroupsFrom) {
      const first = index * perBlock;
      const groups = [first, first + 1, first + perBlock - 1].filter((one) => one < geometry.groups);
      return groups.map((one) => groupStart(geometry, one) + (hasSuperblock(geometry, one) ? this.#superblocks(one) : 0));
    }
    const groups = geometry.copyGroups === undefined ? usualGroups : [0, ...geometry.copyGroups];
    const copies = groups.filter((one) => one < geometry.groups && hasSuperblock(geometry, one));
    return copies.map((one) => groupStart(geometry, one) + this.#superblocks(one) + index);
  }

  /** Blocks before the descriptors: with blocks of 1024 bytes, the boot block is one of the first group if groups begin with block 0. */
  #superblocks(group: number): number {
    return group === 0 && this.#geometry.blockBytes === 1024 && this.#geometry.firstDataBlock === 0 ? 2 : 1;
  }

  async #read(block: number, group: number): Promise<number> {
    const { blockBytes, descriptorBytes, blocks, firstDataBlock, inodesPerGroup, inodeBytes } = this.#geometry;
    const view = await this.#blocks.get(block, BLOCK_OWNER.descriptors, { structure: STRUCTURE, field: 'block' }, () => undefined);
    const at = group % (blockBytes / descriptorBytes) * descriptorBytes;
    const offset = block * blockBytes + at;
    const descriptor = bytesOf(view).subarray(at, at + descriptorBytes);
    const stored = view.getUint16(at + groupDescriptor.checksum, true);
    const found = this.#checksum(descriptor, group);
    if (found !== undefined && found !== stored) {
      throw new IntegrityError(`Read ext group descriptor ${group} at offset ${offset}: bg_checksum is '${stored}', its bytes give '${found}'`, { structure: STRUCTURE, field: 'bg_checksum', offset });
    }
    const high = descriptorBytes > groupDescriptor.bytesMin ? view.getUint32(at + groupDescriptor.inodeTableHigh, true) : 0;
    const place = high * 2 ** 32 + view.getUint32(at + groupDescriptor.inodeTableLow, true);
    const length = Math.ceil(inodesPerGroup * inodeBytes / blockBytes);
    if (place <= firstDataBlock || place + length > blocks) {
      throw new FormatError(`Read ext group ${group}`, { structure: STRUCTURE, field: 'bg_inode_table', offset: offset + groupDescriptor.inodeTableLow, found: place, expected: `${firstDataBlock + 1} to ${blocks - length}` });
    }
    return place;
  }

  #checksum(descriptor: Uint8Array, group: number): number | undefined {
    const { checksums, seed, uuid } = this.#geometry;
    if (checksums === 'none') return undefined;
    if (checksums === 'crc32c') return chainCrcAround(chainCrcOfU32(seed, group), descriptor, groupDescriptor.checksum, 2) & 0xffff;
    const number = Uint8Array.of(group, group >>> 8, group >>> 16, group >>> 24);
    const head = chainCrc16(chainCrc16(chainCrc16(0xffff, uuid), number), descriptor.subarray(0, groupDescriptor.checksum));
    return chainCrc16(head, descriptor.subarray(groupDescriptor.checksum + 2));
  }
}
