/** An md superblock of any version, as one description of the array and of the disk that holds it. */
import { type BlockSource, FormatError, IntegrityError, UnsupportedError } from '../../../core/index.ts';
import { uuidText } from '../../mapping/guid.ts';
import { readableRange, readStructure, textUntilNul } from '../parts.ts';
import { constantLayout, descriptorLayout, DISK_STATE, FEATURE, MD_MAGIC, personalityLayout, ROLE, stateLayout, SUPER_90, super1Layout } from './md.layout.ts';

/** Versions by where the superblock is. */
export type MdVersion = '0.90' | '1.0' | '1.1' | '1.2';

/** What a superblock says; places and sizes in bytes. */
export interface MdSuperblock {
  readonly version: MdVersion;
  /** Where it was found. */
  readonly at: number;
  readonly setUuid: string;
  readonly name: string;
  readonly level: number;
  readonly layout: number;
  readonly chunkBytes: number;
  /** Used on each disk, for levels with redundancy. */
  readonly componentBytes: number;
  readonly raidDisks: number;
  readonly events: number;
  /** This disk's number among `roles`. */
  readonly deviceNumber: number;
  readonly memberUuid: string;
  /** Slot in the array by disk number; undefined for spares, faulty ones and journals. */
  readonly roles: readonly (number | undefined)[];
  readonly dataOffset: number;
  readonly dataBytes: number;
  /** Writes were under way, or a resync was not finished. */
  readonly dirty: boolean;
  /** This disk is still being filled. */
  readonly recovering: boolean;
  readonly reshaping: boolean;
  /** It knows of places of this disk that cannot be read. */
  readonly badBlocks: boolean;
  /** This disk is the journal. */
  readonly journal: boolean;
  /** Some disk is a journal. */
  readonly journaled: boolean;
  readonly writeMostly: boolean;
}

/** Kernel versions before 3.14 and after place bytes of unequal disks differently; the layout says which when this feature is set. */
const RAID0_UNTOLD = 0;

/** Where a superblock of a version is on a disk of `size` bytes. Source: Linux `drivers/md/md.c`, `calc_dev_sboffset`, `super_1_load`. */
function placeOf(version: MdVersion, size: number): number {
  switch (version) {
    case '0.90': return Math.floor(size / 65_536) * 65_536 - 65_536;
    case '1.0': return Math.floor((Math.floor(size / 512) - 16) / 8) * 4096;
    case '1.1': return 0;
    case '1.2': return 4096;
  }
}

const versions: readonly MdVersion[] = ['1.2', '1.1', '1.0', '0.90'];

/** Sum of all words with the carry added once. */
function wordSum(bytes: Uint8Array, csumAt: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let sum = 0;
  let at = 0;
  for (; at + 4 <= bytes.length; at += 4) if (at !== csumAt) sum += view.getUint32(at, true);
  if (at + 2 <= bytes.length) sum += view.getUint16(at, true);
  return (sum % 2 ** 32 + Math.floor(sum / 2 ** 32)) >>> 0;
}

function checkSum(bytes: Uint8Array, csumAt: number, expected: number, where: { readonly structure: string; readonly offset: number }): void {
  const found = wordSum(bytes, csumAt);
  if (found !== expected) throw new IntegrityError(`Read ${where.structure} at offset ${where.offset}: checksum '${found}', expected '${expected}'`, { ...where, field: 'sb_csum' });
}

function allOnes(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0xff);
}

async function readSuper90(disk: BlockSource, at: number): Promise<MdSuperblock> {
  const bytes = await readStructure(disk, at, SUPER_90.bytes, constantLayout.name);
  const constant = constantLayout.view(bytes, 0, at);
  const state = stateLayout.view(bytes, SUPER_90.state, at + SUPER_90.state);
  checkSum(bytes, SUPER_90.state + stateLayout.offsets.sb_csum, state.sb_csum, { structure: constantLayout.name, offset: at });
  const personality = personalityLayout.view(bytes, SUPER_90.personality, at + SUPER_90.personality);
  const own = descriptorLayout.view(bytes, SUPER_90.thisDisk, at + SUPER_90.thisDisk);
  const roles: (number | undefined)[] = [];
  for (let i = 0; i < SUPER_90.disksMax; i += 1) {
    const disk = descriptorLayout.view(bytes, SUPER_90.disks + i * SUPER_90.diskBytes, at);
    const usable = (disk.state & DISK_STATE.sync) !== 0 && (disk.state & (DISK_STATE.faulty | DISK_STATE.removed)) === 0;
    roles.push(usable ? disk.raid_disk : undefined);
  }
  return {
    version: '0.90', at, setUuid: uuidText(Uint8Array.from([...constant.set_uuid0, ...constant.set_uuid1])), name: String(constant.md_minor), level: constant.level,
    layout: constant.level === 0 ? RAID0_UNTOLD : personality.layout, chunkBytes: personality.chunk_size, componentBytes: constant.size * 1024, raidDisks: constant.raid_disks,
    events: state.events, deviceNumber: own.number, memberUuid: String(own.number), roles, dataOffset: 0, dataBytes: at,
    dirty: (state.state & 1) === 0,
    recovering: false, reshaping: constant.minor_version > 90, badBlocks: false, journal: false, journaled: false, writeMostly: (own.state & DISK_STATE.writeMostly) !== 0,
  };
}

