/**
 * Containers that parity can't heal: good chunks are copied out, the rest is declared lost, the container goes into quarantine.
 *
 * Order: copies durable and indexed → the container copied to quarantine → list n of condemned containers, which says whether chunks are lost → list n
 * decided at once, as nothing good is left in them → the containers removed. Whoever reads the list forgets the lost chunks, so that the next backup of
 * the same content stores them again and heals all snapshots that need them.
 */
import {
  BusyError, HoldfastError, ID_BYTES, NotFoundError, PLACE_BYTES, decodePlace, encodePlace, type ChunkIndex, type ChunkPlace, type Limits, type ObjectStore, type World,
} from '../../core/index.ts';
import { idsOf } from '../check/container-check.ts';
import { containerPath, listContainers, readContainerHeader, scanGroups, type ContainerNumber, type ContainerRow, type ScannedGroup } from '../containers/container.ts';
import { readFooter } from '../containers/footer.ts';
import type { ContainerKind } from '../containers/container.layout.ts';
import { NumberSet } from '../containers/number-set.ts';
import { readReprieved, writeCondemned, writeReprieved } from '../gc/condemned.ts';
import { relocationsOf } from '../gc/relocate.ts';
import { sidecarName } from '../parity/index.ts';
import type { CatchUp } from '../store/catch-up.ts';
import { IdSet } from '../store/id-table.ts';
import { chunkOf } from '../store/chunk-of.ts';
import type { LocalStore } from '../store/local-store.ts';
import { quarantine } from './quarantine.ts';

/** What a salvage works with. */
export interface SalvageParts {
  readonly world: World;
  readonly objects: ObjectStore;
  readonly limits: Limits;
  readonly index: ChunkIndex;
  readonly store: LocalStore;
  readonly catchUp: CatchUp;
  /** Names of temporary files begin so. */
  readonly prefix: string;
}

/** What came of it, in chunks. */
export interface SalvageReport {
  /** Copied out of damaged containers. */
  readonly saved: number;
  /** Found whole in other containers. */
  readonly foundElsewhere: number;
  /** In no container any more. */
  readonly lost: number;
}

const ATTEMPTS = 5;
/** Lost chunks that are looked for in one pass over all tables; 72 bytes each. */
const SEARCH_MAX = 1 << 18;

/** One run over some containers. */
export class Salvage {
  readonly #parts: SalvageParts;
  readonly #damaged = new NumberSet();

  constructor(parts: SalvageParts) {
    this.#parts = parts;
  }

  /** @throws {BusyError} collectors were always first. @throws {ToolError} the disk is full: then nothing was removed. */
  async run(damaged: readonly ContainerRow[]): Promise<SalvageReport> {
    const { store } = this.#parts;
    for (const { number } of damaged) this.#damaged.add(number);
    let saved = 0;
    for (const { number } of damaged) saved += await this.#copyOut(number);
    await store.flush();
    const { lost, foundElsewhere } = await this.#findLost();
    for (const { number } of damaged) await this.#quarantine(number);
    const going = await this.#condemn(damaged.map(({ number }) => number), lost > 0);
    await this.#remove(going);
    return { saved, foundElsewhere, lost };
  }

  /** Ends what an earlier repair began: lists that it wrote are decided, and their containers removed. @returns those. */
  async finish(): Promise<readonly ContainerNumber[]> {
    const { objects, catchUp } = this.#parts;
    for (const { generation } of catchUp.undecided.filter(({ lost }) => lost !== undefined)) await decide(objects, generation);
    await catchUp.run();
    // Whoever wrote them may have been killed before they were durable.
    await objects.settle(catchUp.repairs.flatMap(({ generation }) => ['condemned', 'reprieved'].map((directory) => `${directory}/${String(generation).padStart(8, '0')}`)));
    const listed = new Set(catchUp.repairs.flatMap(({ containers }) => containers.map(({ text }) => text)));
    const rows = (await listContainers(objects)).filter(({ number }) => listed.has(number.text) && catchUp.dead.has(number.high, number.low));
    for (const { number } of rows) await this.#quarantine(number);
    await this.#remove(rows.map(({ number }) => number));
    return rows.map(({ number }) => number);
  }

