/**
 * MBR partition tables with logical partitions. Numbers are Linux': primary entries 1 to 4 by their slot, logical ones from 5 on in the
 * order of the chain. Known limit: the sector size is not in the table; where the disk does not say 4096, it is 512 unless only 4096 leads to
 * the extended boot records or keeps the entries on the disk.
 */
import { type BlockSource, checkLimit, FormatError, type Limits, type OpenContext, type ProbeVerdict, type TreeProblem } from '../../../core/index.ts';
import { type PartitionEntry, volumesOf } from '../entry.ts';
import { onlySource, tableOf } from '../parts.ts';
import type { VolumeTable, VolumeTableDriver } from '../volume-table.ts';
import { type BootEntry, type BootRecord, isFilesystemBootSector, readBootRecord } from './boot-record.ts';
import { EXTENDED_TYPES, MBR_TYPE } from './mbr.layout.ts';

function partition({ type, start, sectors }: Omit<BootEntry, 'slot'>, number: number, sectorSize: number, record: BootRecord): PartitionEntry {
  const diskId = record.diskId.toString(16).padStart(8, '0');
  return {
    number, type: `0x${type.toString(16).padStart(2, '0')}`, start: start * sectorSize, length: sectors * sectorSize,
    // What Linux calls PARTUUID.
    ...(record.diskId === 0 ? {} : { uuid: `${diskId}-${number.toString(16).padStart(2, '0')}` }),
  };
}

/** What the walk along the chain of logical partitions needs. */
interface Chain {
  readonly disk: BlockSource;
  readonly sectorSize: number;
  readonly head: BootRecord;
  readonly limits: Limits;
}

/**
 * Adds the logical partitions of one extended partition. What comes before a break of the chain counts.
 * @returns the fault that ended the chain before its end.
 */
async function addLogical({ disk, sectorSize, head, limits }: Chain, extended: BootEntry, found: PartitionEntry[]): Promise<FormatError | undefined> {
  const seen = new Set<number>();
  const fault = (at: number, field: string, expected: string): FormatError =>
    new FormatError('Read logical partitions', { structure: 'extended boot record', field, offset: at * sectorSize, expected });
  for (let at = extended.start; ;) {
    if (seen.has(at)) return fault(at, 'starting_lba of the link', 'a record that the chain did not pass before');
    seen.add(at);
    checkLimit(limits, 'volumePartsMax', seen.size, 'MBR chain of logical partitions');
    const record = await readBootRecord(disk, at * sectorSize);
    if (record === undefined || !record.plausible) return fault(at, 'signature', 'aa55 and a partition table');
    const data = record.entries.filter(({ type }) => !EXTENDED_TYPES.has(type));
    for (const { type, start, sectors } of data.slice(0, 2)) {
      const number = 5 + found.filter((one) => one.number >= 5).length;
      found.push(partition({ type, start: at + start, sectors }, number, sectorSize, head));
    }
    const next = record.entries.find(({ type }) => EXTENDED_TYPES.has(type));
    if (next === undefined) return undefined;
    // Links count from the start of the extended partition, not from the record that holds them.
    at = extended.start + next.start;
    if (at >= extended.start + extended.sectors) return fault(at, 'starting_lba of the link', `less than ${extended.sectors}: the extended partition ends there`);
  }
}

/** Whether entries lead to places that exist when sectors have this size. */
async function fits(disk: BlockSource, { entries }: BootRecord, sectorSize: number): Promise<boolean> {
  for (const { type, start } of entries) {
    if (start * sectorSize >= disk.size) return false;
    if (EXTENDED_TYPES.has(type) && (await readBootRecord(disk, start * sectorSize)) === undefined) return false;
  }
  return true;
}

async function sectorSizeOf(disk: BlockSource, record: BootRecord): Promise<number> {
  if (disk.sectorSize > 512) return disk.sectorSize;
  return !(await fits(disk, record, 512)) && await fits(disk, record, 4096) ? 4096 : 512;
}

/** Whether all entries lie on the disk, behind the record and apart: too much to come about by chance. */
function isBeyondDoubt({ entries, plausible }: BootRecord, disk: BlockSource): boolean {
  const sorted = entries.toSorted((a, b) => a.start - b.start);
  return plausible && sorted.length > 0 && sorted.every(({ start, sectors }, i) => start > 0 && (start + sectors) * 512 <= Math.min(disk.size, (sorted[i + 1]?.start ?? Infinity) * 512));
}

/** Whether a partition table stands in the first sector of what the disk held before: tools that make a table keep the rest of that sector, those that make something else do not keep the table. */
export async function isPartitionedSince(disk: BlockSource): Promise<boolean> {
  const record = await readBootRecord(disk, 0);
  return record !== undefined && isBeyondDoubt(record, disk);
}

/** The record at the start of a disk, when it is a partition table; undefined when it is none, or that of a boot sector or of GPT. */
export async function readMbr(disk: BlockSource): Promise<BootRecord | undefined> {
  const record = await readBootRecord(disk, 0);
  if (record === undefined || !record.plausible || (isFilesystemBootSector(record.bytes) && !isBeyondDoubt(record, disk))) return undefined;
  const usable = record.entries.filter(({ start }) => start > 0 && start * 512 < disk.size);
  return usable.length === 0 ? undefined : record;
}

async function probe(source: BlockSource): Promise<ProbeVerdict> {
  return await readMbr(source) === undefined ? { match: 'no' } : { match: 'yes', version: '1' };
}

async function open(sources: readonly BlockSource[], { limits }: OpenContext): Promise<VolumeTable> {
  const disk = onlySource(sources, 'MBR');
  const head = await readMbr(disk);
  if (head === undefined) throw new FormatError('Open partition table', { structure: 'MBR', field: 'signature', offset: 510, expected: 'aa55 and entries that lie on the disk' });
  const sectorSize = await sectorSizeOf(disk, head);
  const problems: TreeProblem[] = [];
  const found: PartitionEntry[] = [];
  for (const entry of head.entries) if (!EXTENDED_TYPES.has(entry.type)) found.push(partition(entry, entry.slot + 1, sectorSize, head));
  for (const entry of head.entries) {
    const fault = EXTENDED_TYPES.has(entry.type) ? await addLogical({ disk, sectorSize, head, limits }, entry, found) : undefined;
    if (fault === undefined) continue;
    // A table that yields nothing must not look like an empty disk.
    if (found.length === 0) throw fault;
    problems.push({ kind: 'damaged-table', where: `extended partition at ${entry.start * sectorSize}`, message: fault.message });
  }
  const remarks = head.entries.some(({ type }) => type === MBR_TYPE.gptProtective) ? ['it protects a GPT that is not read'] : [];
  return tableOf({
    facts: { format: 'mbr', version: '1', sectorSize, uuid: head.diskId.toString(16).padStart(8, '0'), remarks },
    volumes: volumesOf(disk, found, sectorSize, problems), sources, problems,
  });
}

/** MBR partition tables. */
export const mbrDriver: VolumeTableDriver = { name: 'mbr', probe, open };
