/** Reading chunks whose places are looked up: what a store of this host and one behind a daemon have in common. */
import { ID_BYTES, PLACE_BYTES, decodePlace, idAt, idToHex, type ChunkPlace, type IdBatch } from '../../core/index.ts';
import { chunkOf } from './chunk-of.ts';
import { READ_ATTEMPTS, type ContentStore } from './content-store.ts';
import type { Group, GroupCache } from './group-cache.ts';
import { PlaceCache } from './id-table.ts';

const PLACES_CACHED = 32_768;

/** A store that says where chunks are, and pins the groups there. */
export abstract class PlacedChunks implements ContentStore {
  abstract readonly groups: GroupCache;
  protected readonly places: PlaceCache = new PlaceCache(PLACES_CACHED);

  abstract expectWork(bytes: number): void;
  abstract isElsewhere(error: unknown, ids: IdBatch): Promise<boolean>;
  /** Places of ids that are not in the cache. @throws {NotFoundError} naming the first that is unknown. */
  protected abstract find(ids: IdBatch): Promise<Uint8Array>;

  /** Places of chunks, from the cache or as they are found. @throws {NotFoundError} naming the first id that is unknown. */
  async locate(ids: IdBatch): Promise<Uint8Array> {
    const places = new Uint8Array(ids.count * PLACE_BYTES);
    const missing: number[] = [];
    for (let i = 0; i < ids.count; i += 1) {
      if (!this.places.get(ids.bytes, i * ID_BYTES, places, i * PLACE_BYTES)) missing.push(i);
    }
    if (missing.length === 0) return places;
    const asked = new Uint8Array(missing.length * ID_BYTES);
    missing.forEach((position, i) => { asked.set(idAt(ids, position), i * ID_BYTES); });
    const found = await this.find({ bytes: asked, count: missing.length });
    missing.forEach((position, i) => {
      places.set(found.subarray(i * PLACE_BYTES, (i + 1) * PLACE_BYTES), position * PLACE_BYTES);
      this.places.put(ids.bytes, position * ID_BYTES, found, i * PLACE_BYTES);
    });
    return places;
  }

  /** Reads chunk `index` of `ids` to the start of `target`. @returns its bytes. @throws {NotFoundError} @throws {IntegrityError} */
  async readInto(ids: IdBatch, index: number, target: Uint8Array): Promise<number> {
    const id = idAt(ids, index);
    const { group, ordinal } = await this.acquire(id);
    try {
      const bytes = chunkOf(group, ordinal, id);
      if (bytes.length > target.length) throw new RangeError(`Read chunk '${idToHex(id)}': '${bytes.length}' bytes do not fit into '${target.length}'`);
      target.set(bytes);
      return bytes.length;
    } finally {
      this.groups.release(group);
    }
  }

  /** Pins the group with a chunk, which was found good; the caller releases it. @throws {NotFoundError} @throws {IntegrityError} no copy can be read. */
  async acquire(id: Uint8Array): Promise<{ readonly group: Group; readonly ordinal: number }> {
    const batch = { bytes: id, count: 1 };
    for (let attempt = 1; ; attempt += 1) {
      const place = decodePlace(await this.locate(batch), 0);
      try {
        return { group: await this.acquireAt(place, (group) => { chunkOf(group, place.ordinal, id); }), ordinal: place.ordinal };
      } catch (error) {
        if (attempt === READ_ATTEMPTS || !(await this.isElsewhere(error, batch))) throw error;
      }
    }
  }

  /** Pins the group at a place; when `check` throws, it is not pinned. */
  async acquireAt(place: ChunkPlace, check: (group: Group) => void): Promise<Group> {
    const group = await this.groups.acquire(place);
    try {
      check(group);
      return group;
    } catch (error) {
      this.groups.release(group);
      throw error;
    }
  }
}
