/**
 * Binary tables of a container, big-endian. Source: `docs/formats/container.md` (ours).
 */
import { layout, type Layout } from '../../core/layout.ts';

/** "HFCT" as a u32. */
export const CONTAINER_MAGIC = 0x4846_4354;
/** "HFGR". */
export const GROUP_MAGIC = 0x4846_4752;
/** "HFFT". */
export const FOOTER_MAGIC = 0x4846_4654;
/** "HFEN". */
export const TRAILER_MAGIC = 0x4846_454e;

/** Version of container, group and footer; a reader refuses any other. */
export const CONTAINER_VERSION = 1;

/** First bytes of each container. */
export const containerHeader: Layout<{
  readonly magic: 'u32'; readonly version: 'u16'; readonly flags: 'u16'; readonly numberHigh: 'u32'; readonly numberLow: 'u32';
  readonly repository: 'bytes:8'; readonly kind: 'u16'; readonly reserved: 'u16'; readonly headerCrc32c: 'u32';
}> = layout('container', 'be', {
  magic: 'u32', version: 'u16', flags: 'u16', numberHigh: 'u32', numberLow: 'u32',
  repository: 'bytes:8', kind: 'u16', reserved: 'u16', headerCrc32c: 'u32',
});

/** Flag of a container's header: a sealing head follows, and every group is sealed. */
export const CONTAINER_SEALED = 1;

/** Follows the header of a sealed container: which data key and salt its own key comes from. */
export const sealingHeader: Layout<{ readonly dataKey: 'u32'; readonly salt: 'bytes:32'; readonly sealingCrc32c: 'u32' }>
  = layout('sealing', 'be', { dataKey: 'u32', salt: 'bytes:32', sealingCrc32c: 'u32' });

/**
 * Head of a group record; a table of `chunkCount` rows (32-byte id, u32 raw length) and the payload follow. In a sealed group the rows' lengths are 0,
 * and `rawLength` is the number of the group in its container.
 */
export const groupHeader: Layout<{
  readonly magic: 'u32'; readonly version: 'u8'; readonly codec: 'u8'; readonly flags: 'u16'; readonly chunkCount: 'u32';
  readonly rawLength: 'u32'; readonly storedLength: 'u32'; readonly containerLow: 'u32'; readonly offset: 'u32';
  readonly tableCrc32c: 'u32'; readonly payloadCrc32: 'u32'; readonly headerCrc32c: 'u32';
}> = layout('group', 'be', {
  magic: 'u32', version: 'u8', codec: 'u8', flags: 'u16', chunkCount: 'u32',
  rawLength: 'u32', storedLength: 'u32', containerLow: 'u32', offset: 'u32',
  tableCrc32c: 'u32', payloadCrc32: 'u32', headerCrc32c: 'u32',
});

/** Bytes of one row of a group's table. */
export const TABLE_ROW_BYTES = 36;

/** Head of the footer; `groupCount` rows of (u32 offset, u32 length, u32 chunkCount) follow, then the trailer. */
export const footerHeader: Layout<{
  readonly magic: 'u32'; readonly version: 'u16'; readonly flags: 'u16'; readonly groupCount: 'u32'; readonly chunkCount: 'u32'; readonly dataEnd: 'u32';
}> = layout('footer', 'be', { magic: 'u32', version: 'u16', flags: 'u16', groupCount: 'u32', chunkCount: 'u32', dataEnd: 'u32' });

/** Bytes of one row of the footer. */
export const FOOTER_ROW_BYTES = 12;

/** Last bytes of a sealed container: SHA-256 of the footer head and rows, and how to find the footer from the end. */
export const containerTrailer: Layout<{
  readonly digest: 'bytes:32'; readonly footerLength: 'u32'; readonly trailerCrc32c: 'u32'; readonly magic: 'u32';
}> = layout('trailer', 'be', { digest: 'bytes:32', footerLength: 'u32', trailerCrc32c: 'u32', magic: 'u32' });

/** What a container holds: file content, or directories and recipes. Kept apart so that a listing reads no file content. */
export const containerKinds: readonly ['data', 'metadata'] = ['data', 'metadata'];
/** One of {@link containerKinds}. */
export type ContainerKind = (typeof containerKinds)[number];

/** How a group's payload is stored; inside a sealed one is one of the others. */
export const groupCodecs: readonly ['none', 'zstd', 'sealed'] = ['none', 'zstd', 'sealed'];
/** One of {@link groupCodecs}. */
export type GroupCodec = (typeof groupCodecs)[number];
