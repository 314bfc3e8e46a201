/**
 * One inode: checked, and as what a tree tells about it.
 * Source: Linux, Documentation/filesystems/ext4 (inodes, dynamic structures, "Inode Timestamps").
 */
import { FormatError, IntegrityError, type NodeStat, type NodeType, type Timestamp } from '../../../core/index.ts';
import { chainCrc, chainCrcOfU32 } from './checksum.ts';
import { I_BLOCK_BYTES, INODE, INODE_BYTES_MIN, INODE_FLAG } from './inode.layout.ts';
import { INCOMPAT } from './superblock.layout.ts';
import type { ExtGeometry } from './superblock.ts';

const STRUCTURE = 'ext inode';
const types: readonly (NodeType | undefined)[] = [
  undefined, 'fifo', 'character', undefined, 'directory', undefined, 'block', undefined, 'file', undefined, 'symlink', undefined, 'socket',
];
const HUGE = 2 ** 32;

/** An error about a field of an inode. */
function inodeFault(number: number, field: keyof typeof INODE, found: string | number, expected: string): FormatError {
  return new FormatError(`Read ext inode ${number}`, { structure: STRUCTURE, field, offset: INODE[field], found, expected });
}

/** Where an inode's bytes begin in a buffer with others: views of each of them would cost a listing more than reading them. */
export interface InodePlace {
  readonly view: DataView;
  readonly at: number;
}

/** Bytes of fields behind the first 128. */
function extraBytesOf({ view, at }: InodePlace, { inodeBytes }: ExtGeometry): number {
  return inodeBytes > INODE_BYTES_MIN ? view.getUint16(at + INODE.i_extra_isize, true) : 0;
}

function typeOf({ view, at }: InodePlace, number: number): NodeType {
  const mode = view.getUint16(at + INODE.i_mode, true);
  const type = types[mode >>> 12];
  if (type === undefined) throw inodeFault(number, 'i_mode', `0o${mode.toString(8)}`, 'a known type of file');
  return type;
}

function sizeOf({ view, at }: InodePlace, number: number, type: NodeType, { incompat }: ExtGeometry): number {
  const low = view.getUint32(at + INODE.i_size_lo, true);
  if (type !== 'file' && (incompat & INCOMPAT.largedir) === 0) return low;
  const high = view.getUint32(at + INODE.i_size_high, true);
  if (high >= 2 ** 21) throw inodeFault(number, 'i_size_high', high, 'less than 2^53 bytes in all');
  return high * HUGE + low;
}

/** A time whose seconds are at byte `field` of the inode, and its other bits at `extraField`, if the inode has `extraBytes` enough. */
function timeOf({ view, at }: InodePlace, field: number, extraField: number, extraBytes: number): Timestamp {
  const seconds = view.getInt32(at + field, true);
  if (extraField + 4 > INODE_BYTES_MIN + extraBytes) return { seconds, nanoseconds: 0 };
  const extra = view.getUint32(at + extraField, true);
  // 30 bits hold more than a second has.
  const nanoseconds = extra >>> 2;
  const carry = nanoseconds >= 1e9 ? 1 : 0;
  return { seconds: seconds + (extra & 3) * HUGE + carry, nanoseconds: nanoseconds - carry * 1e9 };
}

function deviceOf({ view, at }: InodePlace): { readonly deviceMajor: number; readonly deviceMinor: number } {
  const old = view.getUint32(at + INODE.i_block, true);
  if (old !== 0) return { deviceMajor: (old >>> 8) & 0xff, deviceMinor: old & 0xff };
  const value = view.getUint32(at + INODE.i_block + 4, true);
  return { deviceMajor: (value >>> 8) & 0xfff, deviceMinor: (value & 0xff) | ((value >>> 12) & 0xf_ff00) };
}

/** What `lstat` would tell about an inode that was checked. @throws {FormatError} */
export function inodeStat(place: InodePlace, number: number, geometry: ExtGeometry): NodeStat {
  const { view, at } = place;
  const type = typeOf(place, number);
  const size = sizeOf(place, number, type, geometry);
  const extra = extraBytesOf(place, geometry);
  const stat = {
    type, size: type === 'file' || type === 'symlink' ? size : 0, mode: view.getUint16(at + INODE.i_mode, true) & 0o7777,
    uid: view.getUint16(at + INODE.i_uid_high, true) * 0x1_0000 + view.getUint16(at + INODE.i_uid, true),
    gid: view.getUint16(at + INODE.i_gid_high, true) * 0x1_0000 + view.getUint16(at + INODE.i_gid, true),
    modified: timeOf(place, INODE.i_mtime, INODE.i_mtime_extra, extra), accessed: timeOf(place, INODE.i_atime, INODE.i_atime_extra, extra),
    changed: timeOf(place, INODE.i_ctime, INODE.i_ctime_extra, extra), links: view.getUint16(at + INODE.i_links_count, true), inode: number,
  };
  const created = INODE.i_crtime + 4 > INODE_BYTES_MIN + extra ? {} : { created: timeOf(place, INODE.i_crtime, INODE.i_crtime_extra, extra) };
  if (type === 'character' || type === 'block') return { ...stat, ...created, ...deviceOf(place) };
  return { ...stat, ...created };
}

/** The type that {@link inodeStat} would tell, with the same errors. @throws {FormatError} */
export function inodeType(place: InodePlace, number: number, geometry: ExtGeometry): NodeType {
  const type = typeOf(place, number);
  sizeOf(place, number, type, geometry);
  return type;
}

