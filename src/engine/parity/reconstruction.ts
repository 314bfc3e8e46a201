/**
 * Lost blocks from what is left: rows of parity minus the sound blocks of their group leave one linear equation a row, as many as there are
 * lost blocks. Memory: a block for each lost one, and once more for those of one group.
 */
import assert from 'node:assert';
import { BLOCK_BYTES, factorOf, type Geometry } from './geometry.ts';
import { invertMatrix } from './galois.ts';
import { borrowKernel, returnKernel, type GaloisKernel } from './kernel.ts';

/** One group with losses. */
interface LostGroup {
  readonly blocks: number[];
  /** Rows of parity taken so far. */
  readonly rows: number[];
  /** Number of the first of its `blocks.length` slots; each holds an equation, then a block. */
  slot: number;
}

/** Slot 0 is for the block being added, then come all slots, then room for one group's solution. */
export class Reconstruction {
  readonly #geometry: Geometry;
  readonly #kernel: GaloisKernel;
  readonly #groups = new Map<number, LostGroup>();
  readonly #slots = new Map<number, number>();
  readonly #scratch: number;

  /** `lost`: ascending numbers of data blocks, in no group more than `parityShards`: the caller has counted. */
  constructor(geometry: Geometry, lost: readonly number[], makeKernel: (bytes: number) => GaloisKernel = borrowKernel) {
    this.#geometry = geometry;
    for (const block of lost) {
      const group = this.#groups.get(block % geometry.groups);
      if (group === undefined) this.#groups.set(block % geometry.groups, { blocks: [block], rows: [], slot: 0 });
      else group.blocks.push(block);
    }
    let slots = 1;
    let largest = 0;
    for (const group of this.#groups.values()) {
      assert(group.blocks.length <= geometry.parityShards, 'no group has lost more than parity can give back');
      group.slot = slots;
      slots += group.blocks.length;
      largest = Math.max(largest, group.blocks.length);
      for (const [i, block] of group.blocks.entries()) this.#slots.set(block, group.slot + i);
    }
    this.#scratch = slots;
    this.#kernel = makeKernel((slots + largest) * BLOCK_BYTES);
  }

  /** Takes a sound block of parity, or leaves it when its group needs no more. */
  addParity(parityBlock: number, bytes: Uint8Array): void {
    const group = this.#groups.get(parityBlock % this.#geometry.groups);
    if (group === undefined || group.rows.length === group.blocks.length) return;
    this.#kernel.memory.set(bytes, (group.slot + group.rows.length) * BLOCK_BYTES);
    group.rows.push(Math.floor(parityBlock / this.#geometry.groups));
  }

  /** Takes a sound block of data, once all parity was taken; the last one of an object may be shorter. */
  addData(block: number, bytes: Uint8Array): void {
    const group = this.#groups.get(block % this.#geometry.groups);
    if (group === undefined) return;
    this.#kernel.memory.set(bytes);
    this.#kernel.memory.fill(0, bytes.length, BLOCK_BYTES);
    for (const [i, row] of group.rows.entries()) {
      this.#kernel.multiplyAdd((group.slot + i) * BLOCK_BYTES, 0, BLOCK_BYTES, factorOf(this.#geometry, row, block));
    }
  }

  /** Solves all groups; each must have got as many rows as it lost blocks, and all its sound blocks. */
  solve(): void {
    for (const group of this.#groups.values()) this.#solveGroup(group);
  }

  /** A lost block after `solve`, filled up with zeros; undefined when it was not lost. Valid until `release`. */
  block(number: number): Uint8Array | undefined {
    const slot = this.#slots.get(number);
    return slot === undefined ? undefined : this.#kernel.memory.subarray(slot * BLOCK_BYTES, (slot + 1) * BLOCK_BYTES);
  }

  /** Gives memory back. */
  release(): void {
    returnKernel(this.#kernel);
  }

  #solveGroup({ blocks, rows, slot }: LostGroup): void {
    assert(rows.length === blocks.length, 'there is an equation for each lost block');
    const inverted = invertMatrix(rows.map((row) => Uint8Array.from(blocks, (block) => factorOf(this.#geometry, row, block))));
    const { memory } = this.#kernel;
    const start = this.#scratch * BLOCK_BYTES;
    const size = blocks.length * BLOCK_BYTES;
    memory.fill(0, start, start + size);
    for (const [i, factors] of inverted.entries()) {
      for (const [equation, factor] of factors.entries()) {
        this.#kernel.multiplyAdd(start + i * BLOCK_BYTES, (slot + equation) * BLOCK_BYTES, BLOCK_BYTES, factor);
      }
    }
    memory.copyWithin(slot * BLOCK_BYTES, start, start + size);
  }
}
