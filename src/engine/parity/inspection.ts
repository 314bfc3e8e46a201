/** What is damaged: of the object by checksums and digest, of the sidecar by its own. Nothing is believed that has no checksum. */
import { createHash } from 'node:crypto';
import { equalBytes, type ObjectReader } from '../../core/index.ts';
import { crc32 } from '../containers/checksums.ts';
import { absentObject, slabsOf } from './block-reader.ts';
import { BLOCK_BYTES, dataBlocks, type Geometry } from './geometry.ts';
import { differingRows, type Sidecar, type SidecarFault } from './sidecar.ts';

/** What a sidecar says about its object, and about itself. */
export interface ParityReport {
  /** `damaged`: repair will give it back. `beyond-repair`: it won't. `unknown`: there is no sidecar to tell by. */
  readonly state: 'sound' | 'damaged' | 'beyond-repair' | 'unknown';
  /** Why it is unknown, or `digest`: all checksums are right and the SHA-256 of the whole is not. */
  readonly reason?: SidecarFault | 'digest';
  /** Blocks of 4 KiB of the object that are not as they were written, ascending; missing and unreadable ones as well. */
  readonly damagedBlocks: readonly number[];
  /** How many of them cannot be healed, because their groups have fewer sound blocks of parity. */
  readonly lostBlocks: number;
  /** Bytes behind the object's end. */
  readonly excessBytes: number;
  readonly sidecar: SidecarReport;
}

/** Damage of a sidecar; it heals as long as it can, and is better made again. */
export interface SidecarReport {
  readonly state: 'sound' | 'damaged' | 'unusable';
  readonly damagedParityBlocks: number;
}

/** Damage of an object. */
export interface ObjectDamage {
  readonly damagedBlocks: readonly number[];
  readonly isExact: boolean;
  /** Sound blocks whose checksum is wrong in both tables. */
  readonly wrongChecksums: number;
}

/** Calls back with each sound block, in order. */
export type BlockVisitor = (block: number, bytes: Uint8Array) => void;

function isSound({ tables }: Sidecar, row: number, bytes: Uint8Array): boolean {
  const checksum = crc32(bytes);
  return tables.some((table) => table[row] === checksum);
}

/** Compares the object with its checksums and its digest. */
export async function inspectObject(reader: ObjectReader, sidecar: Sidecar): Promise<ObjectDamage> {
  const { size } = sidecar.geometry;
  const hash = createHash('sha256');
  const suspects: number[] = [];
  let isComplete = reader !== absentObject;
  for await (const { first, bytes, lost } of slabsOf(reader, { offset: 0, size })) {
    isComplete &&= !lost.includes(1);
    if (isComplete) hash.update(bytes);
    for (const [i, isLost] of lost.entries()) {
      if (isLost || !isSound(sidecar, first + i, bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES))) suspects.push(first + i);
    }
  }
  // The digest knows better than checksums that are damaged themselves.
  const isExact = isComplete && equalBytes(hash.digest(), sidecar.sha256);
  return isExact ? { damagedBlocks: [], isExact, wrongChecksums: suspects.length } : { damagedBlocks: suspects, isExact, wrongChecksums: 0 };
}

/** Reads all parity; answers how many blocks of it each group has. */
export async function inspectParity(reader: ObjectReader, sidecar: Sidecar, visit: BlockVisitor): Promise<Uint32Array> {
  const rowOfFirst = dataBlocks(sidecar.geometry);
  const sound = new Uint32Array(sidecar.geometry.groups);
  for await (const { first, bytes, lost } of slabsOf(reader, sidecar.parity)) {
    for (const [i, isLost] of lost.entries()) {
      const block = bytes.subarray(i * BLOCK_BYTES, (i + 1) * BLOCK_BYTES);
      if (isLost || !isSound(sidecar, rowOfFirst + first + i, block)) continue;
      const group = (first + i) % sound.length;
      sound[group] = (sound[group] as number) + 1;
      visit(first + i, block);
    }
  }
  return sound;
}

/** How many of the damaged blocks are more than their groups' parity can heal; `shardsOf` says how much of it there is. */
export function excessDamage({ groups }: Geometry, damagedBlocks: readonly number[], shardsOf: (group: number) => number): number {
  const damaged = new Map<number, number>();
  for (const block of damagedBlocks) damaged.set(block % groups, (damaged.get(block % groups) ?? 0) + 1);
  let excess = 0;
  for (const [group, count] of damaged) excess += Math.max(0, count - shardsOf(group));
  return excess;
}

/** The sidecar's own state; `sound` as from {@link inspectParity}. */
export function sidecarReport(sidecar: Sidecar, sound: Uint32Array, wrongChecksums: number): SidecarReport {
  const damagedParityBlocks = sound.reduce((count, shards) => count + sidecar.geometry.parityShards - shards, 0);
  const isSoundItself = sidecar.isWhole && damagedParityBlocks === 0 && wrongChecksums === 0 && differingRows(sidecar) === 0;
  return { state: isSoundItself ? 'sound' : 'damaged', damagedParityBlocks };
}
