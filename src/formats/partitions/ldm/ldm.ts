/**
 * Dynamic disks of Windows (LDM), on MBR and GPT disks: simple, spanned, striped, mirrored and RAID 5 volumes; a mirror with one disk, and RAID 5 with
 * all disks but one. The newest database of the disks counts; a disk with an older one was away, so that copies and parity on it are not used.
 * The format is not documented by its maker.
 */
import { type BlockSource, checkLimit, defaultLimits, FormatError, HoldfastError, type Limits, NotFoundError, type OpenContext, type ProbeVerdict, type TreeProblem, UnsupportedError } from '../../../core/index.ts';
import { MappedSource } from '../../mapping/mapped-source.ts';
import { PARITY_LAYOUT, ParityMap } from '../md/parity.ts';
import { StripedMap } from '../md/striped.ts';
import { damagedVerdict, joined, tableOf } from '../parts.ts';
import type { Volume, VolumeMember, VolumeTable, VolumeTableDriver } from '../volume-table.ts';
import { findPrivhead, type LdmDatabase, type Privhead, readDatabase, readPrivhead } from './database.ts';
import { COMPONENT, SECTOR } from './ldm.layout.ts';
import type { LdmComponent, LdmDisk, LdmPartition, LdmRecord, LdmVolume } from './records.ts';

async function probe(source: BlockSource): Promise<ProbeVerdict> {
  if (await findPrivhead(source, defaultLimits) === undefined) return { match: 'no' };
  try {
    return { match: 'yes', version: (await readPrivhead(source, defaultLimits)).version };
  } catch (error) {
    return damagedVerdict(error);
  }
}

async function member(source: BlockSource): Promise<VolumeMember> {
  const head = await readPrivhead(source, defaultLimits);
  const { records } = await readDatabase(source, head, defaultLimits);
  return { group: head.groupId, member: head.diskId, members: records.filter(({ kind }) => kind === 'disk').length };
}

/** A disk that was given. */
interface GivenDisk {
  readonly file: BlockSource;
  readonly head: Privhead;
  /** Its database; undefined when that is damaged. */
  readonly database: LdmDatabase | undefined;
}

/** What volumes are made from. */
class DiskGroup {
  readonly #records: readonly LdmRecord[];
  readonly #sequence: number;
  readonly #given: readonly GivenDisk[];

  constructor({ records, sequence }: LdmDatabase, given: readonly GivenDisk[]) {
    this.#records = records;
    this.#sequence = sequence;
    this.#given = given;
  }

  get volumes(): readonly LdmVolume[] {
    return this.#records.filter((one): one is LdmVolume => one.kind === 'volume');
  }

  get disks(): readonly LdmDisk[] {
    return this.#records.filter((one): one is LdmDisk => one.kind === 'disk');
  }

  given(disk: LdmDisk): GivenDisk | undefined {
    return this.#given.find(({ head }) => head.diskId === disk.guid);
  }

  /** Why the disk may be behind the others; undefined when it is not. */
  stale({ database }: GivenDisk): string | undefined {
    return database === undefined || database.sequence >= this.#sequence ? undefined : `fell behind: change '${database.sequence}', the group is at '${this.#sequence}'`;
  }

  components({ id }: LdmVolume): readonly LdmComponent[] {
    return this.#records.filter((one): one is LdmComponent => one.kind === 'component' && one.parent === id);
  }

  partitions({ id }: LdmComponent): readonly LdmPartition[] {
    return this.#records.filter((one): one is LdmPartition => one.kind === 'partition' && one.parent === id);
  }

  /** Partitions one behind the other. @throws {NotFoundError} a disk was not given, or fell behind where others went on without it. @throws {FormatError} */
  #column(partitions: readonly LdmPartition[], sectorSize: number, isRedundant: boolean): BlockSource {
    const inOrder = [...partitions].sort((a, b) => a.volumeOffset - b.volumeOffset);
    let reached = 0;
    const pieces = inOrder.map(({ name, disk: diskId, start, size, volumeOffset }) => {
      const disk = this.disks.find(({ id }) => id === diskId);
      const given = disk === undefined ? undefined : this.given(disk);
      if (given === undefined) throw new NotFoundError(`Open dynamic volume: disk '${disk?.name ?? diskId}' (${disk?.guid ?? 'unknown'}) was not given`, { disk: disk?.guid });
      const reason = isRedundant ? this.stale(given) : undefined;
      if (reason !== undefined) throw new NotFoundError(`Open dynamic volume: disk '${disk?.name ?? diskId}' (${given.head.diskId}) ${reason}`, { disk: given.head.diskId });
      if (volumeOffset !== reached) throw new FormatError('Open dynamic volume', { structure: `LDM partition '${name}'`, field: 'volume offset', found: volumeOffset, expected: reached });
      reached += size;
      const at = (given.head.publicStart + start) * SECTOR;
      if (at + size * SECTOR > given.file.size) throw new FormatError('Open dynamic volume', { structure: `LDM partition '${name}'`, field: 'start', found: start, expected: `a partition of ${size} sectors on the disk` });
      return { file: given.file, at, length: size * SECTOR };
    });
    return joined(pieces, sectorSize, 'dynamic volume');
  }

  /** The content that a component holds. @throws {NotFoundError} @throws {UnsupportedError} @throws {FormatError} */
  open(component: LdmComponent, volume: LdmVolume, sectorSize: number): BlockSource {
    const partitions = this.partitions(component);
    const { type, columns, stripeSectors } = component;
    const size = volume.size * SECTOR;
    const isRedundant = type === COMPONENT.raid5 || this.components(volume).length > 1;
    if (type === COMPONENT.concatenated) return this.#column(partitions, sectorSize, isRedundant);
    if (type !== COMPONENT.stripes && type !== COMPONENT.raid5) throw new UnsupportedError(`Open dynamic volume: components of type '${type}' are not read`);
    const sources: (BlockSource | undefined)[] = [];
    let failure: unknown;
    for (let i = 0; i < columns; i += 1) {
      try {
        sources.push(this.#column(partitions.filter(({ column }) => column === i), sectorSize, isRedundant));
      } catch (error) {
        if (type !== COMPONENT.raid5 || !(error instanceof NotFoundError)) throw error;
        failure ??= error;
        sources.push(undefined);
      }
    }
    const disks = sources.map((file) => (file === undefined ? undefined : { file, at: 0, length: file.size }));
    const chunkBytes = stripeSectors * SECTOR;
    const whole = disks.filter((disk) => disk !== undefined);
    if (type === COMPONENT.raid5 && whole.length < columns - 1) throw failure;
    const map = type === COMPONENT.stripes
      ? new StripedMap(whole, chunkBytes)
      : new ParityMap(disks, { level: 5, layout: PARITY_LAYOUT.leftSymmetric, chunkBytes, componentBytes: Math.min(...whole.map(({ length }) => length)) });
    if (map.size < size) throw new FormatError('Open dynamic volume', { structure: `LDM component '${component.name}'`, field: 'columns', found: map.size, expected: `at least ${size} bytes` });
    return new MappedSource(size, sectorSize, { what: 'dynamic volume', map, owned: [], place: { structure: 'LDM partition', field: 'start' } });
  }
}

