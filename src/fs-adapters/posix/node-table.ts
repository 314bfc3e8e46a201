/**
 * Node ids of a live tree. An id is the place (in units of 4 bytes) of a record in a growing arena: parent's id, length
 * of the name, name, NUL. A hash table over (parent, name) finds the record of a name that was seen before, so that an
 * id is stable and listing a directory twice costs nothing more. About 36 bytes a node at 20-byte names, nothing for the
 * garbage collector to walk. Up to 16 GiB of names.
 *
 * Invariants: a record never straddles two chunks and never moves; id 0 is no node.
 */
import { randomBytes } from 'node:crypto';
import { LimitError, type NodeId } from '../../core/index.ts';

const CHUNK_BYTES = 1 << 20;
const CHUNK_UNITS_SHIFT = 18;
const UNIT_MASK = (1 << CHUNK_UNITS_SHIFT) - 1;
/** Parent (4) and length (1). */
const HEAD_BYTES = 5;
const ID_MAX = 0xffff_ffff;

/** Ids for names below a root. */
export class NodeTable {
  /** The root has itself as its parent and an empty name. */
  readonly rootId: NodeId;
  readonly #chunks: Uint8Array[] = [];
  #usedUnits = CHUNK_BYTES >> 2;
  #slots = new Uint32Array(1024);
  #count = 0;
  /** Keeps names that were chosen to collide from colliding here. */
  readonly #seed = randomBytes(4).readUInt32LE();

  constructor() {
    this.rootId = this.#append(0, new Uint8Array(0), 0, 0);
  }

  /** The id that the next new name gets, or a smaller one: names from here on can be released. */
  get end(): number {
    return (this.#chunks.length - 1) * (1 << CHUNK_UNITS_SHIFT) + this.#usedUnits;
  }

  /**
   * Takes back all ids from `end` on, a value that {@link end} had earlier; they will be handed out again.
   * Newest first: behind a name in its probe sequence stand only newer ones, so clearing its slot breaks no older one's.
   */
  release(end: number): void {
    if (end >= this.end) return;
    const released = this.#idsFrom(end);
    for (let i = released.length - 1; i >= 0; i -= 1) this.#clearSlot(released[i]!);
    this.#count -= released.length;
    this.#chunks.length = (end >>> CHUNK_UNITS_SHIFT) + 1;
    this.#usedUnits = end & UNIT_MASK;
    this.#chunks[this.#chunks.length - 1]!.fill(0, this.#usedUnits << 2);
  }

  /** Ids of all records from `start` on, oldest first. */
  #idsFrom(start: number): number[] {
    const ids: number[] = [];
    for (let id = start; id < this.end;) {
      // A record that did not fit left the rest of its chunk zero, and no record has parent 0.
      if (this.parent(id as NodeId) === 0) {
        id = ((id >>> CHUNK_UNITS_SHIFT) + 1) * (1 << CHUNK_UNITS_SHIFT);
        continue;
      }
      ids.push(id);
      id += this.#unitsAt(id);
    }
    return ids;
  }

  #unitsAt(id: number): number {
    return (HEAD_BYTES + this.#chunk(id)[((id & UNIT_MASK) << 2) + 4]! + 1 + 3) >> 2;
  }

  #clearSlot(id: number): void {
    const name = this.name(id as NodeId);
    let slot = this.#hash(this.parent(id as NodeId), name, 0, name.length) & (this.#slots.length - 1);
    while (this.#slots[slot] !== id) slot = (slot + 1) & (this.#slots.length - 1);
    this.#slots[slot] = 0;
  }

  /** Nodes handed out. */
  get count(): number {
    return this.#count;
  }

  /** Bytes held for them. */
  get bytes(): number {
    return this.#chunks.length * CHUNK_BYTES + this.#slots.byteLength;
  }

