/**
 * Structures of VHDX files; all integers are little-endian, GUIDs are 16 bytes as stored.
 * Source: Microsoft [MS-VHDX] "Virtual Hard Disk v2 (VHDX) File Format", sections 2.2 to 2.6.
 */
import { layout, type Layout } from '../../../core/index.ts';

/** Fixed places of section 2.2, in bytes: multiples of 64 KiB, and the first MiB that all of it is in. */
export const PLACE = { header1: 65_536, header2: 131_072, region1: 196_608, region2: 262_144, end: 1_048_576 } as const;
/** Bytes that the checksum of a header covers. */
export const HEADER_BYTES = 4_096;
/** Bytes of a region table. */
export const REGION_TABLE_BYTES = 65_536;
/** Section 2.2.1: the first eight bytes of the file. */
export const FILE_SIGNATURE = 'vhdxfile';

/** Section 2.2.2. */
export const headerLayout: Layout<{
  readonly Signature: 'bytes:4'; readonly Checksum: 'u32'; readonly SequenceNumber: 'bytes:8'; readonly FileWriteGuid: 'bytes:16';
  readonly DataWriteGuid: 'bytes:16'; readonly LogGuid: 'bytes:16'; readonly LogVersion: 'u16'; readonly Version: 'u16'; readonly LogLength: 'u32'; readonly LogOffset: 'u64';
}> = layout('VHDX header', 'le', {
  Signature: 'bytes:4', Checksum: 'u32', SequenceNumber: 'bytes:8', FileWriteGuid: 'bytes:16', DataWriteGuid: 'bytes:16', LogGuid: 'bytes:16',
  LogVersion: 'u16', Version: 'u16', LogLength: 'u32', LogOffset: 'u64',
});

/** Section 2.2.3.1. */
export const regionTableLayout: Layout<{ readonly Signature: 'bytes:4'; readonly Checksum: 'u32'; readonly EntryCount: 'u32'; readonly Reserved: 'u32' }> =
  layout('VHDX region table', 'le', { Signature: 'bytes:4', Checksum: 'u32', EntryCount: 'u32', Reserved: 'u32' });

/** Section 2.2.3.2. */
export const regionLayout: Layout<{ readonly Guid: 'bytes:16'; readonly FileOffset: 'u64'; readonly Length: 'u32'; readonly Required: 'u32' }> =
  layout('VHDX region table entry', 'le', { Guid: 'bytes:16', FileOffset: 'u64', Length: 'u32', Required: 'u32' });

/** Section 2.3.1.1. */
export const logEntryLayout: Layout<{
  readonly Signature: 'bytes:4'; readonly Checksum: 'u32'; readonly EntryLength: 'u32'; readonly Tail: 'u32'; readonly SequenceNumber: 'u64';
  readonly DescriptorCount: 'u32'; readonly Reserved: 'u32'; readonly LogGuid: 'bytes:16'; readonly FlushedFileOffset: 'u64'; readonly LastFileOffset: 'u64';
}> = layout('VHDX log entry', 'le', {
  Signature: 'bytes:4', Checksum: 'u32', EntryLength: 'u32', Tail: 'u32', SequenceNumber: 'u64', DescriptorCount: 'u32', Reserved: 'u32',
  LogGuid: 'bytes:16', FlushedFileOffset: 'u64', LastFileOffset: 'u64',
});

/** Section 2.3.1.2. */
export const zeroDescriptorLayout: Layout<{ readonly ZeroSignature: 'bytes:4'; readonly Reserved: 'u32'; readonly ZeroLength: 'u64'; readonly FileOffset: 'u64'; readonly SequenceNumber: 'u64' }> =
  layout('VHDX log zero descriptor', 'le', { ZeroSignature: 'bytes:4', Reserved: 'u32', ZeroLength: 'u64', FileOffset: 'u64', SequenceNumber: 'u64' });

