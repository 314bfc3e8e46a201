/**
 * The small part of the filter: the first 48 bits of ids, in a hash table whose slots follow the order of ids, so that a range of ids can
 * be taken out sorted. Ids are uniform hashes: their own bits place them. A stranger passes with a probability of about count · 2^-48.
 */
import { ID_BYTES, type IdBatch } from '../../core/index.ts';

const SLOTS_MIN = 1 << 12;
/** Slots behind the last home slot, so that nothing wraps around. Ids further from home than this were made alike by somebody. */
const PROBES_MAX = 1024;
/** Share of slots in use at which the table grows. Ranges that were not drained for long hold twice the average, and must fit as well. */
const LOAD_MAX = 0.45;
/** Share from which on a place that is out of reach is a reason to grow. */
const LOAD_MIN = 0.1;
const GROWTH = 1.5;
/** Slots for an expected number, as a multiple of the fewest: it need not grow at once. */
const LOAD_ROOM = 1.2;

/** Bytes of memory for each slot. */
const SLOT_BYTES = 6;

/** One writer, any number of readers on the same thread. */
export class HotSet {
  #slots: number;
  /** Bits 0–31 of the id in each slot. */
  #high: Uint32Array;
  /** Bits 32–47. */
  #low: Uint16Array;
  #count = 0;
  /** A prefix of 48 zero bits can't stand in a slot: that means empty. */
  #hasZero = false;

  /** With room for `expected` prefixes: those that come in their order fill one end of a table that is too small for all, where soon none finds a slot. */
  constructor(expected = 0) {
    this.#slots = Math.max(SLOTS_MIN, Math.ceil(expected / LOAD_MAX * LOAD_ROOM));
    this.#high = new Uint32Array(this.#slots + PROBES_MAX);
    this.#low = new Uint16Array(this.#slots + PROBES_MAX);
  }

  /** Different prefixes. */
  get count(): number {
    return this.#count;
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#high.length * SLOT_BYTES;
  }

  /** Adds ids. @returns the positions of those that found no slot, because too many alike are there; usually none. */
  add(ids: IdBatch): readonly number[] {
    const view = new DataView(ids.bytes.buffer, ids.bytes.byteOffset, ids.count * ID_BYTES);
    const failed: number[] = [];
    for (let i = 0; i < ids.count; i += 1) {
      if (!this.addPrefix(view.getUint32(i * ID_BYTES), view.getUint16(i * ID_BYTES + 4))) failed.push(i);
    }
    return failed;
  }

  /** Adds one prefix by its first 32 and its next 16 bits. @returns false when it found no slot. */
  addPrefix(high: number, low: number): boolean {
    if (high === 0 && low === 0) {
      this.#count += this.#hasZero ? 0 : 1;
      this.#hasZero = true;
      return true;
    }
    if (this.#count >= this.#slots * LOAD_MAX) this.#grow();
    let slot = this.#find(high, low);
    if (slot < 0 && this.#count > this.#slots * LOAD_MIN) {
      this.#grow();
      slot = this.#find(high, low);
    }
    if (slot < 0) return false;
    if (this.#high[slot] !== high || this.#low[slot] !== low) {
      this.#high[slot] = high;
      this.#low[slot] = low;
      this.#count += 1;
    }
    return true;
  }

  /** Whether the id at `at` may have been added. */
  has(view: DataView, at: number): boolean {
    const [high, low] = [view.getUint32(at), view.getUint16(at + 4)];
    if (high === 0 && low === 0) return this.#hasZero;
    const slot = this.#find(high, low);
    return slot >= 0 && this.#high[slot] === high && this.#low[slot] === low;
  }

  /** Calls `take` for each prefix, in about ascending order. */
  forEach(take: (high: number, low: number) => void): void {
    if (this.#hasZero) take(0, 0);
    for (let slot = 0; slot < this.#high.length; slot += 1) if (this.#isUsed(slot)) take(this.#high[slot] as number, this.#low[slot] as number);
  }

  /** Takes out all prefixes whose first 32 bits are from `from` to below `to`, and calls `take` for each. */
  drain(from: number, to: number, take: (high: number, low: number) => void): void {
    if (from === 0 && this.#hasZero) {
      this.#hasZero = false;
      this.#count -= 1;
      take(0, 0);
    }
    const last = this.#homeOf(to - 1);
    const others: number[] = [];
    // To the first gap behind the range: neighbours that had to move on because of it get the slots that they would have now.
    for (let slot = this.#homeOf(from); slot < this.#high.length && (slot <= last || this.#isUsed(slot)); slot += 1) {
      if (!this.#isUsed(slot)) continue;
      const high = this.#high[slot] as number;
      const low = this.#low[slot] as number;
      this.#high[slot] = 0;
      this.#low[slot] = 0;
      this.#count -= 1;
      if (high >= from && high < to) take(high, low);
      else others.push(high, low);
    }
    for (let i = 0; i < others.length; i += 2) this.addPrefix(others[i] as number, others[i + 1] as number);
  }

  #isUsed(slot: number): boolean {
    return this.#high[slot] !== 0 || this.#low[slot] !== 0;
  }

  #homeOf(high: number): number {
    return Math.floor(high * this.#slots / 0x1_0000_0000);
  }

  /** The slot of a prefix, or the empty one where it belongs; −1 when there is neither within reach. */
  #find(high: number, low: number): number {
    const home = this.#homeOf(high);
    for (let slot = home; slot < home + PROBES_MAX; slot += 1) {
      const [there, rest] = [this.#high[slot] as number, this.#low[slot] as number];
      if ((there === high && rest === low) || (there === 0 && rest === 0)) return slot;
    }
    return -1;
  }

  #grow(): void {
    const [high, low] = [this.#high, this.#low];
    this.#slots = Math.ceil(this.#slots * GROWTH);
    this.#high = new Uint32Array(this.#slots + PROBES_MAX);
    this.#low = new Uint16Array(this.#slots + PROBES_MAX);
    this.#count = this.#hasZero ? 1 : 0;
    for (let slot = 0; slot < high.length; slot += 1) {
      if (high[slot] !== 0 || low[slot] !== 0) this.addPrefix(high[slot] as number, low[slot] as number);
    }
  }
}
