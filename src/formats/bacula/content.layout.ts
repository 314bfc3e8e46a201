/** Heads inside content records. Source: Bacula's public stream documentation (`comp_stream_header`); observed on volumes. */
import { layout, type Layout } from '../../core/index.ts';

/** In front of each chunk of a compressed stream (29, 30, 32); `size` is the length of what follows. */
export const compressionLayout: Layout<{ readonly magic: 'u32'; readonly size: 'u32'; readonly level: 'u16'; readonly version: 'u16' }> =
  layout('comp_stream_header', 'be', { magic: 'u32', size: 'u32', level: 'u16', version: 'u16' });

/** Values of `magic`: "LZOX", "LZOY", "GZIP", "NONE". */
export const COMPRESSION_MAGIC = { lzo1x: 0x4c5a4f58, zstd: 0x4c5a4f59, gzip: 0x475a4950, none: 0x4e4f4e45 } as const;

/** In front of each chunk of a sparse stream: where in the file it belongs. */
export const sparseLayout: Layout<{ readonly FileAddr: 'u64' }> = layout('sparse_header', 'be', { FileAddr: 'u64' });
