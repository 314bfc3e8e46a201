/**
 * NTFS, all versions from 1.2 on: probing and opening.
 * Source: libfsntfs project, "NTFS format specification"; Microsoft [MS-FSCC], [MS-DTYP], [MS-XCA].
 * Known limits: the log is not replayed; EFS and data deduplication are recognised and refused file by file.
 */
import { type BlockSource, FormatError, type NodeId, type ProbeVerdict, readRange, UnsupportedError } from '../../../core/index.ts';
import type { Filesystem, FilesystemContext, FilesystemDriver, FilesystemFacts } from '../filesystem.ts';
import { ProblemList } from '../problem-list.ts';
import { AttributeSegments } from './attribute-list.ts';
import { type FoundBoot, looksLikeBoot, readBoot } from './boot.ts';
import { openContent, smallAttribute } from './content.ts';
import { type LogState, readLogState } from './log-state.ts';
import { MasterFileTable } from './mft.ts';
import { unitsOf } from './names.ts';
import { NtfsTree } from './ntfs-tree.ts';
import { ATTRIBUTE, RECORD } from './ntfs.layout.ts';
import { UpcaseTable } from './upcase.ts';
import type { ClusterSpace, Volume } from './volume.ts';

const FLAG_DIRTY = 1;
const UPCASE_BYTES_MAX = 1 << 20;
const LABEL_BYTES_MAX = 1 << 10;

async function probe(source: BlockSource): Promise<ProbeVerdict> {
  if (source.size < 512) return { match: 'no' };
  const head = await readRange(source, 0, 512);
  const claims = looksLikeBoot(head);
  try {
    const { damage } = await readBoot(source);
    // A spare alone could be left from an earlier filesystem: it counts where nothing else is.
    return damage === undefined || claims || head.every((byte) => byte === 0) ? { match: 'yes', version: 'NTFS' } : { match: 'no' };
  } catch (error) {
    return claims && error instanceof FormatError ? { match: 'damaged', reason: error.message } : { match: 'no' };
  }
}

/** The attributes of one of the volume's own files. */
async function ownFile(space: ClusterSpace, mft: MasterFileTable, number: number): Promise<AttributeSegments> {
  const record = await mft.record(number);
  if (!record.inUse) throw new FormatError('Open NTFS', { structure: 'MFT record', field: 'flags', found: number, expected: 'a record in use' });
  return AttributeSegments.ofRecord(space, record, (other) => mft.record(other));
}

async function logState(space: ClusterSpace, mft: MasterFileTable, problems: ProblemList): Promise<LogState> {
  try {
    const content = await openContent(space, (await ownFile(space, mft, RECORD.logFile)).some(ATTRIBUTE.data, ''));
    return content === undefined ? 'damaged' : await readLogState(content);
  } catch (error) {
    problems.note('$LogFile', error);
    return 'damaged';
  }
}

const logRemarks: Readonly<Record<LogState, string | undefined>> = {
  clean: undefined, empty: undefined, dirty: 'The log is not replayed: the last changes before the volume was left may be missing or half made', damaged: 'The log cannot be read',
};

async function readFacts(space: ClusterSpace, mft: MasterFileTable, problems: ProblemList, boot: FoundBoot): Promise<FilesystemFacts> {
  const { geometry } = boot;
  const segments = await ownFile(space, mft, RECORD.volume);
  const information = await smallAttribute(space, segments, { type: ATTRIBUTE.volumeInformation, name: '' }, LABEL_BYTES_MAX);
  if (information === undefined || information.length < 12) throw new FormatError('Open NTFS', { structure: 'NTFS volume information', field: 'size', found: information?.length ?? 0, expected: 'at least 12' });
  const major = information[8] as number;
  if (major > 3) throw new UnsupportedError(`Open NTFS: version '${major}.${information[9]}' is newer than 3.1`, { version: major });
  const label = await smallAttribute(space, segments, { type: ATTRIBUTE.volumeName, name: '' }, LABEL_BYTES_MAX);
  const isDirty = ((information[10] as number) & FLAG_DIRTY) !== 0;
  const log = await logState(space, mft, problems);
  const remarks = [
    boot.damage === undefined ? undefined : `The boot sector is damaged, its copy was used: ${boot.damage}`,
    space.source.size < geometry.size ? `The volume has '${geometry.size}' bytes but only '${space.source.size}' are here` : undefined,
    isDirty ? 'The volume is marked as dirty: Windows would check it first' : undefined,
    logRemarks[log], ...problems.all.map(({ message }) => message),
  ].filter((remark) => remark !== undefined);
  return {
    format: 'ntfs', version: `NTFS ${major}.${information[9]}`, uuid: geometry.serial, size: geometry.size, blockBytes: geometry.clusterBytes, clean: !isDirty && log !== 'dirty', remarks,
    ...(label === undefined || label.length === 0 ? {} : { label: unitsOf(label) }),
  };
}

async function readUpcase(space: ClusterSpace, mft: MasterFileTable, problems: ProblemList): Promise<UpcaseTable> {
  try {
    const segments = await ownFile(space, mft, RECORD.upcase);
    return UpcaseTable.parse(await smallAttribute(space, segments, { type: ATTRIBUTE.data, name: '' }, UPCASE_BYTES_MAX) ?? new Uint8Array(0));
  } catch (error) {
    problems.note('$UpCase', error);
    return UpcaseTable.ofUnicode();
  }
}

async function open(sources: readonly BlockSource[], context: FilesystemContext): Promise<Filesystem> {
  const [source] = sources;
  if (source === undefined || sources.length !== 1) throw new UnsupportedError('Open NTFS: it is on one device', { devices: sources.length });
  const boot = await readBoot(source);
  const space: ClusterSpace = { source, geometry: boot.geometry, limits: context.limits };
  const problems = new ProblemList();
  const mft = await MasterFileTable.open(space, problems);
  const upcase = await readUpcase(space, mft, problems);
  const facts = await readFacts(space, mft, problems, boot);
  const volume: Volume = { ...space, mft, problems, upcase };
  const tree = new NtfsTree(volume, facts);
  await tree.stat(RECORD.root as NodeId);
  return tree;
}

/** The reader of NTFS. */
export const ntfsDriver: FilesystemDriver = { name: 'ntfs', probe, open };
