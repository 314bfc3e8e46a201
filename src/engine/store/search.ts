/**
 * Looks for chunks in all containers. An index has one place for each chunk; where that container was removed as a duplicate's, or that copy is rotten, another container
 * may have one that this index does not name. Costs a pass over all tables, so it is the last resort before "not stored". What is found is read before it counts.
 */
import { HoldfastError, ID_BYTES, PLACE_BYTES, encodePlace, type ChunkIndex, type IdBatch, type Limits, type ObjectStore } from '../../core/index.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';
import { containerPath, listContainers, scanGroups, type ContainerNumber, type ScannedGroup } from '../containers/container.ts';
import { readFooter } from '../containers/footer.ts';
import type { NumberSet } from '../containers/number-set.ts';
import type { CatchUp } from './catch-up.ts';
import type { GroupCache } from './group-cache.ts';
import { IdSet } from './id-table.ts';

/** What a search works with. */
export interface SearchParts {
  readonly objects: ObjectStore;
  readonly index: ChunkIndex;
  readonly limits: Limits;
  readonly groups: GroupCache;
  readonly catchUp: CatchUp;
  /** Look only there. Default: in all containers. */
  readonly within?: NumberSet;
}

/** One run. */
class Search {
  /** Good copies were found of these. */
  readonly found: IdSet = new IdSet(16);
  readonly #parts: SearchParts;
  readonly #wanted: IdSet;

  constructor(parts: SearchParts, ids: IdBatch) {
    this.#parts = parts;
    this.#wanted = new IdSet(Math.max(16, ids.count));
    for (let i = 0; i < ids.count; i += 1) this.#wanted.add(ids.bytes, i * ID_BYTES);
  }

  async run(): Promise<void> {
    for (const number of await this.#inOrder()) {
      if (this.found.count === this.#wanted.count) return;
      await this.#container(number).catch(passOver);
    }
  }

  /** What lasts comes first, what may be removed at any moment last: the first good copy counts. */
  async #inOrder(): Promise<readonly ContainerNumber[]> {
    const { objects, catchUp, within } = this.#parts;
    const rank = ({ high, low }: ContainerNumber): number => (catchUp.isDoomed(high, low) ? 2 : catchUp.dead.has(high, low) ? 1 : 0);
    const numbers = (await listContainers(objects)).map(({ number }) => number).filter(({ high, low }) => within?.has(high, low) !== false);
    return [0, 1, 2].flatMap((wanted) => numbers.filter((number) => rank(number) === wanted));
  }

  async #container(number: ContainerNumber): Promise<void> {
    const { objects, limits } = this.#parts;
    const file = await objects.open(containerPath(number));
    try {
      const footer = await readFooter(file, limits).catch(() => undefined); // a damaged one is scanned
      for await (const one of scanGroups(file, number, limits, footer)) if ('group' in one) await this.#group(number, one.group).catch(passOver);
    } finally {
      await file.close();
    }
  }

  /** Enters the good ones among the wanted chunks of a group into the index. */
  async #group(number: ContainerNumber, { table, offset, head }: ScannedGroup): Promise<void> {
    const { groups, index, catchUp } = this.#parts;
    const ordinals: number[] = [];
    for (let row = 0; row < table.length; row += TABLE_ROW_BYTES) if (this.#wanted.has(table, row) && !this.found.has(table, row)) ordinals.push(row / TABLE_ROW_BYTES);
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
      if (good.length === 0) return;
      await catchUp.settle(number);
      await index.putMany({ bytes: ids, count: good.length }, places, []);
      for (let i = 0; i < good.length; i += 1) this.found.add(ids, i * ID_BYTES);
    } finally {
      groups.release(read);
    }
  }
}

/** Gone meanwhile, or damaged: check names it. */
function passOver(error: unknown): void {
  if (!(error instanceof HoldfastError)) throw error;
}

/** After it resolves, the index has those of `ids` that some container holds and that can be read. What can't be read is passed over. @returns those. */
export async function searchContainers(parts: SearchParts, ids: IdBatch): Promise<IdSet> {
  const search = new Search(parts, ids);
  await search.run();
  return search.found;
}
