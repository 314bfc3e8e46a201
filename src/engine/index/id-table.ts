/**
 * Ids to places in flat typed arrays: open addressing, linear probing, at most half full. 53 bytes a slot, no object per id.
 * Ids are uniform hashes, so their own first word is the hash. Removed ids stay as tombstones.
 */
import assert from 'node:assert';
import { ID_BYTES, PLACE_BYTES } from '../../core/index.ts';
import type { IdBatch } from '../../core/index.ts';
import type { EntryPage } from './entry-page.ts';

const EMPTY = 0;
const LIVE = 1;
const TOMBSTONE = 2;
const WORDS = ID_BYTES / 4;
const SLOTS_MAX = 1 << 26;

/** The ids as 32-bit words in the machine's byte order (equality and hashing only): a view where aligned, else a copy. */
export function idWords(ids: IdBatch): Uint32Array {
  assert(ids.bytes.length >= ids.count * ID_BYTES, 'a batch holds as many ids as it says');
  const { buffer, byteOffset } = ids.bytes;
  if (byteOffset % 4 === 0) return new Uint32Array(buffer, byteOffset, ids.count * WORDS);
  return new Uint32Array(ids.bytes.slice(0, ids.count * ID_BYTES).buffer);
}

/** A growing hash table. Arguments `words` and `index` name id `index` of {@link idWords}. */
export class IdTable {
  readonly #slotsAtFirst: number;
  #capacity = 0;
  #words: Uint32Array = new Uint32Array(0);
  #places: Uint8Array = new Uint8Array(0);
  #states: Uint8Array = new Uint8Array(0);
  #entries = 0;
  #live = 0;

  /** @param slots initial slots, rounded up to a power of two. */
  constructor(slots = 1024) {
    this.#slotsAtFirst = 1 << Math.ceil(Math.log2(Math.max(16, slots)));
    this.#allocate(this.#slotsAtFirst);
  }

  /** Ids that are present. */
  get live(): number {
    return this.#live;
  }

  /** Occupied slots: live ids and tombstones. */
  get entries(): number {
    return this.#entries;
  }

  /** The slot of an id or of its tombstone; -1 when neither is here. */
  find(words: Uint32Array, index: number): number {
    const slot = this.#probe(words, index * WORDS);
    return this.#states[slot] === EMPTY ? -1 : slot;
  }

  isTombstone(slot: number): boolean {
    return this.#states[slot] === TOMBSTONE;
  }

  /** Copies the place in `slot` to position `index` of a buffer of places. */
  copyPlace(slot: number, places: Uint8Array, index: number): void {
    const from = slot * PLACE_BYTES;
    const to = index * PLACE_BYTES;
    for (let i = 0; i < PLACE_BYTES; i += 1) places[to + i] = this.#places[from + i] as number;
  }

