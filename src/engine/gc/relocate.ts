/** For indexes of other processes: chunks of containers that are to go, and the other containers that have them. */
import { ID_BYTES, PLACE_BYTES, decodePlace } from '../../core/index.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';
import { containerPath, scanGroups, type ContainerNumber } from '../containers/container.ts';
import { readFooter } from '../containers/footer.ts';
import { idsOfTable } from '../containers/group.ts';
import type { NumberSet } from '../containers/number-set.ts';
import type { CollectorParts } from './collector.ts';
import { RELOCATION_BYTES } from './condemned.ts';

const FLUSH_BYTES = 1 << 20;

/** Containers, and where this process believes their chunks to be. */
export type IndexedObjects = Pick<CollectorParts, 'objects' | 'index' | 'limits'>;

/**
 * Rows (id, place) of all chunks in `containers` that this process's index places in one of `staying`. Another process's index may place them in the container that
 * goes. Copies made by the collector itself need no row: whoever catches up reads their containers.
 */
export async function* relocationsOf(parts: IndexedObjects, containers: readonly ContainerNumber[], staying: NumberSet): AsyncIterable<Uint8Array> {
  let rows: Uint8Array[] = [];
  let bytes = 0;
  for (const number of containers) {
    const file = await parts.objects.open(containerPath(number));
    try {
      const footer = await readFooter(file, parts.limits).catch(() => undefined); // a damaged one is scanned
      for await (const found of scanGroups(file, number, parts.limits, footer)) {
        if (!('group' in found)) continue;
        const part = await rowsOf(parts, found.group.table, staying);
        rows.push(part);
        bytes += part.length;
        if (bytes < FLUSH_BYTES) continue;
        yield new Uint8Array(Buffer.concat(rows));
        rows = [];
        bytes = 0;
      }
    } finally {
      await file.close();
    }
  }
  if (bytes > 0) yield new Uint8Array(Buffer.concat(rows));
}

async function rowsOf({ index }: IndexedObjects, table: Uint8Array, staying: NumberSet): Promise<Uint8Array> {
  const count = table.length / TABLE_ROW_BYTES;
  const ids = idsOfTable(table);
  const places = new Uint8Array(count * PLACE_BYTES);
  const found = await index.getMany({ bytes: ids, count }, places);
  const rows = new Uint8Array(count * RELOCATION_BYTES);
  let kept = 0;
  for (let i = 0; i < count; i += 1) {
    const { containerHigh, containerLow } = decodePlace(places, i);
    if (((found[i >> 3] as number) & (1 << (i & 7))) === 0 || !staying.has(containerHigh, containerLow)) continue;
    rows.set(ids.subarray(i * ID_BYTES, (i + 1) * ID_BYTES), kept * RELOCATION_BYTES);
    rows.set(places.subarray(i * PLACE_BYTES, (i + 1) * PLACE_BYTES), kept * RELOCATION_BYTES + ID_BYTES);
    kept += 1;
  }
  return rows.subarray(0, kept * RELOCATION_BYTES);
}
