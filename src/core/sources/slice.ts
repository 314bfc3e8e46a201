/** A window onto another source, shifted to offset 0. */
import { checkRange, type BlockSource, type Extent, type ReadOptions } from '../block-source.ts';

/** Owns `inner`: closing the slice closes it. @throws {RangeError} when the window leaves `inner`. */
export class SliceSource implements BlockSource {
  readonly size: number;
  readonly sectorSize: number;
  readonly #inner: BlockSource;
  readonly #start: number;

  constructor(inner: BlockSource, start: number, size: number) {
    checkRange(inner, start, size, 'slice');
    this.#inner = inner;
    this.#start = start;
    this.size = size;
    this.sectorSize = inner.sectorSize;
  }

  readInto(offset: number, target: Uint8Array, options?: ReadOptions): Promise<void> {
    try {
      checkRange(this, offset, target.length, 'slice');
    } catch (error) {
      return Promise.reject(error as Error);
    }
    return this.#inner.readInto(this.#start + offset, target, options);
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    checkRange(this, offset, length, 'slice extents');
    for await (const extent of this.#inner.extents(this.#start + offset, length)) {
      yield { ...extent, offset: extent.offset - this.#start };
    }
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
