/**
 * One inode: checked, and as what a tree tells about it.
 * Source: Linux, Documentation/filesystems/ext4 (inodes, dynamic structures, "Inode Timestamps").
 */
import { FormatError, IntegrityError, type NodeStat, type NodeType, type Timestamp } from '../../../core/index.ts';
import { chainCrc, chainCrcAround } from './checksum.ts';
import { inodeSeed } from './group-table.ts';
import { I_BLOCK_BYTES, INODE, INODE_BYTES_MIN, INODE_FLAG } from './inode.layout.ts';
import { INCOMPAT } from './superblock.layout.ts';
import type { ExtGeometry } from './superblock.ts';

const STRUCTURE = 'ext inode';
const types: readonly (NodeType | undefined)[] = [
  undefined, 'fifo', 'character', undefined, 'directory', undefined, 'block', undefined, 'file', undefined, 'symlink', undefined, 'socket',
];
const HUGE = 2 ** 32;

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

  /** @throws {FormatError} @throws {IntegrityError} */
  constructor(number: number, bytes: Uint8Array, geometry: ExtGeometry) {
    this.number = number;
    this.bytes = bytes;
    this.data = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.seed = geometry.checksums === 'crc32c' ? inodeSeed(geometry, number, this.data.getUint32(INODE.i_generation, true)) : 0;
    if (geometry.checksums === 'crc32c') this.#verify();
    const mode = this.data.getUint16(INODE.i_mode, true);
    const type = types[mode >>> 12];
    if (type === undefined) throw this.fault('i_mode', `0o${mode.toString(8)}`, 'a known type of file');
    this.type = type;
    this.flags = this.data.getUint32(INODE.i_flags, true);
    this.size = this.#sizeOf(type, geometry);
    if (this.extraBytes > 0 && (this.extraBytes % 4 !== 0 || INODE_BYTES_MIN + this.extraBytes > bytes.length)) {
      throw this.fault('i_extra_isize', this.extraBytes, `a multiple of 4, at most ${bytes.length - INODE_BYTES_MIN}`);
    }
  }

  /** Bytes of fields behind the first 128. */
  get extraBytes(): number {
    return this.bytes.length > INODE_BYTES_MIN ? this.data.getUint16(INODE.i_extra_isize, true) : 0;
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
    return new FormatError(`Read ext inode ${this.number}`, { structure: STRUCTURE, field, offset: INODE[field], found, expected });
  }

  /** Whether a field of `bytes` bytes at `at` is there. */
  #fits(at: number, bytes: number): boolean {
    return at + bytes <= INODE_BYTES_MIN + this.extraBytes;
  }

  #sizeOf(type: NodeType, { incompat }: ExtGeometry): number {
    const low = this.data.getUint32(INODE.i_size_lo, true);
    if (type !== 'file' && (incompat & INCOMPAT.largedir) === 0) return low;
    const high = this.data.getUint32(INODE.i_size_high, true);
    if (high >= 2 ** 21) throw this.fault('i_size_high', high, 'less than 2^53 bytes in all');
    return high * HUGE + low;
  }

  #verify(): void {
    const { bytes, data } = this;
    const hasHigh = this.#fits(INODE.i_checksum_hi, 2);
    const middle = chainCrcAround(this.seed, bytes.subarray(0, INODE_BYTES_MIN), INODE.i_checksum_lo, 2);
    const rest = bytes.subarray(INODE_BYTES_MIN);
    const crc = hasHigh ? chainCrcAround(middle, rest, INODE.i_checksum_hi - INODE_BYTES_MIN, 2) : chainCrc(middle, rest);
    const low = data.getUint16(INODE.i_checksum_lo, true);
    const stored = hasHigh ? data.getUint16(INODE.i_checksum_hi, true) * 0x1_0000 + low : low;
    const found = hasHigh ? crc : crc & 0xffff;
    if (found === stored) return;
    throw new IntegrityError(`Read ext inode ${this.number}: i_checksum is '${stored}', its bytes give '${found}'`, { structure: STRUCTURE, field: 'i_checksum', inode: this.number });
  }

  #time(at: number, extraAt: number): Timestamp {
    const seconds = this.data.getInt32(at, true);
    if (!this.#fits(extraAt, 4)) return { seconds, nanoseconds: 0 };
    const extra = this.data.getUint32(extraAt, true);
    // 30 bits hold more than a second has.
    const nanoseconds = extra >>> 2;
    const carry = nanoseconds >= 1e9 ? 1 : 0;
    return { seconds: seconds + (extra & 3) * HUGE + carry, nanoseconds: nanoseconds - carry * 1e9 };
  }

  #device(): { readonly deviceMajor: number; readonly deviceMinor: number } {
    const old = this.data.getUint32(INODE.i_block, true);
    if (old !== 0) return { deviceMajor: (old >>> 8) & 0xff, deviceMinor: old & 0xff };
    const value = this.data.getUint32(INODE.i_block + 4, true);
    return { deviceMajor: (value >>> 8) & 0xfff, deviceMinor: (value & 0xff) | ((value >>> 12) & 0xf_ff00) };
  }

  /** What `lstat` would tell. */
  stat(): NodeStat {
    const { data, type } = this;
    const created = this.#fits(INODE.i_crtime, 4) ? { created: this.#time(INODE.i_crtime, INODE.i_crtime_extra) } : {};
    return {
      type, size: type === 'file' || type === 'symlink' ? this.size : 0, mode: data.getUint16(INODE.i_mode, true) & 0o7777,
      uid: data.getUint16(INODE.i_uid_high, true) * 0x1_0000 + data.getUint16(INODE.i_uid, true),
      gid: data.getUint16(INODE.i_gid_high, true) * 0x1_0000 + data.getUint16(INODE.i_gid, true),
      modified: this.#time(INODE.i_mtime, INODE.i_mtime_extra), accessed: this.#time(INODE.i_atime, INODE.i_atime_extra),
      changed: this.#time(INODE.i_ctime, INODE.i_ctime_extra), ...created, links: data.getUint16(INODE.i_links_count, true), inode: this.number,
      ...(type === 'character' || type === 'block' ? this.#device() : {}),
    };
  }
}
