/** All paths of a volume set, each stored once as (parent, name): jobs of a chain share them. */
import { checkLimit, type Limits, LimitError } from '../../core/index.ts';
import { Column } from './column.ts';

const ARENA_SEGMENT = 1 << 20;
const ARENA_SEGMENTS_MAX = 4096;
/** Names that fall on one slot by chance are a few dozen at this load, even among millions. */
const PROBES_MAX = 2048;
const SEEDS_MAX = 8;

/**
 * Names made to collide cannot make it slow: a search that takes too long changes the hash's seed. Path 0 is the root. A parent's number is always smaller than its children's, so there are no cycles.
 */
export class PathTable {
  readonly #limits: Limits;
  readonly #parent = new Column();
  /** Arena segment × segment size + offset in it; a name never crosses segments. */
  readonly #nameOffset = new Column();
  readonly #nameLength = new Column();
  readonly #arena: Uint8Array[] = [];
  #arenaUsed = 0;
  #slots = new Uint32Array(1 << 12);
  #seed = 1;

  constructor(limits: Limits) {
    this.#limits = limits;
    this.#append(0, new Uint8Array(), 0, 0);
  }

  /** Paths, the root included; numbers are below it. */
  get count(): number {
    return this.#parent.rows;
  }

  parent(path: number): number {
    return this.#parent.get(path);
  }

