/** Inode items: an inode's core and what is in its forks; and the creation of inodes. Source: "XFS Algorithms & Data Structures", "Inode Log Item". */
import { FormatError } from '../../../../core/index.ts';
import type { XfsGeometry } from '../geometry.ts';
import { BASIC_BLOCK, FORK, INODE3_AT, inode3Layout, INODE_CORE, INODE_FLAG, inodeLayout, MAGIC } from '../xfs.layout.ts';
import type { CancelledBuffers } from './buffer-item.ts';
import { FIELDS, inodeCreateLayout, inodeItemLayout, packedInodeItemLayout } from './log.layout.ts';
import { compareLsn, type Lsn } from './log-record.ts';
import type { LogOverlay } from './overlay.ts';
import { type LogItem, regionOf } from './transactions.ts';

/** Bytes of the read buffers that inodes were written in, for those of 256 bytes. */
const CLUSTER_BYTES = 8192;
const INODES_OF_CHUNK = 64;
/** `di_flushiter` is 16 bits that come around. */
const FLUSH_MAX = 0xffff;
const FLUSH_AT: number = inodeLayout.offsets.di_big_nextents + 6;

/** What inode items change. */
export interface InodeReplay {
  readonly overlay: LogOverlay;
  readonly geometry: XfsGeometry;
  readonly cancelled: CancelledBuffers;
  /** Inodes whose blocks belonged to another one before. */
  readonly changedOwners: Set<number>;
}

/** Fields of the core and their bytes, in order; the rest are single bytes. */
const coreWidths: readonly (readonly [number, 2 | 4 | 8])[] = [
  [inodeLayout.offsets.di_magic, 2], [inodeLayout.offsets.di_mode, 2], [inodeLayout.offsets.di_uid, 4], [inodeLayout.offsets.di_gid, 4], [inodeLayout.offsets.di_nlink, 4],
  [inodeLayout.offsets.di_projid, 2], [inodeLayout.offsets.di_projid + 2, 2], [inodeLayout.offsets.di_size, 8], [inodeLayout.offsets.di_nblocks, 8],
  [inodeLayout.offsets.di_extsize, 4], [inodeLayout.offsets.di_nextents, 4], [inodeLayout.offsets.di_anextents, 2], [inodeLayout.offsets.di_dmevmask, 4],
  [inodeLayout.offsets.di_dmstate, 2], [inodeLayout.offsets.di_flags, 2], [inodeLayout.offsets.di_gen, 4],
];
const core3Widths: readonly (readonly [number, 4 | 8])[] = [
  [INODE3_AT + inode3Layout.offsets.di_changecount, 8], [INODE3_AT + inode3Layout.offsets.di_flags2_high, 8], [INODE3_AT + inode3Layout.offsets.di_cowextsize, 4],
  [INODE3_AT + inode3Layout.offsets.di_ino, 8],
];

function fault(field: string, found: string | number, expected: string): FormatError {
  return new FormatError('Replay XFS log', { structure: inodeItemLayout.name, field, found, expected });
}

/** Copies a field and turns its bytes around. */
function swap(from: Uint8Array, to: Uint8Array, at: number, bytes: number): void {
  for (let i = 0; i < bytes; i += 1) to[at + i] = from[at + bytes - 1 - i] as number;
}

/** Writes the core that the log has over that of an inode; checksum and list of unlinked inodes stay. */
function copyCore(from: Uint8Array, to: Uint8Array, isV5: boolean): void {
  for (const [at, bytes] of coreWidths) swap(from, to, at, bytes);
  for (const at of [4, 5, inodeLayout.offsets.di_forkoff, inodeLayout.offsets.di_aformat]) to[at] = from[at] as number;
  to[inodeLayout.offsets.di_onlink] = 0;
  to[inodeLayout.offsets.di_onlink + 1] = 0;
  const flags2 = isV5 ? from[INODE3_AT + inode3Layout.offsets.di_flags2_high] as number : 0;
  const times: number[] = [inodeLayout.offsets.di_atime, inodeLayout.offsets.di_mtime, inodeLayout.offsets.di_ctime];
  if (isV5) {
    for (const [at, bytes] of core3Widths) swap(from, to, at, bytes);
    times.push(INODE3_AT + inode3Layout.offsets.di_crtime);
    const uuidAt = INODE3_AT + inode3Layout.offsets.di_uuid;
    to.set(from.subarray(uuidAt, uuidAt + 16), uuidAt);
    swap(from, to, inodeLayout.offsets.di_big_nextents, 8);
  } else {
    swap(from, to, FLUSH_AT, 2);
    to[FLUSH_AT] = 0;
    to[FLUSH_AT + 1] = 0;
  }
  for (const at of times) {
    if ((flags2 & INODE_FLAG.bigtime2) !== 0) swap(from, to, at, 8);
    else {
      swap(from, to, at, 4);
      swap(from, to, at + 4, 4);
    }
  }
  // A large count of attribute extents is 32 bits, where a small one of data extents is: the same four bytes; the other two are nothing then.
}

