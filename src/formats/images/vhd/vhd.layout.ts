/**
 * Structures of VHD files; all integers are big-endian. Field names follow the specification's tables.
 * Source: Microsoft, "Virtual Hard Disk Image Format Specification", version 1.0 (October 2006).
 */
import { layout, type Layout } from '../../../core/index.ts';

/** "Hard Disk Footer Format"; the last 512 bytes of the file, and its first ones unless it is fixed. */
export const footerLayout: Layout<{
  readonly Cookie: 'bytes:8'; readonly Features: 'u32'; readonly FileFormatVersion: 'u32'; readonly DataOffset: 'bytes:8'; readonly TimeStamp: 'u32';
  readonly CreatorApplication: 'bytes:4'; readonly CreatorVersion: 'u32'; readonly CreatorHostOs: 'bytes:4'; readonly OriginalSize: 'u64'; readonly CurrentSize: 'u64';
  readonly Cylinders: 'u16'; readonly Heads: 'u8'; readonly SectorsPerTrack: 'u8'; readonly DiskType: 'u32'; readonly Checksum: 'u32'; readonly UniqueId: 'bytes:16';
  readonly SavedState: 'u8'; readonly Reserved: 'bytes:427';
}> = layout('VHD footer', 'be', {
  Cookie: 'bytes:8', Features: 'u32', FileFormatVersion: 'u32', DataOffset: 'bytes:8', TimeStamp: 'u32', CreatorApplication: 'bytes:4', CreatorVersion: 'u32',
  CreatorHostOs: 'bytes:4', OriginalSize: 'u64', CurrentSize: 'u64', Cylinders: 'u16', Heads: 'u8', SectorsPerTrack: 'u8', DiskType: 'u32', Checksum: 'u32',
  UniqueId: 'bytes:16', SavedState: 'u8', Reserved: 'bytes:427',
});

/** "Dynamic Disk Header Format", without the table of parent locators. */
export const dynamicLayout: Layout<{
  readonly Cookie: 'bytes:8'; readonly DataOffset: 'bytes:8'; readonly TableOffset: 'u64'; readonly HeaderVersion: 'u32'; readonly MaxTableEntries: 'u32';
  readonly BlockSize: 'u32'; readonly Checksum: 'u32'; readonly ParentUniqueId: 'bytes:16'; readonly ParentTimeStamp: 'u32'; readonly Reserved: 'u32'; readonly ParentUnicodeName: 'bytes:512';
}> = layout('VHD dynamic disk header', 'be', {
  Cookie: 'bytes:8', DataOffset: 'bytes:8', TableOffset: 'u64', HeaderVersion: 'u32', MaxTableEntries: 'u32', BlockSize: 'u32', Checksum: 'u32',
  ParentUniqueId: 'bytes:16', ParentTimeStamp: 'u32', Reserved: 'u32', ParentUnicodeName: 'bytes:512',
});

/** "Parent Locator Entry"; eight of them follow the header's fields. */
export const locatorLayout: Layout<{ readonly PlatformCode: 'bytes:4'; readonly PlatformDataSpace: 'u32'; readonly PlatformDataLength: 'u32'; readonly Reserved: 'u32'; readonly PlatformDataOffset: 'u64' }> =
  layout('VHD parent locator entry', 'be', { PlatformCode: 'bytes:4', PlatformDataSpace: 'u32', PlatformDataLength: 'u32', Reserved: 'u32', PlatformDataOffset: 'u64' });

/** Cookies. */
export const COOKIE = { footer: 'conectix', dynamic: 'cxsparse' } as const;
/** Bytes of the dynamic disk header. */
export const DYNAMIC_BYTES = 1024;
/** Parent locators in the header. */
export const LOCATORS = 8;
/** `DiskType`. */
export const DISK_TYPE = { fixed: 2, dynamic: 3, differencing: 4 } as const;
/** A BAT entry of a block that is not in the file. */
export const NOT_ALLOCATED = 0xffff_ffff;
/** Milliseconds from 1970 to the format's epoch, 2000. */
export const EPOCH_MS = 946_684_800_000;