  /** A view of the last part's bytes; empty for the root. */
  name(path: number): Uint8Array {
    const place = this.#nameOffset.get(path);
    const offset = place % ARENA_SEGMENT;
    return (this.#arena[Math.floor(place / ARENA_SEGMENT)] as Uint8Array).subarray(offset, offset + this.#nameLength.get(path));
  }

  /** The whole path from the root, without a slash in front. */
  bytes(path: number): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let at = path; at !== 0; at = this.parent(at)) parts.push(this.name(at), SLASH);
    parts.pop();
    return Buffer.concat(parts.reverse());
  }

  /**
   * Number of a path, new where it is not known yet; empty parts (`//`, a slash at either end) are dropped.
   * @returns undefined when a part is `.` or `..`: such a name is never followed.
   * @throws {LimitError} when the path, a name, or the depth exceeds its cap.
   */
  intern(bytes: Uint8Array): number | undefined {
    checkLimit(this.#limits, 'pathBytesMax', bytes.length, 'path');
    let path = 0;
    let depth = 0;
    let start = 0;
    for (let i = 0; i <= bytes.length; i += 1) {
      if (i < bytes.length && bytes[i] !== 0x2f) continue;
      if (i > start) {
        if (isDots(bytes, start, i)) return undefined;
        depth += 1;
        checkLimit(this.#limits, 'treeDepthMax', depth, 'path');
        path = this.#child(path, bytes, start, i);
      }
      start = i + 1;
    }
    return path;
  }

  /** Order of the last parts of two paths, by bytes: negative when `a` comes first. */
  compareNames(a: number, b: number): number {
    const [placeA, placeB] = [this.#nameOffset.get(a), this.#nameOffset.get(b)];
    const [arenaA, arenaB] = [this.#arena[Math.floor(placeA / ARENA_SEGMENT)] as Uint8Array, this.#arena[Math.floor(placeB / ARENA_SEGMENT)] as Uint8Array];
    const [startA, startB] = [placeA % ARENA_SEGMENT, placeB % ARENA_SEGMENT];
    const [lengthA, lengthB] = [this.#nameLength.get(a), this.#nameLength.get(b)];
    for (let i = 0; i < lengthA && i < lengthB; i += 1) {
      const difference = (arenaA[startA + i] as number) - (arenaB[startB + i] as number);
      if (difference !== 0) return difference;
    }
    return lengthA - lengthB;
  }

  /** Ends the scan: lets go of what only finding paths needs, until one is looked for. */
  seal(): void {
    this.#slots = new Uint32Array(0);
  }

  /** Number of `name` in `parent`; undefined when no job has it. */
  find(parent: number, name: Uint8Array): number | undefined {
    if (this.#slots.length === 0) this.#refill(2 ** Math.ceil(Math.log2(this.count * 10 / 6 + 1)));
    const slot = this.#slots[this.#probe(parent, name, 0, name.length)] as number;
    return slot === 0 ? undefined : slot;
  }

  #child(parent: number, bytes: Uint8Array, start: number, end: number): number {
    let at = this.#probe(parent, bytes, start, end);
    const known = this.#slots[at] as number;
    if (known !== 0) return known;
    if (this.count * 10 > this.#slots.length * 6) {
      this.#refill(this.#slots.length * 2);
      at = this.#probe(parent, bytes, start, end);
    }
    const path = this.#append(parent, bytes, start, end);
    this.#slots[at] = path;
    return path;
  }

  #append(parent: number, bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    checkLimit(this.#limits, 'nameBytesMax', length, 'name');
    if (this.#arena.length === 0 || this.#arenaUsed + length > ARENA_SEGMENT) {
      if (this.#arena.length === ARENA_SEGMENTS_MAX) throw new LimitError('bytes of names', (ARENA_SEGMENTS_MAX + 1) * ARENA_SEGMENT, ARENA_SEGMENTS_MAX * ARENA_SEGMENT, 'volume set');
      this.#arena.push(new Uint8Array(ARENA_SEGMENT));
      this.#arenaUsed = 0;
    }
    (this.#arena.at(-1) as Uint8Array).set(bytes.subarray(start, end), this.#arenaUsed);
    this.#parent.push(parent);
    this.#nameOffset.push((this.#arena.length - 1) * ARENA_SEGMENT + this.#arenaUsed);
    this.#nameLength.push(length);
    this.#arenaUsed += length;
    return this.count - 1;
  }

  /** The slot that holds the path, or the empty one where it belongs. @throws {LimitError} names that collide under every seed. */
  #probe(parent: number, bytes: Uint8Array, start: number, end: number): number {
    for (;;) {
      const mask = this.#slots.length - 1;
      let slot = hash(this.#seed ^ parent, bytes, start, end) & mask;
      for (let probes = 0; probes < PROBES_MAX; probes += 1) {
        const path = this.#slots[slot] as number;
        if (path === 0 || (this.parent(path) === parent && this.#equals(path, bytes, start, end))) return slot;
        slot = (slot + 1) & mask;
      }
      if (this.#seed >= SEEDS_MAX) throw new LimitError('names that collide', PROBES_MAX, PROBES_MAX, 'volume set');
      this.#seed += 1;
      this.#refill(this.#slots.length);
    }
  }

  #equals(path: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (this.#nameLength.get(path) !== end - start) return false;
    const place = this.#nameOffset.get(path);
    const arena = this.#arena[Math.floor(place / ARENA_SEGMENT)] as Uint8Array;
    const offset = place % ARENA_SEGMENT - start;
    for (let i = start; i < end; i += 1) if (arena[offset + i] !== bytes[i]) return false;
    return true;
  }

  #refill(slots: number): void {
    this.#slots = new Uint32Array(slots);
    for (let path = 1; path < this.count; path += 1) {
      const name = this.name(path);
      this.#slots[this.#probe(this.parent(path), name, 0, name.length)] = path;
    }
  }
}

const SLASH = new Uint8Array([0x2f]);

function isDots(bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  return bytes[start] === 0x2e && (length === 1 || (length === 2 && bytes[start + 1] === 0x2e));
}

/** FNV-1a over start value and name, then a final mix so that the low bits depend on all. */
function hash(from: number, bytes: Uint8Array, start: number, end: number): number {
  let h = Math.imul(0x811c9dc5 ^ Math.imul(from, 0x9e3779b1), 0x01000193);
  for (let i = start; i < end; i += 1) h = Math.imul(h ^ (bytes[i] as number), 0x01000193);
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  return (h ^ (h >>> 13)) >>> 0;
}
