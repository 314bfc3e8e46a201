/**
 * Chunks of containers that are to go, which snapshots need and the index places elsewhere: the other copy is read before this one is given up. Rot, or a client that
 * stored wrong bytes under ids that others have, must not outlive the good copy. Only chunks that are stored more than once cost anything here.
 */
import { AbortedError, HoldfastError, ID_BYTES, PLACE_BYTES, decodePlace, encodePlace, type ChunkPlace } from '../../core/index.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';
import { containerPath, scanGroups, type ContainerNumber, type ScannedGroup } from '../containers/container.ts';
import { readFooter } from '../containers/footer.ts';
import { idsOfTable } from '../containers/group.ts';
import { ExternalSorter, filterPages, type RunFile } from '../sort/index.ts';
import { chunkOf } from '../store/local-store.ts';
import type { CollectorParts } from './collector.ts';
import { kindOf } from './evacuate.ts';

const SORT_BYTES = 8 << 20;
/** Id, the place that goes, the place that stays; sorted for reading the place that stays comes first. */
const COPY_BYTES = ID_BYTES + 2 * PLACE_BYTES;

/** Rows of one group: its chunks that the index has elsewhere. */
async function copiesOf({ index }: CollectorParts, number: ContainerNumber, { offset, head, table }: ScannedGroup): Promise<{ readonly bytes: Uint8Array; readonly count: number }> {
  const count = table.length / TABLE_ROW_BYTES;
  const ids = idsOfTable(table);
  const places = new Uint8Array(count * PLACE_BYTES);
  const found = await index.getMany({ bytes: ids, count }, places);
  const rows = new Uint8Array(count * COPY_BYTES);
  const own = { containerHigh: number.high, containerLow: number.low, offset, length: head.recordLength };
  let kept = 0;
  for (let i = 0; i < count; i += 1) {
    const other = decodePlace(places, i);
    if (((found[i >> 3] as number) & (1 << (i & 7))) === 0 || (other.containerHigh === number.high && other.containerLow === number.low)) continue;
    const row = rows.subarray(kept * COPY_BYTES, (kept + 1) * COPY_BYTES);
    row.set(ids.subarray(i * ID_BYTES, (i + 1) * ID_BYTES));
    encodePlace(row.subarray(ID_BYTES), 0, { ...own, ordinal: i });
    row.set(places.subarray(i * PLACE_BYTES, (i + 1) * PLACE_BYTES), ID_BYTES + PLACE_BYTES);
    kept += 1;
  }
  return { bytes: rows, count: kept };
}

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

/** Needed copies, in the order in which the places that stay lie. */
async function collectCopies(parts: CollectorParts, containers: readonly ContainerNumber[], reachable: RunFile, placed: ExternalSorter): Promise<void> {
  const copies = new ExternalSorter({ disk: parts.world.disk, prefix: `${parts.prefix}-copies` }, { recordBytes: COPY_BYTES, duplicates: 'unique', budgetBytes: SORT_BYTES });
  try {
    for (const number of containers) {
      const file = await parts.objects.open(containerPath(number));
      try {
        const footer = await readFooter(file, parts.limits).catch(() => undefined); // a damaged one is scanned
        for await (const found of scanGroups(file, number, parts.limits, footer)) if ('group' in found) await copies.add(await copiesOf(parts, number, found.group));
      } finally {
        await file.close();
      }
    }
    const needed = filterPages({ pages: copies.sorted(), recordBytes: COPY_BYTES }, { pages: reachable.pages(), recordBytes: ID_BYTES }, { prefixBytes: ID_BYTES, keep: 'present' });
    const row = new Uint8Array(COPY_BYTES);
    for await (const { bytes, count } of needed) {
      for (let at = 0; at < count * COPY_BYTES; at += COPY_BYTES) {
        row.set(bytes.subarray(at + ID_BYTES + PLACE_BYTES, at + COPY_BYTES));
        row.set(bytes.subarray(at, at + ID_BYTES), PLACE_BYTES);
        row.set(bytes.subarray(at + ID_BYTES, at + ID_BYTES + PLACE_BYTES), PLACE_BYTES + ID_BYTES);
        await placed.add({ bytes: row, count: 1 });
      }
    }
  } finally {
    await copies.close();
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
