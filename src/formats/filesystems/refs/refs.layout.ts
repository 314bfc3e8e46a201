/**
 * Tables of ReFS 3. Microsoft publishes none; sources are what others found out: libfsrefs, "Resilient File System (ReFS)" (libyal), and
 * forefst, docs/structures (versions 3.4 to 3.14). Names of fields are ours where they have none.
 */
import { type Layout, layout } from '../../../core/index.ts';

/** The volume's first sector; a copy is in its last one. */
export const bootLayout: Layout<{
  readonly Jump: 'bytes:3'; readonly FileSystemName: 'bytes:8'; readonly Reserved1: 'bytes:5'; readonly Identifier: 'bytes:4'; readonly Length: 'u16'; readonly Checksum: 'u16'; readonly NumberOfSectors: 'u64'; readonly BytesPerSector: 'u32';
  readonly SectorsPerCluster: 'u32'; readonly MajorVersion: 'u8'; readonly MinorVersion: 'u8'; readonly ChecksumType: 'u16'; readonly Flags: 'u32'; readonly Reserved2: 'bytes:8'; readonly SerialNumber: 'bytes:8'; readonly BytesPerContainer: 'u64';
}> = layout('ReFS boot sector', 'le', {
  Jump: 'bytes:3', FileSystemName: 'bytes:8', Reserved1: 'bytes:5', Identifier: 'bytes:4', Length: 'u16', Checksum: 'u16', NumberOfSectors: 'u64', BytesPerSector: 'u32',
  SectorsPerCluster: 'u32', MajorVersion: 'u8', MinorVersion: 'u8', ChecksumType: 'u16', Flags: 'u32', Reserved2: 'bytes:8', SerialNumber: 'bytes:8', BytesPerContainer: 'u64',
});

/** Before every page of metadata. */
export const pageLayout: Layout<{
  readonly Signature: 'bytes:4'; readonly Version: 'u32'; readonly Reserved: 'u32'; readonly VolumeSignature: 'u32'; readonly AllocatorClock: 'bytes:8'; readonly TreeClock: 'bytes:8'; readonly Self: 'bytes:32'; readonly TableHigh: 'bytes:8'; readonly TableLow: 'u64';
}> = layout('ReFS page', 'le', {
  Signature: 'bytes:4', Version: 'u32', Reserved: 'u32', VolumeSignature: 'u32', AllocatorClock: 'bytes:8', TreeClock: 'bytes:8', Self: 'bytes:32', TableHigh: 'bytes:8', TableLow: 'u64',
});

/** Behind the page header of the superblock. */
export const superblockLayout: Layout<{
  readonly VolumeGuid: 'bytes:16'; readonly Reserved: 'bytes:8'; readonly Generation: 'u64'; readonly CheckpointsOffset: 'u32'; readonly CheckpointsCount: 'u32'; readonly SelfOffset: 'u32'; readonly SelfLength: 'u32';
}> = layout('ReFS superblock', 'le', { VolumeGuid: 'bytes:16', Reserved: 'bytes:8', Generation: 'u64', CheckpointsOffset: 'u32', CheckpointsCount: 'u32', SelfOffset: 'u32', SelfLength: 'u32' });

/** Behind the page header of a checkpoint; the offsets of references to its trees follow, or where they are. */
export const checkpointLayout: Layout<{
  readonly VersionEcho: 'u32'; readonly MajorVersion: 'u16'; readonly MinorVersion: 'u16'; readonly SelfOffset: 'u32'; readonly ReferenceLength: 'u32'; readonly Clock: 'u64'; readonly AllocatorClock: 'bytes:8'; readonly OldestLog: 'bytes:8';
  readonly Flags: 'u32'; readonly Reserved: 'bytes:12'; readonly DataEnd: 'u32'; readonly RootsMax: 'u32'; readonly RootsCount: 'u32';
}> = layout('ReFS checkpoint', 'le', {
  VersionEcho: 'u32', MajorVersion: 'u16', MinorVersion: 'u16', SelfOffset: 'u32', ReferenceLength: 'u32', Clock: 'u64', AllocatorClock: 'bytes:8', OldestLog: 'bytes:8',
  Flags: 'u32', Reserved: 'bytes:12', DataEnd: 'u32', RootsMax: 'u32', RootsCount: 'u32',
});

/** The head of a tree's node, in a page or in a value. Offsets are from its own beginning. */
export const nodeLayout: Layout<{
  readonly DataStart: 'u32'; readonly DataEnd: 'u32'; readonly FreeBytes: 'u32'; readonly Level: 'u8'; readonly Flags: 'u8'; readonly Reserved1: 'u16'; readonly IndexStart: 'u32'; readonly Count: 'u32'; readonly Reserved2: 'bytes:8'; readonly IndexEnd: 'u32'; readonly Reserved3: 'u32';
}> = layout('ReFS node', 'le', {
  DataStart: 'u32', DataEnd: 'u32', FreeBytes: 'u32', Level: 'u8', Flags: 'u8', Reserved1: 'u16', IndexStart: 'u32', Count: 'u32', Reserved2: 'bytes:8', IndexEnd: 'u32', Reserved3: 'u32',
});

/** The head of a row; offsets are from its own beginning. */
export const rowLayout: Layout<{
  readonly Size: 'u32'; readonly KeyOffset: 'u16'; readonly KeyLength: 'u16'; readonly Flags: 'u16'; readonly ValueOffset: 'u16'; readonly ValueLength: 'u16'; readonly Reserved: 'u16';
}> = layout('ReFS row', 'le', { Size: 'u32', KeyOffset: 'u16', KeyLength: 'u16', Flags: 'u16', ValueOffset: 'u16', ValueLength: 'u16', Reserved: 'u16' });

