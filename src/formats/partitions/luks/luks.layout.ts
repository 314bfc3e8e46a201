/**
 * LUKS headers; all integers are big-endian. Sources: "LUKS1 On-Disk Format Specification" 1.2.3, figure 1 and 2;
 * "LUKS2 On-Disk Format Specification" 1.1.3, section 2.1.
 */
import { layout, type Layout } from '../../../core/index.ts';

/** `LUKS` and ba be; the second header of LUKS2 has the letters backwards. */
export const LUKS_MAGIC = 'LUKS\u00ba\u00be';
/** See above. */
export const LUKS_MAGIC_SECOND = 'SKUL\u00ba\u00be';

/** The head of version 1; eight key slots follow. */
export const luks1Layout: Layout<{
  readonly magic: 'bytes:6'; readonly version: 'u16'; readonly 'cipher-name': 'bytes:32'; readonly 'cipher-mode': 'bytes:32'; readonly 'hash-spec': 'bytes:32';
  readonly 'payload-offset': 'u32'; readonly 'key-bytes': 'u32'; readonly 'mk-digest': 'bytes:20'; readonly 'mk-digest-salt': 'bytes:32'; readonly 'mk-digest-iter': 'u32'; readonly uuid: 'bytes:40';
}> = layout('LUKS1 header', 'be', {
  magic: 'bytes:6', version: 'u16', 'cipher-name': 'bytes:32', 'cipher-mode': 'bytes:32', 'hash-spec': 'bytes:32', 'payload-offset': 'u32', 'key-bytes': 'u32',
  'mk-digest': 'bytes:20', 'mk-digest-salt': 'bytes:32', 'mk-digest-iter': 'u32', uuid: 'bytes:40',
});

/** One key slot of version 1. */
export const slot1Layout: Layout<{ readonly active: 'u32'; readonly iterations: 'u32'; readonly salt: 'bytes:32'; readonly 'key-material-offset': 'u32'; readonly stripes: 'u32' }> =
  layout('LUKS1 key slot', 'be', { active: 'u32', iterations: 'u32', salt: 'bytes:32', 'key-material-offset': 'u32', stripes: 'u32' });

/** Value of `active` of a slot in use. */
export const SLOT_ACTIVE = 0x00ac_71f3;

/** The binary head of version 2; the JSON area follows at byte 4096. */
export const luks2Layout: Layout<{
  readonly magic: 'bytes:6'; readonly version: 'u16'; readonly hdr_size: 'u64'; readonly seqid: 'u64'; readonly label: 'bytes:48'; readonly csum_alg: 'bytes:32';
  readonly salt: 'bytes:64'; readonly uuid: 'bytes:40'; readonly subsystem: 'bytes:48'; readonly hdr_offset: 'u64'; readonly _padding: 'bytes:184'; readonly csum: 'bytes:64';
}> = layout('LUKS2 header', 'be', {
  magic: 'bytes:6', version: 'u16', hdr_size: 'u64', seqid: 'u64', label: 'bytes:48', csum_alg: 'bytes:32', salt: 'bytes:64', uuid: 'bytes:40', subsystem: 'bytes:48',
  hdr_offset: 'u64', _padding: 'bytes:184', csum: 'bytes:64',
});

/** Bytes before the JSON area. */
export const LUKS2_BINARY_BYTES = 4096;

/** Sizes that a LUKS2 header may have; the second header begins where the first one ends. */
export const luks2Sizes: readonly number[] = [14, 15, 16, 17, 18, 19, 20, 21, 22].map((bits) => 2 ** bits);
