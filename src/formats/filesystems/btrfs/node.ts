/** Tree blocks: keys and items of one node or leaf. Source: btrfs documentation, "On-disk format", header, key pointer and item. */
import { FormatError } from '../../../core/index.ts';
import { headerLayout } from './btrfs.layout.ts';
import { compareWide, wideAt } from './wide.ts';

/** A key: object ids at the upper end of 64 bits are negative, as in {@link wideAt}. */
export interface Key {
  readonly objectid: number;
  readonly type: number;
  readonly offset: number;
}

/** An item: its key, and `size` bytes at `at` of `view`. The bytes may be shared by others and must not be changed. */
export interface Item extends Key {
  readonly view: DataView;
  readonly at: number;
  readonly size: number;
}

/** Order of keys. */
export function compareKeys(a: Key, b: Key): number {
  return compareWide(a.objectid, b.objectid) || a.type - b.type || compareWide(a.offset, b.offset);
}

/** The bytes of an item, without a copy. */
export function itemBytes({ view, at, size }: Item): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset + at, size);
}

/** An item whose bytes are all of `bytes`. */
export function itemOf({ objectid, type, offset }: Key, bytes: Uint8Array): Item {
  return { objectid, type, offset, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), at: 0, size: bytes.length };
}

/** For error messages. */
export function keyText({ objectid, type, offset }: Key): string {
  return `(${objectid} ${type} ${offset})`;
}

const HEADER = headerLayout.size;
/** Bytes of a leaf's entry and of a node's. */
const ENTRY = 25;
const POINTER = 33;

/** A block that was verified: a leaf when `level` is 0. */
export class TreeNode {
  readonly logical: number;
  readonly level: number;
  readonly generation: number;
  /** The tree that wrote it; a snapshot shares blocks with the tree that it was made of. */
  readonly owner: number;
  readonly count: number;
  readonly #view: DataView;
  readonly #stride: number;

  /** @throws {FormatError} when its entries leave the block or are not in order. */
  constructor(bytes: Uint8Array, logical: number) {
    const head = headerLayout.view(bytes, 0, logical);
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.logical = logical;
    this.level = head.level;
    this.generation = head.generation;
    this.owner = wideAt(this.#view, headerLayout.offsets.owner);
    this.count = head.nritems;
    this.#stride = this.level === 0 ? ENTRY : POINTER;
    this.#check(bytes.length);
  }

  #fault(field: string, found: string | number, expected: string): FormatError {
    return new FormatError('Read btrfs tree block', { structure: this.level === 0 ? 'btrfs_leaf' : 'btrfs_node', field, offset: this.logical, found, expected });
  }

  #check(bytes: number): void {
    const max = Math.floor((bytes - HEADER) / this.#stride);
    if (this.level > 7) throw this.#fault('level', this.level, 'at most 7');
    if (this.count > max || (this.level > 0 && this.count === 0)) throw this.#fault('nritems', this.count, `${this.level > 0 ? 1 : 0} to ${max}`);
    for (let i = 1; i < this.count; i += 1) {
      if (this.#compareSlots(i - 1, i) >= 0) throw this.#fault('key', keyText(this.key(i)), `more than ${keyText(this.key(i - 1))}`);
    }
    if (this.level > 0) return;
    const entriesEnd = HEADER + this.count * ENTRY;
    let end = bytes;
    for (let i = 0; i < this.count; i += 1) {
      const at = HEADER + this.#view.getUint32(HEADER + i * ENTRY + 17, true);
      if (at + this.#view.getUint32(HEADER + i * ENTRY + 21, true) !== end || at < entriesEnd) throw this.#fault(`items[${i}].offset`, at - HEADER, `data that ends at ${end - HEADER}`);
      end = at;
    }
  }

  #compareSlots(a: number, b: number): number {
    const one = HEADER + a * this.#stride;
    const two = HEADER + b * this.#stride;
    return compareWide(wideAt(this.#view, one), wideAt(this.#view, two)) || this.#view.getUint8(one + 8) - this.#view.getUint8(two + 8)
      || compareWide(wideAt(this.#view, one + 9), wideAt(this.#view, two + 9));
  }

  /** The key of entry `slot`. */
  key(slot: number): Key {
    const at = HEADER + slot * this.#stride;
    return { objectid: wideAt(this.#view, at), type: this.#view.getUint8(at + 8), offset: wideAt(this.#view, at + 9) };
  }

  /** Entry `slot`'s key against `key`. */
  compare(slot: number, key: Key): number {
    const at = HEADER + slot * this.#stride;
    return compareWide(wideAt(this.#view, at), key.objectid) || this.#view.getUint8(at + 8) - key.type || compareWide(wideAt(this.#view, at + 9), key.offset);
  }

  /** The last entry whose key is not above `key`; −1 when all are. */
  slotAtOrBefore(key: Key): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.compare(middle, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** The block that pointer `slot` leads to. @throws {FormatError} */
  child(slot: number): { readonly logical: number; readonly generation: number } {
    const at = HEADER + slot * POINTER;
    const logical = wideAt(this.#view, at + 17);
    if (logical < 0 || logical % 512 !== 0) throw this.#fault(`ptrs[${slot}].blockptr`, logical, 'an address that is a multiple of 512');
    return { logical, generation: wideAt(this.#view, at + 25) };
  }

  /** Item `slot` of a leaf. */
  item(slot: number): Item {
    const at = HEADER + slot * ENTRY;
    const view = this.#view;
    return {
      objectid: wideAt(view, at), type: view.getUint8(at + 8), offset: wideAt(view, at + 9),
      view, at: HEADER + view.getUint32(at + 17, true), size: view.getUint32(at + 21, true),
    };
  }
}
