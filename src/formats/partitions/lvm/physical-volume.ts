/** One disk of a volume group: its label, and the copies of the group's description on it. */
import { type BlockSource, checkLimit, FormatError, HoldfastError, IntegrityError, type Limits, textOf } from '../../../core/index.ts';
import { crc32Register } from '../../crc32.ts';
import { hasMagic, readStructure } from '../parts.ts';
import { diskLocnLayout, LABEL_ID, LABEL_SECTORS, LABEL_TYPE, labelLayout, LOCN_IGNORED, LVM_CRC_START, MDA_MAGIC, mdaHeaderLayout, pvHeaderLayout, rawLocnLayout, SECTOR } from './lvm.layout.ts';

/** A disk's identity and where its metadata areas are. */
export interface PvLabel {
  /** 32 characters, without dashes. */
  readonly uuid: string;
  readonly areas: readonly { readonly offset: number; readonly size: number }[];
}

/** The sector of the label; undefined when there is none. */
export async function findLabel(disk: BlockSource): Promise<number | undefined> {
  for (let sector = 0; sector < LABEL_SECTORS; sector += 1) {
    if (await hasMagic(disk, sector * SECTOR, LABEL_ID) && await hasMagic(disk, sector * SECTOR + labelLayout.offsets.type, LABEL_TYPE)) return sector;
  }
  return undefined;
}

/** Reads the label and what it leads to. @throws {FormatError} @throws {IntegrityError} its checksum does not hold. */
export async function readLabel(disk: BlockSource): Promise<PvLabel> {
  const sector = await findLabel(disk);
  if (sector === undefined) throw new FormatError('Open LVM', { structure: labelLayout.name, field: 'id', expected: `'${LABEL_ID}' in one of the first ${LABEL_SECTORS} sectors` });
  const base = sector * SECTOR;
  const bytes = await readStructure(disk, base, SECTOR, labelLayout.name);
  const label = labelLayout.view(bytes, 0, base);
  const crc = crc32Register(LVM_CRC_START, bytes.subarray(labelLayout.offsets.offset_xl));
  if (crc !== label.crc_xl) throw new IntegrityError(`Read LVM label at offset ${base}: checksum '${crc}', expected '${label.crc_xl}'`, { structure: labelLayout.name, field: 'crc_xl', offset: base });
  const header = pvHeaderLayout.view(bytes, label.offset_xl, base + label.offset_xl);
  let at = label.offset_xl + pvHeaderLayout.size;
  const list = (): { readonly offset: number; readonly size: number }[] => {
    const found: { readonly offset: number; readonly size: number }[] = [];
    for (;;) {
      const { offset, size } = diskLocnLayout.view(bytes, at, base + at);
      at += diskLocnLayout.size;
      if (offset === 0) return found;
      found.push({ offset, size });
    }
  };
  list(); // data areas: the group's description says where data is
  return { uuid: textOf(header.pv_uuid), areas: list() };
}

/** A text and where it was read. */
export interface MetadataCopy {
  readonly text: string;
  readonly where: string;
}

/** The text that one area holds; undefined when the area is not in use. */
async function readArea(disk: BlockSource, area: { readonly offset: number; readonly size: number }, limits: Limits): Promise<string | undefined> {
  const base = area.offset;
  const bytes = await readStructure(disk, base, SECTOR, mdaHeaderLayout.name);
  const header = mdaHeaderLayout.view(bytes, 0, base);
  const fault = (field: string, found: string | number, expected: string): FormatError => new FormatError('Read LVM metadata area', { structure: mdaHeaderLayout.name, field, offset: base, found, expected });
  const crc = crc32Register(LVM_CRC_START, bytes.subarray(mdaHeaderLayout.offsets.magic));
  if (crc !== header.checksum_xl) throw new IntegrityError(`Read LVM metadata area at offset ${base}: checksum '${crc}', expected '${header.checksum_xl}'`, { structure: mdaHeaderLayout.name, field: 'checksum_xl', offset: base });
  if (Buffer.from(header.magic).toString('latin1') !== MDA_MAGIC) throw fault('magic', textOf(header.magic), MDA_MAGIC);
  if (header.start !== base) throw fault('start', header.start, String(base));
  const locn = rawLocnLayout.view(bytes, mdaHeaderLayout.size, base + mdaHeaderLayout.size);
  const { offset, size, checksum, flags } = locn;
  if (offset === 0 || size === 0 || (flags & LOCN_IGNORED) !== 0) return undefined;
  checkLimit(limits, 'volumeTableBytesMax', size, 'LVM raw_locn.size');
  if (offset < SECTOR || offset >= header.size || size > header.size - SECTOR) throw fault('raw_locn', offset, `a text of ${size} bytes inside the area of ${header.size}`);
  const first = Math.min(size, header.size - offset);
  const text = new Uint8Array(size);
  text.set(await readStructure(disk, base + offset, first, 'LVM metadata'));
  if (first < size) text.set(await readStructure(disk, base + SECTOR, size - first, 'LVM metadata'), first);
  const textCrc = crc32Register(LVM_CRC_START, text);
  if (textCrc !== checksum) throw new IntegrityError(`Read LVM metadata at offset ${base + offset}: checksum '${textCrc}', expected '${checksum}'`, { structure: 'LVM metadata', field: 'checksum', offset: base + offset });
  return textOf(text);
}

/** All texts of a disk that hold. Those that don't are handed to `damaged`. */
export async function readMetadataCopies(disk: BlockSource, label: PvLabel, limits: Limits, damaged: (error: HoldfastError) => void): Promise<readonly MetadataCopy[]> {
  const copies: MetadataCopy[] = [];
  for (const area of label.areas) {
    try {
      const text = await readArea(disk, area, limits);
      if (text !== undefined) copies.push({ text, where: `${label.uuid} at ${area.offset}` });
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      damaged(error);
    }
  }
  return copies;
}
