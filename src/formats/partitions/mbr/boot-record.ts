/** One boot record: its four entries, and whether they are a partition table or the code of a boot sector. */
import { type BlockSource, readRange } from '../../../core/index.ts';
import { BOOT_RECORD_BYTES, BOOT_SIGNATURE, bootRecordLayout, entryLayout, MBR_TYPE } from './mbr.layout.ts';

/** An entry in use; places in sectors, counted as the record counts them. */
export interface BootEntry {
  /** 0…3. */
  readonly slot: number;
  readonly type: number;
  readonly start: number;
  readonly sectors: number;
}

/** A boot record with its signature. */
export interface BootRecord {
  readonly diskId: number;
  /** Those with a type and a length. */
  readonly entries: readonly BootEntry[];
  /** All four boot indicators are 0 or 0x80: nothing else is a partition table. */
  readonly plausible: boolean;
  readonly bytes: Uint8Array;
}

/** Reads the record at `offset`; undefined when there is none. */
export async function readBootRecord(disk: BlockSource, offset: number): Promise<BootRecord | undefined> {
  if (offset + BOOT_RECORD_BYTES > disk.size) return undefined;
  const bytes = await readRange(disk, offset, BOOT_RECORD_BYTES);
  const record = bootRecordLayout.view(bytes, 0, offset);
  if (record.signature !== BOOT_SIGNATURE) return undefined;
  const entries: BootEntry[] = [];
  let plausible = true;
  for (let slot = 0; slot < 4; slot += 1) {
    const entry = entryLayout.view(record.entries, slot * entryLayout.size, offset);
    if ((entry.boot_indicator & 0x7f) !== 0) plausible = false;
    if (entry.os_type !== MBR_TYPE.empty && entry.size_in_lba > 0) entries.push({ slot, type: entry.os_type, start: entry.starting_lba, sectors: entry.size_in_lba });
  }
  return { diskId: record.unique_signature, entries, plausible, bytes };
}

/** Whether a sector begins as a FAT, exFAT or NTFS filesystem does: what follows the BIOS parameter block there is code, unless the disk was partitioned later. */
export function isFilesystemBootSector(bytes: Uint8Array): boolean {
  const jump = bytes[0] === 0xe9 || (bytes[0] === 0xeb && bytes[2] === 0x90);
  if (!jump) return false;
  const text = (at: number): string => Buffer.from(bytes.subarray(at, at + 8)).toString('latin1');
  if (['NTFS    ', 'EXFAT   ', '-FVE-FS-'].includes(text(3)) || text(3).startsWith('ReFS\0')) return true;
  const sectorBytes = (bytes[11] as number) | (bytes[12] as number) << 8;
  const clusterSectors = bytes[13] as number;
  const media = bytes[21] as number;
  return [512, 1024, 2048, 4096].includes(sectorBytes) && clusterSectors > 0 && (clusterSectors & (clusterSectors - 1)) === 0 && (media === 0xf0 || media >= 0xf8);
}