/** An inode where it is checked, behind its number and generation: one buffer, for no promise lies between. */
let scratch = new DataView(new ArrayBuffer(8 + INODE_BYTES_MIN));
let scratchBytes = new Uint8Array(scratch.buffer);

/**
 * Checks an inode's bytes and the fields that all readers rely on.
 * @throws {FormatError} @throws {IntegrityError}
 */
export function checkInode(place: InodePlace, number: number, geometry: ExtGeometry): void {
  const { checksums, inodeBytes } = geometry;
  const extra = extraBytesOf(place, geometry);
  if (checksums === 'crc32c') verify(place, number, extra, geometry);
  if (extra > 0 && (extra % 4 !== 0 || INODE_BYTES_MIN + extra > inodeBytes)) {
    throw inodeFault(number, 'i_extra_isize', extra, `a multiple of 4, at most ${inodeBytes - INODE_BYTES_MIN}`);
  }
}

/** Whether an inode has the upper half of its checksum. */
function hasHighChecksum(extra: number): boolean {
  return INODE.i_checksum_hi + 2 <= INODE_BYTES_MIN + extra;
}

/** What the checksum of an inode's bytes is: as many bits as it has room for. */
function checksumOf({ view, at }: InodePlace, number: number, { inodeBytes, seed }: ExtGeometry, hasHigh: boolean): number {
  if (scratch.byteLength !== 8 + inodeBytes) {
    scratch = new DataView(new ArrayBuffer(8 + inodeBytes));
    scratchBytes = new Uint8Array(scratch.buffer);
  }
  scratch.setUint32(0, number, true);
  scratch.setUint32(4, view.getUint32(at + INODE.i_generation, true), true);
  for (let from = 0; from < inodeBytes; from += 4) scratch.setUint32(8 + from, view.getUint32(at + from, true), true);
  scratch.setUint16(8 + INODE.i_checksum_lo, 0);
  if (hasHigh) scratch.setUint16(8 + INODE.i_checksum_hi, 0);
  const crc = chainCrc(seed, scratchBytes);
  return hasHigh ? crc : crc & 0xffff;
}

/** Gives the bytes of an inode that was put together from parts their checksum. */
export function sealInode(bytes: Uint8Array, number: number, geometry: ExtGeometry): void {
  if (geometry.checksums !== 'crc32c') return;
  const place: InodePlace = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), at: 0 };
  const hasHigh = hasHighChecksum(extraBytesOf(place, geometry));
  const crc = checksumOf(place, number, geometry, hasHigh);
  place.view.setUint16(INODE.i_checksum_lo, crc & 0xffff, true);
  if (hasHigh) place.view.setUint16(INODE.i_checksum_hi, crc >>> 16, true);
}

function verify(place: InodePlace, number: number, extra: number, geometry: ExtGeometry): void {
  const { view, at } = place;
  const hasHigh = hasHighChecksum(extra);
  const found = checksumOf(place, number, geometry, hasHigh);
  const low = view.getUint16(at + INODE.i_checksum_lo, true);
  const stored = hasHigh ? view.getUint16(at + INODE.i_checksum_hi, true) * 0x1_0000 + low : low;
  if (found === stored) return;
  throw new IntegrityError(`Read ext inode ${number}: i_checksum is '${stored}', its bytes give '${found}'`, { structure: STRUCTURE, field: 'i_checksum', inode: number });
}

/** An inode that was checked. It holds a copy of its bytes. */
export class Inode {
  readonly number: number;
  readonly type: NodeType;
  /** Bytes. */
  readonly size: number;
  readonly flags: number;
  /** All bytes of the inode. */
  readonly bytes: Uint8Array;
  readonly data: DataView;
  /** Seed of the checksums of its blocks. */
  readonly seed: number;
  /** Bytes of fields behind the first 128. */
  readonly extraBytes: number;

  /** @throws {FormatError} @throws {IntegrityError} */
  constructor(number: number, bytes: Uint8Array, geometry: ExtGeometry) {
    this.number = number;
    this.bytes = bytes;
    this.data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const place: InodePlace = { view: this.data, at: 0 };
    checkInode(place, number, geometry);
    this.seed = chainCrcOfU32(chainCrcOfU32(geometry.seed, number), this.data.getUint32(INODE.i_generation, true));
    this.type = typeOf(place, number);
    this.flags = this.data.getUint32(INODE.i_flags, true);
    this.size = sizeOf(place, number, this.type, geometry);
    this.extraBytes = extraBytesOf(place, geometry);
  }

  /** Block numbers, the root of an extent tree, a short target or inline data. */
  get block(): Uint8Array {
    return this.bytes.subarray(INODE.i_block, INODE.i_block + I_BLOCK_BYTES);
  }

  /** Block of extended attributes; 0 without one. */
  get attributeBlock(): number {
    return this.data.getUint16(INODE.i_file_acl_high, true) * HUGE + this.data.getUint32(INODE.i_file_acl_lo, true);
  }

  has(flag: keyof typeof INODE_FLAG): boolean {
    return (this.flags & INODE_FLAG[flag]) !== 0;
  }

  /** An error about a field. */
  fault(field: keyof typeof INODE, found: string | number, expected: string): FormatError {
    return inodeFault(this.number, field, found, expected);
  }
}
