/** One container: header, footer, heads and tables of groups; whether the index agrees; and, on the deeper level, each chunk against its id. */
import { HoldfastError, ID_BYTES, NotFoundError, PLACE_BYTES, decodePlace, idToHex, type ChunkIndex, type ChunkPlace, type Limits, type ObjectReader, type ObjectStore } from '../../core/index.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';
import { containerPath, readContainerHeader, scanGroups, type ContainerNumber, type ContainerRow, type ScannedGroup } from '../containers/container.ts';
import { fetchTables } from '../containers/fetched-reader.ts';
import { readFooter, type FooterRow } from '../containers/footer.ts';
import type { CatchUp } from '../store/catch-up.ts';
import { MissingContainerError } from '../store/group-cache.ts';
import type { LocalStore } from '../store/local-store.ts';
import type { DamagedContainer, DamagedPlaces } from './damaged-places.ts';
import { Print, type IndexPrints } from './index-prints.ts';
import type { ProblemSink } from './problem.ts';

/** What containers are checked with. */
export interface ContainerCheckParts {
  readonly objects: ObjectStore;
  readonly limits: Limits;
  readonly index: ChunkIndex;
  readonly store: LocalStore;
  readonly catchUp: CatchUp;
  readonly prints: IndexPrints;
  /** Gets what is damaged. */
  readonly places: DamagedPlaces;
  readonly report: ProblemSink;
}

/** `suspect`: sound, but the index does not say what it holds, unless it changed while it was looked at: see {@link ContainerCheck.compareAgain}. `gone`: it is not there any more. */
export type ContainerVerdict = 'sound' | 'suspect' | 'damaged' | 'gone';

/** Groups that are asked for before their turn, where each request costs time and where not: each in memory costs 5 MB. */
const GROUPS_AHEAD = { remote: 4, local: 1 } as const;

interface Found {
  readonly number: ContainerNumber;
  readonly groups: ScannedGroup[];
  readonly damaged: DamagedContainer;
  /** What is wrong; nothing is if a collector removed the container meanwhile. */
  readonly faults: { readonly kind: string; readonly at: string; readonly cause: unknown }[];
}

function placeOf({ high, low }: ContainerNumber, { offset, head }: ScannedGroup): ChunkPlace {
  return { containerHigh: high, containerLow: low, offset, length: head.recordLength, ordinal: 0 };
}

/** Ids of a group's table, back to back. */
export function idsOf({ head, table }: ScannedGroup): Uint8Array {
  const ids = new Uint8Array(head.count * ID_BYTES);
  for (let i = 0; i < head.count; i += 1) ids.set(table.subarray(i * TABLE_ROW_BYTES, i * TABLE_ROW_BYTES + ID_BYTES), i * ID_BYTES);
  return ids;
}

/** Checks one container after the other and counts. */
export class ContainerCheck {
  readonly #parts: ContainerCheckParts;
  groups = 0;
  chunks = 0;
  /** Raw bytes of chunks that were compared with their ids. */
  bytesRead = 0;

  constructor(parts: ContainerCheckParts) {
    this.#parts = parts;
  }

  /** `readData`: each chunk as well. What is wrong is reported, and enters the damaged places. */
  async check({ number }: ContainerRow, readData: boolean): Promise<ContainerVerdict> {
    const found: Found = { number, groups: [], damaged: { number, groups: new Set(), bad: new Map(), isUnread: false }, faults: [] };
    try {
      await this.#scan(found);
    } catch (error) {
      this.#fault(found, 'damaged-container', '', error);
    }
    const isIndexed = await this.#compare(found);
    if (readData) await this.#read(found);
    if (found.faults.length === 0) return isIndexed ? 'sound' : 'suspect';
    if (found.faults.some(({ cause }) => cause instanceof NotFoundError || cause instanceof MissingContainerError) && await this.#isCollected(number)) return 'gone';
    for (const { kind, at, cause } of found.faults) this.#parts.report(kind, `container ${number.text}${at}`, cause);
    this.#parts.places.addDamaged(found.damaged);
    return 'damaged';
  }

  async #isCollected({ high, low }: ContainerNumber): Promise<boolean> {
    const { catchUp } = this.#parts;
    await catchUp.run().catch(() => undefined); // reads the lists first; what else is wrong is found by this check
    return catchUp.dead.has(high, low);
  }

