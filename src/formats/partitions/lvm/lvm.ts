/**
 * LVM2 volume groups: linear, striped, mirrored and RAID volumes, thin volumes with their snapshots and external origins, snapshots of the older kind.
 * The newest description whose checksum holds on any disk counts. A disk that was not given takes only the volumes on it with it. Recognised and not
 * read: write-back caches, writecache, VDO, integrity; a cache in mode `writethrough` is read without the cache.
 */
import { type BlockSource, checkLimit, defaultLimits, FormatError, type HoldfastError, type Limits, type OpenContext, type ProbeVerdict, type TreeProblem, UnsupportedError } from '../../../core/index.ts';
import { damagedVerdict, tableOf } from '../parts.ts';
import type { Volume, VolumeMember, VolumeTable, VolumeTableDriver } from '../volume-table.ts';
import { LogicalVolumes } from './logical-volume.ts';
import { LABEL_TYPE, SECTOR } from './lvm.layout.ts';
import { findLabel, type PvLabel, readLabel, readMetadataCopies } from './physical-volume.ts';
import { type LogicalVolume, parseVolumeGroup, type VolumeGroup } from './volume-group.ts';

async function probe(source: BlockSource): Promise<ProbeVerdict> {
  if (await findLabel(source) === undefined) return { match: 'no' };
  try {
    await readLabel(source);
    return { match: 'yes', version: LABEL_TYPE };
  } catch (error) {
    return damagedVerdict(error);
  }
}

interface LabelledDisk {
  readonly file: BlockSource;
  readonly label: PvLabel;
}

/** The newest description on any of the disks, undefined for disks that no group has, or that keep no description; and the first failure to read one. */
async function newestGroup(disks: readonly LabelledDisk[], limits: Limits, problems: TreeProblem[]): Promise<{ readonly group: VolumeGroup | undefined; readonly failure: HoldfastError | undefined }> {
  let newest: VolumeGroup | undefined;
  let failure: HoldfastError | undefined;
  for (const { file, label } of disks) {
    const damaged = (error: HoldfastError): void => {
      failure ??= error;
      problems.push({ kind: 'damaged-table', where: `physical volume ${label.uuid}`, message: error.message });
    };
    for (const { text } of await readMetadataCopies(file, label, limits, damaged)) {
      const group = parseVolumeGroup(text, limits);
      if (newest !== undefined && group.uuid !== newest.uuid) throw new FormatError('Open LVM', { structure: 'LVM metadata', field: 'id', found: `${group.name} ${group.uuid}`, expected: `${newest.name} ${newest.uuid}: disks of one volume group` });
      if (newest === undefined || group.seqno > newest.seqno) newest = group;
    }
  }
  return { group: newest, failure };
}

async function member(source: BlockSource): Promise<VolumeMember> {
  const label = await readLabel(source);
  const { group, failure } = await newestGroup([{ file: source, label }], defaultLimits, []);
  if (group === undefined) return { group: `pv:${label.uuid}`, member: label.uuid, members: 1, isLone: true, ...(failure === undefined ? {} : { damage: failure.message }) };
  return { group: group.uuid, member: label.uuid, members: group.disks.size, listed: [...group.disks.values()].map(({ uuid }) => uuid) };
}

/** Whether people see a volume. Of a snapshot of the older kind, the text shows the internal volume that joins origin and store: people see the store's name. */
function isShown(volume: LogicalVolume, volumes: LogicalVolumes): boolean {
  if (volumes.snapshotWith(volume.name) !== undefined) return true;
  return volume.visible && !volume.segments.some(({ type }) => type === 'snapshot');
}

/** The word for what a volume is. */
function typeOf(volume: LogicalVolume, volumes: LogicalVolumes): string {
  if (volumes.snapshotWith(volume.name) !== undefined) return 'snapshot';
  const types = new Set(volume.segments.map(({ type, text }) => (type === 'striped' && text.values.get('stripe_count') === 1 ? 'linear' : type)));
  return [...types].join('+');
}

function visibleVolume(volume: LogicalVolume, group: VolumeGroup, volumes: LogicalVolumes): Volume {
  const type = typeOf(volume, volumes);
  const { extents } = volumes.snapshotWith(volume.name) ?? volumes.mergedInto(volume.name) ?? volume;
  return {
    step: `lv=${group.name}/${volume.name}`, type, name: volume.name, uuid: volume.uuid, size: extents * group.extentBytes,
    open: () => (type.includes('pool')
      ? Promise.reject(new UnsupportedError(`Open logical volume '${volume.name}': it is a pool for other volumes, and has no content of its own`, { segmentType: type }))
      : volumes.openVisible(volume.name)),
  };
}

/** Which source is which disk of the group. */
function disksOf(group: VolumeGroup, given: readonly LabelledDisk[], remarks: string[]): ReadonlyMap<string, BlockSource> {
  const found = new Map<string, BlockSource>();
  for (const disk of group.disks.values()) {
    const source = given.find(({ label }) => label.uuid === disk.uuid)?.file;
    if (source === undefined) remarks.push(`physical volume '${disk.name}' (${disk.uuid}) was not given`);
    else if (disk.stale) remarks.push(`physical volume '${disk.name}' (${disk.uuid}) was away when the group was changed, and is not read`);
    else found.set(disk.name, source);
  }
  return found;
}

async function open(sources: readonly BlockSource[], { limits }: OpenContext): Promise<VolumeTable> {
  checkLimit(limits, 'volumeMembersMax', sources.length, 'LVM volume group');
  const disks: LabelledDisk[] = [];
  for (const file of sources) disks.push({ file, label: await readLabel(file) });
  const problems: TreeProblem[] = [];
  const { group, failure } = await newestGroup(disks, limits, problems);
  if (group === undefined && failure !== undefined) throw failure;
  const sectorSize = Math.max(SECTOR, ...sources.map((source) => source.sectorSize));
  const remarks: string[] = [];
  if (group === undefined) {
    remarks.push('it belongs to no volume group, or keeps no description of its group');
    return tableOf({ facts: { format: 'lvm', version: LABEL_TYPE, sectorSize, remarks }, volumes: [], sources, problems });
  }
  const volumes = new LogicalVolumes({
    group, disks: disksOf(group, disks, remarks), sectorSize, limits,
    remark: (text) => { if (!remarks.includes(text)) remarks.push(text); },
  });
  return tableOf({
    facts: { format: 'lvm', version: LABEL_TYPE, uuid: group.uuid, name: group.name, sectorSize, remarks },
    volumes: [...group.volumes.values()].filter((volume) => isShown(volume, volumes)).map((volume) => visibleVolume(volume, group, volumes)),
    sources, problems,
  });
}

/** LVM2 volume groups. */
export const lvmDriver: VolumeTableDriver = { name: 'lvm', probe, member, open };