/** What files and directories have in common, at {@link RECORD_INFORMATION_AT} of their records. */
export const informationLayout: Layout<{
  readonly Created: 'bytes:8'; readonly Modified: 'bytes:8'; readonly Changed: 'bytes:8'; readonly Accessed: 'bytes:8'; readonly Attributes: 'u32'; readonly InternalFlags: 'u32'; readonly SecurityId: 'bytes:8'; readonly FileSize: 'u64'; readonly AllocatedSize: 'u64';
}> = layout('ReFS file record', 'le', {
  Created: 'bytes:8', Modified: 'bytes:8', Changed: 'bytes:8', Accessed: 'bytes:8', Attributes: 'u32', InternalFlags: 'u32', SecurityId: 'bytes:8', FileSize: 'u64', AllocatedSize: 'u64',
});

/** Where a record of a file, or a directory's own row, has {@link informationLayout}. */
export const RECORD_INFORMATION_AT = 0x28;

/** The value of a directory's entry whose file or directory is elsewhere; 72 or 84 bytes. */
export const linkLayout: Layout<{
  readonly Ordinal: 'u64'; readonly Object: 'u64'; readonly Created: 'bytes:8'; readonly Modified: 'bytes:8'; readonly Changed: 'bytes:8'; readonly Accessed: 'bytes:8'; readonly AllocatedSize: 'u64'; readonly FileSize: 'u64'; readonly Attributes: 'u32'; readonly Reserved: 'u32';
}> = layout('ReFS directory entry', 'le', {
  Ordinal: 'u64', Object: 'u64', Created: 'bytes:8', Modified: 'bytes:8', Changed: 'bytes:8', Accessed: 'bytes:8', AllocatedSize: 'u64', FileSize: 'u64', Attributes: 'u32', Reserved: 'u32',
});

/** The value of a stream with its bytes behind it. */
export const inlineLayout: Layout<{
  readonly Zero: 'u16'; readonly Flags: 'u16'; readonly AreaLength: 'u32'; readonly ContentOffset: 'u32'; readonly SummaryLength: 'u32'; readonly SummaryFlags: 'u16'; readonly Reserved: 'bytes:6'; readonly AllocatedSize: 'u64'; readonly Size: 'u64'; readonly ValidSize: 'u64'; readonly TotalAllocated: 'u64'; readonly StreamFlags: 'u32';
}> = layout('ReFS stream', 'le', {
  Zero: 'u16', Flags: 'u16', AreaLength: 'u32', ContentOffset: 'u32', SummaryLength: 'u32', SummaryFlags: 'u16', Reserved: 'bytes:6', AllocatedSize: 'u64', Size: 'u64', ValidSize: 'u64', TotalAllocated: 'u64', StreamFlags: 'u32',
});

/** The value of a stream with clusters: a node of runs is at `NodeOffset`. */
export const extentsLayout: Layout<{
  readonly NodeOffset: 'u32'; readonly TreeHeader: 'bytes:36'; readonly Reserved: 'u64'; readonly AllocatedSize: 'u64'; readonly Size: 'u64'; readonly ValidSize: 'u64'; readonly DiskAllocated: 'u64'; readonly Versions: 'u32';
}> = layout('ReFS stream extents', 'le', { NodeOffset: 'u32', TreeHeader: 'bytes:36', Reserved: 'u64', AllocatedSize: 'u64', Size: 'u64', ValidSize: 'u64', DiskAllocated: 'u64', Versions: 'u32' });

/** One run of a stream. */
export const runLayout: Layout<{ readonly Cluster: 'u64'; readonly Flags: 'u32'; readonly FileCluster: 'u32'; readonly Reserved: 'u32'; readonly Length: 'u32' }> = layout('ReFS extent', 'le', { Cluster: 'u64', Flags: 'u32', FileCluster: 'u32', Reserved: 'u32', Length: 'u32' });

/** Runs that are understood, with their bytes on disk: plain ones, and those with a checksum behind them. */
export const RUN_STRIDES: ReadonlyMap<number, number> = new Map([[0x18_0040, 24], [0x18_0050, 24], [0x1c_00d0, 32]]);

/** Types of a directory's rows. */
export const ROW = { own: 0x10, entry: 0x30, stream: 0x40 } as const;
/** Second word of an entry's key. */
export const ENTRY = { record: 1, link: 2 } as const;
/** Types of the rows within a record. */
export const ATTRIBUTE = { extents: 0x00, data: 0x80, named: 0xb0, reparse: 0xc0, extendedAttributes: 0xe0 } as const;
/** Marks of those rows' keys. */
export const MARKER = { single: 0x8000_0001, multiple: 0x8000_0002 } as const;
/** Attributes of files. */
export const FILE = { readOnly: 0x1, reparse: 0x400, directory: 0x1000_0000 } as const;
/** Objects with fixed numbers. */
export const OBJECT = { volumeInformation: 0x500, root: 0x600 } as const;
/** Trees of a checkpoint by place. */
export const ROOT = { objects: 0, objectsCopy: 5, containers: 7, containersCopy: 8 } as const;
/** `Flags` of a checkpoint: the list of trees is elsewhere in its page. */
export const INDIRECT_ROOTS = 0x200;