async function readSuper1(disk: BlockSource, at: number, version: MdVersion): Promise<MdSuperblock> {
  const whole = await readStructure(disk, at, Math.min(4096, disk.size - at), super1Layout.name);
  const view = super1Layout.view(whole, 0, at);
  const fault = (field: keyof typeof super1Layout.offsets, found: number, expected: string): FormatError =>
    new FormatError('Read md superblock', { structure: super1Layout.name, field, offset: at + super1Layout.offsets[field], found, expected });
  const length = super1Layout.size + view.max_dev * 2;
  if (length > whole.length) throw fault('max_dev', view.max_dev, 'at most 1920');
  checkSum(whole.subarray(0, length), super1Layout.offsets.sb_csum, view.sb_csum, { structure: super1Layout.name, offset: at });
  const features = view.feature_map;
  if (features >= FEATURE.raid0Layout * 2) throw new UnsupportedError(`Open md array: features '0x${features.toString(16)}' of the superblock are not known`);
  const has = (bit: number): boolean => (features & bit) !== 0;
  const words = new DataView(whole.buffer, whole.byteOffset + super1Layout.size, view.max_dev * 2);
  const roles = Array.from({ length: view.max_dev }, (_, i) => words.getUint16(i * 2, true)).map((role) => (role <= ROLE.max ? role : undefined));
  const ownRole = view.dev_number < view.max_dev ? words.getUint16(view.dev_number * 2, true) : ROLE.spare;
  const fullName = textUntilNul(view.set_name);
  return {
    version, at, setUuid: uuidText(view.set_uuid), name: fullName.slice(fullName.indexOf(':') + 1), level: view.level,
    layout: view.level === 0 && !has(FEATURE.raid0Layout) ? RAID0_UNTOLD : view.layout, chunkBytes: view.chunksize * 512, componentBytes: view.size * 512, raidDisks: view.raid_disks,
    events: view.events, deviceNumber: view.dev_number, memberUuid: uuidText(view.device_uuid), roles,
    dataOffset: view.data_offset * 512, dataBytes: view.data_size * 512, dirty: !allOnes(view.resync_offset),
    recovering: has(FEATURE.recoveryOffset) && !has(FEATURE.journal), reshaping: has(FEATURE.reshapeActive), badBlocks: has(FEATURE.badBlocks),
    journal: ownRole === ROLE.journal, journaled: has(FEATURE.journal), writeMostly: (view.devflags & 1) !== 0,
  };
}

/** Whether a superblock of this version is at its place; one of a partition that lies at the disk's end is not the disk's. */
async function isThere(disk: BlockSource, at: number, version: MdVersion): Promise<boolean> {
  if (at < 0 || at + super1Layout.size > disk.size) return false;
  const bytes = await readableRange(disk, at, super1Layout.size);
  if (bytes === undefined) return false;
  const view = super1Layout.view(bytes, 0, at);
  if (view.magic !== MD_MAGIC) return false;
  if (version === '0.90') return view.major_version === 0;
  const place = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(super1Layout.offsets.super_offset, true);
  return view.major_version === 1 && place * 512n === BigInt(at);
}

/** Where the superblock of a disk is; undefined when it has none. */
export async function findSuperblock(disk: BlockSource): Promise<{ readonly version: MdVersion; readonly at: number } | undefined> {
  for (const version of versions) {
    const at = placeOf(version, disk.size);
    if (await isThere(disk, at, version)) return { version, at };
  }
  return undefined;
}

/** Reads a disk's superblock. @throws {FormatError} it has none. @throws {IntegrityError} its checksum does not hold. @throws {UnsupportedError} */
export async function readSuperblock(disk: BlockSource): Promise<MdSuperblock> {
  const found = await findSuperblock(disk);
  if (found === undefined) throw new FormatError('Open md array', { structure: 'md superblock', field: 'magic', expected: MD_MAGIC.toString(16) });
  return found.version === '0.90' ? readSuper90(disk, found.at) : readSuper1(disk, found.at, found.version);
}
