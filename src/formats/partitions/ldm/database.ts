/** The LDM database of one disk: where it is, and its records put together from their parts. */
import { type BlockSource, checkLimit, FormatError, HoldfastError, type Limits } from '../../../core/index.ts';
import { findGpt, gptEntries } from '../gpt/gpt.ts';
import { LDM_TYPE } from '../gpt/gpt.layout.ts';
import { readMbr } from '../mbr/mbr.ts';
import { MBR_TYPE } from '../mbr/mbr.layout.ts';
import { hasMagic, readStructure, textUntilNul } from '../parts.ts';
import { PRIVHEAD_SECTOR, privheadLayout, SECTOR, TOC_SECTORS, tocblockLayout, vblkLayout, vmdbLayout } from './ldm.layout.ts';
import { type LdmRecord, parseRecord } from './records.ts';

const PRIVHEAD = 'PRIVHEAD';
/** Sectors of the database of an MBR disk, at its end; two copies of PRIVHEAD are in it. */
const DATABASE_SECTORS = 2048;
const PRIVHEAD_COPIES = [1856, 2047] as const;

/** What a PRIVHEAD says; places in sectors. */
export interface Privhead {
  readonly version: string;
  readonly diskId: string;
  readonly groupId: string;
  readonly groupName: string;
  /** Where partitions count from. */
  readonly publicStart: number;
  readonly configStart: number;
  readonly configSize: number;
}

/** Sectors where a PRIVHEAD may be; empty for disks that are not dynamic. */
async function privheadSectors(disk: BlockSource, limits: Limits): Promise<readonly number[]> {
  const mbr = await readMbr(disk);
  if (mbr?.entries.some(({ type }) => type === MBR_TYPE.dynamic) === true) {
    const base = Math.floor(disk.size / SECTOR) - DATABASE_SECTORS;
    return [PRIVHEAD_SECTOR, ...PRIVHEAD_COPIES.map((sector) => base + sector)].filter((sector) => sector > 0);
  }
  try {
    const gpt = await findGpt(disk, limits);
    const metadata = gpt === undefined ? undefined : gptEntries(gpt, limits, []).find(({ type }) => type.startsWith(LDM_TYPE.metadata));
    return metadata === undefined ? [] : [(metadata.start + metadata.length) / SECTOR - 1, metadata.start / SECTOR];
  } catch (error) {
    if (error instanceof HoldfastError) return [];
    throw error;
  }
}

/** The sector of a PRIVHEAD; undefined where there is none. */
export async function findPrivhead(disk: BlockSource, limits: Limits): Promise<number | undefined> {
  for (const sector of await privheadSectors(disk, limits)) if (await hasMagic(disk, sector * SECTOR, PRIVHEAD)) return sector;
  return undefined;
}

/** Reads the PRIVHEAD. Its checksum's algorithm is not known: places are compared with the disk instead. @throws {FormatError} */
export async function readPrivhead(disk: BlockSource, limits: Limits): Promise<Privhead> {
  const sector = await findPrivhead(disk, limits);
  if (sector === undefined) throw new FormatError('Open dynamic disk', { structure: privheadLayout.name, field: 'magic', expected: PRIVHEAD });
  const at = sector * SECTOR;
  const view = privheadLayout.view(await readStructure(disk, at, SECTOR, privheadLayout.name), 0, at);
  const { logical_disk_start: publicStart, config_start: configStart, config_size: configSize } = view;
  if ((configStart + configSize) * SECTOR > disk.size) {
    throw new FormatError('Open dynamic disk', { structure: privheadLayout.name, field: 'config_start', offset: at + privheadLayout.offsets.config_start, found: configStart, expected: `a database of ${configSize} sectors on the disk` });
  }
  return {
    version: `${view.ver_major}.${view.ver_minor}`, diskId: textUntilNul(view.disk_id).toLowerCase(), groupId: textUntilNul(view.disk_group_id).toLowerCase(),
    groupName: textUntilNul(view.disk_group_name), publicStart, configStart, configSize,
  };
}

