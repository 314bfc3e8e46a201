/**
 * Heads of blocks and records; all integers are big-endian.
 * Source: Bacula Developer's Guide, "Storage Media Output Format" (BB02, records); BB03 as written by Bacula 15.0.3.
 */
import { layout, type Layout } from '../../core/index.ts';

/** BB02: CheckSum is CRC-32 (zlib) over bytes 4 … BlockSize; 0 means that none was computed. */
export const bb02Layout: Layout<{
  readonly CheckSum: 'u32'; readonly BlockSize: 'u32'; readonly BlockNumber: 'u32'; readonly Id: 'bytes:4';
  readonly VolSessionId: 'u32'; readonly VolSessionTime: 'u32';
}> = layout('block_header_bb02', 'be', {
  CheckSum: 'u32', BlockSize: 'u32', BlockNumber: 'u32', Id: 'bytes:4', VolSessionId: 'u32', VolSessionTime: 'u32',
});

/** BB03: CheckSum is XXH3-64 (seed 0) over the plain block with this field zero. */
export const bb03Layout: Layout<{
  readonly Options: 'u32'; readonly BlockSize: 'u32'; readonly BlockNumber: 'u32'; readonly Id: 'bytes:4';
  readonly VolSessionId: 'u32'; readonly VolSessionTime: 'u32'; readonly CheckSum: 'bytes:8';
}> = layout('block_header_bb03', 'be', {
  Options: 'u32', BlockSize: 'u32', BlockNumber: 'u32', Id: 'bytes:4', VolSessionId: 'u32', VolSessionTime: 'u32', CheckSum: 'bytes:8',
});

/** Bits of a BB03 block's Options; any other bit set makes the block unreadable. */
export const BB03_OPTIONS = { checksum: 1, volumeEncrypted: 2, blockEncrypted: 4 } as const;

/** A record; a negative Stream with a positive FileIndex continues the session's unfinished record. */
export const recordLayout: Layout<{ readonly FileIndex: 'i32'; readonly Stream: 'i32'; readonly DataSize: 'u32' }> =
  layout('record_header', 'be', { FileIndex: 'i32', Stream: 'i32', DataSize: 'u32' });

/** `FileIndex` values of label records. */
export const LABEL = {
  PRE_LABEL: -1, VOL_LABEL: -2, EOM_LABEL: -3, SOS_LABEL: -4, EOS_LABEL: -5, EOT_LABEL: -6, SOB_LABEL: -7, EOB_LABEL: -8,
} as const;
