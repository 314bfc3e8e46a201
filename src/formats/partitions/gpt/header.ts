/** A GPT's header and entries, with their checksums. */
import { type BlockSource, checkLimit, FormatError, IntegrityError, type Limits } from '../../../core/index.ts';
import { guidText } from '../../mapping/guid.ts';
import { crc32 } from '../../crc32.ts';
import { readStructure } from '../parts.ts';
import { entryLayout, GPT_SIGNATURE, headerLayout } from './gpt.layout.ts';

/** What a header says, after its checksum held. */
export interface GptHeader {
  readonly lba: number;
  readonly alternateLba: number;
  readonly revision: number;
  readonly diskGuid: string;
  readonly entriesLba: number;
  readonly entries: number;
  readonly entryBytes: number;
  readonly entriesCrc: number;
  readonly lastUsableLba: number;
}

/** The header at sector `lba`. @throws {FormatError} @throws {IntegrityError} its checksum does not hold. */
export async function readGptHeader(disk: BlockSource, lba: number, sectorSize: number): Promise<GptHeader> {
  const at = lba * sectorSize;
  const bytes = await readStructure(disk, at, sectorSize, headerLayout.name);
  const view = headerLayout.view(bytes, 0, at);
  const fault = (field: keyof typeof headerLayout.offsets, found: string | number, expected: string | number): FormatError =>
    new FormatError('Read GPT header', { structure: headerLayout.name, field, offset: at + headerLayout.offsets[field], found, expected });
  const signature = Buffer.from(view.Signature).toString('latin1');
  if (signature !== GPT_SIGNATURE) throw fault('Signature', signature.replaceAll(/[^ -~]/g, '.'), GPT_SIGNATURE);
  if (view.HeaderSize < headerLayout.size || view.HeaderSize > sectorSize) throw fault('HeaderSize', view.HeaderSize, `${headerLayout.size} to ${sectorSize}`);
  const summed = bytes.slice(0, view.HeaderSize);
  summed.fill(0, headerLayout.offsets.HeaderCRC32, headerLayout.offsets.HeaderCRC32 + 4);
  if (crc32(summed) !== view.HeaderCRC32) {
    throw new IntegrityError(`Read GPT header at offset ${at}: checksum '${crc32(summed)}', expected '${view.HeaderCRC32}'`, { structure: headerLayout.name, field: 'HeaderCRC32', offset: at });
  }
  if (view.MyLBA !== lba) throw fault('MyLBA', view.MyLBA, lba);
  const entryBytes = view.SizeOfPartitionEntry;
  if (entryBytes < entryLayout.size || entryBytes % 8 !== 0) throw fault('SizeOfPartitionEntry', entryBytes, `at least ${entryLayout.size}, a multiple of 8`);
  return {
    lba, alternateLba: view.AlternateLBA, revision: view.Revision, diskGuid: guidText(view.DiskGUID), entriesLba: view.PartitionEntryLBA,
    entries: view.NumberOfPartitionEntries, entryBytes, entriesCrc: view.PartitionEntryArrayCRC32, lastUsableLba: view.LastUsableLBA,
  };
}

/** The array that a header names. @throws {FormatError} @throws {LimitError} @throws {IntegrityError} its checksum does not hold. */
export async function readGptEntries(disk: BlockSource, header: GptHeader, sectorSize: number, limits: Limits): Promise<Uint8Array> {
  const length = header.entries * header.entryBytes;
  checkLimit(limits, 'volumeTableBytesMax', length, 'GPT header.NumberOfPartitionEntries');
  const at = header.entriesLba * sectorSize;
  const bytes = await readStructure(disk, at, length, 'GPT entries');
  if (crc32(bytes) !== header.entriesCrc) {
    throw new IntegrityError(`Read GPT entries at offset ${at}: checksum '${crc32(bytes)}', expected '${header.entriesCrc}'`, { structure: headerLayout.name, field: 'PartitionEntryArrayCRC32', offset: at });
  }
  return bytes;
}
