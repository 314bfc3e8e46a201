/**
 * References: 40 bytes each, the id of a chunk and the bytes of content it covers (u64, big-endian). 32 zero bytes instead of an id
 * stand for a hole of that length.
 */
import { FormatError, ID_BYTES, type Limits } from '../../core/index.ts';

/** Bytes of one reference. */
export const REF_BYTES: number = ID_BYTES + 8;

/** The content of a file or directory: `depth` 0 refers to content chunks, n to pages of references of depth n − 1. */
export interface Content {
  readonly depth: number;
  /** References back to back. */
  readonly refs: Uint8Array;
}

/** No bytes at all. */
export const emptyContent: Content = { depth: 0, refs: new Uint8Array(0) };

/** A growing list of references. */
export class RefList {
  #bytes = new Uint8Array(REF_BYTES * 4);
  count = 0;
  /** Bytes of content that all references cover. */
  covered = 0;

  /** A view; valid until the next `push`. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.count * REF_BYTES);
  }

  /** `id` may be a view into anything; it is copied. */
  push(id: Uint8Array, idOffset: number, length: number): void {
    const at = this.#reserve();
    this.#bytes.set(id.subarray(idOffset, idOffset + ID_BYTES), at);
    this.#setLength(at, length);
  }

  pushHole(length: number): void {
    const at = this.#reserve();
    this.#bytes.fill(0, at, at + ID_BYTES);
    this.#setLength(at, length);
  }

  clear(): void {
    this.count = 0;
    this.covered = 0;
  }

  #reserve(): number {
    const at = this.count * REF_BYTES;
    if (at + REF_BYTES > this.#bytes.length) {
      const grown = new Uint8Array(this.#bytes.length * 2);
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    this.count += 1;
    return at;
  }

  #setLength(at: number, length: number): void {
    const view = new DataView(this.#bytes.buffer);
    view.setUint32(at + ID_BYTES, Math.floor(length / 0x1_0000_0000));
    view.setUint32(at + ID_BYTES + 4, length >>> 0);
    this.covered += length;
  }
}

/** Bytes covered by the reference at `index`. */
export function refLength(refs: Uint8Array, index: number): number {
  const view = new DataView(refs.buffer, refs.byteOffset + index * REF_BYTES + ID_BYTES, 8);
  return view.getUint32(0) * 0x1_0000_0000 + view.getUint32(4);
}

/** The id of the reference at `index`, as a view. */
export function refId(refs: Uint8Array, index: number): Uint8Array {
  return refs.subarray(index * REF_BYTES, index * REF_BYTES + ID_BYTES);
}

/** Whether the reference at `index` is a hole. */
export function isHole(refs: Uint8Array, index: number): boolean {
  for (let i = index * REF_BYTES; i < index * REF_BYTES + ID_BYTES; i += 1) if (refs[i] !== 0) return false;
  return true;
}

/**
 * Offsets at which references start, `count + 1` of them.
 * @throws {FormatError} when the bytes are not whole references or lengths leave 2^53.
 */
export function refStarts(refs: Uint8Array, start: number): Float64Array {
  if (refs.length % REF_BYTES !== 0) {
    throw new FormatError('Read references', { structure: 'references', field: 'length', found: refs.length, expected: `a multiple of ${REF_BYTES}` });
  }
  const count = refs.length / REF_BYTES;
  const starts = new Float64Array(count + 1);
  starts[0] = start;
  for (let i = 0; i < count; i += 1) {
    const end = (starts[i] as number) + refLength(refs, i);
    if (!Number.isSafeInteger(end)) throw new FormatError('Read references', { structure: 'references', field: 'covered', found: end, expected: 'at most 2^53-1' });
    starts[i + 1] = end;
  }
  return starts;
}

/** Checks the shape of content that was read. @throws {FormatError} @throws {RangeError} never */
export function checkContent(content: Content, limits: Limits): void {
  if (content.depth > limits.recipeDepthMax) {
    throw new FormatError('Read content', { structure: 'content', field: 'depth', found: content.depth, expected: `at most ${limits.recipeDepthMax}` });
  }
  refStarts(content.refs, 0);
}
