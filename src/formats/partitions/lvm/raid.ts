/**
 * Logical volumes of several images: mirrors, and md's levels run by dm-raid. An image that failed, that is being filled, or whose disk is missing is
 * left out. Source: LVM2 `man 7 lvmraid`; Linux `drivers/md/dm-raid.c`, `raid_types`, `dm_raid_superblock`.
 */
import { type BlockSource, FormatError, HoldfastError, NotFoundError, UnsupportedError } from '../../../core/index.ts';
import type { BlockMap } from '../../mapping/run.ts';
import { Raid10Map } from '../md/mirrored.ts';
import { PARITY_LAYOUT, ParityMap } from '../md/parity.ts';
import { type ArrayDisk, StripedMap } from '../md/striped.ts';
import { PieceMap, readStructure } from '../parts.ts';
import { RAID_RESHAPE_ACTIVE, RAID_SUPER_MAGIC, RAID_SUPER_V190, raidSuperLayout, SECTOR } from './lvm.layout.ts';

/** LVM's names of levels with parity as md's level and layout. */
const parityTypes: Readonly<Record<string, { readonly level: 5 | 6; readonly layout: number }>> = {
  raid4: { level: 5, layout: PARITY_LAYOUT.parityLast }, raid5: { level: 5, layout: PARITY_LAYOUT.leftSymmetric }, raid5_n: { level: 5, layout: PARITY_LAYOUT.parityLast },
  raid5_la: { level: 5, layout: PARITY_LAYOUT.leftAsymmetric }, raid5_ra: { level: 5, layout: PARITY_LAYOUT.rightAsymmetric },
  raid5_ls: { level: 5, layout: PARITY_LAYOUT.leftSymmetric }, raid5_rs: { level: 5, layout: PARITY_LAYOUT.rightSymmetric },
  raid6: { level: 6, layout: PARITY_LAYOUT.rotatingZeroRestart }, raid6_zr: { level: 6, layout: PARITY_LAYOUT.rotatingZeroRestart },
  raid6_nr: { level: 6, layout: PARITY_LAYOUT.rotatingNRestart }, raid6_nc: { level: 6, layout: PARITY_LAYOUT.rotatingNContinue }, raid6_n_6: { level: 6, layout: PARITY_LAYOUT.parityLast },
  raid6_la_6: { level: 6, layout: PARITY_LAYOUT.leftAsymmetric6 }, raid6_ra_6: { level: 6, layout: PARITY_LAYOUT.rightAsymmetric6 },
  raid6_ls_6: { level: 6, layout: PARITY_LAYOUT.leftSymmetric6 }, raid6_rs_6: { level: 6, layout: PARITY_LAYOUT.rightSymmetric6 },
};

/** One image of a volume: its bytes and what dm-raid says about it, or why they cannot be had. */
export interface RaidImage {
  readonly data: BlockSource | HoldfastError;
  /** The metadata image; undefined for types that have none. */
  readonly metadata: BlockSource | HoldfastError | undefined;
}

/** What a RAID volume's segment says. */
export interface RaidShape {
  readonly type: string;
  readonly stripeBytes: number;
  /** Bytes of the volume. */
  readonly size: number;
  /** Copies of each stripe; RAID 10 only. */
  readonly copies: number;
  /** Bytes of each image in front of or behind its data that a reshape needed. */
  readonly spareBytes: number;
}

interface RaidSuper {
  readonly events: number;
  readonly failed: bigint;
  readonly recovering: boolean;
  readonly dirty: boolean;
  readonly level: number;
  readonly layout: number;
  /** Where data begins in the image. */
  readonly dataAt: number;
  readonly devices: number;
  readonly stripeBytes: number;
}

async function readRaidSuper(metadata: BlockSource): Promise<RaidSuper | undefined> {
  const view = raidSuperLayout.view(await readStructure(metadata, 0, raidSuperLayout.size, raidSuperLayout.name));
  // A volume that was never active has none.
  if (view.magic !== RAID_SUPER_MAGIC) return undefined;
  const extended = (view.compat_features & RAID_SUPER_V190) !== 0;
  if (extended && (view.flags & RAID_RESHAPE_ACTIVE) !== 0) throw new UnsupportedError('Open RAID volume: it is being reshaped');
  const ones = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0xff);
  const failed = Buffer.from(view.failed_devices).readBigUInt64LE();
  return { events: view.events, failed, recovering: !ones(view.disk_recovery_offset), dirty: !ones(view.array_resync_offset), level: view.level, layout: view.layout, dataAt: extended ? view.data_offset * SECTOR : 0, devices: view.num_devices, stripeBytes: view.stripe_sectors * SECTOR };
}

