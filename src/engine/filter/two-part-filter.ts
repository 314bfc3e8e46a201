/**
 * Answers "surely new" for most new chunks without asking the index: what came lately is in a small hot part, everything else in the cold
 * one. Once the hot part holds enough, it is emptied as fast as it fills: each call merges the ids of a few partitions into the cold part,
 * round and round. Nobody waits for that, and no id is looked up for it.
 *
 * It is a cache: "maybe" must be checked in the index, and an id missing in the filter is an error of whoever fills it.
 */
import assert from 'node:assert';
import { ID_BYTES, type IdBatch } from '../../core/index.ts';
import type { ColdFilter } from './cold-filter.ts';
import { HotSet } from './hot-set.ts';

/** Ids that come in while all partitions are merged once: at least this many, and at least this share of the cold part's. */
const ROUND_IDS_MIN = 200_000;
const ROUND_SHARE = 64;
/** Steps from one partition to the next that is merged, as a share of all: the golden ratio spreads those that wait longest. */
const STRIDE = 0.618;

/** Counts since the filter was opened. False positives are both parts' together, as a share of themselves plus `denied`. */
export interface FilterMetrics {
  /** Ids that were asked for. */
  readonly asked: number;
  /** Of these, surely new: the index was not asked. */
  readonly denied: number;
  /** The cold part said "maybe", the index said no. */
  readonly falsePositivesCold: number;
  /** Only the hot part said "maybe", the index said no. */
  readonly falsePositivesHot: number;
  /** A partition that is not built could not say, and the index said no. */
  readonly blind: number;
  /** Bytes of memory of both parts. */
  readonly bytes: number;
  /** Ids in both parts; those that were removed since count as well. */
  readonly ids: number;
}

/** One writer, any number of readers on the same thread. */
export class TwoPartFilter {
  readonly cold: ColdFilter;
  readonly #hot: HotSet;
  #coldCount: number;
  /** The partition that is merged next. */
  #next = 0;
  /** Partitions merged in this round. */
  #merged = 0;
  /** Partitions that are due, with a fraction. */
  #due = 0;
  #asked = 0;
  #denied = 0;
  #falseCold = 0;
  #falseHot = 0;
  #blind = 0;

  /** Keeps both parts. */
  constructor(cold: ColdFilter, hot: HotSet = new HotSet()) {
    this.cold = cold;
    this.#hot = hot;
    this.#coldCount = cold.count;
  }

  get metrics(): FilterMetrics {
    return {
      asked: this.#asked, denied: this.#denied, falsePositivesCold: this.#falseCold, falsePositivesHot: this.#falseHot, blind: this.#blind,
      bytes: this.cold.bytes + this.#hot.bytes, ids: this.cold.count + this.#hot.count,
    };
  }

  /** The part that ids are added to. */
  get hot(): HotSet {
    return this.#hot;
  }

  /** Adds ids. */
  add(ids: IdBatch): void {
    const view = new DataView(ids.bytes.buffer, ids.bytes.byteOffset, ids.count * ID_BYTES);
    for (const position of this.#hot.add(ids)) this.cold.blind(view, position * ID_BYTES);
  }

  /**
   * Merges as much as `added` more ids make due; nothing while the hot part is small.
   * @returns whether the cold part changed.
   */
  step(added: number): boolean {
    const round = Math.max(ROUND_IDS_MIN, this.#coldCount / ROUND_SHARE);
    // Each partition's ids wait for half a round on average.
    if (this.#hot.count < round / 2) return false;
    const { partitionCount } = this.cold;
    this.#due += Math.min(1, added / round) * partitionCount;
    for (; this.#due >= 1; this.#due -= 1) {
      const [from, to] = this.cold.rangeOf(this.#next);
      this.#hot.drain(from, to, this.#take);
      this.cold.merge(this.#next);
      // An odd stride meets each of 2^n partitions once a round.
      this.#next = (this.#next + (Math.floor(partitionCount * STRIDE) | 1)) % partitionCount;
      this.#merged = (this.#merged + 1) % partitionCount;
      if (this.#merged === 0) this.#coldCount = this.cold.count;
    }
    return true;
  }

  /**
   * Sets the bit of each id that may be known, least significant bit first, and clears nothing: an id whose bit stays 0 is surely new,
   * the others need the index. @returns how many may be known.
   */
  mayHave(ids: IdBatch, bitmap: Uint8Array): number {
    assert(bitmap.length * 8 >= ids.count, 'the bitmap has a bit for each id');
    const view = new DataView(ids.bytes.buffer, ids.bytes.byteOffset, ids.count * ID_BYTES);
    let found = 0;
    for (let i = 0; i < ids.count; i += 1) {
      const at = i * ID_BYTES;
      if (!this.cold.mayHave(view, at) && !this.#hot.has(view, at)) continue;
      bitmap[i >> 3] = (bitmap[i >> 3] as number) | 1 << (i & 7);
      found += 1;
    }
    this.#asked += ids.count;
    this.#denied += ids.count - found;
    return found;
  }

  /** The filter said "maybe" of the id at `at` of `bytes`, the index said no. */
  noteFalsePositive(bytes: Uint8Array, at: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.cold.isBlind(view, at)) this.#blind += 1;
    else if (this.cold.mayHave(view, at)) this.#falseCold += 1;
    else this.#falseHot += 1;
  }

  readonly #take = (high: number, low: number): void => { this.cold.take(high, low); };
}