  /** The id of the name at `[start, start + length)` of `bytes`, new if it was not seen before. Length at most 255. */
  intern(parent: NodeId, bytes: Uint8Array, start: number, length: number): NodeId {
    if ((this.#count + 1) * 4 > this.#slots.length * 3) this.#grow();
    let slot = this.#hash(parent, bytes, start, length) & (this.#slots.length - 1);
    for (let id = this.#slots[slot]!; id !== 0; id = this.#slots[slot]!) {
      if (this.parent(id as NodeId) === parent && this.#isNamed(id, bytes, start, length)) return id as NodeId;
      slot = (slot + 1) & (this.#slots.length - 1);
    }
    const id = this.#append(parent, bytes, start, length);
    this.#slots[slot] = id;
    return id;
  }

  parent(id: NodeId): NodeId {
    const chunk = this.#chunk(id);
    const at = (id & UNIT_MASK) << 2;
    return ((chunk[at]! | chunk[at + 1]! << 8 | chunk[at + 2]! << 16 | chunk[at + 3]! << 24) >>> 0) as NodeId;
  }

  /** A view on the table, not to be written to. */
  name(id: NodeId): Uint8Array {
    const chunk = this.#chunk(id);
    const at = ((id & UNIT_MASK) << 2) + HEAD_BYTES;
    return chunk.subarray(at, at + chunk[at - 1]!);
  }

  /** Like {@link name} with the NUL behind it, for system calls. */
  cName(id: NodeId): Uint8Array {
    const chunk = this.#chunk(id);
    const at = ((id & UNIT_MASK) << 2) + HEAD_BYTES;
    return chunk.subarray(at, at + chunk[at - 1]! + 1);
  }

  #chunk(id: number): Uint8Array {
    const chunk = this.#chunks[id >>> CHUNK_UNITS_SHIFT];
    if (chunk === undefined || id === 0) throw new RangeError(`Find node '${id}': not an id of this tree`);
    return chunk;
  }

  #append(parent: number, bytes: Uint8Array, start: number, length: number): NodeId {
    const units = (HEAD_BYTES + length + 1 + 3) >> 2;
    if (this.#usedUnits + units > CHUNK_BYTES >> 2) {
      this.#chunks.push(new Uint8Array(CHUNK_BYTES));
      this.#usedUnits = this.#chunks.length === 1 ? 1 : 0;
    }
    const id = (this.#chunks.length - 1) * (1 << CHUNK_UNITS_SHIFT) + this.#usedUnits;
    if (id > ID_MAX) throw new LimitError('nodes of a live tree', id, ID_MAX, 'directory');
    const chunk = this.#chunks[this.#chunks.length - 1]!;
    const at = this.#usedUnits << 2;
    const owner = parent === 0 ? id : parent;
    chunk[at] = owner;
    chunk[at + 1] = owner >>> 8;
    chunk[at + 2] = owner >>> 16;
    chunk[at + 3] = owner >>> 24;
    chunk[at + 4] = length;
    for (let i = 0; i < length; i += 1) chunk[at + HEAD_BYTES + i] = bytes[start + i]!;
    this.#usedUnits += units;
    this.#count += 1;
    return id as NodeId;
  }

  #isNamed(id: number, bytes: Uint8Array, start: number, length: number): boolean {
    const chunk = this.#chunks[id >>> CHUNK_UNITS_SHIFT]!;
    const at = (id & UNIT_MASK) << 2;
    if (chunk[at + 4] !== length) return false;
    for (let i = 0; i < length; i += 1) if (chunk[at + HEAD_BYTES + i] !== bytes[start + i]) return false;
    return true;
  }

  #hash(parent: number, bytes: Uint8Array, start: number, length: number): number {
    let hash = Math.imul(parent ^ this.#seed, 0x9e3779b1);
    for (let i = start; i < start + length; i += 1) {
      hash = Math.imul(hash ^ bytes[i]!, 0x85ebca6b);
      hash ^= hash >>> 15;
    }
    hash = Math.imul(hash, 0xc2b2ae35);
    return (hash ^ hash >>> 16) >>> 0;
  }

  #grow(): void {
    const slots = new Uint32Array(this.#slots.length * 2);
    // Oldest first, which `release` relies on; the root is not in the table.
    for (const id of this.#idsFrom(this.rootId)) {
      if (id === this.rootId) continue;
      const name = this.name(id as NodeId);
      let slot = this.#hash(this.parent(id as NodeId), name, 0, name.length) & (slots.length - 1);
      while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1);
      slots[slot] = id;
    }
    this.#slots = slots;
  }
}
