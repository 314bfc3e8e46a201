/**
 * Heads of VMDK extents; integers are little-endian, offsets count sectors of 512 bytes.
 * Source: VMware, "Virtual Disk Format 5.0" technical note: "Hosted Sparse Extents", "ESX Server Sparse Extents", "Stream-Optimized
 * Compressed Sparse Extents". SEsparse is not in it: its fields are those that QEMU's documentation of the driver names.
 */
import { layout, type Layout } from '../../../core/index.ts';

/** "Hosted Sparse Extents": SparseExtentHeader. `gdOffset` may be the mark {@link GD_AT_END}. */
export const sparseLayout: Layout<{
  readonly magicNumber: 'bytes:4'; readonly version: 'u32'; readonly flags: 'u32'; readonly capacity: 'u64'; readonly grainSize: 'u64'; readonly descriptorOffset: 'u64';
  readonly descriptorSize: 'u64'; readonly numGTEsPerGT: 'u32'; readonly rgdOffset: 'u64'; readonly gdOffset: 'bytes:8'; readonly overHead: 'u64'; readonly uncleanShutdown: 'u8';
  readonly singleEndLineChar: 'u8'; readonly nonEndLineChar: 'u8'; readonly doubleEndLineChar1: 'u8'; readonly doubleEndLineChar2: 'u8'; readonly compressAlgorithm: 'u16'; readonly pad: 'bytes:433';
}> = layout('VMDK sparse header', 'le', {
  magicNumber: 'bytes:4', version: 'u32', flags: 'u32', capacity: 'u64', grainSize: 'u64', descriptorOffset: 'u64', descriptorSize: 'u64', numGTEsPerGT: 'u32', rgdOffset: 'u64',
  gdOffset: 'bytes:8', overHead: 'u64', uncleanShutdown: 'u8', singleEndLineChar: 'u8', nonEndLineChar: 'u8', doubleEndLineChar1: 'u8', doubleEndLineChar2: 'u8', compressAlgorithm: 'u16', pad: 'bytes:433',
});

/** Magic numbers, as they stand in the file. */
export const MAGIC = { sparse: 'KDMV', cowd: 'COWD', descriptor: '# Disk DescriptorFile' } as const;
/** Bits of `flags`. */
export const SPARSE_FLAG = { newLineTest: 1, redundantTable: 2, zeroedGrains: 4, compressed: 0x1_0000, markers: 0x2_0000 } as const;
/** Entries of a grain table, fixed by the specification. */
export const GTES_PER_GT = 512;
/** A table entry of a grain that reads as zeroes, with {@link SPARSE_FLAG.zeroedGrains}. */
export const GRAIN_ZERO = 1;
/** `compressAlgorithm` deflate. */
export const COMPRESSION_DEFLATE = 1;

/** Head of a compressed grain, and of markers, which have size 0 and a type. */
export const grainMarkerLayout: Layout<{ readonly lba: 'u64'; readonly size: 'u32' }> = layout('VMDK grain marker', 'le', { lba: 'u64', size: 'u32' });
/** Types of markers that are no grain. */
export const MARKER = { endOfStream: 0, grainTable: 1, grainDirectory: 2, footer: 3 } as const;

/** "ESX Server Sparse Extents": COWDisk_Header, as far as it matters; grain tables have 4,096 entries. */
export const cowdLayout: Layout<{
  readonly magicNumber: 'bytes:4'; readonly version: 'u32'; readonly flags: 'u32'; readonly numSectors: 'u32'; readonly grainSize: 'u32'; readonly gdOffset: 'u32'; readonly numGDEntries: 'u32'; readonly freeSector: 'u32';
}> = layout('VMDK COWD header', 'le', { magicNumber: 'bytes:4', version: 'u32', flags: 'u32', numSectors: 'u32', grainSize: 'u32', gdOffset: 'u32', numGDEntries: 'u32', freeSector: 'u32' });
/** Entries of a grain table of COWD. */
export const COWD_GTES_PER_GT = 4096;

/** SEsparse: constant header. */
export const seSparseLayout: Layout<{
  readonly magic: 'u64'; readonly version: 'u64'; readonly capacity: 'u64'; readonly grain_size: 'u64'; readonly grain_table_size: 'u64'; readonly flags: 'u64'; readonly reserved: 'bytes:32';
  readonly volatile_header_offset: 'u64'; readonly volatile_header_size: 'u64'; readonly journal_header_offset: 'u64'; readonly journal_header_size: 'u64'; readonly journal_offset: 'u64'; readonly journal_size: 'u64';
  readonly grain_dir_offset: 'u64'; readonly grain_dir_size: 'u64'; readonly grain_tables_offset: 'u64'; readonly grain_tables_size: 'u64'; readonly free_bitmap_offset: 'u64'; readonly free_bitmap_size: 'u64';
  readonly backmap_offset: 'u64'; readonly backmap_size: 'u64'; readonly grains_offset: 'u64'; readonly grains_size: 'u64';
}> = layout('VMDK SEsparse header', 'le', {
  magic: 'u64', version: 'u64', capacity: 'u64', grain_size: 'u64', grain_table_size: 'u64', flags: 'u64', reserved: 'bytes:32', volatile_header_offset: 'u64', volatile_header_size: 'u64',
  journal_header_offset: 'u64', journal_header_size: 'u64', journal_offset: 'u64', journal_size: 'u64', grain_dir_offset: 'u64', grain_dir_size: 'u64', grain_tables_offset: 'u64', grain_tables_size: 'u64',
  free_bitmap_offset: 'u64', free_bitmap_size: 'u64', backmap_offset: 'u64', backmap_size: 'u64', grains_offset: 'u64', grains_size: 'u64',
});
/** SEsparse: volatile header. */
export const seSparseVolatileLayout: Layout<{ readonly magic: 'u64'; readonly free_gt_number: 'u64'; readonly next_txn_seq_number: 'u64'; readonly replay_journal: 'u64' }> =
  layout('VMDK SEsparse volatile header', 'le', { magic: 'u64', free_gt_number: 'u64', next_txn_seq_number: 'u64', replay_journal: 'u64' });
/** Magic numbers and version 2.1 of SEsparse. */
export const SE_SPARSE = { magic: 0xcafebabe, volatileMagic: 0xcafecafe, version: 0x2_0000_0001 } as const;
