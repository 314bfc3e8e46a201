/**
 * The superblock: found, verified and understood. The first copy counts; the spare ones at 64 MiB and 256 GiB only when it is damaged.
 * Source: btrfs documentation, "On-disk format", superblock; kernel `fs/btrfs/disk-io.c` for what is checked.
 */
import { type BlockSource, equalBytes, FormatError, IntegrityError, type ProbeVerdict, readRange, textOf, UnsupportedError, utf8 } from '../../../core/index.ts';
import { uuidText } from '../../mapping/guid.ts';
import { deviceLayout, superblockLayout, type SuperblockView } from './btrfs.layout.ts';
import { type Checksum, checksumOf } from './checksum.ts';

/** Bytes of a superblock. */
export const SUPERBLOCK_BYTES = 4096;
/** Where the copies lie, in bytes from the start of a device. */
export const SUPERBLOCK_PLACES: readonly number[] = [64 << 10, 64 << 20, 256 * 2 ** 30];
const MAGIC = utf8('_BHRfS_M');

/** Features that change what is on the disk, by bit; those with a reason are not read. */
const incompatible: readonly (readonly [string, string?])[] = [
  ['mixed_backref'], ['default_subvol'], ['mixed_groups'], ['compress_lzo'], ['compress_zstd'], ['big_metadata'], ['extended_iref'], ['raid56'],
  ['skinny_metadata'], ['no_holes'], ['metadata_uuid'], ['raid1c34'], ['zoned', 'not read'], ['extent-tree-v2', 'not read'], ['raid-stripe-tree', 'not read'], ['bit 15', 'unknown'], ['simple_quota'],
];
const METADATA_UUID = 10;

/** States in which the blocks don't all mean the same, or data is missing. */
const states: ReadonlyMap<number, string> = new Map([
  [33, 'a metadata dump without data'], [34, 'a metadata dump without data'], [35, 'its uuid is being changed'], [36, 'its uuid is being changed'],
  [39, 'its data checksums are being changed'], [40, 'its metadata checksums are being changed'],
]);

/** What a superblock says, checked. */
export interface Superblock {
  readonly view: SuperblockView;
  readonly device: { readonly id: number; readonly uuid: string; readonly bytes: number };
  /** Identity of the filesystem, as its tools write it. */
  readonly uuid: string;
  /** What the heads of its tree blocks carry. */
  readonly metadataUuid: Uint8Array;
  readonly label: string;
  readonly checksum: Checksum;
  /** The copy that was used: 0, or a spare one. */
  readonly copy: number;
}

function bit(flags: number, index: number): boolean {
  return Math.floor(flags / 2 ** index) % 2 === 1;
}

function fault(field: string, place: number, found: string | number, expected: string | number): FormatError {
  return new FormatError('Open btrfs', { structure: 'btrfs_super_block', field, offset: place, found, expected });
}

function powerOfTwo(value: number, low: number, high: number): boolean {
  return value >= low && value <= high && (value & (value - 1)) === 0;
}

function checkFeatures(flags: number): void {
  for (let index = 0; index < 53; index += 1) {
    if (!bit(flags, index)) continue;
    const [name, reason] = incompatible[index] ?? [`bit ${index}`, 'unknown'];
    if (reason !== undefined) throw new UnsupportedError(`Open btrfs: its incompatible feature '${name}' is ${reason}`, { feature: name });
  }
}

