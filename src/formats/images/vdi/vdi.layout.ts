/**
 * Header of a VDI file, version 1.1; integers are little-endian. There is no published specification.
 * Source: VirtualBox forum, "All about VDIs" (headers, block map, types), checked on files that QEMU writes.
 */
import { layout, type Layout } from '../../../core/index.ts';

/** Both headers; `imageType` and what follows have their place in version 1.1. */
export const vdiLayout: Layout<{
  readonly fileInfo: 'bytes:64'; readonly signature: 'u32'; readonly version: 'u32'; readonly headerSize: 'u32'; readonly imageType: 'u32'; readonly imageFlags: 'u32';
  readonly comment: 'bytes:256'; readonly offBlocks: 'u32'; readonly offData: 'u32'; readonly cylinders: 'u32'; readonly heads: 'u32'; readonly sectors: 'u32';
  readonly sectorSize: 'u32'; readonly dummy: 'u32'; readonly diskSize: 'u64'; readonly blockSize: 'u32'; readonly blockExtra: 'u32'; readonly blocks: 'u32';
  readonly blocksAllocated: 'u32'; readonly uuidCreate: 'bytes:16'; readonly uuidModify: 'bytes:16'; readonly uuidLinkage: 'bytes:16'; readonly uuidParentModify: 'bytes:16';
}> = layout('VDI header', 'le', {
  fileInfo: 'bytes:64', signature: 'u32', version: 'u32', headerSize: 'u32', imageType: 'u32', imageFlags: 'u32', comment: 'bytes:256', offBlocks: 'u32', offData: 'u32',
  cylinders: 'u32', heads: 'u32', sectors: 'u32', sectorSize: 'u32', dummy: 'u32', diskSize: 'u64', blockSize: 'u32', blockExtra: 'u32', blocks: 'u32', blocksAllocated: 'u32',
  uuidCreate: 'bytes:16', uuidModify: 'bytes:16', uuidLinkage: 'bytes:16', uuidParentModify: 'bytes:16',
});

/** `signature`. */
export const VDI_SIGNATURE = 0xbeda107f;
/** `version` 1.1. */
export const VDI_VERSION = 0x0001_0001;
/** `imageType`. */
export const VDI_TYPE = { dynamic: 1, static: 2, undo: 3, differencing: 4 } as const;
/** Entries of the block map that are no index: not here, and surely zeroes. */
export const VDI_BLOCK = { free: 0xffff_ffff, zero: 0xffff_fffe } as const;
