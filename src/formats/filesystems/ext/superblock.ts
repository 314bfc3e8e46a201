/**
 * What the superblock says about the shape of an ext filesystem, checked; and where copies of it are.
 * Source: Linux, Documentation/filesystems/ext4 (super, blockgroup).
 */
import { FormatError, HoldfastError, IntegrityError, readRange, UnsupportedError, textOf, type BlockSource } from '../../../core/index.ts';
import { uuidText } from '../../mapping/guid.ts';
import { chainCrc } from './checksum.ts';
import { COMPAT, EXT_MAGIC, INCOMPAT, RO_COMPAT, superblockLayout } from './superblock.layout.ts';

const STRUCTURE = superblockLayout.name;
/** Offset of the first superblock, in bytes, and the size of each. */
export const SUPERBLOCK_BYTES = 1024;
const LOG_BLOCK_SIZE_MAX = 6;
const VALID_FS = 1;
const ERROR_FS = 2;
const CRC32C = 1;

/** The shape of a filesystem. Counts are in blocks unless they say otherwise. */
export interface ExtGeometry {
  readonly blockBytes: number;
  readonly blocks: number;
  readonly firstDataBlock: number;
  readonly blocksPerGroup: number;
  readonly groups: number;
  readonly inodes: number;
  readonly inodesPerGroup: number;
  readonly inodeBytes: number;
  readonly firstInode: number;
  readonly descriptorBytes: number;
  /** Blocks of descriptors before this one stand behind the superblock, later ones in their groups. */
  readonly metaGroupsFrom: number;
  readonly compat: number;
  readonly incompat: number;
  readonly roCompat: number;
  readonly checksums: 'none' | 'crc16' | 'crc32c';
  /** Where the CRC-32C of all metadata begins. */
  readonly seed: number;
  readonly uuid: Uint8Array;
  readonly label: string;
  readonly freeBlocks: number;
  readonly clean: boolean;
  readonly journalInode: number;
  readonly hashSeed: Uint8Array;
  /** The hashes of names take bytes as unsigned. */
  readonly unsignedHash: boolean;
  /** Groups with copies when only two have one. */
  readonly copyGroups?: readonly number[];
  /** Offset in bytes of the superblock that was read. */
  readonly superblockAt: number;
}

function fault(field: keyof typeof superblockLayout.offsets, base: number, found: number, expected: string): FormatError {
  return new FormatError('Read ext superblock', { structure: STRUCTURE, field, offset: base + superblockLayout.offsets[field], found, expected });
}

type View = ReturnType<typeof superblockLayout.view>;

function checkIdentity(view: View, bytes: Uint8Array, base: number): void {
  if (view.s_magic !== EXT_MAGIC) throw fault('s_magic', base, view.s_magic, String(EXT_MAGIC));
  if ((view.s_feature_incompat & INCOMPAT.journal_dev) !== 0) throw new UnsupportedError('Open ext filesystem: this is an external journal, without files');
  if ((view.s_feature_ro_compat & RO_COMPAT.metadata_csum) === 0) return;
  if (view.s_checksum_type !== CRC32C) throw new UnsupportedError(`Open ext filesystem: s_checksum_type is '${view.s_checksum_type}', known is 1 (CRC-32C)`);
  const found = chainCrc(0xffff_ffff, bytes.subarray(0, superblockLayout.offsets.s_checksum));
  if (found !== view.s_checksum) {
    throw new IntegrityError(`Read ext superblock at offset ${base}: s_checksum is '${view.s_checksum}', its bytes give '${found}'`, { structure: STRUCTURE, field: 's_checksum', offset: base });
  }
}

function checkFeatures(incompat: number): void {
  const known = Object.values(INCOMPAT).reduce((all, bit) => all | bit, 0);
  const unknown = (incompat & ~known) >>> 0;
  if (unknown !== 0) throw new UnsupportedError(`Open ext filesystem: s_feature_incompat has unknown features '0x${unknown.toString(16)}'`, { unknown });
}

function blocksOf(view: View, low: 's_blocks_count_lo' | 's_free_blocks_count_lo', high: 's_blocks_count_hi' | 's_free_blocks_count_hi'): number {
  return view[low] + ((view.s_feature_incompat & INCOMPAT['64bit']) === 0 ? 0 : view[high] * 2 ** 32);
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && Math.log2(value) % 1 === 0;
}

