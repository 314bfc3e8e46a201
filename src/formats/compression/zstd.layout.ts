/** Head of a Zstandard frame. Source: RFC 8878, section 3.1.1. */
import { layout, type Layout } from '../../core/index.ts';

/** Magic_Number, then Frame_Header_Descriptor; what follows depends on the descriptor's bits. */
export const zstdFrameLayout: Layout<{ readonly Magic_Number: 'u32'; readonly Frame_Header_Descriptor: 'u8' }> =
  layout('zstd_frame', 'le', { Magic_Number: 'u32', Frame_Header_Descriptor: 'u8' });

/** Zstandard frame magic, little-endian. */
export const ZSTD_MAGIC = 0xfd2fb528;
