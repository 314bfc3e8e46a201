/**
 * Structures of NTFS; all integers are little-endian. Field names follow the published documentation.
 * Source: libfsntfs project, "New Technologies File System (NTFS) format specification"; Microsoft [MS-FSCC] for reparse points and flags.
 */
import { layout, type Layout } from '../../../core/index.ts';

/** "The volume header": boot sector without its boot code. */
export const bootLayout: Layout<{
  readonly jump: 'bytes:3'; readonly oemId: 'bytes:8'; readonly bytesPerSector: 'u16'; readonly sectorsPerCluster: 'u8'; readonly unused: 'bytes:26'; readonly totalSectors: 'u64';
  readonly mftCluster: 'u64'; readonly mirrorCluster: 'u64'; readonly recordSize: 'u8'; readonly unused2: 'bytes:3'; readonly indexSize: 'u8'; readonly unused3: 'bytes:3'; readonly serial: 'bytes:8';
}> = layout('NTFS boot sector', 'le', {
  jump: 'bytes:3', oemId: 'bytes:8', bytesPerSector: 'u16', sectorsPerCluster: 'u8', unused: 'bytes:26', totalSectors: 'u64', mftCluster: 'u64', mirrorCluster: 'u64', recordSize: 'u8', unused2: 'bytes:3',
  indexSize: 'u8', unused3: 'bytes:3', serial: 'bytes:8',
});

/** "MFT entry header"; a reference is 48 bits of record number and 16 bits of sequence number. */
export const recordLayout: Layout<{
  readonly signature: 'bytes:4'; readonly fixupOffset: 'u16'; readonly fixupCount: 'u16'; readonly journalSequence: 'bytes:8'; readonly sequence: 'u16'; readonly linkCount: 'u16'; readonly attributesOffset: 'u16';
  readonly flags: 'u16'; readonly usedSize: 'u32'; readonly totalSize: 'u32'; readonly baseLow: 'u32'; readonly baseHigh: 'u16'; readonly baseSequence: 'u16'; readonly nextId: 'u16'; readonly unused: 'u16'; readonly index: 'u32';
}> = layout('MFT record', 'le', {
  signature: 'bytes:4', fixupOffset: 'u16', fixupCount: 'u16', journalSequence: 'bytes:8', sequence: 'u16', linkCount: 'u16', attributesOffset: 'u16', flags: 'u16', usedSize: 'u32', totalSize: 'u32',
  baseLow: 'u32', baseHigh: 'u16', baseSequence: 'u16', nextId: 'u16', unused: 'u16', index: 'u32',
});

/** "MFT attribute header" and its form for content outside the record. */
export const attributeLayout: Layout<{ readonly type: 'u32'; readonly size: 'u32'; readonly nonResident: 'u8'; readonly nameLength: 'u8'; readonly nameOffset: 'u16'; readonly flags: 'u16'; readonly id: 'u16' }> =
  layout('MFT attribute', 'le', { type: 'u32', size: 'u32', nonResident: 'u8', nameLength: 'u8', nameOffset: 'u16', flags: 'u16', id: 'u16' });

/** Behind the header of a resident attribute. */
export const residentLayout: Layout<{ readonly dataSize: 'u32'; readonly dataOffset: 'u16'; readonly indexed: 'u8'; readonly padding: 'u8' }> =
  layout('MFT resident attribute', 'le', { dataSize: 'u32', dataOffset: 'u16', indexed: 'u8', padding: 'u8' });

/** Behind the header of a non-resident attribute; sizes in bytes, VCNs in clusters. */
export const nonResidentLayout: Layout<{
  readonly lowestVcn: 'i64'; readonly highestVcn: 'i64'; readonly runsOffset: 'u16'; readonly compressionUnit: 'u16'; readonly padding: 'u32'; readonly allocatedSize: 'i64'; readonly dataSize: 'i64'; readonly validSize: 'i64';
}> = layout('MFT non-resident attribute', 'le', {
  lowestVcn: 'i64', highestVcn: 'i64', runsOffset: 'u16', compressionUnit: 'u16', padding: 'u32', allocatedSize: 'i64', dataSize: 'i64', validSize: 'i64',
});

