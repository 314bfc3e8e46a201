/** What the tables of containers name, sorted by id, so that an index is asked by one pass over both instead of a search for each chunk. */
import { ID_BYTES, PLACE_BYTES, encodePlace, type Limits, type ObjectStore, type World } from '../../core/index.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';
import { containerPath, scanGroups, type ContainerNumber, type ScannedGroup } from '../containers/container.ts';
import { readFooter } from '../containers/footer.ts';
import { ExternalSorter, INDEX_ROW_BYTES, type RecordPage, type SortedStream } from '../sort/index.ts';

const SORT_BYTES = 8 << 20;

/** What it reads and where it sorts. */
export interface TableParts {
  readonly world: World;
  readonly objects: ObjectStore;
  readonly limits: Limits;
  /** Names of temporary files begin so. */
  readonly prefix: string;
}

/** Rows of one group: an id and its place in this container. */
function rowsOf(number: ContainerNumber, { offset, head, table }: ScannedGroup): RecordPage {
  const count = table.length / TABLE_ROW_BYTES;
  const bytes = new Uint8Array(count * INDEX_ROW_BYTES);
  const place = { containerHigh: number.high, containerLow: number.low, offset, length: head.recordLength };
  for (let i = 0; i < count; i += 1) {
    const row = bytes.subarray(i * INDEX_ROW_BYTES, (i + 1) * INDEX_ROW_BYTES);
    row.set(table.subarray(i * TABLE_ROW_BYTES, i * TABLE_ROW_BYTES + ID_BYTES));
    encodePlace(row.subarray(ID_BYTES, ID_BYTES + PLACE_BYTES), 0, { ...place, ordinal: i });
  }
  return { bytes, count };
}

/** Ids and places of all chunks of containers in ascending order of ids, as rows of an index. Temporary files go when the pages end or are left. */
export function tableRows({ world, objects, limits, prefix }: TableParts, containers: readonly ContainerNumber[]): SortedStream {
  const pages = async function* pages(): AsyncIterable<RecordPage> {
    const sorter = new ExternalSorter({ disk: world.disk, prefix: `${prefix}-tables` }, { recordBytes: INDEX_ROW_BYTES, duplicates: 'unique', budgetBytes: SORT_BYTES });
    try {
      for (const number of containers) {
        const file = await objects.open(containerPath(number));
        try {
          const footer = await readFooter(file, limits).catch(() => undefined); // a damaged one is scanned
          for await (const found of scanGroups(file, number, limits, footer)) if ('group' in found) await sorter.add(rowsOf(number, found.group));
        } finally {
          await file.close();
        }
      }
      yield* sorter.sorted();
    } finally {
      await sorter.close();
    }
  };
  return { pages: pages(), recordBytes: INDEX_ROW_BYTES };
}
