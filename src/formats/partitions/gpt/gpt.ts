/**
 * GUID partition tables of disks with 512 and 4096 bytes a sector (a raw file does not say which: both are tried). The backup is used when the
 * first header or its entries don't hold; it is at the end of the disk, where the first header says, or where the protective MBR ends. An MBR that protects nothing wins over a
 * GPT that an older tool left behind.
 */
import { type BlockSource, checkLimit, FormatError, HoldfastError, type Limits, type OpenContext, type ProbeVerdict, type TreeProblem } from '../../../core/index.ts';
import { guidText } from '../../mapping/guid.ts';
import { type PartitionEntry, volumesOf } from '../entry.ts';
import { readBootRecord } from '../mbr/boot-record.ts';
import { MBR_TYPE } from '../mbr/mbr.layout.ts';
import { readMbr } from '../mbr/mbr.ts';
import { damagedVerdict, hasMagic, onlySource, tableOf } from '../parts.ts';
import type { VolumeTable, VolumeTableDriver } from '../volume-table.ts';
import { entryLayout, GPT_SIGNATURE, typeNames } from './gpt.layout.ts';
import { type GptHeader, readGptEntries, readGptHeader } from './header.ts';

/** A GPT that holds, and how it was found. */
export interface FoundGpt {
  readonly header: GptHeader;
  readonly entries: Uint8Array;
  readonly sectorSize: number;
  readonly remarks: readonly string[];
  readonly problems: readonly TreeProblem[];
}

/** Where copies of the table may be. */
interface Candidate {
  readonly lba: number;
  readonly sectorSize: number;
}

/** Sector sizes to try, the disk's own first. */
function sectorSizes(disk: BlockSource): readonly number[] {
  return disk.sectorSize > 512 ? [disk.sectorSize, ...[512, 4096].filter((size) => size !== disk.sectorSize)] : [512, 4096];
}

async function hasSignature(disk: BlockSource, { lba, sectorSize }: Candidate): Promise<boolean> {
  return hasMagic(disk, lba * sectorSize, GPT_SIGNATURE);
}

/** Places with a signature, the first header before backups; empty where the disk has another partition table, or none. */
async function candidates(disk: BlockSource): Promise<readonly Candidate[]> {
  const mbr = await readMbr(disk);
  const record = await readBootRecord(disk, 0);
  const protective = record?.entries.find(({ type }) => type === MBR_TYPE.gptProtective);
  if (mbr !== undefined && protective === undefined) return [];
  const found: Candidate[] = [];
  for (const sectorSize of sectorSizes(disk)) if (await hasSignature(disk, { lba: 1, sectorSize })) found.push({ lba: 1, sectorSize });
  // A backup alone proves nothing on a disk that was given another use, unless the protective MBR is still there.
  if (found.length === 0 && protective === undefined) return [];
  for (const sectorSize of sectorSizes(disk)) {
    const last = Math.floor(disk.size / sectorSize) - 1;
    // What the protective MBR covers is the disk as large as it was when the table was written: containers round sizes up.
    const then = protective === undefined ? last : protective.start + protective.sectors - 1;
    for (const lba of then < last ? [last, then] : [last]) if (lba > 1 && await hasSignature(disk, { lba, sectorSize })) found.push({ lba, sectorSize });
  }
  return found;
}

/** Reads one copy. @throws {HoldfastError} */
async function readCopy(disk: BlockSource, { lba, sectorSize }: Candidate, limits: Limits): Promise<Pick<FoundGpt, 'header' | 'entries' | 'sectorSize'>> {
  const header = await readGptHeader(disk, lba, sectorSize);
  return { header, entries: await readGptEntries(disk, header, sectorSize, limits), sectorSize };
}

/** The backup's place as a first header says whose entries don't hold: where the disk has grown since, it is not at the end. */
async function namedBackup(disk: BlockSource, { lba, sectorSize }: Candidate): Promise<Candidate | undefined> {
  if (lba !== 1) return undefined;
  try {
    const { alternateLba } = await readGptHeader(disk, lba, sectorSize);
    const backup = { lba: alternateLba, sectorSize };
    return alternateLba > 1 && await hasSignature(disk, backup) ? backup : undefined;
  } catch (error) {
    if (error instanceof HoldfastError) return undefined;
    throw error;
  }
}

