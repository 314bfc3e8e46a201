/**
 * What is on a disk as layers: partitions, volume groups, arrays, encrypted containers, filesystems with their subvolumes and snapshots. Nothing here
 * looks for disk images: a guest may write any magic number into its own disk.
 */
import { NotFoundError, UnsupportedError, UsageError, type BlockSource } from '../../core/index.ts';
import { createZstd } from '../../engine/index.ts';
import { openFilesystem, type Filesystem, type FilesystemVolume } from '../../formats/filesystems/index.ts';
import type { Volume, VolumeTable, VolumeTableName } from '../../formats/partitions/index.ts';
import { borrowed } from './borrowed.ts';
import { DiskTree } from './disk-tree.ts';
import { foreignContent } from './foreign-content.ts';
import { MemberSearch, type MemberGroup } from './member-search.ts';
import { owning, type Closable, type Owner } from './owner.ts';
import type { Arrival, DiskPlace, NodePlace, OpenOptions } from './place.ts';
import { filesystemOn, poolOn, tableOn } from './probes.ts';
import { arriveAtVolume, contextOf, openTable, type Disks } from './tables.ts';

/** Encrypted containers in each other that are opened on the way to what is inside. */
const CONTAINERS_MAX = 4;

/** Steps to sets of disks, and what each set is called. */
const setSteps = { lv: { format: 'lvm', word: 'volume group' }, md: { format: 'md', word: 'array' }, ldm: { format: 'ldm', word: 'dynamic disk' } } as const;

function stepList(volumes: readonly Volume[], none: string): string {
  return volumes.map((one) => `'${one.step}'`).join(', ') || none;
}

function amongOf({ among, disks }: DiskPlace): readonly BlockSource[] {
  return among ?? disks;
}

/** The volume that a step names in the table of the place's first disk. */
async function enterTable(place: DiskPlace, name: VolumeTableName, step: string, options: OpenOptions): Promise<Arrival> {
  return owning(async (owner) => {
    const table = owner.own(await openTable([place.disks[0]], name, options));
    const volume = table.volumes.find((one) => one.step === step);
    if (volume === undefined) throw new NotFoundError(`Open step '${step}': '${place.name}' (${name}) has ${stepList(table.volumes, 'no volumes')}`, { step });
    return arriveAtVolume({ table, volume, owner, among: amongOf(place) }, options);
  });
}

/** Why nothing on a disk can be opened: it holds what has no reader here. */
async function notRead({ disks: [first] }: DiskPlace, begin: string): Promise<UnsupportedError | undefined> {
  const foreign = await foreignContent(first);
  return foreign === undefined ? undefined : new UnsupportedError(`${begin}: it holds ${foreign.holds}, which is recognised and not read`, { holds: foreign.holds });
}

/** `pN`, and `luks` where it was asked for. */
async function enterPartition(place: DiskPlace, step: string, options: OpenOptions): Promise<Arrival> {
  const found = await tableOn(place.disks[0]);
  if (found === undefined) throw await notRead(place, `Open step '${step}' of '${place.name}'`) ?? new NotFoundError(`Open step '${step}': '${place.name}' has no partition table`, { step });
  return enterTable(place, found.name, step, options);
}

/** Goes through encrypted containers. What was opened is `owner`'s until it arrives. @returns the arrivals on the way; the last one is the place to go on from. */
async function unlockAll(place: DiskPlace, options: OpenOptions, owner: Owner): Promise<readonly Arrival[]> {
  const way: Arrival[] = [];
  for (let here = place; way.length < CONTAINERS_MAX && (await tableOn(here.disks[0]))?.name === 'luks'; here = way.at(-1)?.place as DiskPlace) {
    const inside = await enterTable(here, 'luks', 'luks', options);
    if (inside.owned !== undefined) owner.own(inside.owned);
    way.push(inside);
  }
  return way;
}

interface FoundVolume {
  readonly table: VolumeTable;
  readonly volume: Volume;
  readonly missing: number;
}

/** Opens sets one by one, those that are whole before others, until one has the volume. @throws {NotFoundError} telling what there is instead. */
async function findVolume(place: DiskPlace, step: string, options: OpenOptions, owner: Owner): Promise<FoundVolume> {
  const { format, word } = setSteps[step.slice(0, step.indexOf('=')) as keyof typeof setSteps];
  const search = new MemberSearch(options, owner);
  for (const disk of place.disks) await search.add(disk);
  const tried = new Set<MemberGroup>();
  const there: Volume[] = [];
  for (let more = true; ;) {
    for (const group of search.groups(format)) {
      if (tried.has(group) || (more && group.missing > 0)) continue;
      tried.add(group);
      const table = owner.own(await openTable(group.sources, format, options));
      const volume = table.volumes.find((one) => one.step === step);
      if (volume !== undefined) return { table, volume, missing: group.missing };
      there.push(...table.volumes);
    }
    if (!more) break;
    more = await search.deeper();
  }
  const failures = search.failures.map((failure) => `; ${failure}`).join('');
  throw new NotFoundError(`Open step '${step}': '${place.name}' has ${stepList(there, `no ${word}`)}${failures}`, { step });
}

/** `lv=VG/LV`, `md=NAME`, `ldm=NAME`: over all disks of the place, and what is on them. */
async function enterSet(place: DiskPlace, step: string, options: OpenOptions): Promise<Arrival> {
  return owning(async (owner) => arriveAtVolume({ ...await findVolume(place, step, options, owner), owner, among: amongOf(place) }, options));
}

/**
 * Follows `pN`, `lv=VG/LV`, `md=NAME`, `ldm=NAME` or `luks` from a disk, through encrypted containers. @returns each layer on the way.
 * @throws {NotFoundError} naming the steps there are; no key fits. @throws {FormatError} @throws {UnsupportedError} @throws {IntegrityError}
 */