  /** Stores each good chunk again that the index places here or nowhere that lasts. @returns how many. */
  async #copyOut(number: ContainerNumber): Promise<number> {
    const { objects, limits } = this.#parts;
    const file = await objects.open(containerPath(number));
    let saved = 0;
    try {
      const kind = await readContainerHeader(file, number).catch((error: unknown): ContainerKind => {
        if (!(error instanceof HoldfastError)) throw error;
        return 'data'; // its head is damaged: a listing may then read a little more
      });
      const rows = await readFooter(file, limits).catch((error: unknown) => {
        if (!(error instanceof HoldfastError)) throw error;
        return undefined; // groups are found one behind the other
      });
      for await (const found of scanGroups(file, number, limits, rows)) {
        if ('group' in found) saved += await this.#copyGroup(number, found.group, kind);
      }
    } finally {
      await file.close();
    }
    return saved;
  }

  async #copyGroup(number: ContainerNumber, scanned: ScannedGroup, kind: ContainerKind): Promise<number> {
    const { store, index } = this.#parts;
    const group = await this.#acquire({ containerHigh: number.high, containerLow: number.low, offset: scanned.offset, length: scanned.head.recordLength, ordinal: 0 });
    if (group === undefined) return 0;
    let saved = 0;
    try {
      const ids = { bytes: idsOf(scanned), count: scanned.head.count };
      const places = new Uint8Array(ids.count * PLACE_BYTES);
      const found = await index.getMany(ids, places);
      for (let i = 0; i < ids.count; i += 1) {
        if (group.bad.has(i) || (((found[i >> 3] as number) & (1 << (i & 7))) !== 0 && this.#isLasting(decodePlace(places, i)))) continue;
        const id = ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES);
        if (await store.add(kind, id, 0, chunkOf(group, i, id))) saved += 1;
      }
    } finally {
      store.groups.release(group);
    }
    return saved;
  }

  /** Undefined when it can't be read. */
  async #acquire(place: ChunkPlace): Promise<Awaited<ReturnType<LocalStore['groups']['acquire']>> | undefined> {
    try {
      return await this.#parts.store.groups.acquire(place);
    } catch (error) {
      if (error instanceof HoldfastError) return undefined;
      throw error;
    }
  }

  #isLasting({ containerHigh, containerLow }: ChunkPlace): boolean {
    return !this.#damaged.has(containerHigh, containerLow) && !this.#parts.catchUp.dead.has(containerHigh, containerLow);
  }

  /** Chunks that the index still places in damaged containers: perhaps another container has them too, unknown to the index. */
  async #findLost(): Promise<{ readonly lost: number; readonly foundElsewhere: number }> {
    let wanted = new IdSet();
    let counts = { lost: 0, foundElsewhere: 0 };
    const search = async (): Promise<void> => {
      const found = wanted.count === 0 ? 0 : await this.#searchTables(wanted);
      counts = { lost: counts.lost + wanted.count - found, foundElsewhere: counts.foundElsewhere + found };
      wanted = new IdSet();
    };
    for await (const { ids, places } of this.#parts.index.scan()) {
      for (let i = 0; i < ids.count; i += 1) {
        const { containerHigh, containerLow } = decodePlace(places, i);
        if (this.#damaged.has(containerHigh, containerLow)) wanted.add(ids.bytes, i * ID_BYTES);
      }
      if (wanted.count >= SEARCH_MAX) await search();
    }
    await search();
    return counts;
  }

  /** Enters good copies into the index. @returns how many. */
  async #searchTables(wanted: IdSet): Promise<number> {
    const { objects, limits, catchUp } = this.#parts;
    const found = new IdSet();
    for (const { number } of await listContainers(objects)) {
      if (this.#damaged.has(number.high, number.low) || catchUp.dead.has(number.high, number.low)) continue;
      const file = await objects.open(containerPath(number));
      try {
        for await (const one of scanGroups(file, number, limits, await readFooter(file, limits).catch(() => undefined))) {
          if ('group' in one) await this.#searchGroup(number, one.group, wanted, found); // oxlint-disable-line max-params -- a place and two sets
        }
      } finally {
        await file.close();
      }
    }
    return found.count;
  }

  async #searchGroup(number: ContainerNumber, { offset, head, table }: ScannedGroup, wanted: IdSet, found: IdSet): Promise<void> { // oxlint-disable-line max-params -- as above
    const rowBytes = table.length / head.count;
    for (let i = 0; i < head.count; i += 1) {
      if (!wanted.has(table, i * rowBytes) || found.has(table, i * rowBytes)) continue;
      const place = { containerHigh: number.high, containerLow: number.low, offset, length: head.recordLength, ordinal: i };
      const group = await this.#acquire(place);
      if (group === undefined) return;
      const isGood = !group.bad.has(i);
      this.#parts.store.groups.release(group);
      if (!isGood) continue;
      const places = new Uint8Array(PLACE_BYTES);
      encodePlace(places, 0, place);
      await this.#parts.index.putMany({ bytes: table.slice(i * rowBytes, i * rowBytes + ID_BYTES), count: 1 }, places, []);
      found.add(table, i * rowBytes);
    }
  }

  async #quarantine(number: ContainerNumber): Promise<void> {
    const { objects } = this.#parts;
    for (const name of [containerPath(number), sidecarName(containerPath(number))]) {
      await quarantine(objects, name).catch((error: unknown) => {
        if (!(error instanceof NotFoundError)) throw error; // it has no sidecar
      });
    }
  }

  /** Puts the list and decides it. @returns the containers that may go. */
  async #condemn(containers: readonly ContainerNumber[], lost: boolean): Promise<readonly ContainerNumber[]> {
    const { world, objects, catchUp } = this.#parts;
    for (let attempt = 1; ; attempt += 1) {
      const staying = new NumberSet();
      for (const { number } of await listContainers(objects)) staying.add(number);
      for (const number of containers) staying.delete(number);
      const generation = catchUp.generation + 1;
      try {
        await writeCondemned(world, objects, { generation, containers, lost }, relocationsOf(this.#parts, containers, staying));
      } catch (error) {
        if (!(error instanceof BusyError) || attempt === ATTEMPTS) throw error;
        await catchUp.run();
        continue;
      }
      await decide(objects, generation);
      const reprieved = new Set((await readReprieved(objects, generation, this.#parts.limits)).map(({ text }) => text));
      await catchUp.run();
      return containers.filter(({ text }) => !reprieved.has(text));
    }
  }

  async #remove(containers: readonly ContainerNumber[]): Promise<void> {
    const { objects, catchUp, store } = this.#parts;
    for (const number of containers) await objects.remove(containerPath(number));
    if (containers.length > 0) await catchUp.run();
    await store.groups.forget();
  }
}

/** Says that nothing of a list stays; another process may have said otherwise before. */
async function decide(objects: ObjectStore, generation: number): Promise<void> {
  try {
    await writeReprieved(objects, generation, []);
  } catch (error) {
    if (!(error instanceof BusyError)) throw error;
  }
}
