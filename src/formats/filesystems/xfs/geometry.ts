/** Sizes of one filesystem, and where its blocks and inodes are. Source: "XFS Algorithms & Data Structures", "Allocation Groups", "Inode Numbers". */
import { FormatError } from '../../../core/index.ts';

/** What the superblock says, checked. */
export interface GeometryFacts {
  /** 4 or 5. */
  readonly version: number;
  readonly blockBytes: number;
  readonly sectorBytes: number;
  readonly inodeBytes: number;
  /** Bytes of a directory block: a power of two of blocks. */
  readonly directoryBytes: number;
  /** Blocks of the data device. */
  readonly blocks: number;
  readonly groupBlocks: number;
  readonly groups: number;
  /** Bits of a block number inside its group. */
  readonly groupBits: number;
  /** Bits of an inode's number inside its block. */
  readonly inodeBits: number;
  /** Blocks that inode chunks are aligned to. */
  readonly inodeAlignment: number;
  readonly fileTypes: boolean;
  readonly caseInsensitive: boolean;
  readonly sparseInodes: boolean;
  /** What metadata blocks repeat: version 5. */
  readonly metaUuid: Uint8Array;
  readonly rootInode: number;
  readonly log: { readonly block: number; readonly blocks: number };
}

/** The sizes, and arithmetic on them. Numbers stay below 2^53, as the superblock is refused otherwise. */
export class XfsGeometry {
  readonly facts: GeometryFacts;
  readonly #groupScale: number;
  readonly #inodeScale: number;

  constructor(facts: GeometryFacts) {
    this.facts = facts;
    this.#groupScale = 2 ** facts.groupBits;
    this.#inodeScale = 2 ** facts.inodeBits;
  }

  get isV5(): boolean {
    return this.facts.version === 5;
  }

  /** Blocks of one group: the last one may be shorter. */
  blocksOf(group: number): number {
    const { groups, groupBlocks, blocks } = this.facts;
    return group === groups - 1 ? blocks - group * groupBlocks : groupBlocks;
  }

  /** Whether all of these blocks exist and lie in one group. */
  holds(block: number, count: number): boolean {
    const group = Math.floor(block / this.#groupScale);
    return group < this.facts.groups && block % this.#groupScale + count <= this.blocksOf(group);
  }

  /** Byte of the device where a block begins; ask `holds` first. */
  blockAt(block: number): number {
    const { groupBlocks, blockBytes } = this.facts;
    return (Math.floor(block / this.#groupScale) * groupBlocks + block % this.#groupScale) * blockBytes;
  }

  /** Byte of the device where block `block` of group `group` begins. */
  groupBlockAt(group: number, block: number): number {
    return (group * this.facts.groupBlocks + block) * this.facts.blockBytes;
  }

  /** Byte of the device where an inode is; undefined for a number that no inode can have. */
  inodeAt(inode: number): number | undefined {
    const { groupBits, inodeBytes, groups } = this.facts;
    const block = Math.floor(inode / this.#inodeScale);
    const group = Math.floor(block / 2 ** groupBits);
    const inGroup = block % this.#groupScale;
    if (!Number.isSafeInteger(inode) || group >= groups || inGroup >= this.blocksOf(group) || inode === 0) return undefined;
    return this.groupBlockAt(group, inGroup) + inode % this.#inodeScale * inodeBytes;
  }

  /** @throws {FormatError} for a number that no inode can have. */
  checkedInodeAt(inode: number): number {
    const at = this.inodeAt(inode);
    if (at === undefined) throw new FormatError('Read XFS inode', { structure: 'xfs_dinode', field: 'number', found: inode, expected: `a number inside '${this.facts.groups}' allocation groups` });
    return at;
  }
}
