/**
 * The records of fast commits: those up to the last tail whose checksum holds. What follows is an older life of the blocks, or did not reach the disk.
 * Source: Linux, Documentation/filesystems/ext4 (journal, "Fast commits"); which ends are taken is as in fs/ext4/fast_commit.c.
 */
import { checkLimit, IntegrityError, readRange, UnsupportedError, type BlockSource, type Limits } from '../../../core/index.ts';
import { chainCrc } from './checksum.ts';
import { EXTENT, INODE_BYTES_MIN } from './inode.layout.ts';
import { FC_FIELD, FC_RECORD_BYTES, FC_TAG } from './fast-commit.layout.ts';

/** Bytes of memory that a record takes beside its value. */
const RECORD_MEMORY_BYTES = 160;

/** Where fast commits are: blocks of the journal, and the transaction that they belong to. */
export interface FastCommitArea {
  /** The journal's bytes. */
  readonly content: BlockSource;
  readonly blockBytes: number;
  readonly first: number;
  /** Behind the last block. */
  readonly end: number;
  /** The transaction behind the last whole one. */
  readonly transaction: number;
}

/** One change; bytes are views. */
export type FastChange =
  /** An inode as it then was, without what its `i_block` maps. */
  | { readonly kind: 'inode'; readonly inode: number; readonly bytes: Uint8Array }
  | { readonly kind: 'create' | 'link' | 'unlink'; readonly inode: number; readonly parent: number; readonly name: Uint8Array }
  /** Blocks of a file from logical block `from` on; `start` is their first place, absent when nothing is there, or nothing written yet. */
  | { readonly kind: 'range'; readonly inode: number; readonly from: number; readonly blocks: number; readonly start?: number };

/** What the area holds. */
export interface FastCommits {
  /** In order. */
  readonly changes: readonly FastChange[];
  readonly commits: number;
}

interface FastRecord {
  readonly tag: number;
  readonly bytes: Uint8Array;
  readonly value: DataView;
}

/** Whether a value can have that length. */
function isLength(tag: number, length: number, inodeBytes: number): boolean {
  switch (tag) {
    case FC_TAG.add_range: return length === FC_FIELD.range.bytes;
    case FC_TAG.del_range: return length === FC_FIELD.hole.bytes;
    case FC_TAG.creat: case FC_TAG.link: case FC_TAG.unlink: return length > FC_FIELD.name.fc_dname && length <= FC_FIELD.name.fc_dname + FC_FIELD.name.nameBytesMax;
    case FC_TAG.inode: return length >= FC_FIELD.inode.fc_raw_inode + INODE_BYTES_MIN && length <= FC_FIELD.inode.fc_raw_inode + inodeBytes;
    case FC_TAG.pad: return true;
    case FC_TAG.tail: return length >= FC_FIELD.tail.bytes;
    case FC_TAG.head: return length === FC_FIELD.head.bytes;
    default: return false;
  }
}

/** The records of a block; `undefined` at the end when something else follows. */
function* recordsOf(block: Uint8Array, inodeBytes: number): Iterable<FastRecord | undefined> {
  const view = new DataView(block.buffer, block.byteOffset, block.length);
  for (let at = 0; at + FC_RECORD_BYTES <= block.length;) {
    const [tag, length] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
    const end = at + FC_RECORD_BYTES + length;
    if (end > block.length || !isLength(tag, length, inodeBytes)) {
      yield undefined;
      return;
    }
    yield { tag, bytes: block.subarray(at, end), value: new DataView(block.buffer, block.byteOffset + at + FC_RECORD_BYTES, length) };
    at = end;
  }
}

function addedRange(value: DataView): FastChange {
  const extent = FC_FIELD.range.fc_ex;
  const stored = value.getUint16(extent + EXTENT.ee_len, true);
  const range = { kind: 'range', inode: value.getUint32(FC_FIELD.range.fc_ino, true), from: value.getUint32(extent + EXTENT.ee_block, true) } as const;
  if (stored > EXTENT.writtenMax) return { ...range, blocks: stored - EXTENT.writtenMax };
  return { ...range, blocks: stored, start: value.getUint16(extent + EXTENT.ee_start_hi, true) * 2 ** 32 + value.getUint32(extent + EXTENT.ee_start_lo, true) };
}

const nameKinds: Readonly<Record<number, 'create' | 'link' | 'unlink'>> = { [FC_TAG.creat]: 'create', [FC_TAG.link]: 'link', [FC_TAG.unlink]: 'unlink' };

