/** Bodies of replies. */
import { LimitError, type NodeStat, type NodeType, type Timestamp } from '../../core/index.ts';
import { attrOut, attributesLayout, dirent, entryOut, getxattrIn, listedNameMax, lseekOut, openOut, statfsOut, writeOut } from './abi.layout.ts';

/** Seconds for which the kernel may believe names and attributes without asking again. */
export interface Validity {
  readonly entry: number;
  readonly attributes: number;
}

/** A node as the kernel sees it. */
export interface NodeAttributes {
  readonly node: number;
  readonly stat: NodeStat;
}

const blockBytes = 4096;
const unitBytes = 512;
/** Files from this size on look as if they had a hole. */
const sparseFrom = 65_536;

/** Type bits of `st_mode`, and `d_type` when shifted right by 12. Source: inode(7). */
const typeBits: Readonly<Record<NodeType, number>> = { fifo: 0o010000, character: 0o020000, directory: 0o040000, block: 0o060000, file: 0o100000, symlink: 0o120000, socket: 0o140000 };

/**
 * Units of 512 bytes in use. A tree does not tell them. From 64 KiB on a file shows one block less than its size: programs that keep holes
 * take that for a sparse file and ask where its data is (`lseek`). Never 0: there are programs that take that for nothing but holes.
 */
function unitsOf(stat: NodeStat): number {
  const units = Math.ceil(stat.size / unitBytes);
  return stat.type === 'file' && stat.size >= sparseFrom ? units - blockBytes / unitBytes : units;
}

/** A device number as the kernel packs it into 32 bits. Source: Linux, `new_encode_dev`. */
function deviceOf({ deviceMajor: major = 0, deviceMinor: minor = 0 }: NodeStat): number {
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}

function encodeAttributes({ node, stat }: NodeAttributes): Uint8Array {
  const accessed: Timestamp = stat.accessed ?? stat.modified;
  const changed: Timestamp = stat.changed ?? stat.modified;
  return attributesLayout.encode({
    ino: node, size: stat.size, blocks: unitsOf(stat), atime: accessed.seconds, mtime: stat.modified.seconds, ctime: changed.seconds,
    atimensec: accessed.nanoseconds, mtimensec: stat.modified.nanoseconds, ctimensec: changed.nanoseconds, mode: typeBits[stat.type] | stat.mode, nlink: stat.links,
    uid: stat.uid, gid: stat.gid, rdev: deviceOf(stat), blksize: blockBytes, flags: 0,
  });
}

/** Reply to getattr and setattr. */
export function attributesReply(attributes: NodeAttributes, validity: Validity): readonly Uint8Array[] {
  return [attrOut.encode({ attr_valid: validity.attributes, attr_valid_nsec: 0, dummy: 0 }), encodeAttributes(attributes)];
}

/** Reply to lookup; the kernel counts it as one lookup of the node. */
export function entryReply(attributes: NodeAttributes, validity: Validity): readonly Uint8Array[] {
  const head = entryOut.encode({ nodeid: attributes.node, generation: 0, entry_valid: validity.entry, attr_valid: validity.attributes, entry_valid_nsec: 0, attr_valid_nsec: 0 });
  return [head, encodeAttributes(attributes)];
}

/** Reply to a lookup of a name that is absent, which the kernel remembers so long. */
export function absentReply(validity: Validity): readonly Uint8Array[] {
  const head = entryOut.encode({ nodeid: 0, generation: 0, entry_valid: validity.entry, attr_valid: 0, entry_valid_nsec: 0, attr_valid_nsec: 0 });
  return [head, new Uint8Array(attributesLayout.size)];
}

/** Reply to open and opendir. */
export function openReply(handle: number, flags: number): Uint8Array {
  return openOut.encode({ fh: handle, open_flags: flags >>> 0, padding: 0 });
}

/** Reply to write: all bytes that came, or it is an error. */
export function writeReply(bytes: number): Uint8Array {
  return writeOut.encode({ size: bytes, padding: 0 });
}

/** Reply to lseek. */
export function lseekReply(offset: number): Uint8Array {
  return lseekOut.encode({ offset });
}

/** Reply to getxattr and listxattr: the length when `room` is 0; undefined when `room` is too small. */
export function attributeReply(value: Uint8Array, room: number): Uint8Array | undefined {
  if (room === 0) return getxattrIn.encode({ size: value.length, padding: 0 });
  return value.length > room ? undefined : value;
}

/** Bytes of a filesystem, total and free; 0 and 0 where that means nothing. */
export interface Space {
  readonly total: number;
  readonly free: number;
}

/** Reply to statfs. */
export function statfsReply({ total, free }: Space, nameMax: number): Uint8Array {
  const blocks = (bytes: number): number => Math.floor(bytes / blockBytes);
  return statfsOut.encode({
    blocks: blocks(total), bfree: blocks(free), bavail: blocks(free), files: 0, ffree: 0, bsize: blockBytes, namelen: nameMax, frsize: blockBytes, padding: 0, spare: new Uint8Array(24),
  });
}

/** One row of a listing. `next` is the position behind it. */
export interface ListedEntry {
  readonly name: Uint8Array;
  readonly node: number;
  readonly type: NodeType;
  readonly next: number;
  /** With `readdirplus`: what a lookup would have told; absent for `.` and `..`, which are no lookups. */
  readonly plus?: NodeAttributes;
}

/** A reply to readdir that is filled entry by entry. */
export class Listing {
  readonly #room: number;
  readonly #plus: Validity | undefined;
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  /** `plus`: entries come with attributes, believed for so long. */
  constructor(room: number, plus?: Validity) {
    this.#room = room;
    this.#plus = plus;
  }

  /** @returns false when it does not fit: the listing is full. @throws {LimitError} for a name that the kernel would refuse. */
  add(entry: ListedEntry): boolean {
    const { name } = entry;
    if (name.length > listedNameMax) throw new LimitError('name bytes', name.length, listedNameMax, 'directory entry for the kernel');
    const head = (this.#plus === undefined ? 0 : entryOut.size + attributesLayout.size) + dirent.size;
    const padding = -(head + name.length) & 7;
    if (this.#bytes + head + name.length + padding > this.#room) return false;
    if (this.#plus !== undefined) this.#parts.push(...(entry.plus === undefined ? absentReply({ entry: 0, attributes: 0 }) : entryReply(entry.plus, this.#plus)));
    this.#parts.push(dirent.encode({ ino: entry.node, off: entry.next, namelen: name.length, type: typeBits[entry.type] >> 12 }), name, new Uint8Array(padding));
    this.#bytes += head + name.length + padding;
    return true;
  }

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  reply(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}
