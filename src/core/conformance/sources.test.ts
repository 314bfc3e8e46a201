/** The sources of core pass the suite that they are measured by. */
import { MemorySource } from '../sources/memory.ts';
import { SliceSource } from '../sources/slice.ts';
import { blockSourceSuite } from './block-source.ts';

const bytes = Uint8Array.from({ length: 300_001 }, (_, i) => i * 7 ^ i >>> 9);
const nothing = async (): Promise<void> => undefined;

blockSourceSuite('MemorySource', async () => ({ source: new MemorySource(bytes), expected: bytes, cleanup: nothing }));
blockSourceSuite('MemorySource of nothing', async () => ({ source: new MemorySource(new Uint8Array(0)), expected: new Uint8Array(0), cleanup: nothing }));
blockSourceSuite('SliceSource', async () => ({
  source: new SliceSource(new SliceSource(new MemorySource(bytes), 1000, 200_000), 24, 150_000),
  expected: bytes.subarray(1024, 151_024),
  cleanup: nothing,
}));
