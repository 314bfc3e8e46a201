/** Buffers for replies to reads, used again: a new megabyte for each read would cost more than filling it. */
import type { BlockSource } from '../../core/index.ts';
import { Lent } from './handler.ts';

const bufferBytes = 1 << 20;
const buffersKept = 16;
/** Reads up to here get a buffer of their own. */
const smallBytes = 16 << 10;

/** Where the reader of a handle is expected to go on, so that a source may read ahead. */
export interface ReadPosition {
  next: number;
}

/** See the module's comment. */
export class ReadBuffers {
  readonly #free: Uint8Array[] = [];

  /**
   * Reads `size` bytes from `offset`, fewer only at the end of the source.
   * @throws what the source throws; there is no partial result.
   */
  async read(source: Pick<BlockSource, 'size' | 'readInto'>, range: { readonly offset: number; readonly size: number }, position: ReadPosition): Promise<Lent> {
    const length = Math.max(0, Math.min(range.size, source.size - range.offset));
    const isPooled = length > smallBytes && length <= bufferBytes;
    const buffer = isPooled ? (this.#free.pop() ?? new Uint8Array(bufferBytes)) : new Uint8Array(length);
    const bytes = buffer.subarray(0, length);
    const release = (): void => { if (isPooled && this.#free.length < buffersKept) this.#free.push(buffer); };
    // The kernel reads ahead with several requests at once, which may arrive in another order.
    const sequential = Math.abs(range.offset - position.next) <= 4 * bufferBytes;
    position.next = range.offset + length;
    try {
      if (length > 0) await source.readInto(range.offset, bytes, { sequential });
    } catch (error) {
      release();
      throw error;
    }
    return new Lent([bytes], release);
  }
}
