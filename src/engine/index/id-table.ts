/**
 * Ids to places in flat typed arrays: open addressing, linear probing, at most half full. A slot is 4 bytes, the number of an entry of 53; no
 * object per id. Ids are uniform hashes, so their own first word is the hash. Removed ids stay as tombstones.
 */
import assert from 'node:assert';
import { ID_BYTES, PLACE_BYTES } from '../../core/index.ts';
import type { IdBatch } from '../../core/index.ts';
import { PAGE_ENTRIES, copyPlaceBytes, type EntryPage } from './entry-page.ts';

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

function emptyPage(entries: number): Omit<EntryPage, 'count'> {
  return { ids: new Uint8Array(entries * ID_BYTES), places: new Uint8Array(entries * PLACE_BYTES), tombstones: new Uint8Array(entries) };
}

/** A growing hash table. Arguments `words` and `index` name id `index` of {@link idWords}. */
export class IdTable {
  readonly #slotsAtFirst: number;
  #capacity = 0;
  /** Number of the entry in each slot plus one; 0 for none. */
  #slots: Uint32Array = new Uint32Array(0);
  /** Of entries, in order of arrival. */
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

  /** Live ids and tombstones. */
  get entries(): number {
    return this.#entries;
  }

  /** The entry of an id or of its tombstone; -1 when neither is here. */
  find(words: Uint32Array, index: number): number {
    return (this.#slots[this.#probe(words, index * WORDS)] as number) - 1;
  }

  isTombstone(entry: number): boolean {
    return this.#states[entry] === TOMBSTONE;
  }

  /** Copies the place of an entry to position `index` of a buffer of places. */
  copyPlace(entry: number, places: Uint8Array, index: number): void {
    copyPlaceBytes(this.#places, entry * PLACE_BYTES, places, index * PLACE_BYTES);
  }

  /** Adds or replaces one id; `places` holds its place at position `index`. */
  put(words: Uint32Array, index: number, places: Uint8Array): void {
    const entry = this.#claim(words, index * WORDS);
    if (this.#states[entry] !== LIVE) this.#live += 1;
    this.#states[entry] = LIVE;
    copyPlaceBytes(places, index * PLACE_BYTES, this.#places, entry * PLACE_BYTES);
  }

  /** Marks one id as removed. `keep`: also when it was unknown, because an older run below this table may hold it. */
  remove(words: Uint32Array, index: number, keep: boolean): void {
    if (!keep && this.find(words, index) < 0) return;
    const entry = this.#claim(words, index * WORDS);
    if (this.#states[entry] === LIVE) this.#live -= 1;
    this.#states[entry] = TOMBSTONE;
    this.#places.fill(0, entry * PLACE_BYTES, (entry + 1) * PLACE_BYTES);
  }

  /** Forgets everything; a table that grew goes back to its first size. */
  clear(): void {
    if (this.#capacity === this.#slotsAtFirst) this.#slots.fill(0);
    else this.#allocate(this.#slotsAtFirst);
    this.#entries = 0;
    this.#live = 0;
  }

  /** A copy of all entries, or of the live ones only, in ascending id order; later changes do not show. 53 bytes an entry. */
  sorted(liveOnly: boolean): EntryPage {
    const order = this.#sorted().filter((entry) => !liveOnly || this.#states[entry] === LIVE);
    const page = emptyPage(order.length);
    this.#copy(order, page);
    return { ...page, count: order.length };
  }

  /** All entries in ascending id order, for as long as nothing changes; pages are one reused buffer. */
  *pages(): Iterable<EntryPage> {
    const order = this.#sorted();
    const page = emptyPage(Math.min(order.length, PAGE_ENTRIES));
    for (let at = 0; at < order.length; at += PAGE_ENTRIES) {
      const some = order.subarray(at, at + PAGE_ENTRIES);
      this.#copy(some, page);
      yield { ...page, count: some.length };
    }
  }

  #copy(order: Uint32Array, { ids, places, tombstones }: Omit<EntryPage, 'count'>): void {
    const words = new Uint32Array(ids.buffer);
    order.forEach((entry, i) => {
      for (let word = 0; word < WORDS; word += 1) words[i * WORDS + word] = this.#words[entry * WORDS + word] as number;
      this.copyPlace(entry, places, i);
      tombstones[i] = this.#states[entry] === TOMBSTONE ? 1 : 0;
    });
  }

  #probe(words: Uint32Array, at: number): number {
    const mask = this.#capacity - 1;
    const first = words[at] as number;
    let slot = Math.imul(first, 0x9e3779b1) >>> 0 & mask;
    for (;;) {
      const entry = this.#slots[slot] as number;
      if (entry === 0) return slot;
      const base = (entry - 1) * WORDS;
      let i = 0;
      while (i < WORDS && this.#words[base + i] === words[at + i]) i += 1;
      if (i === WORDS) return slot;
      slot = (slot + 1) & mask;
    }
  }

  /** The entry of an id, which is new if need be. */
  #claim(words: Uint32Array, at: number): number {
    let slot = this.#probe(words, at);
    const known = this.#slots[slot] as number;
    if (known > 0) return known - 1;
    if ((this.#entries + 1) * 2 > this.#capacity) {
      this.#grow();
      slot = this.#probe(words, at);
    }
    const entry = this.#entries;
    this.#entries += 1;
    this.#slots[slot] = this.#entries;
    for (let i = 0; i < WORDS; i += 1) this.#words[entry * WORDS + i] = words[at + i] as number;
    this.#states[entry] = 0; // neither, until the caller says
    return entry;
  }

  #allocate(slots: number): void {
    this.#capacity = slots;
    this.#slots = new Uint32Array(slots);
    this.#words = new Uint32Array(slots / 2 * WORDS);
    this.#places = new Uint8Array(slots / 2 * PLACE_BYTES);
    this.#states = new Uint8Array(slots / 2);
  }

  #grow(): void {
    assert(this.#capacity < SLOTS_MAX, `a table holds at most ${SLOTS_MAX / 2} ids`);
    const [words, places, states] = [this.#words, this.#places, this.#states];
    this.#allocate(this.#capacity * 2);
    this.#words.set(words);
    this.#places.set(places);
    this.#states.set(states);
    for (let entry = 0; entry < this.#entries; entry += 1) this.#slots[this.#freeSlot(words[entry * WORDS] as number)] = entry + 1;
  }

  /** The slot for an id that is not here, by its first word. */
  #freeSlot(first: number): number {
    let slot = Math.imul(first, 0x9e3779b1) >>> 0 & this.#capacity - 1;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#capacity - 1;
    return slot;
  }

  // Sorts numbers "leading bits of the id, then entry", which the engine does natively; the rare equal prefixes are
  // put right afterwards by comparing whole ids.
  #sorted(): Uint32Array {
    const shift = Math.max(0, Math.log2(this.#capacity) + 32 - 53);
    const bytes = new Uint8Array(this.#words.buffer);
    const view = new DataView(bytes.buffer);
    const keys = new Float64Array(this.#entries);
    for (let entry = 0; entry < keys.length; entry += 1) keys[entry] = (view.getUint32(entry * ID_BYTES) >>> shift) * this.#capacity + entry;
    keys.sort();
    const order = new Uint32Array(keys.length); // `from` makes an array of numbers on the heap first
    for (let i = 0; i < keys.length; i += 1) order[i] = (keys[i] as number) % this.#capacity;
    const prefix = (i: number): number => Math.floor((keys[i] as number) / this.#capacity);
    const idOf = (entry: number): Uint8Array => bytes.subarray(entry * ID_BYTES, (entry + 1) * ID_BYTES);
    for (let start = 0; start < keys.length;) {
      let end = start + 1;
      while (end < keys.length && prefix(end) === prefix(start)) end += 1;
      if (end - start > 1) order.subarray(start, end).sort((a, b) => Buffer.compare(idOf(a), idOf(b)));
      start = end;
    }
    return order;
  }
}
