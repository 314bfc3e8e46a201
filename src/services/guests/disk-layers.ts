/** What `info` tells of the content of disks: tables with all that is in them, sets over several disks, filesystems that are not divided. */
import type { BlockSource, TreeProblem } from '../../core/index.ts';
import { enterFilesystem } from '../locations/guest-layer.ts';
import { owning } from '../locations/owner.ts';
import type { DiskPlace, LayerInfo, OpenOptions } from '../locations/place.ts';
import { filesystemOn, tableOn } from '../locations/probes.ts';
import type { Disks } from '../locations/tables.ts';
import type { DiskList, ListedSet, PartPlace } from './disk-parts.ts';
import { listDisks } from './disk-walk.ts';

/** Layers below a disk, and the damage found in them: also members that are missing. */
export interface DiskLayers {
  readonly layers: readonly LayerInfo[];
  readonly problems: readonly TreeProblem[];
}

function nameOf({ name, files }: DiskPlace, disk: number | undefined): string {
  return disk === undefined || files === undefined ? name : files[disk]?.name ?? name;
}

/** A place as a location would name it. */
function whereOf(place: DiskPlace, { disk, step }: PartPlace): string {
  return step === '' ? nameOf(place, disk) : `${nameOf(place, disk)}::${step}`;
}

/** A filesystem on disks that are not divided. */
async function describeTree(disks: Disks, place: DiskPlace, options: OpenOptions): Promise<DiskLayers> {
  return owning(async (owner) => {
    const way = await enterFilesystem({ ...place, disks, among: place.disks }, options);
    for (const { owned } of way) if (owned !== undefined) owner.own(owned);
    const last = way.at(-1)?.place;
    const volumes = last?.kind === 'node' ? await last.filesystem?.volumes?.() ?? [] : [];
    const layers = way.map(({ layer }, i) => ({ ...layer as LayerInfo, ...(i === way.length - 1 && volumes.length > 0 ? { trees: volumes.map(({ kind, name }) => `${kind}=${name}`) } : {}) }));
    const problems = way.flatMap((one) => one.problems?.() ?? []);
    await owner.close();
    return { layers, problems };
  });
}

function isPool({ format }: ListedSet): boolean {
  return format === 'btrfs' || format === 'zfs';
}

function setLayer(set: ListedSet, place: DiskPlace): LayerInfo {
  const { format, group, missing, table, parts } = set;
  return { layer: 'table', ...(table ?? { format, uuid: group }), members: set.members.map((member) => whereOf(place, member)), ...(missing > 0 ? { missing } : {}), parts };
}

/** Indices of disks whose filesystem is on them as a whole; of a pool over several whole disks, only the first. */
async function treesOf(disks: readonly BlockSource[], { sets }: DiskList): Promise<readonly number[]> {
  const found: number[] = [];
  for (const [i, disk] of disks.entries()) {
    const isLater = sets.some((set) => isPool(set) && set.members.some(({ disk: member, step }, at) => at > 0 && member === i && step === ''));
    if (!isLater && await tableOn(disk) === undefined && await filesystemOn(disk) !== undefined) found.push(i);
  }
  return found;
}

/** Tells what is on the disks of a place, from their marks: only filesystems that are not divided are opened. @throws as `openVolumeTable`, where the table of the only disk cannot be read. @throws as `openFilesystem`. */
export async function describeDisks(place: DiskPlace, options: OpenOptions): Promise<DiskLayers> {
  const { disks } = place;
  const list = await listDisks(disks, { opening: options, look: 'marks', degraded: true });
  const hopeless = disks.length === 1 ? list.failures.find(({ disk, step }) => disk === 0 && step === '') : undefined;
  if (hopeless !== undefined) throw hopeless.error;
  const trees = await treesOf(disks, list);
  const layers: LayerInfo[] = [];
  const problems = list.problems.map(({ problem, ...at }) => ({ ...problem, where: problem.where === '' ? whereOf(place, at) : `${whereOf(place, at)}: ${problem.where}` }));
  for (const [i, { table, parts }] of list.disks.entries()) {
    const which = disks.length > 1 ? { disk: nameOf(place, i) } : {};
    if (table !== undefined) layers.push({ layer: 'table', ...which, ...table, parts });
    else if (trees.includes(i)) {
      const tree = await describeTree([disks[i] as BlockSource], place, options);
      layers.push(...tree.layers.map((layer) => ({ ...layer, ...which })));
      problems.push(...tree.problems);
    }
  }
  // A pool over whole disks was described as the first one's filesystem.
  for (const set of list.sets) if (!isPool(set) || !trees.includes(set.members[0]?.disk ?? -1)) layers.push(setLayer(set, place));
  for (const { error, ...at } of list.failures) problems.push({ kind: 'unreadable', where: whereOf(place, at), message: (error as Error).message });
  return { layers, problems };
}