function changeOf({ tag, bytes, value }: FastRecord): FastChange | undefined {
  const { hole, name, inode } = FC_FIELD;
  const kind = nameKinds[tag];
  if (kind !== undefined) {
    return { kind, parent: value.getUint32(name.fc_parent_ino, true), inode: value.getUint32(name.fc_ino, true), name: bytes.subarray(FC_RECORD_BYTES + name.fc_dname) };
  }
  if (tag === FC_TAG.inode) return { kind: 'inode', inode: value.getUint32(inode.fc_ino, true), bytes: bytes.subarray(FC_RECORD_BYTES + inode.fc_raw_inode) };
  if (tag === FC_TAG.add_range) return addedRange(value);
  if (tag === FC_TAG.del_range) return { kind: 'range', inode: value.getUint32(hole.fc_ino, true), from: value.getUint32(hole.fc_lblk, true), blocks: value.getUint32(hole.fc_len, true) };
  return undefined;
}

/** Collects the changes of whole commits. */
class Scan {
  readonly changes: FastChange[] = [];
  commits = 0;
  readonly #area: FastCommitArea;
  /** Of `changes`, those of whole commits. */
  #whole = 0;
  #crc = 0;

  constructor(area: FastCommitArea) {
    this.#area = area;
  }

  /** Takes a record. @returns whether the next one may be another. @throws {UnsupportedError} */
  take(record: FastRecord): boolean {
    const { tag, bytes, value } = record;
    if (tag === FC_TAG.tail) return this.#tail(bytes, value);
    if (tag === FC_TAG.head) {
      const features = value.getUint32(FC_FIELD.head.fc_features, true);
      if (features !== 0) throw new UnsupportedError(`Replay fast commits of the ext journal: fc_features is '0x${features.toString(16)}', known are none`, { features });
      if (value.getUint32(FC_FIELD.head.fc_tid, true) !== this.#area.transaction) return false;
    }
    this.#crc = chainCrc(this.#crc, bytes);
    const change = changeOf(record);
    if (change !== undefined) this.changes.push(change);
    return true;
  }

  #tail(bytes: Uint8Array, value: DataView): boolean {
    const crc = chainCrc(this.#crc, bytes.subarray(0, FC_RECORD_BYTES + FC_FIELD.tail.fc_crc));
    this.#crc = 0;
    if (value.getUint32(FC_FIELD.tail.fc_tid, true) !== this.#area.transaction || value.getUint32(FC_FIELD.tail.fc_crc, true) !== crc) return false;
    this.commits += 1;
    this.#whole = this.changes.length;
    return true;
  }

  /** Drops what no tail confirmed. */
  finish(): FastCommits {
    this.changes.length = this.#whole;
    return this;
  }
}

/** Whether the area begins with a commit of its transaction: otherwise it is an older life of these blocks. */
async function isCurrent({ content, blockBytes, first, end, transaction }: FastCommitArea): Promise<boolean> {
  if (first >= end || (first + 1) * blockBytes > content.size) return false;
  const view = new DataView((await readRange(content, first * blockBytes, FC_RECORD_BYTES + FC_FIELD.head.bytes)).buffer);
  return view.getUint16(0, true) === FC_TAG.head && view.getUint32(FC_RECORD_BYTES + FC_FIELD.head.fc_tid, true) === transaction;
}

/**
 * The changes of all fast commits that are whole.
 * @throws {IntegrityError} when not even the first one is. @throws {UnsupportedError} @throws {LimitError}
 */
export async function readFastCommits(area: FastCommitArea, inodeBytes: number, limits: Limits): Promise<FastCommits> {
  const scan = new Scan(area);
  if (!await isCurrent(area)) return scan;
  const { content, blockBytes, first, end } = area;
  let goesOn = true;
  for (let at = first; goesOn && at < end && (at + 1) * blockBytes <= content.size; at += 1) {
    checkLimit(limits, 'filesystemJournalBytesMax', (at + 1 - first) * blockBytes + scan.changes.length * RECORD_MEMORY_BYTES, 'fast commits of the ext journal');
    for (const record of recordsOf(await readRange(content, at * blockBytes, blockBytes), inodeBytes)) {
      goesOn = record !== undefined && scan.take(record);
      if (!goesOn) break;
    }
  }
  if (scan.commits === 0) throw new IntegrityError('Replay fast commits of the ext journal: the first one is damaged, or did not reach the disk whole', { structure: 'ext fast commit', field: 'fc_crc' });
  return scan.finish();
}
