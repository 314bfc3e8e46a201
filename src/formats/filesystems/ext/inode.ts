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

/** Bytes of fields behind the first 128. */
function extraBytesOf(data: DataView): number {
  return data.byteLength > INODE_BYTES_MIN ? data.getUint16(INODE.i_extra_isize, true) : 0;
}

function typeOf(data: DataView, number: number): NodeType {
  const mode = data.getUint16(INODE.i_mode, true);
  const type = types[mode >>> 12];
  if (type === undefined) throw inodeFault(number, 'i_mode', `0o${mode.toString(8)}`, 'a known type of file');
  return type;
}

function sizeOf(data: DataView, number: number, type: NodeType, { incompat }: ExtGeometry): number {
  const low = data.getUint32(INODE.i_size_lo, true);
  if (type !== 'file' && (incompat & INCOMPAT.largedir) === 0) return low;
  const high = data.getUint32(INODE.i_size_high, true);
  if (high >= 2 ** 21) throw inodeFault(number, 'i_size_high', high, 'less than 2^53 bytes in all');
  return high * HUGE + low;
}

function timeOf(data: DataView, at: number, extraAt: number): Timestamp {
  const seconds = data.getInt32(at, true);
  if (extraAt + 4 > INODE_BYTES_MIN + extraBytesOf(data)) return { seconds, nanoseconds: 0 };
  const extra = data.getUint32(extraAt, true);
  // 30 bits hold more than a second has.
  const nanoseconds = extra >>> 2;
  const carry = nanoseconds >= 1e9 ? 1 : 0;
  return { seconds: seconds + (extra & 3) * HUGE + carry, nanoseconds: nanoseconds - carry * 1e9 };
}

function deviceOf(data: DataView): { readonly deviceMajor: number; readonly deviceMinor: number } {
  const old = data.getUint32(INODE.i_block, true);
  if (old !== 0) return { deviceMajor: (old >>> 8) & 0xff, deviceMinor: old & 0xff };
  const value = data.getUint32(INODE.i_block + 4, true);
  return { deviceMajor: (value >>> 8) & 0xfff, deviceMinor: (value & 0xff) | ((value >>> 12) & 0xf_ff00) };
}

/** What `lstat` would tell about an inode that was checked; `data` are all of its bytes. @throws {FormatError} */
export function inodeStat(data: DataView, number: number, geometry: ExtGeometry): NodeStat {
  const type = typeOf(data, number);
  const size = sizeOf(data, number, type, geometry);
  const stat = {
    type, size: type === 'file' || type === 'symlink' ? size : 0, mode: data.getUint16(INODE.i_mode, true) & 0o7777,
    uid: data.getUint16(INODE.i_uid_high, true) * 0x1_0000 + data.getUint16(INODE.i_uid, true),
    gid: data.getUint16(INODE.i_gid_high, true) * 0x1_0000 + data.getUint16(INODE.i_gid, true),
    modified: timeOf(data, INODE.i_mtime, INODE.i_mtime_extra), accessed: timeOf(data, INODE.i_atime, INODE.i_atime_extra),
    changed: timeOf(data, INODE.i_ctime, INODE.i_ctime_extra), links: data.getUint16(INODE.i_links_count, true), inode: number,
  };
  const created = INODE.i_crtime + 4 > INODE_BYTES_MIN + extraBytesOf(data) ? {} : { created: timeOf(data, INODE.i_crtime, INODE.i_crtime_extra) };
  if (type === 'character' || type === 'block') return { ...stat, ...created, ...deviceOf(data) };
  return { ...stat, ...created };
}

/** An inode where it is checked, behind its number and generation: one buffer, for no promise lies between. */
let scratch = new DataView(new ArrayBuffer(8 + INODE_BYTES_MIN));
let scratchBytes = new Uint8Array(scratch.buffer);

/**
 * Checks an inode's bytes and the fields that all readers rely on.
 * @throws {FormatError} @throws {IntegrityError}
 */
export function checkInode(data: DataView, number: number, { checksums, seed }: ExtGeometry): void {
  if (checksums === 'crc32c') verify(data, number, seed);
  const extra = extraBytesOf(data);
  if (extra > 0 && (extra % 4 !== 0 || INODE_BYTES_MIN + extra > data.byteLength)) {
    throw inodeFault(number, 'i_extra_isize', extra, `a multiple of 4, at most ${data.byteLength - INODE_BYTES_MIN}`);
  }
}

function verify(data: DataView, number: number, seed: number): void {
  const length = data.byteLength;
  if (scratch.byteLength !== 8 + length) {
    scratch = new DataView(new ArrayBuffer(8 + length));
    scratchBytes = new Uint8Array(scratch.buffer);
  }
  scratch.setUint32(0, number, true);
  scratch.setUint32(4, data.getUint32(INODE.i_generation, true), true);
  for (let at = 0; at < length; at += 4) scratch.setUint32(8 + at, data.getUint32(at, true), true);
  const hasHigh = INODE.i_checksum_hi + 2 <= INODE_BYTES_MIN + extraBytesOf(data);
  scratch.setUint16(8 + INODE.i_checksum_lo, 0);
  if (hasHigh) scratch.setUint16(8 + INODE.i_checksum_hi, 0);
  const crc = chainCrc(seed, scratchBytes);
  const low = data.getUint16(INODE.i_checksum_lo, true);
  const stored = hasHigh ? data.getUint16(INODE.i_checksum_hi, true) * 0x1_0000 + low : low;
  const found = hasHigh ? crc : crc & 0xffff;
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
    checkInode(this.data, number, geometry);
    this.seed = chainCrcOfU32(chainCrcOfU32(geometry.seed, number), this.data.getUint32(INODE.i_generation, true));
    this.type = typeOf(this.data, number);
    this.flags = this.data.getUint32(INODE.i_flags, true);
    this.size = sizeOf(this.data, number, this.type, geometry);
    this.extraBytes = extraBytesOf(this.data);
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
