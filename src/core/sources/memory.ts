/** A BlockSource over bytes in memory: tests, restore objects, small files. */
import { checkRange, type BlockSource, type Extent } from '../block-source.ts';

/** Wraps `bytes` without a copy; the caller must not change them while the source is open. */
export class MemorySource implements BlockSource {
  readonly size: number;
  readonly sectorSize = 1;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  readInto(offset: number, target: Uint8Array): Promise<void> {
    try {
      checkRange(this, offset, target.length, 'memory');
    } catch (error) {
      return Promise.reject(error as Error);
    }
    target.set(this.#bytes.subarray(offset, offset + target.length));
    return Promise.resolve();
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    checkRange(this, offset, length, 'memory extents');
    if (length > 0) yield { offset, length, kind: 'data' };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
