/** Tables of exFAT. Source: Microsoft, exFAT file system specification, sections 3.1, 7.1 to 7.7. */
import { type Layout, layout } from '../../../core/index.ts';

/** Section 3.1. */
export const bootLayout: Layout<{
  readonly JumpBoot: 'bytes:3'; readonly FileSystemName: 'bytes:8'; readonly MustBeZero: 'bytes:53'; readonly PartitionOffset: 'bytes:8'; readonly VolumeLength: 'u64'; readonly FatOffset: 'u32'; readonly FatLength: 'u32';
  readonly ClusterHeapOffset: 'u32'; readonly ClusterCount: 'u32'; readonly FirstClusterOfRootDirectory: 'u32'; readonly VolumeSerialNumber: 'u32'; readonly FileSystemRevision: 'u16'; readonly VolumeFlags: 'u16';
  readonly BytesPerSectorShift: 'u8'; readonly SectorsPerClusterShift: 'u8'; readonly NumberOfFats: 'u8'; readonly DriveSelect: 'u8'; readonly PercentInUse: 'u8'; readonly Reserved: 'bytes:7'; readonly BootCode: 'bytes:390'; readonly BootSignature: 'u16';
}> = layout('exFAT boot sector', 'le', {
  JumpBoot: 'bytes:3', FileSystemName: 'bytes:8', MustBeZero: 'bytes:53', PartitionOffset: 'bytes:8', VolumeLength: 'u64', FatOffset: 'u32', FatLength: 'u32',
  ClusterHeapOffset: 'u32', ClusterCount: 'u32', FirstClusterOfRootDirectory: 'u32', VolumeSerialNumber: 'u32', FileSystemRevision: 'u16', VolumeFlags: 'u16',
  BytesPerSectorShift: 'u8', SectorsPerClusterShift: 'u8', NumberOfFats: 'u8', DriveSelect: 'u8', PercentInUse: 'u8', Reserved: 'bytes:7', BootCode: 'bytes:390', BootSignature: 'u16',
});

/** Section 7.4. */
export const fileLayout: Layout<{
  readonly EntryType: 'u8'; readonly SecondaryCount: 'u8'; readonly SetChecksum: 'u16'; readonly FileAttributes: 'u16'; readonly Reserved1: 'u16'; readonly CreateTimestamp: 'u32'; readonly LastModifiedTimestamp: 'u32';
  readonly LastAccessedTimestamp: 'u32'; readonly Create10msIncrement: 'u8'; readonly LastModified10msIncrement: 'u8'; readonly CreateUtcOffset: 'u8'; readonly LastModifiedUtcOffset: 'u8'; readonly LastAccessedUtcOffset: 'u8'; readonly Reserved2: 'bytes:7';
}> = layout('exFAT file entry', 'le', {
  EntryType: 'u8', SecondaryCount: 'u8', SetChecksum: 'u16', FileAttributes: 'u16', Reserved1: 'u16', CreateTimestamp: 'u32', LastModifiedTimestamp: 'u32',
  LastAccessedTimestamp: 'u32', Create10msIncrement: 'u8', LastModified10msIncrement: 'u8', CreateUtcOffset: 'u8', LastModifiedUtcOffset: 'u8', LastAccessedUtcOffset: 'u8', Reserved2: 'bytes:7',
});

/** Section 7.6. */
export const streamLayout: Layout<{
  readonly EntryType: 'u8'; readonly GeneralSecondaryFlags: 'u8'; readonly Reserved1: 'u8'; readonly NameLength: 'u8'; readonly NameHash: 'u16'; readonly Reserved2: 'u16'; readonly ValidDataLength: 'u64';
  readonly Reserved3: 'u32'; readonly FirstCluster: 'u32'; readonly DataLength: 'u64';
}> = layout('exFAT stream extension entry', 'le', {
  EntryType: 'u8', GeneralSecondaryFlags: 'u8', Reserved1: 'u8', NameLength: 'u8', NameHash: 'u16', Reserved2: 'u16', ValidDataLength: 'u64', Reserved3: 'u32', FirstCluster: 'u32', DataLength: 'u64',
});

/** Sections 7.1 and 7.2: the allocation bitmap and the up-case table. `Specific` holds BitmapFlags in its first byte, or TableChecksum in bytes 3 to 6. */
export const tableLayout: Layout<{
  readonly EntryType: 'u8'; readonly Specific: 'bytes:19'; readonly FirstCluster: 'u32'; readonly DataLength: 'u64';
}> = layout('exFAT table entry', 'le', { EntryType: 'u8', Specific: 'bytes:19', FirstCluster: 'u32', DataLength: 'u64' });

/** Bytes of every directory entry. */
export const ENTRY_BYTES = 32;

/** `EntryType`. Those below 0x80 are not in use, 0 ends the directory. */
export const ENTRY = { end: 0, bitmap: 0x81, upcase: 0x82, label: 0x83, file: 0x85, guid: 0xa0, texfatPadding: 0xa1, stream: 0xc0, name: 0xc1 } as const;

/** Bits of `EntryType`. */
export const TYPE = { benign: 0x20, secondary: 0x40, inUse: 0x80 } as const;

/** `GeneralSecondaryFlags`: its clusters follow each other, and the table says nothing about them. */
export const NO_FAT_CHAIN = 0x02;

/** `FileAttributes`. */
export const ATTRIBUTE = { readOnly: 0x01, directory: 0x10 } as const;

/** `VolumeFlags`. */
export const VOLUME = { secondFat: 0x01, dirty: 0x02, mediaFailure: 0x04 } as const;

/** UTF-16 units of a file name entry, from byte 2 on. */
export const NAME_UNITS = 15;
