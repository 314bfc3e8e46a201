/** Binary table of a parity sidecar, big-endian. Source: `docs/formats/parity.md` (ours). */
import { layout, type Layout } from '../../core/index.ts';

/** "HFRS" as a u32. */
export const PARITY_MAGIC = 0x4846_5253;

/** A reader uses no sidecar of another version. */
export const PARITY_VERSION = 1;

/** Head of a sidecar; a copy of it ends the sidecar. */
export const parityHeader: Layout<{
  readonly magic: 'u32'; readonly version: 'u16'; readonly kind: 'u16'; readonly blockBytes: 'u32'; readonly groups: 'u32';
  readonly dataShards: 'u16'; readonly parityShards: 'u16'; readonly folds: 'u16'; readonly nameBytes: 'u16';
  readonly objectBytes: 'u64'; readonly objectSha256: 'bytes:32'; readonly name: 'bytes:252'; readonly headerCrc32c: 'u32';
}> = layout('parity', 'be', {
  magic: 'u32', version: 'u16', kind: 'u16', blockBytes: 'u32', groups: 'u32',
  dataShards: 'u16', parityShards: 'u16', folds: 'u16', nameBytes: 'u16',
  objectBytes: 'u64', objectSha256: 'bytes:32', name: 'bytes:252', headerCrc32c: 'u32',
});

/** Longest name of an object, bytes of ASCII. */
export const PARITY_NAME_BYTES_MAX = 252;

/** Bytes of one row of the table of checksums: CRC-32 (zlib's) of a block. */
export const CHECKSUM_BYTES = 4;
