/** Binary tables of a saved filter, big-endian. Source: `docs/formats/filter.md` (ours). */
import { layout, type Layout } from '../../core/index.ts';

/** "HFBH": the hot part. */
export const HOT_MAGIC = 0x4846_4248;

/** "HFBC": the cold part. */
export const COLD_MAGIC = 0x4846_4243;

/** Of both; a reader answers 'rebuild' to any other. */
export const FILTER_VERSION = 2;

/** `count` of a partition that says "maybe" to all. */
export const COLD_MISSING = 0xffff_ffff;

/** Head of the hot part; `count` prefixes of six bytes follow. */
export const hotHeader: Layout<{
  readonly magic: 'u32'; readonly version: 'u16'; readonly zero: 'u16'; readonly count: 'u32'; readonly epochHigh: 'u32'; readonly epochLow: 'u32';
  readonly stampHigh: 'u32'; readonly stampLow: 'u32'; readonly prefixesSha256: 'bytes:32'; readonly headerCrc32c: 'u32';
}> = layout('filter', 'be', {
  magic: 'u32', version: 'u16', zero: 'u16', count: 'u32', epochHigh: 'u32', epochLow: 'u32',
  stampHigh: 'u32', stampLow: 'u32', prefixesSha256: 'bytes:32', headerCrc32c: 'u32',
});

/** Head of the cold part; 2^partitionBits rows of {@link coldRow} follow, the partitions, and SHA-256 of everything before. */
export const coldHeader: Layout<{
  readonly magic: 'u32'; readonly version: 'u16'; readonly zero: 'u16'; readonly partitionBits: 'u16'; readonly numberBits: 'u16';
  readonly stampHigh: 'u32'; readonly stampLow: 'u32'; readonly headerCrc32c: 'u32';
}> = layout('cold filter', 'be', {
  magic: 'u32', version: 'u16', zero: 'u16', partitionBits: 'u16', numberBits: 'u16', stampHigh: 'u32', stampLow: 'u32', headerCrc32c: 'u32',
});

/** One partition: ids and bytes. */
export const coldRow: Layout<{ readonly count: 'u32'; readonly length: 'u32' }> = layout('cold filter partition', 'be', { count: 'u32', length: 'u32' });
