/**
 * SNIA Common RAID Disk Data Format, which controllers of Dell, LSI and Adaptec write; all integers are big-endian.
 * Source: SNIA, "Common RAID Disk Data Format Specification", revision 2.0, sections 5.5 (header) and 5.9 (virtual disk configuration).
 */
import { layout, type Layout } from '../../../core/index.ts';

/** `Signature` of a header. */
export const DDF_HEADER = 0xde11de11;
/** `Signature` of the configuration of a virtual disk. */
export const DDF_CONFIGURATION = 0xeeeeeeee;

/** The header: in a disk's last sector, and where that says that the primary one is. Places count in sectors of 512 bytes. */
export const headerLayout: Layout<{
  readonly signature: 'u32'; readonly crc: 'u32'; readonly ddf_header_guid: 'bytes:24'; readonly ddf_rev: 'bytes:8'; readonly numbers: 'bytes:56'; readonly primary_header_lba: 'u64';
  readonly middle: 'bytes:112'; readonly configuration_record_section: 'u32'; readonly configuration_record_section_length: 'u32';
}> = layout('DDF header', 'be', {
  signature: 'u32', crc: 'u32', ddf_header_guid: 'bytes:24', ddf_rev: 'bytes:8', numbers: 'bytes:56', primary_header_lba: 'u64', middle: 'bytes:112',
  configuration_record_section: 'u32', configuration_record_section_length: 'u32',
});

/** A virtual disk's configuration, up to what is read. */
export const configurationLayout: Layout<{
  readonly signature: 'u32'; readonly crc: 'u32'; readonly vd_guid: 'bytes:24'; readonly timestamp: 'u32'; readonly sequence_number: 'u32'; readonly reserved: 'bytes:24';
  readonly primary_element_count: 'u16'; readonly strip_size: 'u8'; readonly primary_raid_level: 'u8'; readonly raid_level_qualifier: 'u8'; readonly secondary_element_count: 'u8';
  readonly secondary_element_number: 'u8'; readonly secondary_raid_level: 'u8'; readonly block_count: 'u64'; readonly vd_size: 'u64';
}> = layout('DDF configuration', 'be', {
  signature: 'u32', crc: 'u32', vd_guid: 'bytes:24', timestamp: 'u32', sequence_number: 'u32', reserved: 'bytes:24', primary_element_count: 'u16', strip_size: 'u8', primary_raid_level: 'u8',
  raid_level_qualifier: 'u8', secondary_element_count: 'u8', secondary_element_number: 'u8', secondary_raid_level: 'u8', block_count: 'u64', vd_size: 'u64',
});
