/** Entries of an index whose chunks are lost with their containers: taken out, or at least not seen. */
import { ID_BYTES, PLACE_BYTES, decodePlace, type ChunkIndex, type ChunkPlace, type IdBatch } from '../../core/index.ts';
import type { NumberSet } from '../containers/number-set.ts';

const BATCH = 4_096;

/** The index as a filter is to see it: without entries in `containers`, which may grow later. */
export function withoutContainers(index: ChunkIndex, containers: NumberSet): Pick<ChunkIndex, 'scan' | 'count'> {
  return {
    count: () => index.count(),
    async *scan() {
      for await (const page of index.scan()) yield containers.size === 0 ? page : without(page, containers);
    },
  };
}

function without({ ids, places }: { readonly ids: IdBatch; readonly places: Uint8Array }, containers: NumberSet): { readonly ids: IdBatch; readonly places: Uint8Array } {
  const kept = { ids: new Uint8Array(ids.count * ID_BYTES), places: new Uint8Array(ids.count * PLACE_BYTES) };
  let count = 0;
  for (let i = 0; i < ids.count; i += 1) {
    const { containerHigh, containerLow } = decodePlace(places, i);
    if (containers.has(containerHigh, containerLow)) continue;
    kept.ids.set(ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES), count * ID_BYTES);
    kept.places.set(places.subarray(i * PLACE_BYTES, (i + 1) * PLACE_BYTES), count * PLACE_BYTES);
    count += 1;
  }
  return { ids: { bytes: kept.ids, count }, places: kept.places };
}

/** Takes entries out of an index that this process holds. Durable when it resolves. @returns how many there were. */
export async function purgePlaces(index: ChunkIndex, isLost: (place: ChunkPlace) => boolean): Promise<number> {
  const ids = new Uint8Array(BATCH * ID_BYTES);
  let count = 0;
  let purged = 0;
  const flush = async (): Promise<void> => {
    if (count > 0) await index.deleteMany({ bytes: ids.slice(0, count * ID_BYTES), count });
    purged += count;
    count = 0;
  };
  for await (const page of index.scan()) {
    for (let i = 0; i < page.ids.count; i += 1) {
      if (!isLost(decodePlace(page.places, i))) continue;
      ids.set(page.ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES), count * ID_BYTES);
      count += 1;
      if (count === BATCH) await flush();
    }
  }
  await flush();
  await index.flush();
  return purged;
}

/** The same for all entries in some containers. */
export function purgeContainers(index: ChunkIndex, containers: NumberSet): Promise<number> {
  return purgePlaces(index, ({ containerHigh, containerLow }) => containers.has(containerHigh, containerLow));
}