/** Whether the disk has the inode as it is in the log, or newer. */
function isNewer(onDisk: Uint8Array, logged: Uint8Array, lsn: Lsn, isV5: boolean): boolean {
  const view = new DataView(onDisk.buffer, onDisk.byteOffset, onDisk.byteLength);
  if (isV5) {
    const at = INODE3_AT + inode3Layout.offsets.di_lsn;
    const found = { cycle: view.getUint32(at), block: view.getUint32(at + 4) };
    return found.cycle !== 0xffff_ffff && compareLsn(found, lsn) > 0;
  }
  const there = view.getUint16(FLUSH_AT);
  const here = (logged[FLUSH_AT] as number) + (logged[FLUSH_AT + 1] as number) * 256;
  return here < there && !(there === FLUSH_MAX && here < FLUSH_MAX / 2);
}

/** The root of a B+tree as it is in memory, in the form that it has in an inode. */
function rootOf(region: Uint8Array, forkBytes: number, isV5: boolean): Uint8Array {
  const header = isV5 ? 72 : 24;
  const view = new DataView(region.buffer, region.byteOffset, region.byteLength);
  const bytes = new Uint8Array(forkBytes);
  const count = region.length < header ? 0 : view.getUint16(6);
  const inMemory = Math.floor((region.length - header) / 16);
  const inInode = Math.floor((forkBytes - 4) / 16);
  if (count === 0 || count > inMemory || count > inInode) throw fault('bb_numrecs', count, `1 to ${Math.min(inMemory, inInode)}`);
  bytes.set(region.subarray(4, 8));
  bytes.set(region.subarray(header, header + count * 8), 4);
  bytes.set(region.subarray(header + inMemory * 8, header + (inMemory + count) * 8), 4 + inInode * 8);
  return bytes;
}

interface Target {
  readonly inode: Uint8Array;
  readonly coreBytes: number;
}

/** Puts one fork's region in its place. `start` and `end` bound the fork inside the inode. */
function putFork({ inode }: Target, region: Uint8Array, place: { readonly start: number; readonly end: number; readonly isRoot: boolean; readonly bytes: number; readonly isV5: boolean }): void {
  const { start, end } = place;
  if (place.isRoot) {
    inode.set(rootOf(region, end - start, place.isV5), start);
    return;
  }
  const length = Math.min(region.length, place.bytes);
  if (start + length > end) throw fault('ilf_dsize', length, `at most ${end - start}`);
  inode.set(region.subarray(0, length), start);
}

function putForks(item: LogItem, view: ReturnType<typeof inodeItemLayout.view> | ReturnType<typeof packedInodeItemLayout.view>, target: Target, isV5: boolean): void {
  const { inode, coreBytes } = target;
  const { ilf_fields: fields } = view;
  const forkOffset = (inode[inodeLayout.offsets.di_forkoff] as number) * 8;
  const split = forkOffset === 0 ? inode.length : coreBytes + forkOffset;
  if (split > inode.length) throw fault('di_forkoff', forkOffset / 8, `at most ${(inode.length - coreBytes) / 8}`);
  if ((fields & FIELDS.device) !== 0) new DataView(inode.buffer, inode.byteOffset).setUint32(coreBytes, view.ilfu_rdev);
  const hasData = (fields & (FIELDS.dataLocal | FIELDS.dataExtents | FIELDS.dataRoot)) !== 0;
  if (hasData) putFork(target, regionOf(item, 2), { start: coreBytes, end: split, isRoot: (fields & FIELDS.dataRoot) !== 0, bytes: view.ilf_dsize, isV5 });
  if ((fields & (FIELDS.attributeLocal | FIELDS.attributeExtents | FIELDS.attributeRoot)) !== 0) {
    putFork(target, regionOf(item, hasData ? 3 : 2), { start: split, end: inode.length, isRoot: (fields & FIELDS.attributeRoot) !== 0, bytes: view.ilf_asize, isV5 });
  }
}

