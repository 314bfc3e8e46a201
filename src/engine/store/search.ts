/**
 * Looks for chunks in all containers. An index has one place for each chunk; where that container was removed as a duplicate's, another process may have
 * referred to the copy that this index does not name. Costs a pass over all tables, so it is the last resort before "not stored". What is found is read before it counts.
 */
import { HoldfastError, ID_BYTES, PLACE_BYTES, encodePlace, type ChunkIndex, type IdBatch, type Limits, type ObjectStore } from '../../core/index.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';
import { containerPath, listContainers, scanGroups, type ContainerNumber, type ScannedGroup } from '../containers/container.ts';
import { readFooter } from '../containers/footer.ts';
import type { GroupCache } from './group-cache.ts';
import { IdSet } from './id-table.ts';

/** What a search works with. */
export interface SearchParts {
  readonly objects: ObjectStore;
  readonly index: ChunkIndex;
  readonly limits: Limits;
  readonly groups: GroupCache;
}

/** Enters the good ones among the wanted chunks of a group into the index. */
async function enterGood({ groups, index }: SearchParts, number: ContainerNumber, group: ScannedGroup, wanted: IdSet): Promise<void> {
  const { table, offset, head } = group;
  const ordinals: number[] = [];
  for (let row = 0; row < table.length; row += TABLE_ROW_BYTES) if (wanted.has(table, row)) ordinals.push(row / TABLE_ROW_BYTES);
  if (ordinals.length === 0) return;
  const place = { containerHigh: number.high, containerLow: number.low, offset, length: head.recordLength, ordinal: 0 };
  const read = await groups.acquire(place);
  try {
    const good = ordinals.filter((ordinal) => !read.bad.has(ordinal));
    const ids = new Uint8Array(good.length * ID_BYTES);
    const places = new Uint8Array(good.length * PLACE_BYTES);
    good.forEach((ordinal, i) => {
      ids.set(table.subarray(ordinal * TABLE_ROW_BYTES, ordinal * TABLE_ROW_BYTES + ID_BYTES), i * ID_BYTES);
      encodePlace(places, i, { ...place, ordinal });
    });
    if (good.length > 0) await index.putMany({ bytes: ids, count: good.length }, places, []);
  } finally {
    groups.release(read);
  }
}

/** After it resolves, the index has those of `ids` that some container holds and that can be read. What can't be read is passed over. */
export async function searchContainers(parts: SearchParts, ids: IdBatch): Promise<void> {
  const wanted = new IdSet(Math.max(16, ids.count));
  for (let i = 0; i < ids.count; i += 1) wanted.add(ids.bytes, i * ID_BYTES);
  for (const { number } of await listContainers(parts.objects)) {
    try {
      const file = await parts.objects.open(containerPath(number));
      try {
        const footer = await readFooter(file, parts.limits).catch(() => undefined); // a damaged one is scanned
        for await (const found of scanGroups(file, number, parts.limits, footer)) if ('group' in found) await enterGood(parts, number, found.group, wanted);
      } finally {
        await file.close();
      }
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error; // gone meanwhile, or damaged: check names it
    }
  }
}