function checkGeometry(view: SuperblockView, place: number): void {
  if (!powerOfTwo(view.sectorsize, 512, 65_536)) throw fault('sectorsize', place, view.sectorsize, 'a power of two from 512 to 65536');
  if (!powerOfTwo(view.nodesize, Math.max(view.sectorsize, 4096), 65_536)) throw fault('nodesize', place, view.nodesize, 'a power of two from the sector size to 65536');
  if (view.sys_chunk_array_size > 2048) throw fault('sys_chunk_array_size', place, view.sys_chunk_array_size, 'at most 2048');
  for (const field of ['root_level', 'chunk_root_level', 'log_root_level'] as const) if (view[field] > 7) throw fault(field, place, view[field], 'at most 7');
  for (const field of ['root', 'chunk_root', 'log_root'] as const) if (view[field] % 512 !== 0) throw fault(field, place, view[field], 'a multiple of 512');
  for (const [index, state] of states) if (bit(view.flags, index)) throw new UnsupportedError(`Open btrfs: ${state}`, { flag: index });
  checkFeatures(view.incompat_flags);
}

/** One copy. @throws {FormatError} @throws {IntegrityError} @throws {UnsupportedError} */
async function readCopy(source: BlockSource, copy: number): Promise<Superblock> {
  const place = SUPERBLOCK_PLACES[copy] as number;
  if (place + SUPERBLOCK_BYTES > source.size) throw fault('magic', place, 'the end of the device', '_BHRfS_M');
  const bytes = await readRange(source, place, SUPERBLOCK_BYTES);
  const view = superblockLayout.view(bytes, 0, place);
  if (!equalBytes(view.magic, MAGIC)) throw fault('magic', place, Buffer.from(view.magic).toString('hex'), '_BHRfS_M');
  const checksum = await checksumOf(view.csum_type);
  if (!checksum.holds(bytes.subarray(32), view.csum, 0)) {
    throw new IntegrityError(`Open btrfs: the ${checksum.name} checksum of the superblock at offset ${place} does not hold`, { structure: 'btrfs_super_block', field: 'csum', offset: place });
  }
  if (view.bytenr !== place) throw fault('bytenr', place, view.bytenr, place);
  checkGeometry(view, place);
  const device = deviceLayout.view(view.dev_item, 0, place + superblockLayout.offsets.dev_item);
  const end = view.label.indexOf(0);
  return {
    view, checksum, copy, uuid: uuidText(view.fsid),
    device: { id: device.devid, uuid: uuidText(device.uuid), bytes: device.total_bytes },
    metadataUuid: bit(view.incompat_flags, METADATA_UUID) ? view.metadata_uuid : view.fsid,
    label: textOf(end < 0 ? view.label : view.label.subarray(0, end)),
  };
}

/**
 * The superblock of a device.
 * @throws {FormatError} @throws {IntegrityError} what is wrong with the first copy, when no spare one is good. @throws {UnsupportedError}
 */
export async function readSuperblock(source: BlockSource): Promise<Superblock> {
  let failure: unknown;
  for (const copy of SUPERBLOCK_PLACES.keys()) {
    try {
      return await readCopy(source, copy);
    } catch (error) {
      // A spare copy is asked about damage, never about a feature that is not read.
      if (error instanceof UnsupportedError) throw failure ?? error;
      if (!(error instanceof FormatError || error instanceof IntegrityError)) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

async function hasMagic(source: BlockSource, copy: number): Promise<boolean> {
  const at = (SUPERBLOCK_PLACES[copy] as number) + superblockLayout.offsets.magic;
  return at + 8 <= source.size && equalBytes(await readRange(source, at, 8), MAGIC);
}

/**
 * Whether a device holds btrfs. A spare copy alone counts only when everything in front of the first one is zeroes: else it may be left over
 * from before the device was used for something else.
 */
export async function probeSuperblock(source: BlockSource): Promise<ProbeVerdict> {
  const first = await hasMagic(source, 0);
  if (!first && (!(await hasMagic(source, 1)) || (await readRange(source, 0, 64 << 10)).some((byte) => byte !== 0))) return { match: 'no' };
  try {
    await readSuperblock(source);
    return { match: 'yes', version: 'btrfs' };
  } catch (error) {
    // What is not read is still btrfs: opening says what it is.
    if (error instanceof UnsupportedError) return { match: 'yes', version: 'btrfs' };
    return { match: 'damaged', reason: (error as Error).message };
  }
}