/** Section 2.3.1.3: the first eight and last four bytes of a sector, whose place its signature and sequence number take in the log. */
export const dataDescriptorLayout: Layout<{ readonly DataSignature: 'bytes:4'; readonly TrailingBytes: 'bytes:4'; readonly LeadingBytes: 'bytes:8'; readonly FileOffset: 'u64'; readonly SequenceNumber: 'u64' }> =
  layout('VHDX log data descriptor', 'le', { DataSignature: 'bytes:4', TrailingBytes: 'bytes:4', LeadingBytes: 'bytes:8', FileOffset: 'u64', SequenceNumber: 'u64' });

/** Section 2.3.1.4. */
export const dataSectorLayout: Layout<{ readonly DataSignature: 'bytes:4'; readonly SequenceHigh: 'u32'; readonly Data: 'bytes:4084'; readonly SequenceLow: 'u32' }> =
  layout('VHDX log data sector', 'le', { DataSignature: 'bytes:4', SequenceHigh: 'u32', Data: 'bytes:4084', SequenceLow: 'u32' });

/** Section 2.6.1.1. */
export const metadataTableLayout: Layout<{ readonly Signature: 'bytes:8'; readonly Reserved: 'u16'; readonly EntryCount: 'u16'; readonly Reserved2: 'bytes:20' }> =
  layout('VHDX metadata table', 'le', { Signature: 'bytes:8', Reserved: 'u16', EntryCount: 'u16', Reserved2: 'bytes:20' });

/** Section 2.6.1.2. */
export const metadataEntryLayout: Layout<{ readonly ItemId: 'bytes:16'; readonly Offset: 'u32'; readonly Length: 'u32'; readonly Flags: 'u32'; readonly Reserved: 'u32' }> =
  layout('VHDX metadata table entry', 'le', { ItemId: 'bytes:16', Offset: 'u32', Length: 'u32', Flags: 'u32', Reserved: 'u32' });

/** Section 2.6.2.1. */
export const fileParametersLayout: Layout<{ readonly BlockSize: 'u32'; readonly Flags: 'u32' }> = layout('VHDX file parameters', 'le', { BlockSize: 'u32', Flags: 'u32' });

/** Section 2.6.2.6.1. */
export const parentLocatorLayout: Layout<{ readonly LocatorType: 'bytes:16'; readonly Reserved: 'u16'; readonly KeyValueCount: 'u16' }> =
  layout('VHDX parent locator', 'le', { LocatorType: 'bytes:16', Reserved: 'u16', KeyValueCount: 'u16' });

/** Section 2.6.2.6.2. */
export const locatorEntryLayout: Layout<{ readonly KeyOffset: 'u32'; readonly ValueOffset: 'u32'; readonly KeyLength: 'u16'; readonly ValueLength: 'u16' }> =
  layout('VHDX parent locator entry', 'le', { KeyOffset: 'u32', ValueOffset: 'u32', KeyLength: 'u16', ValueLength: 'u16' });

/** GUIDs of regions and metadata items, in text. */
export const GUID = {
  bat: '2dc27766-f623-4200-9d64-115e9bfd4a08', metadata: '8b7ca206-4790-4b9a-b8fe-575f050f886e',
  fileParameters: 'caa16737-fa36-4d43-b3b6-33f0aa44e76b', virtualDiskSize: '2fa54224-cd1b-4876-b211-5dbed83bf4b8',
  virtualDiskId: 'beca12ab-b2e6-4523-93ef-c309e000c746', logicalSectorSize: '8141bf1d-a96f-4709-ba47-f233a8faab5f',
  physicalSectorSize: 'cda348c7-445d-4471-9cc9-e9885251c556', parentLocator: 'a8d35f2d-b30b-454d-abf7-d3d84834ab0c',
  vhdxLocatorType: 'b04aefb7-d19e-4a81-b789-25b8e9445913', none: '00000000-0000-0000-0000-000000000000',
} as const;

/** States of payload blocks, section 2.5.1.1; of bitmap blocks only 0 and 6 are used. */
export const BLOCK = { notPresent: 0, undefined: 1, zero: 2, unmapped: 3, fullyPresent: 6, partiallyPresent: 7 } as const;
