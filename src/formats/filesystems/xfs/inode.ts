/**
 * One inode: its metadata, and where its forks are.
 * Source: "XFS Algorithms & Data Structures", "On-disk Inode", "Timestamps".
 */
import { FormatError, IntegrityError, type NodeStat, type NodeType, type Timestamp } from '../../../core/index.ts';
import { checksumHolds, type InodePlace, type MetadataReader } from './metadata.ts';
import { wideOf } from './wide.ts';
import { FORK, INODE3_AT, inode3Layout, INODE_CORE, INODE_FLAG, inodeLayout, MAGIC } from './xfs.layout.ts';

const types: Readonly<Record<number, NodeType>> = {
  0o010000: 'fifo', 0o020000: 'character', 0o040000: 'directory', 0o060000: 'block', 0o100000: 'file', 0o120000: 'symlink', 0o140000: 'socket',
};

/** Part of an inode that leads to its data or attributes. */
export interface Fork {
  /** `di_format` or `di_aformat`. */
  readonly format: number;
  /** Extent records of the formats extents and btree. */
  readonly extents: number;
  /** The literal area. */
  readonly bytes: Uint8Array;
  /** Byte of the device where it is. */
  readonly at: number;
}

const CORE = inodeLayout.offsets;
const CORE3 = inode3Layout.offsets;

type Core = ReturnType<typeof inodeLayout.view>;
type Core3 = ReturnType<typeof inode3Layout.view>;

/** 2^31 seconds before 1970, where the count of nanoseconds of a big timestamp begins. */
const BIGTIME_EPOCH = -0x8000_0000;
const SECOND = 1_000_000_000;

function legacyTime(bytes: Uint8Array): Timestamp {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  const nanoseconds = view.getInt32(4);
  // Anything else was never written by a kernel: what counts is that two readings of it are the same.
  return { seconds: view.getInt32(0), nanoseconds: nanoseconds < 0 || nanoseconds >= SECOND ? 0 : nanoseconds };
}

/** Divides a 64-bit count by 10^9 in steps of 16 bits, each of which a number holds exactly. */
function bigTime(bytes: Uint8Array): Timestamp {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  const high = view.getUint32(0);
  const low = view.getUint32(4);
  let seconds = Math.floor(high / SECOND);
  let rest = (high % SECOND) * 65_536 + (low >>> 16);
  seconds = seconds * 65_536 + Math.floor(rest / SECOND);
  rest = (rest % SECOND) * 65_536 + (low & 0xffff);
  seconds = seconds * 65_536 + Math.floor(rest / SECOND);
  return { seconds: seconds + BIGTIME_EPOCH, nanoseconds: rest % SECOND };
}

/** An inode in use whose checksum and numbers hold. */
export class XfsInode {
  readonly number: number;
  /** Byte of the device. */
  readonly at: number;
  readonly type: NodeType;
  readonly #bytes: Uint8Array;
  readonly #core: Core;
  readonly #core3: Core3 | undefined;

