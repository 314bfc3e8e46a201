/**
 * Fingerprints of what an index says of each container: number of entries and 64 bits over their ids and places, in any order. The same made of the
 * container's own tables is equal when both agree in each chunk, so that a sound repository is compared without looking up a single id.
 */
import { ID_BYTES, PLACE_BYTES } from '../../core/index.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';
import type { ScannedGroup } from '../containers/container.ts';

const OFFSET_FACTOR = 0x9e37_79b1;
const ORDINAL_FACTOR = 0x85eb_ca6b;
const MIX_FACTOR = 0xc2b2_ae35;
/** Within an encoded place. */
const PLACE_AT = { offset: 8, length: 12, ordinal: 16 } as const;

/** Of one container. */
export class Print {
  count = 0;
  #first = 0;
  #second = 0;

  equals(other: Print): boolean {
    return this.count === other.count && this.#first === other.#first && this.#second === other.#second;
  }

  /** Adds a chunk: the first 8 bytes of its id, and a number made of its place. */
  add(high: number, low: number, place: number): void {
    this.count += 1;
    this.#first = (this.#first + mixed(high ^ place)) | 0;
    this.#second = (this.#second + mixed(low ^ Math.imul(place, MIX_FACTOR))) | 0;
  }

  /** Adds all chunks of a group, or those that `isWanted` picks. */
  addGroup({ offset, head, table }: ScannedGroup, isWanted?: (ordinal: number) => boolean): void {
    const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
    for (let i = 0; i < head.count; i += 1) {
      if (isWanted?.(i) === false) continue;
      const at = i * TABLE_ROW_BYTES;
      this.add(view.getUint32(at), view.getUint32(at + 4), placed(offset, head.recordLength, i));
    }
  }
}

function mixed(value: number): number {
  const spread = Math.imul(value ^ (value >>> 16), MIX_FACTOR);
  return spread ^ (spread >>> 13);
}

function placed(offset: number, length: number, ordinal: number): number {
  return Math.imul(offset, OFFSET_FACTOR) ^ Math.imul(ordinal + 1, ORDINAL_FACTOR) ^ Math.imul(length, MIX_FACTOR);
}

/** Prints of all containers that an index names. */
export class IndexPrints {
  readonly #prints = new Map<number, Map<number, Print>>();

  /** A page of the index. */
  add(ids: Uint8Array, places: Uint8Array, count: number): void {
    const idView = new DataView(ids.buffer, ids.byteOffset, ids.byteLength);
    const placeView = new DataView(places.buffer, places.byteOffset, places.byteLength);
    for (let i = 0; i < count; i += 1) {
      const at = i * PLACE_BYTES;
      const place = placed(placeView.getUint32(at + PLACE_AT.offset), placeView.getUint32(at + PLACE_AT.length), placeView.getUint16(at + PLACE_AT.ordinal));
      this.#of(placeView.getUint32(at), placeView.getUint32(at + 4)).add(idView.getUint32(i * ID_BYTES), idView.getUint32(i * ID_BYTES + 4), place);
    }
  }

  /** An empty one for a container that the index does not name. */
  of(high: number, low: number): Print {
    return this.#prints.get(high)?.get(low) ?? new Print();
  }

  /** In no order. */
  *all(): Iterable<{ readonly high: number; readonly low: number; readonly print: Print }> {
    for (const [high, lows] of this.#prints) for (const [low, print] of lows) yield { high, low, print };
  }

  #of(high: number, low: number): Print {
    let lows = this.#prints.get(high);
    if (lows === undefined) this.#prints.set(high, lows = new Map());
    let print = lows.get(low);
    if (print === undefined) lows.set(low, print = new Print());
    return print;
  }
}