/** Finds the copy to use. Undefined when the disk has none. @throws {HoldfastError} the first copy's fault when none holds. */
export async function findGpt(disk: BlockSource, limits: Limits): Promise<FoundGpt | undefined> {
  const queue = [...await candidates(disk)];
  if (queue.length === 0) return undefined;
  const problems: TreeProblem[] = [];
  let failure: HoldfastError | undefined;
  for (let i = 0; i < queue.length; i += 1) {
    const candidate = queue[i] as Candidate;
    try {
      const copy = await readCopy(disk, candidate, limits);
      const spare = candidate.lba !== 1;
      if (spare && problems.length === 0) problems.push({ kind: 'damaged-table', where: 'GPT header', message: 'the first copy is missing' });
      return { ...copy, problems, remarks: spare ? [`the first copy is damaged: the backup at sector ${candidate.lba} was used`] : [] };
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      failure ??= error;
      problems.push({ kind: 'damaged-table', where: `GPT header at sector ${candidate.lba}`, message: error.message });
      const named = await namedBackup(disk, candidate);
      if (named !== undefined && !queue.some(({ lba, sectorSize }) => lba === named.lba && sectorSize === named.sectorSize)) queue.splice(i + 1, 0, named);
    }
  }
  throw failure as HoldfastError;
}

/** Entries in use. A faulty one is a problem and left out. */
export function gptEntries({ header, entries, sectorSize }: FoundGpt, limits: Limits, problems: TreeProblem[]): readonly PartitionEntry[] {
  const found: PartitionEntry[] = [];
  for (let i = 0; i < header.entries; i += 1) {
    const at = i * header.entryBytes;
    if (entries.subarray(at, at + 16).every((byte) => byte === 0)) continue;
    checkLimit(limits, 'volumePartsMax', found.length + 1, 'GPT entries');
    try {
      found.push(partition(entries, at, i + 1, sectorSize));
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      problems.push({ kind: 'damaged-table', where: `p${i + 1}`, message: error.message });
    }
  }
  return found;
}

function partition(entries: Uint8Array, at: number, number: number, sectorSize: number): PartitionEntry {
  const entry = entryLayout.view(entries, at, at);
  const { StartingLBA: first, EndingLBA: last } = entry;
  if (first === 0 || last < first) throw new FormatError(`Read GPT entry ${number}`, { structure: entryLayout.name, field: 'EndingLBA', offset: at + entryLayout.offsets.EndingLBA, found: last, expected: `at least ${first}, which is at least 1` });
  const type = guidText(entry.PartitionTypeGUID);
  const name = nameOf(entry.PartitionName);
  return {
    number, type: typeNames[type] === undefined ? type : `${type} ${typeNames[type]}`, uuid: guidText(entry.UniquePartitionGUID),
    start: first * sectorSize, length: (last - first + 1) * sectorSize, ...(name === '' ? {} : { name }),
  };
}

/** Up to the first NUL; lone surrogates stay as they are. */
function nameOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf16le').split('\0', 1)[0] as string;
}

async function probe(source: BlockSource): Promise<ProbeVerdict> {
  for (const [i, { lba, sectorSize }] of (await candidates(source)).entries()) {
    try {
      const { revision } = await readGptHeader(source, lba, sectorSize);
      return { match: 'yes', version: `${revision >>> 16}.${revision & 0xffff}` };
    } catch (error) {
      const verdict = damagedVerdict(error);
      if (i + 1 === (await candidates(source)).length) return verdict;
    }
  }
  return { match: 'no' };
}

async function open(sources: readonly BlockSource[], { limits }: OpenContext): Promise<VolumeTable> {
  const disk = onlySource(sources, 'GPT');
  const found = await findGpt(disk, limits);
  if (found === undefined) throw new FormatError('Open partition table', { structure: 'GPT header', field: 'Signature', expected: GPT_SIGNATURE });
  const { header, sectorSize } = found;
  const problems = [...found.problems];
  const entries = gptEntries(found, limits, problems);
  const record = await readBootRecord(disk, 0);
  const hybrid = record?.entries.some(({ type }) => type !== MBR_TYPE.gptProtective) ?? false;
  const remarks = [...found.remarks, ...(hybrid ? ['the MBR also lists partitions (hybrid): the GPT is read'] : []), ...(record === undefined ? ['it has no protective MBR'] : [])];
  return tableOf({
    facts: { format: 'gpt', version: `${header.revision >>> 16}.${header.revision & 0xffff}`, uuid: header.diskGuid, sectorSize, remarks },
    volumes: volumesOf(disk, entries, sectorSize, problems), sources, problems,
  });
}

/** GUID partition tables. */
export const gptDriver: VolumeTableDriver = { name: 'gpt', probe, open };
