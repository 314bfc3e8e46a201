/** Binary table of a saved filter, big-endian. Source: `docs/formats/filter.md` (ours). */
import { layout, type Layout } from '../../core/index.ts';

/** "HFBF" as a u32. */
export const FILTER_MAGIC = 0x4846_4246;

/** A reader answers 'rebuild' to any other. */
export const FILTER_VERSION = 1;

/** Head of a saved filter; `blockCount` blocks of bits follow. */
export const filterHeader: Layout<{
  readonly magic: 'u32'; readonly version: 'u16'; readonly probes: 'u16'; readonly blockBytes: 'u32'; readonly blockCount: 'u32';
  readonly capacity: 'u32'; readonly count: 'u32'; readonly epochHigh: 'u32'; readonly epochLow: 'u32';
  readonly bitsSha256: 'bytes:32'; readonly headerCrc32c: 'u32';
}> = layout('filter', 'be', {
  magic: 'u32', version: 'u16', probes: 'u16', blockBytes: 'u32', blockCount: 'u32',
  capacity: 'u32', count: 'u32', epochHigh: 'u32', epochLow: 'u32',
  bitsSha256: 'bytes:32', headerCrc32c: 'u32',
});
