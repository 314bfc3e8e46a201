/**
 * Chunks of containers that are to go, which snapshots need and the index places elsewhere: the other copy is read before this one is given up. Rot, or a client that
 * stored wrong bytes under ids that others have, must not outlive the good copy. Only chunks that are stored more than once cost anything here.
 */
import { AbortedError, HoldfastError, ID_BYTES, PLACE_BYTES, decodePlace, type ChunkPlace } from '../../core/index.ts';
import type { ContainerNumber } from '../containers/container.ts';
import { ExternalSorter, INDEX_ROW_BYTES, filterPages, indexPages, joinPages, type RunFile } from '../sort/index.ts';
import { chunkOf } from '../store/chunk-of.ts';
import type { CollectorParts } from './collector.ts';
import { kindOf } from './evacuate.ts';
import { tableRows } from './tables.ts';

const SORT_BYTES = 8 << 20;
/** The place that stays, the id, the place that goes: sorting gives the order of reading. */
const COPY_BYTES = ID_BYTES + 2 * PLACE_BYTES;

async function isReadable({ store }: CollectorParts, place: ChunkPlace, id: Uint8Array): Promise<boolean> {
  try {
    const group = await store.groups.acquire(place);
    try {
      chunkOf(group, place.ordinal, id);
      return true;
    } finally {
      store.groups.release(group);
    }
  } catch (error) {
    if (error instanceof HoldfastError && error.code !== 'TOOL') return false;
    throw error;
  }
}

async function rescue(parts: CollectorParts, place: ChunkPlace, id: Uint8Array): Promise<void> {
  const { store } = parts;
  const group = await store.groups.acquire(place);
  try {
    await store.add(await kindOf(parts, place.containerHigh, place.containerLow), id, 0, chunkOf(group, place.ordinal, id));
  } finally {
    store.groups.release(group);
  }
}

/** Needed chunks that the index has elsewhere, in the order in which the places that stay lie. */
async function collectCopies(parts: CollectorParts, containers: readonly ContainerNumber[], reachable: RunFile, placed: ExternalSorter): Promise<void> {
  const needed = filterPages(tableRows(parts, containers), { pages: reachable.pages(), recordBytes: ID_BYTES }, { prefixBytes: ID_BYTES, keep: 'present' });
  const named = joinPages({ pages: needed, recordBytes: INDEX_ROW_BYTES }, { pages: indexPages(parts.index), recordBytes: INDEX_ROW_BYTES }, ID_BYTES);
  const row = new Uint8Array(COPY_BYTES);
  for await (const { bytes, count } of named) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < count * COPY_BYTES; at += COPY_BYTES) {
      const [own, other] = [at + ID_BYTES, at + ID_BYTES + PLACE_BYTES];
      if (view.getUint32(own) === view.getUint32(other) && view.getUint32(own + 4) === view.getUint32(other + 4)) continue;
      row.set(bytes.subarray(other, other + PLACE_BYTES));
      row.set(bytes.subarray(at, own), PLACE_BYTES);
      row.set(bytes.subarray(own, other), PLACE_BYTES + ID_BYTES);
      await placed.add({ bytes: row, count: 1 });
    }
  }
}

/**
 * Reads the other copies; where one can't be read, the chunk is copied out of the container that goes. After it resolves those copies are durable and indexed.
 * @returns how many chunks were rescued.
 */
export async function keepSurvivors(parts: CollectorParts, containers: readonly ContainerNumber[], reachable: RunFile): Promise<number> {
  const placed = new ExternalSorter({ disk: parts.world.disk, prefix: `${parts.prefix}-survivors` }, { recordBytes: COPY_BYTES, duplicates: 'unique', budgetBytes: SORT_BYTES });
  let rescued = 0;
  try {
    await collectCopies(parts, containers, reachable, placed);
    for await (const { bytes, count } of placed.sorted()) {
      for (let at = 0; at < count * COPY_BYTES; at += COPY_BYTES) {
        if (parts.signal?.aborted === true) throw new AbortedError();
        const id = bytes.slice(at + PLACE_BYTES, at + PLACE_BYTES + ID_BYTES);
        // A second copy that goes too has been rescued, or is as good as the first.
        const own = decodePlace(bytes.subarray(at + PLACE_BYTES + ID_BYTES), 0);
        if (await isReadable(parts, decodePlace(bytes.subarray(at), 0), id) || !(await isReadable(parts, own, id))) continue;
        await rescue(parts, own, id);
        rescued += 1;
      }
    }
    if (rescued > 0) await parts.store.flush();
  } finally {
    await placed.close();
  }
  return rescued;
}
