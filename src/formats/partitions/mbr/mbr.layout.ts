/**
 * The master boot record and the extended boot records behind it; all integers are little-endian.
 * Source: UEFI specification 2.10, section 5.2.1 "Legacy Master Boot Record"; the chain of extended boot records is as in Linux'
 * `block/partitions/msdos.c` and in what sfdisk writes.
 */
import { layout, type Layout } from '../../../core/index.ts';

/** Bytes of a boot record, whatever the sector size is. */
export const BOOT_RECORD_BYTES = 512;

/** Head and tail of a boot record around its four entries. */
export const bootRecordLayout: Layout<{ readonly boot_code: 'bytes:440'; readonly unique_signature: 'u32'; readonly unknown: 'u16'; readonly entries: 'bytes:64'; readonly signature: 'u16' }> =
  layout('MBR', 'le', { boot_code: 'bytes:440', unique_signature: 'u32', unknown: 'u16', entries: 'bytes:64', signature: 'u16' });

/** One of the four entries. */
export const entryLayout: Layout<{ readonly boot_indicator: 'u8'; readonly starting_chs: 'bytes:3'; readonly os_type: 'u8'; readonly ending_chs: 'bytes:3'; readonly starting_lba: 'u32'; readonly size_in_lba: 'u32' }> =
  layout('MBR entry', 'le', { boot_indicator: 'u8', starting_chs: 'bytes:3', os_type: 'u8', ending_chs: 'bytes:3', starting_lba: 'u32', size_in_lba: 'u32' });

/** Value of `signature`. */
export const BOOT_SIGNATURE = 0xaa55;

/** Types that mean something to a reader. */
export const MBR_TYPE = { empty: 0, dynamic: 0x42, gptProtective: 0xee } as const;

/** Types of extended partitions: DOS, Windows, Linux. */
export const EXTENDED_TYPES: ReadonlySet<number> = new Set([0x05, 0x0f, 0x85]);
