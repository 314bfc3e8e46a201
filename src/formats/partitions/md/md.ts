/**
 * Linux md arrays (mdadm): RAID 0, 1, 4, 5, 6, 10 and linear, superblocks 0.90 and 1.0 to 1.2. Disks that fell behind, that are being filled, or that
 * the others call faulty are left out, as the kernel leaves them out. Known limits: an array in the middle of a reshape, and a degraded array with
 * parity that was not stopped in order (its parity may be stale), are refused.
 */
import { type BlockSource, checkLimit, FormatError, type Limits, NotFoundError, type OpenContext, type ProbeVerdict, type TreeProblem, UnsupportedError } from '../../../core/index.ts';
import type { BlockMap } from '../../mapping/run.ts';
import { MappedSource } from '../../mapping/mapped-source.ts';
import { damagedVerdict, PieceMap, tableOf } from '../parts.ts';
import type { VolumeMember, VolumeTable, VolumeTableDriver } from '../volume-table.ts';
import { Raid10Map } from './mirrored.ts';
import { ParityMap } from './parity.ts';
import { type ArrayDisk, raid0Size, StripedMap } from './striped.ts';
import { findSuperblock, type MdSuperblock, readSuperblock } from './superblock.ts';

/** A disk with what it says. */
interface Member {
  readonly file: BlockSource;
  readonly block: MdSuperblock;
}

/** The array as its freshest disk describes it. */
interface MdArray {
  readonly truth: MdSuperblock;
  /** By slot; undefined: missing. */
  readonly disks: readonly (ArrayDisk | undefined)[];
  readonly remarks: readonly string[];
}

/** The name that people use. */
function levelName(level: number): string {
  return level === -1 ? 'linear' : `raid${level}`;
}

/** Bytes of a disk that the array may use. */
function usableBytes({ file, block }: Member, truth: MdSuperblock): number {
  return truth.level > 0 ? truth.componentBytes : Math.min(block.dataBytes, file.size - block.dataOffset);
}

/** Why the disk does not take part; undefined when it does. */
function reasonAgainst({ file, block }: Member, truth: MdSuperblock): string | undefined {
  if (block.journal) return 'is the journal, which is not read';
  // One event more is written while the array is being stopped. Source: Linux `super_1_validate`.
  if (block.events + 1 < truth.events) return `fell behind: '${block.events}' events, the array is at '${truth.events}'`;
  const slot = truth.roles[block.deviceNumber];
  if (slot === undefined || slot >= truth.raidDisks) return 'is a spare or faulty';
  if (block.recovering) return 'is still being filled';
  if (block.dataOffset + (truth.level > 0 ? truth.componentBytes : block.dataBytes) > file.size) return `ends at '${file.size}', before its part of the array`;
  return undefined;
}

/** Sorts the disks into their slots. */
function assemble(members: readonly Member[], limits: Limits): MdArray {
  const truth = members.reduce((best, { block }) => (block.events > best.events ? block : best), (members[0] as Member).block);
  checkLimit(limits, 'volumeMembersMax', truth.raidDisks, 'md superblock.raid_disks');
  const disks: (ArrayDisk | undefined)[] = Array.from({ length: truth.raidDisks }, () => undefined);
  const remarks: string[] = [];
  // Those with known bad places only where nobody else holds the slot; a replacement has the slot of the disk that it replaces.
  const inOrder = [...members].sort((a, b) => Number(a.block.badBlocks) - Number(b.block.badBlocks));
  for (const member of inOrder) {
    const { file, block } = member;
    const name = `disk ${block.deviceNumber} (${block.memberUuid})`;
    const reason = reasonAgainst(member, truth);
    if (reason !== undefined) {
      remarks.push(`${name} ${reason}`);
      continue;
    }
    const slot = truth.roles[block.deviceNumber] as number;
    if (disks[slot] !== undefined) continue;
    if (block.badBlocks && members.length > 1 && truth.level > 0) {
      remarks.push(`${name} has known bad places and is left out`);
      continue;
    }
    disks[slot] = { file, at: block.dataOffset, length: usableBytes(member, truth) };
  }
  const missing = disks.flatMap((disk, slot) => (disk === undefined ? [slot] : []));
  if (missing.length > 0) remarks.push(`degraded: slots ${missing.join(', ')} have no disk`);
  if (truth.journaled) remarks.push('its journal is not read: the last writes may be missing');
  if (truth.dirty && truth.level > 0) remarks.push('it was not stopped in order, or a resync was not finished: copies and parity may differ from data');
  return { truth, disks, remarks };
}

