/** Finds the Disk Data Format on a disk. */
import { type BlockSource } from '../../../core/index.ts';
import { readableRange, readStructure, textUntilNul } from '../parts.ts';
import { unlessMalformed, type ArrayMark, type ArrayVolume } from './array-mark.ts';
import { configurationLayout, DDF_CONFIGURATION, DDF_HEADER, headerLayout } from './ddf.layout.ts';

const SECTOR = 512;
/** Sectors of configurations that are looked through; each begins with one, and takes one or more. */
const SECTION_MAX = 4096;
const LEVELS: ReadonlyMap<number, string> = new Map([[0, 'raid0'], [1, 'raid1'], [3, 'raid3'], [4, 'raid4'], [5, 'raid5'], [6, 'raid6'], [0x0f, 'jbod'], [0x11, 'raid1e'], [0x15, 'raid5e'], [0x1f, 'concatenated']]);
const WHOLE: readonly string[] = ['raid1', 'jbod'];
/** Whole where they have one disk only: so controllers that pass no disk through present single ones. */
const WHOLE_ALONE: readonly string[] = ['raid0', 'concatenated'];

function volumeOf(bytes: Uint8Array, base: number): ArrayVolume {
  const { primary_raid_level: primary, primary_element_count: disks, secondary_element_count: elements, vd_size: sectors } = configurationLayout.view(bytes, 0, base);
  const level = LEVELS.get(primary) ?? `level ${primary}`;
  // Several of them side by side: raid10, raid50, raid60.
  return { level: elements > 1 ? `${level}0` : level, size: sectors * SECTOR, isWhole: elements <= 1 && (WHOLE.includes(level) || (disks === 1 && WHOLE_ALONE.includes(level))) };
}

/** The header at a place; undefined where there is none. */
async function headerAt(disk: BlockSource, at: number): Promise<ReturnType<typeof headerLayout.view> | undefined> {
  if (at < 0 || at + headerLayout.size > disk.size) return undefined;
  const bytes = await readableRange(disk, at, headerLayout.size);
  if (bytes === undefined) return undefined;
  const header = headerLayout.view(bytes, 0, at);
  return header.signature === DDF_HEADER ? header : undefined;
}

async function read(disk: BlockSource): Promise<ArrayMark | undefined> {
  const anchor = await headerAt(disk, disk.size - SECTOR);
  if (anchor === undefined) return undefined;
  const base = anchor.primary_header_lba * SECTOR;
  const primary = await headerAt(disk, base);
  if (primary === undefined) return undefined;
  const start = base + primary.configuration_record_section * SECTOR;
  const section = await readStructure(disk, start, Math.min(primary.configuration_record_section_length, SECTION_MAX) * SECTOR, 'DDF configurations');
  const volumes: ArrayVolume[] = [];
  for (let at = 0; at + SECTOR <= section.length; at += SECTOR) {
    const sector = section.subarray(at, at + SECTOR);
    if (configurationLayout.view(sector, 0, start + at).signature === DDF_CONFIGURATION) volumes.push(volumeOf(sector, start + at));
  }
  return { version: `DDF ${textUntilNul(primary.ddf_rev)}`, volumes };
}

/** The array that a disk is a member of; undefined where there is none, or its metadata is damaged. Never throws for bad content. */
export function readDdf(disk: BlockSource): Promise<ArrayMark | undefined> {
  return unlessMalformed(() => read(disk));
}
