/** Reads content: finds the page of references for an offset, then the chunks. One per open file. */
import {
  FormatError, ID_BYTES, IntegrityError, PLACE_BYTES, checkLimit, decodePlace, type ContentVisitor, type IdBatch, type Limits,
} from '../../core/index.ts';
import { findStart, startOfChunk } from '../store/chunk-of.ts';
import { READ_ATTEMPTS, type IngestStore } from '../store/content-store.ts';
import type { Group } from '../store/group-cache.ts';
import type { MetadataStore } from './metadata-store.ts';
import { REF_BYTES, isHole, refId, refStarts, type Content } from './refs.ts';

/** Where a reader gets chunks from. */
export interface ContentParts {
  readonly store: IngestStore;
  readonly metadata: MetadataStore;
  readonly limits: Limits;
}

/** References of chunks over a part of the content. */
export interface Leaf {
  readonly refs: Uint8Array;
  /** Start of each reference, and the end. */
  readonly starts: Float64Array;
  readonly count: number;
  /** Set once they were asked for. */
  places?: LeafPlaces;
}

/** Groups asked for ahead of a sequential read; each is about 2 MiB. */
const GROUPS_AHEAD = 4;

/** The last index `i` with `starts[i] <= offset`. */
export function findRef(starts: ArrayLike<number>, offset: number): number {
  let low = 0;
  let high = starts.length - 2;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if ((starts[middle] as number) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Descends from the references in an entry to the leaf over `offset`. */
export async function findLeaf(content: Content, offset: number, parts: ContentParts): Promise<Leaf> {
  let refs = content.refs;
  let start = 0;
  for (let depth = content.depth; ; depth -= 1) {
    const starts = refStarts(refs, start);
    if (depth === 0) return { refs, starts, count: refs.length / REF_BYTES };
    const index = findRef(starts, offset);
    const page = await parts.metadata.get(refId(refs, index));
    const covered = (starts[index + 1] as number) - (starts[index] as number);
    start = starts[index] as number;
    const inner = refStarts(page, 0);
    if (inner[inner.length - 1] !== covered) {
      throw new FormatError('Read recipe page', { structure: 'recipe', field: 'covered', found: inner[inner.length - 1] ?? 0, expected: covered });
    }
    refs = page;
  }
}

/** Random and sequential reads over one content. */
export class ContentReader {
  readonly #parts: ContentParts;
  readonly #content: Content;
  readonly #end: number;
  #leaf: Leaf | undefined;
  /** The leaf behind the current one, fetched while that is read: else each page of references would stop the flow. */
  #next: { readonly start: number; leaf?: Leaf } | undefined;
  /** Offset in the content up to which groups were asked for. */
  #ahead = 0;

  constructor(content: Content, parts: ContentParts) {
    this.#content = content;
    this.#parts = parts;
    this.#end = refStarts(content.refs, 0).at(-1) ?? 0;
  }

  /** Fills `target`; the caller has checked the range against the size, which must equal the bytes covered. */
  async readInto(offset: number, target: Uint8Array, sequential: boolean): Promise<void> {
    let done = 0;
    while (done < target.length) {
      const leaf = await this.#leafAt(offset + done);
      done += await this.#readLeaf(leaf, offset + done, target.subarray(done), sequential);
    }
  }

  /** Hands over `[0, size)` as views of decoded groups: chunks that stand side by side there come as one piece. */
  async visit(size: number, visitor: ContentVisitor): Promise<void> {
    this.#parts.store.expectWork(size);
    for (let at = 0; at < size;) {
      const leaf = await this.#leafAt(at);
      let index = findRef(leaf.starts, at);
      while (index < leaf.count) {
        if (isHole(leaf.refs, index)) {
          const length = (leaf.starts[index + 1] as number) - at;
          await visitor.empty(at, length);
          index += 1;
        } else {
          index = await this.#visitRun(leaf, index, visitor);
        }
        at = leaf.starts[index] as number;
      }
    }
  }

  /** One piece of one group. @returns the index of the reference behind it. */
  async #visitRun(leaf: Leaf, first: number, visitor: ContentVisitor): Promise<number> {
    const { places, group } = await this.#acquire(leaf, first, true);
    const { groups } = this.#parts.store;
    try {
      let index = first;
      let start = 0;
      let end = 0;
      while (index < leaf.count && (index === first || places.isSameGroup(index, first))) {
        const length = (leaf.starts[index + 1] as number) - (leaf.starts[index] as number);
        const at = findStart(group, places.ordinal(index), { refs: leaf.refs, index, length });
        if (index === first) start = end = at;
        else if (at !== end) break; // or it is damaged: then it is looked for elsewhere as the first of a run
        end += length;
        index += 1;
      }
      await visitor.data(leaf.starts[first] as number, group.block.bytes.subarray(start, end));
      return index;
    } finally {
      groups.release(group);
    }
  }

  /** The leaf over an offset, for extents. */
  leafAt(offset: number): Promise<Leaf> {
    return this.#leafAt(offset);
  }

  async #leafAt(offset: number): Promise<Leaf> {
    const known = this.#leaf;
    if (known !== undefined && offset >= (known.starts[0] as number) && offset < (known.starts[known.count] as number)) return known;
    const leaf = this.#next?.start === offset && this.#next.leaf !== undefined ? this.#next.leaf : await findLeaf(this.#content, offset, this.#parts);
    if (leaf.count === 0 || offset >= (leaf.starts[leaf.count] as number)) {
      throw new IntegrityError(`Read content at ${offset}: its references end at ${leaf.starts[leaf.count] ?? 0}`);
    }
    this.#leaf = leaf;
    return leaf;
  }

  async #readLeaf(leaf: Leaf, offset: number, target: Uint8Array, sequential: boolean): Promise<number> {
    let done = 0;
    let index = findRef(leaf.starts, offset);
    while (done < target.length && index < leaf.count) {
      const start = leaf.starts[index] as number;
      const end = leaf.starts[index + 1] as number;
      const skip = offset + done - start;
      const length = Math.min(target.length - done, end - start - skip);
      if (isHole(leaf.refs, index)) {
        target.fill(0, done, done + length);
        done += length;
        index += 1;
      } else {
        const run = await this.#readRun(leaf, index, { skip, target: target.subarray(done), sequential });
        done += run.bytes;
        index = run.next;
      }
    }
    return done;
  }

  /** Copies chunk after chunk as long as they stand in the same group. No object or view per chunk: there are 64 a megabyte. */
  async #readRun(leaf: Leaf, first: number, wish: { skip: number; target: Uint8Array; sequential: boolean }): Promise<{ bytes: number; next: number }> {
    const { places, group } = await this.#acquire(leaf, first, wish.sequential);
    const { groups } = this.#parts.store;
    try {
      let done = 0;
      let index = first;
      let skip = wish.skip;
      while (done < wish.target.length && index < leaf.count && (index === first || places.isSameGroup(index, first))) {
        const expected = (leaf.starts[index + 1] as number) - (leaf.starts[index] as number);
        const start = findStart(group, places.ordinal(index), { refs: leaf.refs, index, length: expected });
        if (start < 0) break; // damaged: it is looked for elsewhere as the first of a run
        const length = Math.min(expected - skip, wish.target.length - done);
        wish.target.set(group.block.bytes.subarray(start + skip, start + skip + length), done);
        done += length;
        if (skip + length < expected) break;
        skip = 0;
        index += 1;
      }
      return { bytes: done, next: index };
    } finally {
      groups.release(group);
    }
  }

  /** Pins the group of a reference, whose chunk is good. Where a collector moved it meanwhile, or it is damaged there, the leaf's places are asked for again. */
  async #acquire(leaf: Leaf, index: number, isSequential: boolean): Promise<{ places: LeafPlaces; group: Group }> {
    const { store } = this.#parts;
    const length = (leaf.starts[index + 1] as number) - (leaf.starts[index] as number);
    for (let attempt = 1; ; attempt += 1) {
      const places = leaf.places ?? await this.#placesOf(leaf);
      if (isSequential && attempt === 1) this.#readAhead(leaf, places, index);
      try {
        return { places, group: await store.acquireAt(decodePlace(places.bytes, index), (group) => { startOfChunk(group, places.ordinal(index), { refs: leaf.refs, index, length }); }) };
      } catch (error) {
        if (attempt === READ_ATTEMPTS || !(await store.isElsewhere(error, idsBeside(leaf, places, index)))) throw error;
        delete leaf.places;
      }
    }
  }

  /** Places of all references of the leaf, asked for at once; holes have none. */
  async #placesOf(leaf: Leaf): Promise<LeafPlaces> {
    if (leaf.places !== undefined) return leaf.places;
    checkLimit(this.#parts.limits, 'groupChunksMax', leaf.count, 'references of a page');
    const ids = new Uint8Array(leaf.count * ID_BYTES);
    const positions: number[] = [];
    for (let i = 0; i < leaf.count; i += 1) {
      if (isHole(leaf.refs, i)) continue;
      ids.set(refId(leaf.refs, i), positions.length * ID_BYTES);
      positions.push(i);
    }
    const found = await this.#parts.store.locate({ bytes: ids, count: positions.length });
    const bytes = new Uint8Array(leaf.count * PLACE_BYTES);
    positions.forEach((position, i) => { bytes.set(found.subarray(i * PLACE_BYTES, (i + 1) * PLACE_BYTES), position * PLACE_BYTES); });
    leaf.places = new LeafPlaces(bytes);
    return leaf.places;
  }

  /** Asks for the groups that follow, over the end of the leaf if need be. */
  #readAhead(leaf: Leaf, places: LeafPlaces, from: number): void {
    let last = from;
    let asked = 0;
    for (let i = from + 1; i < leaf.count && asked < GROUPS_AHEAD; i += 1) {
      if (places.isSameGroup(i, last) || isHole(leaf.refs, i)) continue;
      last = i;
      asked += 1;
      if ((leaf.starts[i] as number) < this.#ahead) continue;
      if (!this.#parts.store.groups.prefetch(decodePlace(places.bytes, i))) return;
      this.#ahead = leaf.starts[i + 1] as number;
    }
    const end = leaf.starts[leaf.count] as number;
    if (asked === GROUPS_AHEAD || end >= this.#end) return;
    if (this.#next?.start !== end) this.#prepare(end);
    const { leaf: next } = this.#next ?? {};
    if (next?.places === undefined || end < this.#ahead || isHole(next.refs, 0)) return;
    if (this.#parts.store.groups.prefetch(decodePlace(next.places.bytes, 0))) this.#ahead = next.starts[1] as number;
  }

  /** Fetches the leaf at `start` beside the reading; whoever reads it meets any error again. */
  #prepare(start: number): void {
    const next: { readonly start: number; leaf?: Leaf } = { start };
    this.#next = next;
    const fetch = async (): Promise<void> => {
      const leaf = await findLeaf(this.#content, start, this.#parts);
      await this.#placesOf(leaf);
      next.leaf = leaf;
    };
    fetch().catch(() => undefined);
  }
}

/** Ids of a leaf's chunks in the group of one of them, that one first. */
function idsBeside(leaf: Leaf, places: LeafPlaces, index: number): IdBatch {
  const others = Array.from({ length: leaf.count }, (_, i) => i).filter((i) => i !== index && !isHole(leaf.refs, i) && places.isSameGroup(i, index));
  const indexes = [index, ...others];
  const bytes = new Uint8Array(indexes.length * ID_BYTES);
  indexes.forEach((at, i) => { bytes.set(refId(leaf.refs, at), i * ID_BYTES); });
  return { bytes, count: indexes.length };
}

/** Places of a leaf's references; a hole's is all zero and stands in no group. */
class LeafPlaces {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }

  ordinal(index: number): number {
    return this.#view.getUint16(index * PLACE_BYTES + 16);
  }

  isSameGroup(a: number, b: number): boolean {
    const [x, y] = [a * PLACE_BYTES, b * PLACE_BYTES];
    return this.#view.getUint32(x + 8) === this.#view.getUint32(y + 8) && this.#view.getUint32(x + 4) === this.#view.getUint32(y + 4)
      && this.#view.getUint32(x) === this.#view.getUint32(y) && this.#view.getUint32(x + 12) === this.#view.getUint32(y + 12);
  }
}
