/** Ids and places of a container's chunks, collected until the container is sealed and they enter the index. */
import { ID_BYTES, PLACE_BYTES, encodePlace, type ChunkPlace, type IdBatch } from '../../core/index.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';

/** Chunks that there is room for at first: those of most containers. */
const CHUNKS_FIRST = 4_096;
/** Where the ordinal stands in an encoded place. */
const ORDINAL_OFFSET = 16;

/** Buffers that grow and are used for one container after another. */
export class ContainerEntries {
  #ids = new Uint8Array(CHUNKS_FIRST * ID_BYTES);
  #places = new Uint8Array(CHUNKS_FIRST * PLACE_BYTES);
  #count = 0;

  /** Valid until the next `add` or `clear`. */
  get ids(): IdBatch {
    return { bytes: this.#ids.subarray(0, this.#count * ID_BYTES), count: this.#count };
  }

  /** As {@link ids}. */
  get places(): Uint8Array {
    return this.#places.subarray(0, this.#count * PLACE_BYTES);
  }

  /** Appends the chunks of a group by its table; `place` is that of the first. */
  add(table: Uint8Array, place: ChunkPlace): void {
    const count = table.length / TABLE_ROW_BYTES;
    if (count === 0) return;
    this.#reserve(this.#count + count);
    const view = new DataView(this.#places.buffer);
    const first = this.#count * PLACE_BYTES;
    encodePlace(this.#places, this.#count, place);
    for (let i = 0; i < count; i += 1) {
      this.#ids.set(table.subarray(i * TABLE_ROW_BYTES, i * TABLE_ROW_BYTES + ID_BYTES), (this.#count + i) * ID_BYTES);
      const at = first + i * PLACE_BYTES;
      if (i > 0) this.#places.copyWithin(at, first, first + PLACE_BYTES); // alike but for the ordinal
      view.setUint16(at + ORDINAL_OFFSET, place.ordinal + i);
    }
    this.#count += count;
  }

  /** Forgets all and keeps the memory. */
  clear(): void {
    this.#count = 0;
  }

  #reserve(count: number): void {
    const capacity = this.#ids.length / ID_BYTES;
    if (count <= capacity) return;
    const next = Math.max(count, capacity * 2);
    this.#ids = grown(this.#ids, next * ID_BYTES);
    this.#places = grown(this.#places, next * PLACE_BYTES);
  }
}

function grown(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(length);
  larger.set(bytes);
  return larger;
}