/** "Attribute list entry". */
export const listEntryLayout: Layout<{
  readonly type: 'u32'; readonly size: 'u16'; readonly nameLength: 'u8'; readonly nameOffset: 'u8'; readonly lowestVcn: 'i64'; readonly recordLow: 'u32'; readonly recordHigh: 'u16'; readonly recordSequence: 'u16'; readonly id: 'u16';
}> = layout('NTFS attribute list entry', 'le', {
  type: 'u32', size: 'u16', nameLength: 'u8', nameOffset: 'u8', lowestVcn: 'i64', recordLow: 'u32', recordHigh: 'u16', recordSequence: 'u16', id: 'u16',
});

/** "Index root header". */
export const indexRootLayout: Layout<{ readonly type: 'u32'; readonly collation: 'u32'; readonly blockSize: 'u32'; readonly clusters: 'u8'; readonly padding: 'bytes:3' }> =
  layout('NTFS index root', 'le', { type: 'u32', collation: 'u32', blockSize: 'u32', clusters: 'u8', padding: 'bytes:3' });

/** "Index node header"; offsets count from its start. */
export const indexNodeLayout: Layout<{ readonly entriesOffset: 'u32'; readonly usedSize: 'u32'; readonly totalSize: 'u32'; readonly flags: 'u32' }> =
  layout('NTFS index node', 'le', { entriesOffset: 'u32', usedSize: 'u32', totalSize: 'u32', flags: 'u32' });

/** "Index entry header" of a block, before the node's. */
export const indexBlockLayout: Layout<{ readonly signature: 'bytes:4'; readonly fixupOffset: 'u16'; readonly fixupCount: 'u16'; readonly journalSequence: 'bytes:8'; readonly vcn: 'u64' }> =
  layout('NTFS index block', 'le', { signature: 'bytes:4', fixupOffset: 'u16', fixupCount: 'u16', journalSequence: 'bytes:8', vcn: 'u64' });

/** Types of attributes that are read. */
export const ATTRIBUTE = {
  standardInformation: 0x10, list: 0x20, fileName: 0x30, objectId: 0x40, securityDescriptor: 0x50, volumeName: 0x60, volumeInformation: 0x70, data: 0x80, indexRoot: 0x90, indexAllocation: 0xa0,
  bitmap: 0xb0, reparsePoint: 0xc0, extendedAttributes: 0xe0, end: 0xffff_ffff,
} as const;

/** Records with fixed numbers. The first that users' files have is 24; those before it are hidden. */
export const RECORD = { mft: 0, mirror: 1, logFile: 2, volume: 3, root: 5, secure: 9, upcase: 10, firstUser: 24 } as const;

/** Flags of a record. */
export const RECORD_FLAG = { inUse: 1, directory: 2 } as const;
/** Flags of an attribute. */
export const ATTRIBUTE_FLAG = { compressionMask: 0x00ff, compressed: 0x0001, encrypted: 0x4000, sparse: 0x8000 } as const;
/** [MS-FSCC] 2.6, file attributes; `directory` is not stored but added for those who ask. */
export const FILE_FLAG = { hidden: 0x2, system: 0x4, directory: 0x10, normal: 0x80, reparsePoint: 0x400, offline: 0x1000, encrypted: 0x4000, recallOnOpen: 0x4_0000, recallOnDataAccess: 0x40_0000 } as const;

/** [MS-FSCC] 2.1.2.1, tags of reparse points; those of WSL from its documentation. */
export const REPARSE_TAG = {
  mountPoint: 0xa000_0003, symlink: 0xa000_000c, deduplicated: 0x8000_0013, compressed: 0x8000_0017, execLink: 0x8000_001b, lxSymlink: 0xa000_001d, lxSocket: 0x8000_0023, lxFifo: 0x8000_0024, lxCharacter: 0x8000_0025,
  lxBlock: 0x8000_0026,
} as const;

/** The name of the index of a directory's names. */
export const NAME_INDEX = '$I30';
