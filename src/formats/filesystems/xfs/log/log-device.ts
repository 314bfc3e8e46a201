/**
 * The log as a ring of basic blocks, and where its head is: the block that would be written next.
 * Source: "XFS Algorithms & Data Structures", "Journaling Log"; the cycle number in each block's first word goes up by one a round.
 */
import { type BlockSource, FormatError } from '../../../../core/index.ts';
import { BASIC_BLOCK } from '../xfs.layout.ts';
import { RECORD_BYTES_MAX, RECORD_MAGIC, RECORDS_IN_FLIGHT } from './log.layout.ts';

/** Blocks that may have been on their way to the disk when the system stopped. */
const BLOCKS_IN_FLIGHT = RECORDS_IN_FLIGHT * RECORD_BYTES_MAX / BASIC_BLOCK;

/** Cycle number of block `i` of some blocks of the log. */
function cycleIn(bytes: Uint8Array, i: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + i * BASIC_BLOCK, 8);
  const first = view.getUint32(0);
  return first === RECORD_MAGIC ? view.getUint32(4) : first;
}

/** The ring. */
export class LogDevice {
  /** Basic blocks. */
  readonly blocks: number;
  readonly #source: BlockSource;
  readonly #at: number;

  /** `at` and `length` in bytes. @throws {FormatError} when the device ends before the log. */
  constructor(source: BlockSource, at: number, length: number) {
    if (length < BASIC_BLOCK || at + length > source.size) {
      throw new FormatError('Read XFS log', { structure: 'xfs_dsb', field: 'sb_logblocks', found: length, expected: `1 to ${Math.max(0, source.size - at)} bytes from ${at} on` });
    }
    this.#source = source;
    this.#at = at;
    this.blocks = Math.floor(length / BASIC_BLOCK);
  }

  /** Byte of the device, for errors. */
  offsetOf(block: number): number {
    return this.#at + block % this.blocks * BASIC_BLOCK;
  }

  /** Some blocks, around the end of the ring if need be; at most its size. */
  async read(block: number, count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count * BASIC_BLOCK);
    const start = block % this.blocks;
    const before = Math.min(count, this.blocks - start);
    await this.#source.readInto(this.#at + start * BASIC_BLOCK, bytes.subarray(0, before * BASIC_BLOCK));
    if (before < count) await this.#source.readInto(this.#at, bytes.subarray(before * BASIC_BLOCK));
    return bytes;
  }

  async #cycleAt(block: number): Promise<number> {
    return cycleIn(await this.read(block, 1), 0);
  }

  /** The first block of `[low, high]` with cycle `cycle`, when all before it have another one and that at `high` has it. */
  async #firstOf(cycle: number, low: number, high: number): Promise<number> {
    let first = low;
    let last = high;
    while (first < last) {
      const middle = Math.floor((first + last) / 2);
      if (await this.#cycleAt(middle) === cycle) last = middle;
      else first = middle + 1;
    }
    return last;
  }

  /** The first of `count` blocks from `start` on that has cycle `cycle`. */
  async #findCycle(start: number, count: number, cycle: number): Promise<number | undefined> {
    const bytes = await this.read(start, count);
    for (let i = 0; i < count; i += 1) if (cycleIn(bytes, i) === cycle) return start + i;
    return undefined;
  }

  /**
   * The head, before torn records are taken off; undefined for a log that was never written to.
   *
   * Blocks are written out of order: among those in flight, one of the round before marks the end of what is whole.
   */
  async head(): Promise<number | undefined> {
    const last = this.blocks - 1;
    const firstCycle = await this.#cycleAt(0);
    const lastCycle = await this.#cycleAt(last);
    if (firstCycle === 0) return undefined;
    const inFlight = Math.min(this.blocks, BLOCKS_IN_FLIGHT);
    if (lastCycle === 0) {
      const zero = await this.#firstOf(0, 0, last);
      const start = Math.max(0, zero - inFlight);
      return await this.#findCycle(start, zero - start, 0) ?? zero;
    }
    const isFull = firstCycle === lastCycle;
    const head = isFull ? this.blocks : await this.#firstOf(lastCycle, 0, last);
    const stale = isFull ? lastCycle - 1 : lastCycle;
    if (head >= inFlight) return (await this.#findCycle(head - inFlight, inFlight, stale) ?? head) % this.blocks;
    const before = inFlight - head;
    const behindEnd = await this.#findCycle(this.blocks - before, before, stale - 1);
    return (behindEnd ?? await this.#findCycle(0, head, stale) ?? head) % this.blocks;
  }
}
