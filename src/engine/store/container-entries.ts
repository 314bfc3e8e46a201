/** Ids and places of a container's chunks, collected until the container is sealed and they enter the index. */
import { ID_BYTES, PLACE_BYTES, encodePlace, type ChunkPlace, type IdBatch } from '../../core/index.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';

/** Chunks that there is room for at first: those of most containers. */
const CHUNKS_FIRST = 4_096;
/** Where the ordinal stands in an encoded place. */
const ORDINAL_OFFSET = 16;

/** Chunks of a group, by the number of the first in the container. */
interface GroupEntries {
  readonly first: number;
  readonly end: number;
  /** Of the first. */
  readonly place: ChunkPlace;
}

/** Buffers that grow and are used for one container after another. Places are made when they are wanted: those of a group differ in one number. */
export class ContainerEntries {
  #ids = new Uint8Array(CHUNKS_FIRST * ID_BYTES);
  #places: Uint8Array = new Uint8Array(0);
  #groups: GroupEntries[] = [];
  #count = 0;

  /** Valid until the next `add` or `clear`. */
  get ids(): IdBatch {
    return { bytes: this.#ids.subarray(0, this.#count * ID_BYTES), count: this.#count };
  }

  /** Appends the chunks of a group by its table; `place` is that of the first. */
  add(table: Uint8Array, place: ChunkPlace): void {
    const count = table.length / TABLE_ROW_BYTES;
    if (count === 0) return;
    this.#reserve(this.#count + count);
    for (let i = 0; i < count; i += 1) this.#ids.set(table.subarray(i * TABLE_ROW_BYTES, i * TABLE_ROW_BYTES + ID_BYTES), (this.#count + i) * ID_BYTES);
    this.#groups.push({ first: this.#count, end: this.#count + count, place });
    this.#count += count;
  }

  /** Encoded places of chunks `[start, end)`, which there are; valid until the next call. */
  places(start: number, end: number): Uint8Array {
    if (this.#places.length < (end - start) * PLACE_BYTES) this.#places = new Uint8Array((end - start) * PLACE_BYTES);
    const view = new DataView(this.#places.buffer);
    for (const group of this.#groups) {
      const [from, to] = [Math.max(start, group.first), Math.min(end, group.end)];
      if (from >= to) continue;
      const first = (from - start) * PLACE_BYTES;
      encodePlace(this.#places, from - start, group.place);
      for (let i = from; i < to; i += 1) {
        const at = (i - start) * PLACE_BYTES;
        if (i > from) this.#places.copyWithin(at, first, first + PLACE_BYTES); // alike but for the ordinal
        view.setUint16(at + ORDINAL_OFFSET, group.place.ordinal + i - group.first);
      }
    }
    return this.#places.subarray(0, (end - start) * PLACE_BYTES);
  }

  /** Forgets all and keeps the memory. */
  clear(): void {
    this.#count = 0;
    this.#groups = [];
  }

  #reserve(count: number): void {
    const capacity = this.#ids.length / ID_BYTES;
    if (count <= capacity) return;
    const grown = new Uint8Array(Math.max(count, capacity * 2) * ID_BYTES);
    grown.set(this.#ids);
    this.#ids = grown;
  }
}