/** The images that take part, by slot. */
interface RaidState {
  readonly disks: readonly (ArrayDisk | undefined)[];
  readonly truth: RaidSuper | undefined;
  /** Why the first missing image is missing. */
  readonly failure: HoldfastError | undefined;
}

/** The part of an image that has data: a finished reshape leaves it at either end of the image. @throws {FormatError} */
function dataOf(data: BlockSource, own: RaidSuper | undefined, spareBytes: number): ArrayDisk {
  const at = own?.dataAt ?? 0;
  if (own === undefined && spareBytes > 0) throw new FormatError('Open RAID volume', { structure: raidSuperLayout.name, field: 'magic', expected: `'${RAID_SUPER_MAGIC}': it says where data begins in an image that was reshaped` });
  if (at > spareBytes) throw new FormatError('Open RAID volume', { structure: raidSuperLayout.name, field: 'data_offset', found: at, expected: `at most ${spareBytes}` });
  return { file: data, at, length: data.size - spareBytes };
}

async function stateOf(images: readonly RaidImage[], spareBytes: number): Promise<RaidState> {
  const supers: (RaidSuper | undefined)[] = [];
  for (const { metadata } of images) supers.push(metadata === undefined || metadata instanceof HoldfastError ? undefined : await readRaidSuper(metadata));
  const truth = supers.reduce((best, one) => (one !== undefined && (best === undefined || one.events > best.events) ? one : best), undefined);
  let failure: HoldfastError | undefined;
  const disks = images.map(({ data, metadata }, slot): ArrayDisk | undefined => {
    const own = supers[slot];
    let reason: HoldfastError | undefined;
    if (data instanceof HoldfastError) reason = data;
    else if (metadata instanceof HoldfastError) reason = metadata;
    else if (truth !== undefined && (own === undefined || own.events + 1 < truth.events)) reason = new NotFoundError(`Open RAID volume: image '${slot}' fell behind the others`);
    else if (truth !== undefined && (truth.failed >> BigInt(slot) & 1n) === 1n) reason = new NotFoundError(`Open RAID volume: image '${slot}' is marked as failed`);
    else if (own?.recovering === true) reason = new NotFoundError(`Open RAID volume: image '${slot}' is still being filled`);
    if (reason === undefined) return dataOf(data as BlockSource, own, spareBytes);
    failure ??= reason;
    return undefined;
  });
  return { disks, truth, failure };
}

/** All images, for types without redundancy. */
function complete({ disks, failure }: RaidState): readonly ArrayDisk[] {
  if (failure !== undefined) throw failure;
  return disks as readonly ArrayDisk[];
}

/** The map of a RAID volume. @throws {UnsupportedError} @throws {NotFoundError} too many images are missing. @throws {FormatError} */
export async function raidMap(images: readonly RaidImage[], { type, stripeBytes, size, copies, spareBytes }: RaidShape): Promise<BlockMap> {
  const state = await stateOf(images, spareBytes);
  const { disks, truth, failure } = state;
  if (type === 'mirror' || type === 'raid1') {
    const disk = disks.find((one) => one !== undefined);
    if (disk === undefined) throw failure ?? new FormatError('Open mirrored volume', { structure: 'LVM metadata', field: 'images', found: 0, expected: 'at least 1' });
    return new PieceMap([disk]);
  }
  // LVM writes down the new shape before the kernel begins to make it.
  if (truth !== undefined && (truth.devices !== disks.length || truth.stripeBytes !== stripeBytes)) {
    throw new UnsupportedError(`Open RAID volume: it is about to be reshaped, from '${truth.devices}' images and stripes of '${truth.stripeBytes}' bytes to '${disks.length}' and '${stripeBytes}'`);
  }
  if (type === 'raid0' || type === 'raid0_meta') return new StripedMap(complete(state), stripeBytes);
  if (type === 'raid10') {
    if (disks.length === 0 || copies === 0) throw new FormatError('Open RAID volume', { structure: 'LVM metadata', field: 'data_copies', found: copies, expected: 'at least 1' });
    return new Raid10Map(disks, { chunkBytes: stripeBytes, componentBytes: size * copies / disks.length, layout: 0x100 | copies });
  }
  const parity = parityTypes[type];
  if (parity === undefined) throw new UnsupportedError(`Open RAID volume: type '${type}' is not read`);
  if (failure !== undefined && truth?.dirty === true) throw new UnsupportedError('Open RAID volume: an image is missing and the volume was not stopped in order, so that parity may be stale', {}, failure);
  const dataDisks = disks.length - (parity.level === 6 ? 2 : 1);
  // The kernel has the last word on the layout: what it wrote is what it will read.
  const layout = truth !== undefined && truth.level === parity.level ? truth.layout : parity.layout;
  return new ParityMap(disks, { level: parity.level, layout, chunkBytes: stripeBytes, componentBytes: size / dataDisks });
}