  /** Adds or replaces one id; `places` holds its place at position `index`. */
  put(words: Uint32Array, index: number, places: Uint8Array): void {
    const slot = this.#claim(words, index * WORDS);
    if (this.#states[slot] !== LIVE) this.#live += 1;
    this.#states[slot] = LIVE;
    const from = index * PLACE_BYTES;
    const to = slot * PLACE_BYTES;
    for (let i = 0; i < PLACE_BYTES; i += 1) this.#places[to + i] = places[from + i] as number;
  }

  /** Marks one id as removed. `keep`: also when it was unknown, because an older run below this table may hold it. */
  remove(words: Uint32Array, index: number, keep: boolean): void {
    if (!keep && this.find(words, index) < 0) return;
    const slot = this.#claim(words, index * WORDS);
    if (this.#states[slot] === LIVE) this.#live -= 1;
    this.#states[slot] = TOMBSTONE;
    this.#places.fill(0, slot * PLACE_BYTES, (slot + 1) * PLACE_BYTES);
  }

  /** Forgets everything; a table that grew goes back to its first size. */
  clear(): void {
    if (this.#capacity === this.#slotsAtFirst) this.#states.fill(EMPTY);
    else this.#allocate(this.#slotsAtFirst);
    this.#entries = 0;
    this.#live = 0;
  }

  /** A copy of all entries, or of the live ones only, in ascending id order; later changes do not show. 53 bytes an entry. */
  sorted(liveOnly: boolean): EntryPage {
    const slots = this.#sortedSlots().filter((slot) => !liveOnly || this.#states[slot] === LIVE);
    const ids = new Uint8Array(slots.length * ID_BYTES);
    const places = new Uint8Array(slots.length * PLACE_BYTES);
    const tombstones = new Uint8Array(slots.length);
    const bytes = new Uint8Array(this.#words.buffer);
    slots.forEach((slot, i) => {
      ids.set(bytes.subarray(slot * ID_BYTES, (slot + 1) * ID_BYTES), i * ID_BYTES);
      this.copyPlace(slot, places, i);
      tombstones[i] = this.#states[slot] === TOMBSTONE ? 1 : 0;
    });
    return { count: slots.length, ids, places, tombstones };
  }

  #probe(words: Uint32Array, at: number): number {
    const table = this.#words;
    const mask = this.#capacity - 1;
    const first = words[at] as number;
    let slot = Math.imul(first, 0x9e3779b1) >>> 0 & mask;
    for (;;) {
      if (this.#states[slot] === EMPTY) return slot;
      const base = slot * WORDS;
      if (table[base] === first) {
        let i = 1;
        while (i < WORDS && table[base + i] === words[at + i]) i += 1;
        if (i === WORDS) return slot;
      }
      slot = (slot + 1) & mask;
    }
  }

  #claim(words: Uint32Array, at: number): number {
    let slot = this.#probe(words, at);
    if (this.#states[slot] !== EMPTY) return slot;
    if ((this.#entries + 1) * 2 > this.#capacity) {
      this.#grow();
      slot = this.#probe(words, at);
    }
    for (let i = 0; i < WORDS; i += 1) this.#words[slot * WORDS + i] = words[at + i] as number;
    this.#entries += 1;
    return slot;
  }

  #allocate(slots: number): void {
    this.#capacity = slots;
    this.#words = new Uint32Array(slots * WORDS);
    this.#places = new Uint8Array(slots * PLACE_BYTES);
    this.#states = new Uint8Array(slots);
  }

  #grow(): void {
    assert(this.#capacity < SLOTS_MAX, `a table holds at most ${SLOTS_MAX / 2} ids`);
    const [words, places, states] = [this.#words, this.#places, this.#states];
    this.#allocate(this.#capacity * 2);
    for (let old = 0; old < states.length; old += 1) {
      if (states[old] === EMPTY) continue;
      const slot = this.#probe(words, old * WORDS);
      this.#words.set(words.subarray(old * WORDS, (old + 1) * WORDS), slot * WORDS);
      this.#places.set(places.subarray(old * PLACE_BYTES, (old + 1) * PLACE_BYTES), slot * PLACE_BYTES);
      this.#states[slot] = states[old] as number;
    }
  }

  // Sorts numbers "leading bits of the id, then slot", which the engine does natively; the rare equal prefixes are
  // put right afterwards by comparing whole ids.
  #sortedSlots(): Uint32Array {
    const slotBits = Math.log2(this.#capacity);
    const shift = Math.max(0, slotBits + 32 - 53);
    const bytes = new Uint8Array(this.#words.buffer);
    const view = new DataView(bytes.buffer);
    const keys = new Float64Array(this.#entries);
    let n = 0;
    for (let slot = 0; slot < this.#capacity; slot += 1) {
      if (this.#states[slot] !== EMPTY) keys[n++] = (view.getUint32(slot * ID_BYTES) >>> shift) * this.#capacity + slot;
    }
    keys.sort();
    const slots = Uint32Array.from(keys, (key) => key % this.#capacity);
    const prefix = (i: number): number => Math.floor((keys[i] as number) / this.#capacity);
    const idOf = (slot: number): Uint8Array => bytes.subarray(slot * ID_BYTES, (slot + 1) * ID_BYTES);
    for (let start = 0; start < n;) {
      let end = start + 1;
      while (end < n && prefix(end) === prefix(start)) end += 1;
      if (end - start > 1) slots.subarray(start, end).sort((a, b) => Buffer.compare(idOf(a), idOf(b)));
      start = end;
    }
    return slots;
  }
}
