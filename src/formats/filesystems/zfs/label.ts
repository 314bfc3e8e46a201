/**
 * Labels of a member of a pool: four copies of 256 KiB, two at each end, with what the member is and a ring of uberblocks.
 * Source: OpenZFS `include/sys/vdev_impl.h` (vdev_label_t), `module/zfs/vdev_label.c` (comments), `include/sys/uberblock_impl.h`.
 */
import { type BlockSource, equalBytes, FormatError, readRange, UnsupportedError } from '../../../core/index.ts';
import { sha256Words } from './checksum.ts';
import { decodeNvList, type NvList, nvInteger, nvList, nvNumber, nvText } from './nvlist.ts';
import { viewOf, wordAt } from './words.ts';

/** Bytes of one label. */
export const LABEL_BYTES: number = 256 << 10;
/** Bytes in front of the data: two labels and room for a boot loader. */
export const DATA_START: number = 4 << 20;

const NVLIST_AT = 16 << 10;
const NVLIST_BYTES = 112 << 10;
const RING_AT = 128 << 10;
const RING_BYTES = 128 << 10;
/** Magic number and checksum at the end of a block that checks itself. */
const TRAILER_BYTES = 40;
const TRAILER_MAGIC = 0x0210_da7a_b10c_7a11n;
const TRAILER_MAGIC_SWAPPED = 0x117a_0cb1_7ada_1002n;
const UBERBLOCK_MAGIC = 0x00ba_b10cn;

/** `pool_state` of members that hold no part of a pool's data. */
const auxiliary: ReadonlyMap<number, 'spare' | 'cache'> = new Map([[3, 'spare'], [4, 'cache']]);
/** `pool_state` of a pool that was closed in order, and of one that was destroyed. */
const EXPORTED = 1;
const DESTROYED = 2;

/** What a member's label says. */
export interface PoolLabel {
  /** Neither part of the data: a hot spare or a cache device. */
  readonly auxiliary?: 'spare' | 'cache';
  readonly destroyed: boolean;
  /** It was exported: closed in order. */
  readonly exported: boolean;
  readonly version: number;
  readonly name: string;
  readonly poolGuid: bigint;
  readonly guid: bigint;
  /** The top-level device that it belongs to. */
  readonly topGuid: bigint;
  readonly txg: number;
  /** Top-level devices of the pool. */
  readonly children: number;
  /** The top-level device with all its members. */
  readonly tree: NvList;
  /** Features that a reader must know. */
  readonly features: readonly string[];
}

/** The root of a pool at the end of one transaction group. */
export interface Uberblock {
  readonly version: number;
  readonly txg: number;
  /** Seconds since 1970. */
  readonly timestamp: number;
  /** Sum of the guids of all devices, modulo 2^64. */
  readonly guidSum: bigint;
  /** Sequence within the transaction group, when several hosts watch each other. */
  readonly sequence: number;
  /** The block pointer of the meta object set. */
  readonly root: Uint8Array;
}

/** What could be read of a member. */
export interface MemberLabels {
  readonly label: PoolLabel;
  readonly uberblocks: readonly Uberblock[];
  /** Copies of the label that don't hold. */
  readonly damaged: number;
}

/** Offsets of the four labels. */
export function labelOffsets(size: number): readonly number[] {
  const end = Math.floor(size / LABEL_BYTES) * LABEL_BYTES;
  return end < 4 * LABEL_BYTES ? [] : [0, LABEL_BYTES, end - 2 * LABEL_BYTES, end - LABEL_BYTES];
}

/** Whether a block that checks itself holds; its checksum was made with its own `place` in the checksum's stead. */
function holds(block: Uint8Array, place: number): boolean {
  const view = viewOf(block);
  const at = block.length - TRAILER_BYTES;
  const magic = view.getBigUint64(at, true);
  if (magic === TRAILER_MAGIC_SWAPPED) throw new UnsupportedError('Open ZFS pool: it was written by a big-endian machine');
  if (magic !== TRAILER_MAGIC) return false;
  const copy = block.slice();
  const copied = viewOf(copy);
  copy.fill(0, at + 8);
  copied.setBigUint64(at + 8, BigInt(place), true);
  return equalBytes(sha256Words(copy), block.subarray(at + 8));
}

function required<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw new FormatError('Read ZFS label', { structure: 'vdev_label', field, offset: NVLIST_AT, found: 'nothing', expected: 'a value' });
  return value;
}

