/**
 * Registry hives, "regf": a base block of 4096 bytes, then bins of cells. Offsets of cells count from the end of the base block. All integers are
 * little-endian. Source: M. Suhanov, "Windows registry file format specification", sections "Base block", "Hive bin" and "Cells data".
 */
import { layout, type Layout } from '../../core/index.ts';

/** Bytes of the base block; bins begin behind it and are multiples of it. */
export const BASE_BLOCK_BYTES = 4096;

/** Bytes of the base block that its checksum covers. */
export const CHECKSUM_BYTES = 508;

/** What stands for "none" where a cell's offset is expected. */
export const NO_CELL = 0xffff_ffff;

/** Bytes of data in one cell; longer values are split since version 1.4. */
export const DATA_BYTES_MAX = 16_344;

/** Bit of `data_size`: the data is in the field `data_offset` itself. */
export const DATA_RESIDENT = 0x8000_0000;

/** Flags that say that a name has one byte for each letter (Latin-1), else two (UTF-16): of a key, of a value. */
export const NAME_LATIN1 = { key: 0x20, value: 0x01 } as const;

/** Types of values that are read. */
export const VALUE_TYPE = { text: 1, expandText: 2, number: 4 } as const;

/** Head of the file. */
export const baseBlockLayout: Layout<{
  readonly signature: 'bytes:4'; readonly primary_sequence: 'u32'; readonly secondary_sequence: 'u32'; readonly last_written: 'bytes:8'; readonly major_version: 'u32'; readonly minor_version: 'u32';
  readonly file_type: 'u32'; readonly file_format: 'u32'; readonly root_cell: 'u32'; readonly hive_bins_size: 'u32'; readonly clustering_factor: 'u32'; readonly file_name: 'bytes:64';
  readonly reserved: 'bytes:396'; readonly checksum: 'u32';
}> = layout('regf', 'le', {
  signature: 'bytes:4', primary_sequence: 'u32', secondary_sequence: 'u32', last_written: 'bytes:8', major_version: 'u32', minor_version: 'u32',
  file_type: 'u32', file_format: 'u32', root_cell: 'u32', hive_bins_size: 'u32', clustering_factor: 'u32', file_name: 'bytes:64', reserved: 'bytes:396', checksum: 'u32',
});

/** Head of a bin. */
export const binLayout: Layout<{ readonly signature: 'bytes:4'; readonly offset: 'u32'; readonly size: 'u32'; readonly reserved: 'bytes:8'; readonly timestamp: 'bytes:8'; readonly spare: 'u32' }> =
  layout('hbin', 'le', { signature: 'bytes:4', offset: 'u32', size: 'u32', reserved: 'bytes:8', timestamp: 'bytes:8', spare: 'u32' });

/** A key; its name follows. */
export const keyLayout: Layout<{
  readonly signature: 'bytes:2'; readonly flags: 'u16'; readonly last_written: 'bytes:8'; readonly access_bits: 'u32'; readonly parent: 'u32'; readonly subkeys: 'u32'; readonly volatile_subkeys: 'u32';
  readonly subkeys_list: 'u32'; readonly volatile_list: 'u32'; readonly values: 'u32'; readonly values_list: 'u32'; readonly security: 'u32'; readonly class_name: 'u32';
  readonly largest: 'bytes:16'; readonly work: 'u32'; readonly name_length: 'u16'; readonly class_length: 'u16';
}> = layout('nk', 'le', {
  signature: 'bytes:2', flags: 'u16', last_written: 'bytes:8', access_bits: 'u32', parent: 'u32', subkeys: 'u32', volatile_subkeys: 'u32', subkeys_list: 'u32', volatile_list: 'u32',
  values: 'u32', values_list: 'u32', security: 'u32', class_name: 'u32', largest: 'bytes:16', work: 'u32', name_length: 'u16', class_length: 'u16',
});

/** A value; its name follows. */
export const valueLayout: Layout<{
  readonly signature: 'bytes:2'; readonly name_length: 'u16'; readonly data_size: 'u32'; readonly data_offset: 'u32'; readonly data_type: 'u32'; readonly flags: 'u16'; readonly spare: 'u16';
}> = layout('vk', 'le', { signature: 'bytes:2', name_length: 'u16', data_size: 'u32', data_offset: 'u32', data_type: 'u32', flags: 'u16', spare: 'u16' });

/** Head of a list of subkeys: `lf`, `lh`, `li`, or `ri`, whose elements are lists. */
export const listLayout: Layout<{ readonly signature: 'bytes:2'; readonly count: 'u16' }> = layout('subkeys list', 'le', { signature: 'bytes:2', count: 'u16' });

/** The checksum over the head of a base block: its 32-bit words combined by XOR, and never one of the two values that mean something else. */
export function baseBlockChecksum(block: Uint8Array): number {
  const data = new DataView(block.buffer, block.byteOffset, CHECKSUM_BYTES);
  let sum = 0;
  for (let at = 0; at < CHECKSUM_BYTES; at += 4) sum = (sum ^ data.getUint32(at, true)) >>> 0;
  return sum === 0xffff_ffff ? 0xffff_fffe : sum === 0 ? 1 : sum;
}