/** All disks of an array without redundancy. */
function complete(disks: readonly (ArrayDisk | undefined)[], level: number): readonly ArrayDisk[] {
  return disks.map((disk, slot) => {
    if (disk === undefined) throw new NotFoundError(`Open md array: '${levelName(level)}' needs all '${disks.length}' disks, slot '${slot}' is missing`);
    return disk;
  });
}

/** @throws {UnsupportedError} @throws {NotFoundError} @throws {FormatError} */
function mapOf({ truth, disks }: MdArray): BlockMap & { readonly size: number } {
  const { level, layout, chunkBytes, componentBytes } = truth;
  const degraded = disks.includes(undefined);
  switch (level) {
    case -1: {
      const pieces = complete(disks, level).map(({ file, at, length }) => ({ file, at, length: chunkBytes > 0 ? Math.floor(length / chunkBytes) * chunkBytes : length }));
      return Object.assign(new PieceMap(pieces), { size: pieces.reduce((sum, { length }) => sum + length, 0) });
    }
    case 0: {
      const members = complete(disks, level);
      const map = new StripedMap(members, chunkBytes, layout);
      return { size: raid0Size(members, chunkBytes), runAt: (offset, lengthMax) => map.runAt(offset, lengthMax) };
    }
    case 1: {
      const disk = disks.find((one) => one !== undefined);
      if (disk === undefined) throw new NotFoundError('Open md array: no disk of the mirror is in sync');
      return Object.assign(new PieceMap([disk]), { size: componentBytes });
    }
    case 4: case 5: case 6:
      if (degraded && truth.dirty) throw new UnsupportedError('Open md array: a disk is missing and the array was not stopped in order, so that parity may be stale; give all disks');
      return new ParityMap(disks, { level, layout, chunkBytes, componentBytes });
    case 10: return new Raid10Map(disks, { chunkBytes, componentBytes, layout });
    default: throw new UnsupportedError(`Open md array: level '${level}' is not read`);
  }
}

async function probe(source: BlockSource): Promise<ProbeVerdict> {
  const found = await findSuperblock(source);
  if (found === undefined) return { match: 'no' };
  try {
    return { match: 'yes', version: (await readSuperblock(source)).version };
  } catch (error) {
    return damagedVerdict(error);
  }
}

async function member(source: BlockSource): Promise<VolumeMember> {
  const { setUuid, memberUuid, raidDisks } = await readSuperblock(source);
  return { group: setUuid, member: memberUuid, members: raidDisks };
}

/** Disks that can be read; a damaged superblock is a problem as long as another disk has one. */
async function readMembers(sources: readonly BlockSource[], problems: TreeProblem[]): Promise<readonly Member[]> {
  const members: Member[] = [];
  let failure: unknown;
  for (const [i, file] of sources.entries()) {
    try {
      members.push({ file, block: await readSuperblock(file) });
    } catch (error) {
      failure ??= error;
      if (damagedVerdict(error).match === 'damaged') problems.push({ kind: 'damaged-member', where: `disk ${i}`, message: (error as Error).message });
    }
  }
  const [first] = members;
  if (first === undefined) throw failure ?? new FormatError('Open md array', { structure: 'md array', field: 'disks', found: 0, expected: 'at least 1' });
  const stranger = members.find(({ block }) => block.setUuid !== first.block.setUuid);
  if (stranger !== undefined) throw new FormatError('Open md array', { structure: 'md superblock', field: 'set_uuid', found: stranger.block.setUuid, expected: first.block.setUuid });
  return members;
}

async function open(sources: readonly BlockSource[], { limits }: OpenContext): Promise<VolumeTable> {
  checkLimit(limits, 'volumeMembersMax', sources.length, 'md array');
  const problems: TreeProblem[] = [];
  const array = assemble(await readMembers(sources, problems), limits);
  const { truth, remarks } = array;
  if (truth.reshaping) throw new UnsupportedError('Open md array: it is in the middle of a reshape');
  const sectorSize = Math.max(512, ...sources.map((source) => source.sectorSize));
  let map: ReturnType<typeof mapOf> | undefined;
  let failure: unknown;
  try {
    map = mapOf(array);
  } catch (error) {
    failure = error;
  }
  const size = map?.size ?? 0;
  return tableOf({
    facts: { format: 'md', version: truth.version, uuid: truth.setUuid, name: truth.name, sectorSize, remarks },
    volumes: [{
      step: `md=${truth.name}`, type: levelName(truth.level), name: truth.name, uuid: truth.setUuid, size,
      open: () => (map === undefined
        ? Promise.reject(failure as Error)
        : Promise.resolve(new MappedSource(size, sectorSize, { what: 'md array', map, owned: [], place: { structure: 'md superblock', field: 'size' } }))),
    }],
    sources, problems,
  });
}

/** Linux md arrays. */
export const mdDriver: VolumeTableDriver = { name: 'md', probe, member, open };