function kindOf(components: readonly LdmComponent[], group: DiskGroup): string {
  const [first] = components;
  if (first === undefined) return 'empty';
  if (components.length > 1) return 'mirrored';
  if (first.type === COMPONENT.stripes) return 'striped';
  if (first.type === COMPONENT.raid5) return 'raid5';
  return group.partitions(first).length > 1 ? 'spanned' : 'simple';
}

/** Opens the first component that is whole. */
function openVolume(volume: LdmVolume, group: DiskGroup, sectorSize: number): BlockSource {
  let failure: unknown;
  for (const component of group.components(volume)) {
    try {
      const source = group.open(component, volume, sectorSize);
      if (source.size >= volume.size * SECTOR) return joined([{ file: source, at: 0, length: volume.size * SECTOR }], sectorSize, 'dynamic volume');
      throw new FormatError('Open dynamic volume', { structure: `LDM component '${component.name}'`, field: 'size', found: source.size, expected: volume.size * SECTOR });
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      failure ??= error;
    }
  }
  throw failure ?? new FormatError('Open dynamic volume', { structure: `LDM volume '${volume.name}'`, field: 'components', found: 0, expected: 'at least 1' });
}

/** Reads a disk; a damaged database is a problem. @throws {FormatError} it is no dynamic disk. */
async function readDisk(file: BlockSource, limits: Limits, damaged: (error: HoldfastError, head: Privhead) => void): Promise<GivenDisk> {
  const head = await readPrivhead(file, limits);
  try {
    return { file, head, database: await readDatabase(file, head, limits) };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    damaged(error, head);
    return { file, head, database: undefined };
  }
}

async function open(sources: readonly BlockSource[], { limits }: OpenContext): Promise<VolumeTable> {
  checkLimit(limits, 'volumeMembersMax', sources.length, 'LDM disk group');
  const problems: TreeProblem[] = [];
  const given: GivenDisk[] = [];
  let failure: HoldfastError | undefined;
  for (const file of sources) {
    given.push(await readDisk(file, limits, (error, { diskId }) => {
      failure ??= error;
      problems.push({ kind: 'damaged-table', where: `disk ${diskId}`, message: error.message });
    }));
  }
  const [first] = given;
  if (first === undefined) throw new FormatError('Open dynamic disk', { structure: 'disk group', field: 'disks', found: 0, expected: 'at least 1' });
  const stranger = given.find(({ head }) => head.groupId !== first.head.groupId);
  if (stranger !== undefined) throw new FormatError('Open dynamic disk', { structure: 'LDM PRIVHEAD', field: 'disk_group_id', found: stranger.head.groupId, expected: first.head.groupId });
  const [database] = given.flatMap((disk) => disk.database ?? []).sort((a, b) => b.sequence - a.sequence);
  if (database === undefined) throw failure ?? new FormatError('Open dynamic disk', { structure: 'disk group', field: 'database', expected: 'one that can be read' });
  const group = new DiskGroup(database, given);
  checkLimit(limits, 'volumePartsMax', group.volumes.length, 'LDM volumes');
  const sectorSize = Math.max(SECTOR, ...sources.map((source) => source.sectorSize));
  const remarks = [
    ...group.disks.filter((disk) => group.given(disk) === undefined).map(({ name, guid }) => `disk '${name}' (${guid}) was not given`),
    ...given.flatMap((disk) => { const reason = group.stale(disk); return reason === undefined ? [] : [`disk ${disk.head.diskId} ${reason}`]; }),
    ...(database.unsettled ? ['its database was being changed'] : []),
  ];
  return tableOf({
    facts: { format: 'ldm', version: first.head.version, uuid: first.head.groupId, name: first.head.groupName, sectorSize, remarks },
    volumes: group.volumes.map((volume): Volume => ({
      step: `ldm=${volume.name}`, type: kindOf(group.components(volume), group), name: volume.name, uuid: volume.guid, size: volume.size * SECTOR,
      open: async () => openVolume(volume, group, sectorSize),
    })),
    sources, problems,
  });
}

/** Dynamic disks of Windows. */
export const ldmDriver: VolumeTableDriver = { name: 'ldm', probe, member, open };