function labelOf(list: NvList): PoolLabel {
  const state = nvNumber(list, 'state') ?? 0;
  const aux = auxiliary.get(state);
  const guid = required(nvInteger(list, 'guid'), 'guid');
  if (aux !== undefined) {
    return { auxiliary: aux, destroyed: false, exported: false, version: nvNumber(list, 'version') ?? 0, name: '', poolGuid: nvInteger(list, 'pool_guid') ?? 0n, guid, topGuid: 0n, txg: 0, children: 0, tree: new Map(), features: [] };
  }
  const txg = required(nvNumber(list, 'txg'), 'txg');
  return {
    destroyed: state === DESTROYED, exported: state === EXPORTED, version: required(nvNumber(list, 'version'), 'version'), name: required(nvText(list, 'name'), 'name'),
    poolGuid: required(nvInteger(list, 'pool_guid'), 'pool_guid'), guid, topGuid: required(nvInteger(list, 'top_guid'), 'top_guid'), txg,
    children: nvNumber(list, 'vdev_children') ?? 1, tree: required(nvList(list, 'vdev_tree'), 'vdev_tree'),
    features: [...(nvList(list, 'features_for_read') ?? new Map()).keys()],
  };
}

/** The label at `at`; undefined when it does not hold. @throws {UnsupportedError} another byte order. */
async function readLabel(source: BlockSource, at: number): Promise<PoolLabel | undefined> {
  const block = await readRange(source, at + NVLIST_AT, NVLIST_BYTES);
  return holds(block, at + NVLIST_AT) ? labelOf(decodeNvList(block)) : undefined;
}

function uberblockOf(slot: Uint8Array): Uberblock {
  const view = viewOf(slot);
  const place = (field: string): { readonly structure: string; readonly field: string } => ({ structure: 'uberblock', field });
  const mmp = view.getBigUint64(176, true) === 0xa11c_ea11n;
  return {
    version: wordAt(view, 8, place('ub_version')), txg: wordAt(view, 16, place('ub_txg')), guidSum: view.getBigUint64(24, true),
    timestamp: wordAt(view, 32, place('ub_timestamp')), root: slot.slice(40, 168), sequence: mmp && (view.getUint8(192) & 2) !== 0 ? view.getUint16(196, true) : 0,
  };
}

/** Uberblocks of one ring that hold; `slotBytes` depends on the sectors of the device. */
async function readRing(source: BlockSource, at: number, slotBytes: number): Promise<readonly Uberblock[]> {
  const ring = await readRange(source, at + RING_AT, RING_BYTES);
  const view = viewOf(ring);
  const found: Uberblock[] = [];
  for (let slot = 0; slot < RING_BYTES; slot += slotBytes) {
    if (view.getBigUint64(slot, true) !== UBERBLOCK_MAGIC) continue;
    const block = ring.subarray(slot, slot + slotBytes);
    if (holds(block, at + RING_AT + slot)) found.push(uberblockOf(block));
  }
  return found;
}

/**
 * The first label that holds, and which of the four it is; undefined without any. Reads at most four times 112 KiB.
 * @throws {UnsupportedError} another byte order. @throws {FormatError} its list is none.
 */
export async function findLabel(source: BlockSource): Promise<{ readonly label: PoolLabel; readonly index: number } | undefined> {
  for (const [index, at] of labelOffsets(source.size).entries()) {
    const label = await readLabel(source, at);
    if (label !== undefined) return { label, index };
  }
  return undefined;
}

/**
 * Reads all labels of a member.
 * @throws {FormatError} when none holds. @throws {UnsupportedError} another byte order.
 */
export async function readLabels(source: BlockSource): Promise<MemberLabels> {
  let label: PoolLabel | undefined;
  let damaged = 0;
  const offsets = labelOffsets(source.size);
  for (const at of offsets) {
    const found = await readLabel(source, at);
    if (found === undefined) damaged += 1;
    else if (label === undefined || found.txg > label.txg) label = found;
  }
  if (label === undefined) {
    throw new FormatError('Read ZFS labels', { structure: 'vdev_label', field: 'vl_vdev_phys', offset: NVLIST_AT, found: `${damaged} damaged copies`, expected: 'at least one that holds' });
  }
  const shift = Math.min(13, Math.max(10, nvNumber(label.tree, 'ashift') ?? 9));
  const uberblocks: Uberblock[] = [];
  if (label.auxiliary === undefined) for (const at of offsets) uberblocks.push(...await readRing(source, at, 2 ** shift));
  return { label, uberblocks, damaged };
}

/** Whether an uberblock's magic number stands where one would be: then it is ZFS even when no label holds. */
export async function hasUberblock(source: BlockSource): Promise<boolean> {
  for (const at of labelOffsets(source.size)) {
    const view = viewOf(await readRange(source, at + RING_AT, RING_BYTES));
    for (let slot = 0; slot < RING_BYTES; slot += 1024) if (view.getBigUint64(slot, true) === UBERBLOCK_MAGIC) return true;
  }
  return false;
}