/** The sector of the VMDB, as the first readable table of contents says. */
async function vmdbSector(disk: BlockSource, { configStart, configSize }: Privhead): Promise<number> {
  for (const sector of TOC_SECTORS) {
    const at = (configStart + sector) * SECTOR;
    if (sector >= configSize || !(await hasMagic(disk, at, 'TOCBLOCK'))) continue;
    const toc = tocblockLayout.view(await readStructure(disk, at, SECTOR, tocblockLayout.name), 0, at);
    if (textUntilNul(toc.bitmap1_name) === 'config' && toc.bitmap1_start < configSize) return configStart + toc.bitmap1_start;
  }
  throw new FormatError('Open dynamic disk', { structure: tocblockLayout.name, field: 'magic', offset: (configStart + 1) * SECTOR, expected: 'a table of contents with a part config' });
}

/** The database. */
export interface LdmDatabase {
  readonly version: string;
  readonly records: readonly LdmRecord[];
  /** Counts the changes of the group: a disk that was away has an older database. */
  readonly sequence: number;
  /** The database was being changed. */
  readonly unsettled: boolean;
}

interface Fragments {
  readonly parts: (Uint8Array | undefined)[];
  readonly offset: number;
}

/** Reads all records. @throws {FormatError} @throws {LimitError} @throws {UnsupportedError} */
export async function readDatabase(disk: BlockSource, head: Privhead, limits: Limits): Promise<LdmDatabase> {
  const base = await vmdbSector(disk, head) * SECTOR;
  const vmdb = vmdbLayout.view(await readStructure(disk, base, SECTOR, vmdbLayout.name), 0, base);
  const fault = (field: keyof typeof vmdbLayout.offsets, found: string | number, expected: string): FormatError =>
    new FormatError('Read LDM database', { structure: vmdbLayout.name, field, offset: base + vmdbLayout.offsets[field], found, expected });
  if (Buffer.from(vmdb.magic).toString('latin1') !== 'VMDB') throw fault('magic', Buffer.from(vmdb.magic).toString('hex'), 'VMDB');
  const { vblk_size: size, vblk_offset: first, last_vblk_seq: last } = vmdb;
  if (size <= vblkLayout.size + 8 || SECTOR % size !== 0) throw fault('vblk_size', size, 'a part of 512 greater than 24');
  const length = last * size - first;
  checkLimit(limits, 'volumeTableBytesMax', length, 'LDM VMDB.last_vblk_seq');
  if (length < 0 || base + first + length > (head.configStart + head.configSize) * SECTOR) throw fault('last_vblk_seq', last, 'records inside the database');
  const bytes = await readStructure(disk, base + first, length, vblkLayout.name);
  const groups = new Map<number, Fragments>();
  for (let at = 0; at + size <= length; at += size) addFragment(groups, bytes.subarray(at, at + size), base + first + at);
  const records: LdmRecord[] = [];
  for (const { parts, offset } of groups.values()) {
    if (parts.includes(undefined)) throw new FormatError('Read LDM database', { structure: vblkLayout.name, field: 'record', offset, found: parts.filter((part) => part !== undefined).length, expected: `${parts.length} parts` });
    const record = parseRecord(Buffer.concat(parts as Uint8Array[]), offset);
    if (record !== undefined) records.push(record);
  }
  // A change that was not finished leaves records of before and after side by side.
  for (const [field, kind] of [['volumes', 'volume'], ['components', 'component'], ['partitions', 'partition'], ['disks', 'disk']] as const) {
    const found = records.filter((one) => one.kind === kind).length;
    if (found !== vmdb[field]) throw fault(field, found, `${vmdb[field]} records in force`);
  }
  return { version: `${vmdb.ver_major}.${vmdb.ver_minor}`, records, sequence: vmdb.committed_seq, unsettled: vmdb.update_status !== 1 };
}

/** Puts one slot of the table where it belongs. */
function addFragment(groups: Map<number, Fragments>, bytes: Uint8Array, offset: number): void {
  const vblk = vblkLayout.view(bytes, 0, offset);
  if (Buffer.from(vblk.magic).toString('latin1') !== 'VBLK') throw new FormatError('Read LDM database', { structure: vblkLayout.name, field: 'magic', offset, found: Buffer.from(vblk.magic).toString('hex'), expected: 'VBLK' });
  const { group, record, records } = vblk;
  if (records === 0) return; // not in use
  const known = groups.get(group) ?? { parts: Array.from({ length: records }, () => undefined), offset };
  groups.set(group, known);
  if (record >= known.parts.length || known.parts[record] !== undefined) throw new FormatError('Read LDM database', { structure: vblkLayout.name, field: 'record', offset, found: record, expected: `one of ${known.parts.length}, once` });
  known.parts[record] = bytes.subarray(vblkLayout.size);
}