/** Blocks in a group, and bytes of a block. */
function groupShape(view: View, base: number): { readonly blockBytes: number; readonly blocksPerGroup: number } {
  if (view.s_log_block_size > LOG_BLOCK_SIZE_MAX) throw fault('s_log_block_size', base, view.s_log_block_size, `at most ${LOG_BLOCK_SIZE_MAX}`);
  const blockBytes = 1024 << view.s_log_block_size;
  const { s_blocks_per_group: blocksPerGroup, s_inodes_per_group: inodesPerGroup } = view;
  let ratio = 1;
  if ((view.s_feature_ro_compat & RO_COMPAT.bigalloc) !== 0) {
    const shift = view.s_log_cluster_size - view.s_log_block_size;
    if (shift < 0 || shift > 20) throw fault('s_log_cluster_size', base, view.s_log_cluster_size, 'at least s_log_block_size, and at most 20 more');
    ratio = 2 ** shift;
    if (view.s_clusters_per_group * ratio !== blocksPerGroup) throw fault('s_clusters_per_group', base, view.s_clusters_per_group, `${blocksPerGroup / ratio}: s_blocks_per_group in clusters`);
  }
  if (blocksPerGroup === 0 || blocksPerGroup > 8 * blockBytes * ratio) throw fault('s_blocks_per_group', base, blocksPerGroup, `1 to ${8 * blockBytes * ratio}`);
  if (inodesPerGroup === 0 || inodesPerGroup > 8 * blockBytes) throw fault('s_inodes_per_group', base, inodesPerGroup, `1 to ${8 * blockBytes}`);
  return { blockBytes, blocksPerGroup };
}

function inodeBytesOf(view: View, blockBytes: number, base: number): number {
  const bytes = view.s_rev_level === 0 ? 128 : view.s_inode_size;
  if (bytes < 128 || bytes > blockBytes || !isPowerOfTwo(bytes)) throw fault('s_inode_size', base, bytes, `a power of two from 128 to ${blockBytes}`);
  return bytes;
}

function descriptorBytesOf(view: View, base: number): number {
  if ((view.s_feature_incompat & INCOMPAT['64bit']) === 0) return 32;
  const bytes = view.s_desc_size;
  if (bytes < 64 || bytes > 1024 || !isPowerOfTwo(bytes)) throw fault('s_desc_size', base, bytes, 'a power of two from 64 to 1024');
  return bytes;
}

function checksumsOf(view: View): Pick<ExtGeometry, 'checksums' | 'seed'> {
  const { s_feature_ro_compat: roCompat, s_feature_incompat: incompat } = view;
  const seed = (incompat & INCOMPAT.csum_seed) === 0 ? chainCrc(0xffff_ffff, view.s_uuid) : view.s_checksum_seed;
  if ((roCompat & RO_COMPAT.metadata_csum) !== 0) return { checksums: 'crc32c', seed };
  return { checksums: (roCompat & RO_COMPAT.gdt_csum) === 0 ? 'none' : 'crc16', seed };
}

function labelOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return textOf(end < 0 ? bytes : bytes.subarray(0, end));
}

/**
 * Checks the 1024 `bytes` of a superblock that was read at `base`.
 * @throws {FormatError} @throws {IntegrityError} @throws {UnsupportedError}
 */
