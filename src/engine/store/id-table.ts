/** Open-addressing tables over 32-byte ids, flat and without an object per entry. Ids are hashes, so their own bits place them. */
import { ID_BYTES, PLACE_BYTES } from '../../core/index.ts';

const WORDS = ID_BYTES / 4;

/** A set of ids that grows; about 72 bytes an id. */
export class IdSet {
  #slots: Uint32Array;
  #words: Uint32Array;
  #mask: number;
  count = 0;
  readonly #probe = new Uint32Array(WORDS);
  readonly #probeBytes: Uint8Array = new Uint8Array(this.#probe.buffer);

  constructor(capacity = 1024) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(16, capacity * 2)));
    this.#slots = new Uint32Array(slots);
    this.#words = new Uint32Array((slots / 2) * WORDS);
    this.#mask = slots - 1;
  }

  /** Whether the id at `offset` of `bytes` is in the set. */
  has(bytes: Uint8Array, offset: number): boolean {
    this.#load(bytes, offset);
    return this.#find() >= 0;
  }

  /** Adds it. @returns false when it was there. */
  add(bytes: Uint8Array, offset: number): boolean {
    this.#load(bytes, offset);
    let found = this.#find();
    if (found >= 0) return false;
    if ((this.count + 1) * 2 > this.#slots.length) {
      this.#grow();
      found = this.#find();
    }
    this.#slots[~found] = this.count + 1;
    this.#words.set(this.#probe, this.count * WORDS);
    this.count += 1;
    return true;
  }

  /** Forgets all ids and keeps the memory. */
  clear(): void {
    this.#slots.fill(0);
    this.count = 0;
  }

  /** Position of entry or, when absent, the complement of the free slot. */
  #find(): number {
    let slot = (this.#probe[0] as number) & this.#mask;
    for (;;) {
      const entry = this.#slots[slot] as number;
      if (entry === 0) return ~slot;
      const at = (entry - 1) * WORDS;
      let word = 0;
      while (word < WORDS && this.#words[at + word] === this.#probe[word]) word += 1;
      if (word === WORDS) return entry - 1;
      slot = (slot + 1) & this.#mask;
    }
  }

  #load(bytes: Uint8Array, offset: number): void {
    this.#probeBytes.set(bytes.subarray(offset, offset + ID_BYTES));
  }

  #grow(): void {
    const old = this.#words;
    this.#slots = new Uint32Array(this.#slots.length * 2);
    this.#mask = this.#slots.length - 1;
    this.#words = new Uint32Array((this.#slots.length / 2) * WORDS);
    this.#words.set(old.subarray(0, this.count * WORDS));
    for (let entry = 0; entry < this.count; entry += 1) {
      let slot = (this.#words[entry * WORDS] as number) & this.#mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask;
      this.#slots[slot] = entry + 1;
    }
  }
}

/**
 * A cache of places by id with two generations: when the young one is full it becomes the old one, whose entries are forgotten
 * unless they were used again. Bounded memory, no list per entry.
 */
export class PlaceCache {
  readonly #capacity: number;
  #young: IdPlaces;
  #old: IdPlaces;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#young = new IdPlaces(capacity);
    this.#old = new IdPlaces(capacity);
  }

  /** Copies the place of the id at `offset` into `target`; false when it is not cached. */
  get(bytes: Uint8Array, offset: number, target: Uint8Array, targetOffset: number): boolean {
    if (this.#young.get(bytes, offset, target, targetOffset)) return true;
    if (!this.#old.get(bytes, offset, target, targetOffset)) return false;
    this.put(bytes, offset, target, targetOffset);
    return true;
  }

  clear(): void {
    this.#young = new IdPlaces(this.#capacity);
    this.#old = new IdPlaces(this.#capacity);
  }

  put(bytes: Uint8Array, offset: number, place: Uint8Array, placeOffset: number): void {
    if (this.#young.count >= this.#capacity) {
      this.#old = this.#young;
      this.#young = new IdPlaces(this.#capacity);
    }
    this.#young.put(bytes, offset, place, placeOffset);
  }
}

/** One generation: fixed capacity, latest place wins. */
class IdPlaces {
  readonly #slots: Int32Array;
  readonly #ids: Uint8Array;
  readonly #places: Uint8Array;
  readonly #mask: number;
  count = 0;

  constructor(capacity: number) {
    const slots = 2 ** Math.ceil(Math.log2(capacity * 2));
    this.#slots = new Int32Array(slots);
    this.#mask = slots - 1;
    this.#ids = new Uint8Array(capacity * ID_BYTES);
    this.#places = new Uint8Array(capacity * PLACE_BYTES);
  }

  get(bytes: Uint8Array, offset: number, target: Uint8Array, targetOffset: number): boolean {
    const entry = this.#slots[this.#slot(bytes, offset)] as number;
    if (entry === 0) return false;
    target.set(this.#places.subarray((entry - 1) * PLACE_BYTES, entry * PLACE_BYTES), targetOffset);
    return true;
  }

  put(bytes: Uint8Array, offset: number, place: Uint8Array, placeOffset: number): void {
    const slot = this.#slot(bytes, offset);
    let entry = this.#slots[slot] as number;
    if (entry === 0) {
      this.count += 1;
      entry = this.count;
      this.#slots[slot] = entry;
      this.#ids.set(bytes.subarray(offset, offset + ID_BYTES), (entry - 1) * ID_BYTES);
    }
    this.#places.set(place.subarray(placeOffset, placeOffset + PLACE_BYTES), (entry - 1) * PLACE_BYTES);
  }

  #slot(bytes: Uint8Array, offset: number): number {
    const first = ((bytes[offset] as number) | ((bytes[offset + 1] as number) << 8) | ((bytes[offset + 2] as number) << 16) | ((bytes[offset + 3] as number) << 24)) >>> 0;
    let slot = first & this.#mask;
    for (;;) {
      const entry = this.#slots[slot] as number;
      if (entry === 0) return slot;
      const at = (entry - 1) * ID_BYTES;
      let i = 0;
      while (i < ID_BYTES && this.#ids[at + i] === bytes[offset + i]) i += 1;
      if (i === ID_BYTES) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }
}
