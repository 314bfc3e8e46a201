/**
 * How an object is cut into blocks, dealt into groups, and which factor each block has in each row of parity.
 *
 * Block b belongs to group b mod `groups`, so that a burst is spread evenly over all groups. A group has at most 128 blocks of data and
 * heals as many lost blocks as it has rows of parity.
 *
 * A writer that does not know the size yet starts with groups for the largest, and folds them at the end: two groups become one whose parity
 * is the sum of theirs. That works because blocks which may meet have different columns of the matrix from the start. With g groups at the
 * start (a power of two), block b = q·g + r has the column q XOR ⌊128·r ÷ g⌋: each fold joins groups that differ in one more of the
 * high bits of r, and then q is too small to have that bit itself, since no group may get more than 128 blocks. Hence at most 7 folds.
 */
import { LimitError, checkLimit, type Limits } from '../../core/index.ts';
import { DATA_SHARDS_MAX, PARITY_SHARDS_MAX, cauchyFactor } from './galois.ts';

/** Bytes of a block (a shard): what a disk writes in one piece. */
export const BLOCK_BYTES = 4096;
/** Objects up to this size get whole copies. */
export const SMALL_BYTES = 65_536;
const FOLDS_MAX = 7;

/** Where the blocks of one object are. */
export interface Geometry {
  /** `copies`: each block is a group by itself, its parity are copies of it. */
  readonly kind: 'copies' | 'reed-solomon';
  /** Bytes of the object. */
  readonly size: number;
  readonly groups: number;
  /** How often groups were folded. */
  readonly folds: number;
  /** Rows of parity: blocks that each group can lose. */
  readonly parityShards: number;
}

/** What a writer begins with. */
export interface ParityPlan {
  /** Share of the object, in percent, that a burst may destroy. */
  readonly percent: number;
  readonly groups: number;
  readonly parityShards: number;
}

/** Blocks of the object; the last one may be shorter, and counts as filled up with zeros. */
export function dataBlocks({ size }: Pick<Geometry, 'size'>): number {
  return Math.ceil(size / BLOCK_BYTES);
}

/** Blocks of data in the largest group. */
export function dataShards(geometry: Geometry): number {
  return Math.ceil(dataBlocks(geometry) / Math.max(1, geometry.groups));
}

/** Blocks of parity. Block p is row ⌊p ÷ groups⌋ of group p mod groups. */
export function parityBlocks({ groups, parityShards }: Geometry): number {
  return groups * parityShards;
}

/** Bytes of data block `block`, 1…4,096. */
export function blockLength({ size }: Pick<Geometry, 'size'>, block: number): number {
  return Math.min(BLOCK_BYTES, size - block * BLOCK_BYTES);
}

/** Factor of data block `block` in row `row` of its group's parity. */
export function factorOf({ kind, groups, folds }: Geometry, row: number, block: number): number {
  if (kind === 'copies') return 1;
  const atStart = groups * 2 ** folds;
  return cauchyFactor(row, Math.floor(block / atStart) ^ Math.floor(block % atStart * DATA_SHARDS_MAX / atStart));
}

/** One block more than the share: a burst rarely begins where a block does. */
function shardsFor(blocks: number, groups: number, percent: number): number {
  return Math.ceil((blocks * percent / 100 + 1) / groups);
}

/**
 * A plan for objects of up to `sizeMax` bytes. Where parity would take more than `limits.parityBytesMax` there is less of it than `percent`.
 * @throws {LimitError} objects of that size are not allowed.
 */
export function planParity(sizeMax: number, percent: number, limits: Limits): ParityPlan {
  checkLimit(limits, 'containerBytesMax', sizeMax, 'size of an object with parity');
  const blocks = Math.max(1, dataBlocks({ size: sizeMax }));
  const groups = 2 ** Math.ceil(Math.log2(Math.ceil(blocks / DATA_SHARDS_MAX)));
  const affordable = Math.floor(limits.parityBytesMax / (groups * BLOCK_BYTES));
  if (affordable < 1) throw new LimitError('parityBytesMax', groups * BLOCK_BYTES, limits.parityBytesMax, `parity of an object of '${sizeMax}' bytes`);
  return { percent, groups, parityShards: Math.min(PARITY_SHARDS_MAX, affordable, shardsFor(blocks, groups, percent)) };
}

/** The geometry of an object that has ended at `size` bytes: folded as long as the rows at hand suffice, then without rows in excess. */
export function foldedGeometry({ groups: groupsMax, parityShards, percent }: ParityPlan, size: number): Geometry {
  const blocks = dataBlocks({ size });
  let groups = groupsMax;
  let folds = 0;
  while (folds < FOLDS_MAX && groups > 1 && blocks <= DATA_SHARDS_MAX * groups / 2 && shardsFor(blocks, groups / 2, percent) <= parityShards) {
    groups /= 2;
    folds += 1;
  }
  return { kind: 'reed-solomon', size, groups, folds, parityShards: Math.min(parityShards, shardsFor(blocks, groups, percent)) };
}

/** Why a geometry that was read is not to be believed, or undefined. It bounds all memory that reading it takes. */
export function geometryFault(geometry: Geometry, limits: Limits): 'limit' | 'geometry' | undefined {
  const { kind, size, groups, folds, parityShards } = geometry;
  if (size > limits.containerBytesMax || parityBlocks(geometry) * BLOCK_BYTES > limits.parityBytesMax) return 'limit';
  if (parityShards < 1 || parityShards > PARITY_SHARDS_MAX) return 'geometry';
  if (kind === 'copies') return groups === dataBlocks(geometry) && folds === 0 ? undefined : 'geometry';
  const isPower = groups >= 1 && Number.isInteger(Math.log2(groups));
  return isPower && folds <= FOLDS_MAX && dataShards(geometry) <= DATA_SHARDS_MAX ? undefined : 'geometry';
}