/** Replays one inode. @throws {FormatError} @throws {LimitError} */
export async function replayInode(item: LogItem, lsn: Lsn, { overlay, geometry, cancelled, changedOwners }: InodeReplay): Promise<void> {
  const head = regionOf(item, 0);
  const view = head.length >= inodeItemLayout.size ? inodeItemLayout.view(head) : packedInodeItemLayout.view(head);
  if (cancelled.has(view.ilf_blkno, view.ilf_len)) return;
  const at = view.ilf_blkno * BASIC_BLOCK + view.ilf_boffset;
  const expected = geometry.inodeAt(view.ilf_ino);
  // Undefined where the filesystem had grown and its superblock is only in the log.
  if (expected !== undefined && at !== expected) throw fault('ilf_boffset', at, `${expected}, where inode '${view.ilf_ino}' is`);
  const inode = await overlay.read(at, geometry.facts.inodeBytes);
  const coreBytes = geometry.isV5 ? INODE_CORE.v3 : INODE_CORE.old;
  const logged = regionOf(item, 1);
  const onDisk = new DataView(inode.buffer).getUint16(0);
  if (onDisk !== MAGIC.inode) throw fault('di_magic on the disk', onDisk, String(MAGIC.inode));
  // Version 2 logs end before the list of unlinked inodes.
  if (logged.length < (geometry.isV5 ? INODE_CORE.v3 : INODE_CORE.old - 4)) throw fault('core', logged.length, `at least ${coreBytes} bytes`);
  if ((logged[0] as number) + (logged[1] as number) * 256 !== MAGIC.inode) throw fault('di_magic', (logged[0] as number) + (logged[1] as number) * 256, String(MAGIC.inode));
  if ((view.ilf_fields & (FIELDS.dataOwner | FIELDS.attributeOwner)) !== 0) changedOwners.add(view.ilf_ino);
  // Of version 4, two inodes may share a basic block, and one that was replayed counts as never flushed: each is asked by itself.
  if (!(geometry.isV5 && overlay.touches(at, inode.length)) && isNewer(inode, logged, lsn, geometry.isV5)) return;
  copyCore(logged, inode, geometry.isV5);
  putForks(item, view, { inode, coreBytes }, geometry.isV5);
  await overlay.write(at, inode);
}

/** Replays the creation of a chunk of inodes: all of them free. @throws {FormatError} @throws {LimitError} */
export async function replayInodeCreate(item: LogItem, { overlay, geometry, cancelled }: InodeReplay): Promise<void> {
  const view = inodeCreateLayout.view(regionOf(item, 0));
  const { inodeBytes, blockBytes, groupBlocks, groupBits, inodeBits, inodeAlignment } = geometry.facts;
  const { icl_ag: group, icl_agbno: block, icl_length: blocks } = view;
  if (block + blocks > groupBlocks) throw fault('icl_agbno', block, `${blocks} blocks inside allocation group '${group}'`);
  if (view.icl_isize !== inodeBytes || view.icl_count * inodeBytes !== blocks * blockBytes || view.icl_count > Math.max(INODES_OF_CHUNK, blockBytes / inodeBytes)) throw fault('icl_count', view.icl_count, `the inodes of ${blocks} blocks`);
  const at = geometry.groupBlockAt(group, block);
  const clusterBytes = CLUSTER_BYTES * (geometry.isV5 && inodeAlignment * blockBytes >= CLUSTER_BYTES * (inodeBytes / 256) ? inodeBytes / 256 : 1);
  if (cancelled.has(at / BASIC_BLOCK, Math.max(clusterBytes, blockBytes) / BASIC_BLOCK)) return;
  const first = (group * 2 ** groupBits + block) * 2 ** inodeBits;
  const bytes = new Uint8Array(blocks * blockBytes);
  const out = new DataView(bytes.buffer);
  for (let i = 0; i < view.icl_count; i += 1) {
    const start = i * inodeBytes;
    out.setUint16(start, MAGIC.inode);
    out.setUint8(start + 4, geometry.isV5 ? 3 : 2);
    out.setUint8(start + 5, FORK.device);
    out.setUint32(start + inodeLayout.offsets.di_gen, view.icl_gen);
    out.setUint32(start + inodeLayout.offsets.di_next_unlinked, 0xffff_ffff);
    if (!geometry.isV5) continue;
    const numberAt = start + INODE3_AT + inode3Layout.offsets.di_ino;
    out.setUint32(numberAt, Math.floor((first + i) / 2 ** 32));
    out.setUint32(numberAt + 4, (first + i) % 2 ** 32);
    bytes.set(geometry.facts.metaUuid, start + INODE3_AT + inode3Layout.offsets.di_uuid);
  }
  await overlay.write(at, bytes);
}