export function parseSuperblock(bytes: Uint8Array, base: number): ExtGeometry {
  const view = superblockLayout.view(bytes, 0, base);
  checkIdentity(view, bytes, base);
  checkFeatures(view.s_feature_incompat);
  const { blockBytes, blocksPerGroup } = groupShape(view, base);
  const blocks = blocksOf(view, 's_blocks_count_lo', 's_blocks_count_hi');
  if (!Number.isSafeInteger(blocks * blockBytes)) throw fault('s_blocks_count_hi', base, view.s_blocks_count_hi, 'less than 2^53 bytes in all blocks');
  const firstDataBlock = view.s_first_data_block;
  if (firstDataBlock > (blockBytes === 1024 ? 1 : 0)) throw fault('s_first_data_block', base, firstDataBlock, `at most ${blockBytes === 1024 ? 1 : 0}`);
  if (blocks <= firstDataBlock + 1) throw fault('s_blocks_count_lo', base, blocks, 'more than the superblock');
  const groups = Math.ceil((blocks - firstDataBlock) / blocksPerGroup);
  const { s_inodes_count: inodes, s_inodes_per_group: inodesPerGroup } = view;
  if (inodes === 0 || inodes > groups * inodesPerGroup) throw fault('s_inodes_count', base, inodes, `1 to ${groups * inodesPerGroup}: what the groups hold`);
  const { s_feature_compat: compat, s_feature_incompat: incompat, s_feature_ro_compat: roCompat } = view;
  return {
    blockBytes, blocks, firstDataBlock, blocksPerGroup, groups, inodes, inodesPerGroup, compat, incompat, roCompat, ...checksumsOf(view),
    inodeBytes: inodeBytesOf(view, blockBytes, base), firstInode: view.s_rev_level === 0 ? 11 : view.s_first_ino, descriptorBytes: descriptorBytesOf(view, base),
    metaGroupsFrom: (incompat & INCOMPAT.meta_bg) === 0 ? Infinity : view.s_first_meta_bg,
    uuid: view.s_uuid.slice(), label: labelOf(view.s_volume_name), freeBlocks: blocksOf(view, 's_free_blocks_count_lo', 's_free_blocks_count_hi'),
    clean: (view.s_state & VALID_FS) !== 0 && (view.s_state & ERROR_FS) === 0 && (incompat & INCOMPAT.recover) === 0,
    journalInode: (compat & COMPAT.has_journal) === 0 ? 0 : view.s_journal_inum,
    hashSeed: view.s_hash_seed.slice(), unsignedHash: (view.s_flags & 2) !== 0,
    ...((compat & COMPAT.sparse_super2) === 0 ? {} : { copyGroups: [view.s_backup_bgs_0, view.s_backup_bgs_1].filter((group) => group !== 0) }),
    superblockAt: base,
  };
}

function isPowerOf(base: number, value: number): boolean {
  let power = base;
  while (power < value) power *= base;
  return power === value;
}

/** Whether a group begins with a copy of the superblock and the descriptors. */
export function hasSuperblock(geometry: ExtGeometry, group: number): boolean {
  if (group === 0) return true;
  if (geometry.copyGroups !== undefined) return geometry.copyGroups.includes(group);
  if (group === 1 || (geometry.roCompat & RO_COMPAT.sparse_super) === 0) return true;
  return isPowerOf(3, group) || isPowerOf(5, group) || isPowerOf(7, group);
}

/** The first block of a group. */
export function groupStart(geometry: ExtGeometry, group: number): number {
  return geometry.firstDataBlock + group * geometry.blocksPerGroup;
}

/** Offsets at which mke2fs puts copies, for all sizes of blocks and clusters, the most usual ones first. */
function* copyOffsets(size: number): Iterable<number> {
  for (const ratio of [1, 16, 2, 4, 8, 32, 64]) {
    for (const blockBytes of [4096, 1024, 2048, 8192, 16_384, 32_768, 65_536]) {
      const groupBytes = 8 * blockBytes * blockBytes * ratio;
      for (const group of [1, 3, 5, 7, 9]) {
        const at = group * groupBytes + (blockBytes === 1024 && ratio === 1 ? 1024 : 0);
        if (at + SUPERBLOCK_BYTES <= size) yield at;
      }
    }
  }
}

/** The first sound copy, `undefined` when there is none. A copy is that of the group in which it is. */
export async function findSuperblockCopy(source: BlockSource): Promise<ExtGeometry | undefined> {
  for (const at of copyOffsets(source.size)) {
    try {
      const bytes = await readRange(source, at, SUPERBLOCK_BYTES);
      const geometry = parseSuperblock(bytes, at);
      const group = superblockLayout.view(bytes).s_block_group_nr;
      if (group > 0 && groupStart(geometry, group) * geometry.blockBytes === at) return geometry;
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
    }
  }
  return undefined;
}

/** `ext2`, `ext3` or `ext4`, by what the filesystem uses, as blkid tells them apart. */
export function versionOf({ compat, incompat, roCompat }: Pick<ExtGeometry, 'compat' | 'incompat' | 'roCompat'>): string {
  const oldIncompat = INCOMPAT.filetype | INCOMPAT.recover | INCOMPAT.meta_bg | INCOMPAT.compression;
  const oldRoCompat = RO_COMPAT.sparse_super | RO_COMPAT.large_file | RO_COMPAT.btree_dir;
  if ((incompat & ~oldIncompat) !== 0 || (roCompat & ~oldRoCompat) !== 0) return 'ext4';
  return (compat & COMPAT.has_journal) === 0 ? 'ext2' : 'ext3';
}

/** The UUID as `blkid` prints it. */
export function uuidOf(geometry: ExtGeometry): string {
  return uuidText(geometry.uuid);
}