  async #scan(found: Found): Promise<void> {
    const { objects, limits } = this.#parts;
    let file = await objects.open(containerPath(found.number));
    try {
      if ((await objects.capabilities()).remote) file = await fetchTables(file, limits);
      await readContainerHeader(file, found.number).catch((error: unknown) => { this.#fault(found, 'damaged-container', '', error); });
      for await (const one of scanGroups(file, found.number, limits, await this.#footer(file, found))) {
        if ('fault' in one) {
          this.#fault(found, 'damaged-group', ` at ${one.offset}`, one.fault);
          continue;
        }
        found.groups.push(one.group);
        found.damaged.groups.add(one.group.offset);
        this.groups += 1;
        this.chunks += one.group.head.count;
      }
    } finally {
      await file.close();
    }
  }

  /** Undefined when there is none, or none that can be used. */
  async #footer(file: ObjectReader, found: Found): Promise<readonly FooterRow[] | undefined> {
    try {
      const rows = await readFooter(file, this.#parts.limits);
      if (rows === undefined) this.#fault(found, 'cut-container', '', `It ends at '${file.size}' without a footer: something cut it`);
      return rows;
    } catch (error) {
      this.#fault(found, 'damaged-footer', '', error);
      return undefined;
    }
  }

  /**
   * Compares a suspect with prints that were taken a moment ago; with `isTold` it is reported when it was suspected with reason.
   * @returns whether the index is right.
   */
  async compareAgain({ number }: ContainerRow, prints: IndexPrints, isTold: boolean): Promise<boolean> {
    const file = await this.#parts.objects.open(containerPath(number)).catch((error: unknown) => {
      if (error instanceof NotFoundError) return undefined; // removed meanwhile, or lost: other steps tell which
      throw error;
    });
    if (file === undefined) return true;
    const found: Found = { number, groups: [], damaged: { number, groups: new Set(), bad: new Map(), isUnread: false }, faults: [] };
    try {
      const footer = await readFooter(file, this.#parts.limits);
      for await (const one of scanGroups(file, number, this.#parts.limits, footer)) if ('group' in one) found.groups.push(one.group);
    } finally {
      await file.close();
    }
    return this.#compare(found, prints, isTold);
  }

  /** Whether the index has all chunks of the groups that were found, here or elsewhere, and no others here. */
  async #compare({ number, groups, faults }: Found, prints: IndexPrints = this.#parts.prints, isTold: boolean = faults.length > 0): Promise<boolean> {
    const { report } = this.#parts;
    const print = new Print();
    for (const group of groups) print.addGroup(group);
    const indexed = prints.of(number.high, number.low);
    if (print.equals(indexed)) return true;
    const exact = new Print();
    let missing = 0;
    for (const group of groups) {
      const lacking = await this.#lookUp(number, group, exact);
      missing += lacking;
      if (lacking === 0 || !isTold) continue;
      report('not-indexed', `container ${number.text} at ${group.offset}`, `The index lacks ${lacking} of ${group.head.count} chunks; rebuild it, unless they are damaged (--read-data tells): then a new backup of the same files stores them again`);
    }
    if (isTold && faults.length === 0 && !exact.equals(indexed)) report('damaged-index', `container ${number.text}`, 'The index places chunks in it that are not there: rebuild it');
    return missing === 0 && exact.equals(indexed);
  }

  /** How many chunks of a group the index lacks; those that it has right here enter `exact`. */
  async #lookUp(number: ContainerNumber, group: ScannedGroup, exact: Print): Promise<number> {
    const { count } = group.head;
    const places = new Uint8Array(count * PLACE_BYTES);
    const found = await this.#parts.index.getMany({ bytes: idsOf(group), count }, places);
    let missing = 0;
    const isHere = (i: number): boolean => {
      const place = decodePlace(places, i);
      return ((found[i >> 3] as number) & (1 << (i & 7))) !== 0 && place.containerHigh === number.high && place.containerLow === number.low
        && place.offset === group.offset && place.ordinal === i && place.length === group.head.recordLength;
    };
    for (let i = 0; i < count; i += 1) if (((found[i >> 3] as number) & (1 << (i & 7))) === 0) missing += 1;
    exact.addGroup(group, isHere);
    return missing;
  }

  /** Reads through the store, so that what is checked is what a restore does. */
  async #read(found: Found): Promise<void> {
    const { store } = this.#parts;
    store.expectWork(found.groups.reduce((sum, { head }) => sum + head.storedLength, 0));
    const most = GROUPS_AHEAD[(await this.#parts.objects.capabilities()).remote ? 'remote' : 'local'];
    let ahead = 0;
    for (const [i, group] of found.groups.entries()) {
      while (ahead < found.groups.length && ahead <= i + most && store.groups.prefetch(placeOf(found.number, found.groups[ahead] as ScannedGroup))) ahead += 1;
      ahead = Math.max(ahead, i + 1);
      await this.#readGroup(found, group);
    }
  }

  async #readGroup(found: Found, group: ScannedGroup): Promise<void> {
    const { groups } = this.#parts.store;
    const at = ` at ${group.offset}`;
    try {
      const read = await groups.acquire(placeOf(found.number, group));
      if (read.bad.size > 0) found.damaged.bad.set(group.offset, read.bad);
      for (const ordinal of read.bad) {
        this.#fault(found, 'damaged-chunk', at, `Chunk '${idToHex(read.ids.subarray(ordinal * ID_BYTES, (ordinal + 1) * ID_BYTES))}' does not match its id`);
      }
      this.bytesRead += read.offsets[read.count] as number;
      groups.release(read);
    } catch (error) {
      found.damaged.bad.set(group.offset, 'all');
      this.#fault(found, 'damaged-group', at, error);
    }
  }

  #fault(found: Found, kind: string, at: string, cause: unknown): void { // oxlint-disable-line max-params -- a problem and where it is
    if (cause instanceof HoldfastError && cause.code === 'TOOL') found.damaged.isUnread = true;
    found.faults.push({ kind, at, cause });
  }
}
