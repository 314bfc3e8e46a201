/** Collects neighbouring new chunks until a group is full. */
import { ID_BYTES } from '../../core/index.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';
import type { Block } from '../workers/arena.ts';

/** Raw bytes of a full group: larger gains little compression and makes single reads dearer. */
export const GROUP_BYTES: number = 2 << 20;
/** Chunks of a full group; reached only by very small chunks. */
export const GROUP_CHUNKS_MAX = 4_096;

/** Chunks on their way into one group, one group after another in the same block. */
export class GroupBuilder {
  readonly block: Block;
  #table = new Uint8Array(TABLE_ROW_BYTES * 128);
  length = 0;
  count = 0;

  constructor(block: Block) {
    this.block = block;
  }

  get table(): Uint8Array {
    return this.#table.subarray(0, this.count * TABLE_ROW_BYTES);
  }

  /** Begins a new group; what the last one's table showed is overwritten. */
  clear(): void {
    this.length = 0;
    this.count = 0;
  }

  hasRoom(length: number): boolean {
    return this.length + length <= GROUP_BYTES && this.count < GROUP_CHUNKS_MAX;
  }

  /** Copies the chunk; the caller has checked `hasRoom`. */
  push(ids: Uint8Array, idOffset: number, data: Uint8Array): void {
    if (this.#table.length < (this.count + 1) * TABLE_ROW_BYTES) {
      const grown = new Uint8Array(this.#table.length * 2);
      grown.set(this.#table);
      this.#table = grown;
    }
    const row = this.count * TABLE_ROW_BYTES;
    this.#table.set(ids.subarray(idOffset, idOffset + ID_BYTES), row);
    new DataView(this.#table.buffer).setUint32(row + ID_BYTES, data.length);
    this.block.bytes.set(data, this.length);
    this.length += data.length;
    this.count += 1;
  }
}
