/** Reads a source in large pieces and hands out views of them: a volume is gone through once, block by block. */
import type { BlockSource, Limits } from '../../../core/index.ts';
import { HEAD_BYTES_MIN, readBlockHead } from '../block.ts';

/** Bytes read at once. */
const WINDOW_BYTES = 1 << 20;

/** One reader at a time. */
export class VolumeWindow {
  readonly #source: BlockSource;
  #buffer: Uint8Array = new Uint8Array(WINDOW_BYTES);
  #start = 0;
  #length = 0;

  constructor(source: BlockSource) {
    this.#source = source;
  }

  get size(): number {
    return this.#source.size;
  }

  /** A view of `[at, at + length)`, which the source must have; valid until the next read. It may be written to if it is restored. */
  async read(at: number, length: number): Promise<Uint8Array> {
    if (at < this.#start || at + length > this.#start + this.#length) await this.#move(at, length);
    return this.#buffer.subarray(at - this.#start, at - this.#start + length);
  }

  async #move(at: number, length: number): Promise<void> {
    if (length > this.#buffer.length) this.#buffer = new Uint8Array(length);
    const wanted = Math.min(Math.max(length, WINDOW_BYTES), this.#source.size - at);
    this.#length = 0; // a failed read leaves nothing to be believed
    await this.#source.readInto(at, this.#buffer.subarray(0, wanted), { sequential: true });
    this.#start = at;
    this.#length = wanted;
  }
}

/** Bytes of the block at `offset`; undefined when there are too few bytes to tell, -1 when no block is there. */
export function blockBytesAt(bytes: Uint8Array, offset: number, limits: Limits): number | undefined {
  if (bytes.length - offset < HEAD_BYTES_MIN) return undefined;
  const head = readBlockHead(bytes, offset, limits);
  return typeof head === 'string' ? -1 : head.size;
}