export async function enterVolume(place: DiskPlace, step: string, options: OpenOptions): Promise<readonly Arrival[]> {
  if (step === 'luks') return [await enterPartition(place, step, options)];
  if (step.includes('=')) return [await enterSet(place, step, options)];
  return owning(async (owner) => {
    const way = await unlockAll(place, options, owner);
    return [...way, await enterPartition((way.at(-1)?.place ?? place) as DiskPlace, step, options)];
  });
}

/** All devices of the filesystem on a disk, that one first. */
async function devicesOf({ disks: [first], among = [] }: Pick<DiskPlace, 'disks' | 'among'>, options: OpenOptions, owner: Owner): Promise<{ readonly devices: Disks; readonly missing: number }> {
  const set = await poolOn(first);
  if (set === undefined) return { devices: [first], missing: 0 };
  const search = new MemberSearch(options, owner, true);
  await search.add(first);
  for (const disk of among) if (disk !== first) await search.add(disk);
  const group = search.group(set.group);
  while ((group?.missing ?? 0) > 0) if (!await search.deeper()) break;
  return { devices: group?.sources ?? [first], missing: group?.missing ?? 0 };
}

/** The filesystem on a disk that is not divided, and the other devices of it. @throws as `openFilesystem`. */
export async function openTree(place: Pick<DiskPlace, 'disks' | 'among' | 'name'>, options: OpenOptions): Promise<Arrival> {
  return owning(async (owner) => {
    const { devices: [first, ...others], missing } = await devicesOf({ ...place, among: place.among ?? place.disks }, options, owner);
    const zstd = await createZstd();
    const filesystem = owner.own(await openFilesystem([borrowed(first), ...others.map(borrowed)], { ...contextOf(options), unzstd: (frame, target) => { zstd.decompress(frame, target); } }));
    for (const remark of filesystem.facts.remarks) options.onNote?.(`${place.name}: ${remark}`);
    if (filesystem.facts.experimental === true) options.onNote?.(`${place.name}: reading ${filesystem.facts.version} is experimental: it was never compared with what its maker writes`);
    return arriveAtTree(filesystem, owner, missing);
  });
}

function arriveAtTree(filesystem: Filesystem, owned?: Closable, missing = 0): Arrival {
  return {
    place: { kind: 'node', view: { tree: filesystem, id: filesystem.rootId, path: new Uint8Array() }, filesystem },
    layer: { layer: 'filesystem', ...filesystem.facts, ...(missing > 0 ? { missing } : {}) },
    ...(owned === undefined ? {} : { owned }),
    problems: () => filesystem.problems(),
  };
}

/** What a disk has instead of a filesystem, for people. */
async function noTree(place: DiskPlace, name: VolumeTableName | undefined, options: OpenOptions): Promise<Error> {
  const begin = `Open the filesystem of '${place.name}'`;
  if (name === undefined) return await notRead(place, begin) ?? new NotFoundError(`${begin}: found no filesystem, partition table or volume group that is known`);
  const table = await openTable([place.disks[0]], name, options);
  try {
    return new UsageError(`${begin}: it has no filesystem of its own (${name}); name one of ${stepList(table.volumes, 'its volumes: it has none')}`);
  } finally {
    await table.close();
  }
}

/**
 * Goes to the root of the filesystem on a disk, through encrypted containers. @returns each layer on the way.
 * @throws {UsageError} there is a table instead: it says which steps there are. @throws {NotFoundError} there is nothing. @throws as `openFilesystem`.
 */
export async function enterFilesystem(place: DiskPlace, options: OpenOptions): Promise<readonly Arrival[]> {
  return owning(async (owner) => {
    const way = await unlockAll(place, options, owner);
    const here = (way.at(-1)?.place ?? place) as DiskPlace;
    const table = await tableOn(here.disks[0]);
    if (table !== undefined || await filesystemOn(here.disks[0]) === undefined) throw await noTree(here, table?.name, options);
    return [...way, await openTree(here, options)];
  });
}

/** Whether a disk holds a filesystem that has snapshots, or may hold one in an encrypted container. */
export async function mayHaveSnapshots(disk: BlockSource): Promise<boolean> {
  const table = await tableOn(disk);
  return table === undefined ? ['zfs', 'btrfs'].includes((await filesystemOn(disk))?.name ?? '') : table.name === 'luks';
}

/** `subvol=NAME`, `dataset=NAME`, `snapshot=NAME` inside a filesystem. @throws {UnsupportedError} it has no such. @throws {NotFoundError} */
export async function enterTreeVolume(filesystem: Filesystem, step: string): Promise<Arrival> {
  const [kind = '', name = ''] = [step.slice(0, step.indexOf('=')), step.slice(step.indexOf('=') + 1)];
  if (filesystem.openVolume === undefined) throw new UnsupportedError(`Open step '${step}': ${filesystem.facts.version} has no subvolumes, datasets or snapshots`, { step });
  return arriveAtTree(await filesystem.openVolume(kind as FilesystemVolume['kind'], name));
}

/** `stream=NAME` of a file or directory. @throws {NotFoundError} it has no such stream. */
export async function enterStream({ view }: NodePlace, name: string): Promise<Arrival> {
  const stream = await view.tree.open(view.id, name);
  const tree = new DiskTree(stream);
  return { place: { kind: 'node', view: { tree, id: tree.rootId, path: view.path } }, layer: { layer: 'stream', name, size: stream.size }, owned: stream };
}

/** Whether anything known is on a disk: a table of volumes or a filesystem. Reads little and never throws for bad content. */
export async function isDisk(disk: BlockSource): Promise<boolean> {
  return await tableOn(disk) !== undefined || await filesystemOn(disk) !== undefined;
}