  constructor(number: number, at: number, bytes: Uint8Array) {
    this.number = number;
    this.at = at;
    this.#bytes = bytes;
    this.#core = inodeLayout.view(bytes, 0, at);
    this.#core3 = this.#core.di_version === 3 ? inode3Layout.view(bytes, INODE3_AT, at + INODE3_AT) : undefined;
    const type = types[this.#core.di_mode & 0o170000];
    if (type === undefined) throw this.fault('di_mode', this.#core.di_mode, this.#core.di_mode === 0 ? 'an inode in use' : 'a file type');
    this.type = type;
  }

  /** An error that blames a field of this inode. */
  fault(field: string, found: string | number, expected: string): FormatError {
    return new FormatError(`Read XFS inode '${this.number}'`, { structure: inodeLayout.name, field, offset: this.at, found, expected });
  }

  /** Bytes. */
  get size(): number {
    return this.#core.di_size;
  }

  /** Whether its content is on the realtime device. */
  get isRealtime(): boolean {
    return (this.#core.di_flags & INODE_FLAG.realtime) !== 0;
  }

  get #flags2(): number {
    return this.#core3?.di_flags2 ?? 0;
  }

  /** @throws {FormatError} */
  stat(): NodeStat {
    const core = this.#core;
    const time = (this.#flags2 & INODE_FLAG.bigtime2) === 0 ? legacyTime : bigTime;
    const isDevice = this.type === 'character' || this.type === 'block';
    return {
      type: this.type, size: this.type === 'file' || this.type === 'symlink' ? core.di_size : 0, mode: core.di_mode & 0o7777, uid: core.di_uid, gid: core.di_gid,
      modified: time(core.di_mtime), accessed: time(core.di_atime), changed: time(core.di_ctime),
      ...(this.#core3 === undefined ? {} : { created: time(this.#core3.di_crtime) }),
      links: Math.max(1, core.di_version === 1 ? core.di_onlink : core.di_nlink), inode: this.number, ...(isDevice ? this.#device() : {}),
    };
  }

  #device(): Pick<NodeStat, 'deviceMajor' | 'deviceMinor'> {
    const fork = this.dataFork();
    if (fork.format !== FORK.device || fork.bytes.length < 4) throw this.fault('di_format', fork.format, `${FORK.device}, as it is a device`);
    const device = new DataView(fork.bytes.buffer, fork.bytes.byteOffset, 4).getUint32(0);
    return { deviceMajor: device >>> 18, deviceMinor: device & 0x3_ffff };
  }

  /** @throws {FormatError} */
  dataFork(): Fork {
    const start = this.#coreBytes;
    const end = this.#core.di_forkoff === 0 ? this.#bytes.length : start + this.#core.di_forkoff * 8;
    if (end > this.#bytes.length) throw this.fault('di_forkoff', this.#core.di_forkoff, `at most ${(this.#bytes.length - start) / 8}`);
    const extents = (this.#flags2 & INODE_FLAG.nrext642) === 0 ? this.#core.di_nextents : this.#core.di_big_nextents;
    return { format: this.#core.di_format, extents, bytes: this.#bytes.subarray(start, end), at: this.at + start };
  }

  /** Undefined where there is none. @throws {FormatError} */
  attributeFork(): Fork | undefined {
    if (this.#core.di_forkoff === 0) return undefined;
    const start = this.#coreBytes + this.#core.di_forkoff * 8;
    if (start >= this.#bytes.length) throw this.fault('di_forkoff', this.#core.di_forkoff, `at most ${(this.#bytes.length - this.#coreBytes) / 8 - 1}`);
    const extents = (this.#flags2 & INODE_FLAG.nrext642) === 0 ? this.#core.di_anextents : this.#core.di_nextents;
    return { format: this.#core.di_aformat, extents, bytes: this.#bytes.subarray(start), at: this.at + start };
  }

  get #coreBytes(): number {
    return this.#core3 === undefined ? INODE_CORE.old : INODE_CORE.v3;
  }
}

/** Checks an inode by hand, as every name of a listing leads to one; `deviceAt` is for errors. @throws {FormatError} @throws {IntegrityError} */
function checkInode(inode: number, deviceAt: number, { view, at }: InodePlace, metadata: MetadataReader): void {
  const { isV5, facts } = metadata.geometry;
  const fault = (field: string, found: string | number, expected: string): FormatError => new FormatError(`Read XFS inode '${inode}'`, { structure: inodeLayout.name, field, offset: deviceAt, found, expected });
  const magic = view.getUint16(at + CORE.di_magic);
  if (magic !== MAGIC.inode) throw fault('di_magic', magic, String(MAGIC.inode));
  const version = view.getUint8(at + CORE.di_version);
  if (isV5 ? version !== 3 : version < 1 || version > 2) throw fault('di_version', version, isV5 ? '3' : '1 or 2');
  if (!isV5) return;
  if (!metadata.isChanged(deviceAt, facts.inodeBytes) && !checksumHolds(view, { at, length: facts.inodeBytes, crcAt: INODE3_AT + CORE3.di_crc })) {
    throw new IntegrityError(`Read XFS inode '${inode}': the checksum at offset ${deviceAt} does not hold`, { structure: inodeLayout.name, field: 'di_crc', offset: deviceAt });
  }
  const number = wideOf(view, at + INODE3_AT + CORE3.di_ino);
  if (number !== inode) throw fault('di_ino', number ?? 'more than 2^53', String(inode));
  for (let i = 0; i < facts.metaUuid.length; i += 1) {
    if (view.getUint8(at + INODE3_AT + CORE3.di_uuid + i) !== facts.metaUuid[i]) throw fault('di_uuid', 'another', 'that of the filesystem');
  }
}

/** Reads and verifies an inode. @throws {FormatError} @throws {IntegrityError} */
export async function readInode(metadata: MetadataReader, inode: number): Promise<XfsInode> {
  const deviceAt = metadata.geometry.checkedInodeAt(inode);
  const found = metadata.inodePlace(deviceAt);
  const place = found instanceof Promise ? await found : found;
  checkInode(inode, deviceAt, place, metadata);
  const { view, at } = place;
  return new XfsInode(inode, deviceAt, new Uint8Array(view.buffer, view.byteOffset + at, metadata.geometry.facts.inodeBytes));
}

/**
 * The type of an inode, verified as by {@link readInode}; without a promise when the inode is in memory. Undefined where `stat` may fail all the same: there it
 * is what must be asked. @throws {FormatError} @throws {IntegrityError}
 */
export function readInodeType(metadata: MetadataReader, inode: number): NodeType | undefined | Promise<NodeType | undefined> {
  const deviceAt = metadata.geometry.checkedInodeAt(inode);
  const typeAt = (place: InodePlace): NodeType | undefined => {
    checkInode(inode, deviceAt, place, metadata);
    const type = types[place.view.getUint16(place.at + CORE.di_mode) & 0o170000];
    return type === 'character' || type === 'block' ? undefined : type;
  };
  const found = metadata.inodePlace(deviceAt);
  return found instanceof Promise ? found.then(typeAt) : typeAt(found);
}
