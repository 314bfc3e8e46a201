/** Tables of volumes on disks that stay somebody else's: opening one, and arriving at a volume of it. */
import { defaultLimits, type BlockSource, type OpenContext } from '../../core/index.ts';
import { openVolumeTable, type Volume, type VolumeTable, type VolumeTableName } from '../../formats/partitions/index.ts';
import { borrowed } from './borrowed.ts';
import { DiskTree } from './disk-tree.ts';
import { isLocked, lockedError } from './key-remarks.ts';
import type { Closable } from './owner.ts';
import type { Arrival, DiskPlace, OpenOptions } from './place.ts';

/** One disk, or several that belong together. */
export type Disks = readonly [BlockSource, ...BlockSource[]];

/** What readers of formats get of the options. */
export function contextOf({ keys, signal }: OpenOptions): OpenContext {
  return { limits: defaultLimits, ...(keys === undefined ? {} : { keys }), ...(signal === undefined ? {} : { signal }) };
}

/** Opens the table that `name` says is on the disks; closing it leaves them open. Its remarks are noted. @throws as `openVolumeTable`. */
export async function openTable([first, ...others]: Disks, name: VolumeTableName, options: OpenOptions): Promise<VolumeTable> {
  const table = await openVolumeTable([borrowed(first), ...others.map(borrowed)], contextOf(options), name);
  for (const remark of table.facts.remarks) options.onNote?.(`${table.facts.format}: ${remark}`);
  return table;
}

/** Opens a volume; one that is encrypted may have needed a key. @throws as `Volume.open`; where no key fits, the message says how to give one. */
export async function openVolume(volume: Volume, { keyUse }: OpenOptions): Promise<BlockSource> {
  try {
    const source = await volume.open();
    if (volume.step === 'luks') keyUse?.opened();
    return source;
  } catch (error) {
    throw isLocked(error) ? lockedError(error) : error;
  }
}

/** What `info` tells of a volume. */
export function factsOf({ step, type, name, uuid, offset, size }: Volume): object {
  return { step, type, ...(name === undefined ? {} : { name }), ...(uuid === undefined ? {} : { uuid }), ...(offset === undefined ? {} : { offset }), size };
}

/** How a volume was reached. */
export interface VolumeWay {
  readonly table: VolumeTable;
  readonly volume: Volume;
  /** What ends with the volume: its table, and what that lies on. */
  readonly owner: Closable;
  /** Disks on which other members of what is on the volume may be. */
  readonly among: readonly BlockSource[];
  /** Members of the set that are not here. */
  readonly missing?: number;
}

/** Arrives at a volume, which then owns the way to it. After a failure that is the caller's. @throws as {@link openVolume}. */
export async function arriveAtVolume({ table, volume, owner, among, missing = 0 }: VolumeWay, options: OpenOptions): Promise<Arrival> {
  const disk = await openVolume(volume, options);
  const tree = new DiskTree(disk);
  const place: DiskPlace = { kind: 'disk', disks: [disk], among, name: volume.step, view: { tree, id: tree.rootId, path: new Uint8Array() } };
  const { format, remarks } = table.facts;
  return {
    place,
    layer: { layer: 'volume', table: format, ...factsOf(volume), ...(missing > 0 ? { missing } : {}), ...(remarks.length === 0 ? {} : { remarks }) },
    owned: { close: () => disk.close().finally(() => owner.close()) },
    problems: () => table.problems(),
  };
}
