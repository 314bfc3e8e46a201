/**
 * Keeps this process's index in step with what others did to the repository: containers that they stored, containers that a collector condemned or
 * removed. Everything is found by listing; an index may lag behind at any time and never has to be told.
 *
 * Lists of condemned containers are read before containers are listed: a collector copies what must stay first and writes its list then, so whoever
 * knows the list finds the copies.
 */
import { ID_BYTES, IntegrityError, NotFoundError, PLACE_BYTES, decodePlace, type ChunkIndex, type IdBatch, type Limits, type ObjectStore } from '../../core/index.ts';
import { containerPath, listContainers, numberOf, type ContainerNumber, type ContainerRow } from '../containers/container.ts';
import { NumberSet } from '../containers/number-set.ts';
import { Replay } from '../containers/replay.ts';
import { listGenerations, readCondemned, readRelocations, readReprieved, type CondemnedList, type Relocations } from '../gc/condemned.ts';
import type { HashName } from '../hashing/hasher.ts';

/** What it works with. */
export interface CatchUpParts {
  readonly objects: ObjectStore;
  readonly index: ChunkIndex;
  readonly limits: Limits;
  readonly hash: HashName;
  /** A writer makes sure that what it finds survives a crash before it refers to it. */
  readonly isWriter: boolean;
  note(text: string): void;
  /** Told of chunks that came into the index, and of containers that went. */
  onIndexed?(ids: IdBatch, container: ContainerRow): Promise<void>;
  onGone?(container: string, size: number): void;
  /** Told when containers that the index knew have lost chunks for good: entries in them and filters that have their ids must go. */
  onLost?(containers: NumberSet): Promise<void>;
}

/** The index names containers that are gone or cut, and no list says why: only a new index helps. */
export class IndexAheadError extends IntegrityError {}

/** See the file's header. */
export class CatchUp {
  /** Containers that may vanish: places in them don't count for storing. */
  readonly dead: NumberSet = new NumberSet();
  /** Those of them that were not there when last looked: an index entry that names one counts for nothing. */
  readonly gone: NumberSet = new NumberSet();
  readonly #parts: CatchUpParts;
  readonly #lists = new Map<number, CondemnedList>();
  readonly #undecided = new Set<number>();
  /** Containers in lists that are not decided. */
  #doubtful: NumberSet = new NumberSet();
  readonly #listed = new Set<string>();
  readonly #forgotten = new Set<string>();
  /** Lists whose lost chunks this index and its filter don't have any more. */
  readonly #purged = new Set<number>();
  #running: Promise<void> = Promise.resolve();

  constructor(parts: CatchUpParts) {
    this.#parts = parts;
  }

  /** The newest list of condemned containers that this process honours; 0 before the first. */
  get generation(): number {
    return Math.max(0, ...this.#lists.keys());
  }

  /** All lists that were read, by generation. */
  get lists(): ReadonlyMap<number, CondemnedList> {
    return this.#lists;
  }

  /** Changes with each list that someone wrote or decided. */
  get state(): string {
    return `${this.generation}, undecided ${[...this.#undecided].join()}`;
  }

  /** Condemned for good: nothing needs it, and it may go at any time. */
  isDoomed(high: number, low: number): boolean {
    return this.dead.has(high, low) && !this.#doubtful.has(high, low);
  }

  /** Makes sure that a container which was found survives a crash, before a writer's index names it. */
  async settle(number: ContainerNumber): Promise<void> {
    const { isWriter, objects } = this.#parts;
    if (isWriter) await objects.settle([containerPath(number)]);
  }

  /** Lists that were not decided when last looked. */
  get undecided(): readonly CondemnedList[] {
    return [...this.#undecided].map((generation) => this.#lists.get(generation) as CondemnedList);
  }

  /** Lists of repairs, decided or not. */
  get repairs(): readonly CondemnedList[] {
    return [...this.#lists.values()].filter(({ lost }) => lost !== undefined);
  }

  /** One at a time. @throws {IndexAheadError} the index must be made anew. @throws {IntegrityError} a list can't be read. */
  run(): Promise<void> {
    const run = this.#running.then(() => this.#run());
    this.#running = run.catch(() => undefined);
    return run;
  }

  /**
   * Looks for lists alone, and does the rest only if there is a new one: after a run a moment ago, in a bucket of a million containers, a thousand requests less.
   * @throws as {@link run}.
   */
  honour(): Promise<void> {
    const run = this.#running.then(async () => {
      const known = await listGenerations(this.#parts.objects, 'condemned');
      if (known.some((generation) => !this.#lists.has(generation))) await this.#run();
    });
    this.#running = run.catch(() => undefined);
    return run;
  }

  async #run(): Promise<void> {
    let fresh = await this.#readLists();
    let rows = await listContainers(this.#parts.objects);
    let marks = await this.#marks(rows);
    while (marks.gone.some(({ container }) => !this.#listed.has(container))) {
      // Condemned and removed between the two listings?
      const more = await this.#readLists();
      if (more.length === 0) break;
      fresh = [...fresh, ...more];
      rows = await listContainers(this.#parts.objects);
      marks = await this.#marks(rows);
    }
    this.#noteGone(rows);
    const unexplained = marks.gone.find(({ container }) => !this.#listed.has(container)) ?? marks.cut[0];
    if (unexplained !== undefined) {
      const size = rows.find((row) => row.number.text === unexplained.container)?.size;
      throw new IndexAheadError(`The chunk index names container '${unexplained.container}', which is ${size === undefined ? 'gone' : `cut to '${size}' of '${unexplained.offset}' bytes`}`);
    }
    const unknown = rows.filter((row) => !marks.known.has(row.number.text));
    if (this.#parts.isWriter) await this.#parts.objects.settle(unknown.map((row) => containerPath(row.number)));
    for (const list of fresh) await this.#relocate(list);
    await this.#replay(unknown);
    await this.#noteLost(marks.all);
    for (const { container, offset } of marks.gone) await this.#forget(container, offset);
  }

  #noteGone(rows: readonly ContainerRow[]): void {
    const there = new NumberSet();
    for (const { number } of rows) there.add(number);
    for (const { containers } of this.#lists.values()) for (const number of containers) if (!there.has(number.high, number.low)) this.gone.add(number);
  }

  async #replay(rows: readonly ContainerRow[]): Promise<void> {
    const { objects, index, limits, hash, onIndexed } = this.#parts;
    const report = await new Replay(objects, index, {
      limits, hash, verify: false, isDead: (number) => this.dead.has(number.high, number.low), ...(onIndexed === undefined ? {} : { onIndexed }),
    }).run(rows);
    for (const problem of report.problems) this.#parts.note(`${problem.where}: ${problem.message}`);
  }

  /** Containers that the index knows, and of those the ones that are gone or shorter than they were. */
  async #marks(rows: readonly ContainerRow[]): Promise<{ all: readonly Mark[]; known: Set<string>; gone: Mark[]; cut: Mark[] }> {
    const sizes = new Map(rows.map((row) => [row.number.text, row.size]));
    const marks = (await this.#parts.index.watermarks()).filter(({ sealed, container }) => sealed && !this.#forgotten.has(container));
    return {
      all: marks,
      known: new Set(marks.map(({ container }) => container)),
      gone: marks.filter(({ container }) => !sizes.has(container)),
      // A reader meets a cut container when it reads there; a writer must not take its lost chunks for stored.
      cut: this.#parts.isWriter ? marks.filter(({ container, offset }) => (sizes.get(container) ?? offset) < offset) : [],
    };
  }

  /** Lists of repairs may say that chunks are lost; it matters to an index that has entries in those containers. */
  async #noteLost(known: readonly Mark[]): Promise<void> {
    const { onLost, isWriter } = this.#parts;
    if (!isWriter || onLost === undefined) return;
    const marks = new Set(known.map(({ container }) => container));
    const lost = new NumberSet();
    for (const list of this.#lists.values()) {
      if (list.lost !== true || this.#purged.has(list.generation)) continue;
      this.#purged.add(list.generation);
      for (const number of list.containers) if (marks.has(number.text) && this.dead.has(number.high, number.low)) lost.add(number);
    }
    if (lost.size > 0) await onLost(lost);
  }

  async #forget(container: string, offset: number): Promise<void> {
    this.#forgotten.add(container);
    await this.#parts.index.putMany({ bytes: new Uint8Array(0), count: 0 }, new Uint8Array(0), [{ container, offset: 0, sealed: false }]);
    this.#parts.onGone?.(container, offset);
  }

  /** Reads lists that are new, and what was decided since. @returns the new ones, oldest first. */
  async #readLists(): Promise<CondemnedList[]> {
    const { objects, limits } = this.#parts;
    const fresh: CondemnedList[] = [];
    for (const generation of await listGenerations(objects, 'condemned')) {
      if (this.#lists.has(generation)) continue;
      const list = await readCondemned(objects, generation, limits);
      this.#lists.set(generation, list);
      this.#undecided.add(generation);
      for (const number of list.containers) {
        this.dead.add(number);
        this.#listed.add(number.text);
      }
      fresh.push(list);
    }
    if (this.#undecided.size > 0) await this.#readDecisions();
    return fresh;
  }

  async #readDecisions(): Promise<void> {
    const { objects, limits } = this.#parts;
    const decided = new Set(await listGenerations(objects, 'reprieved'));
    for (const generation of [...this.#undecided].filter((one) => decided.has(one))) {
      const reprieved = await readReprieved(objects, generation, limits);
      this.#undecided.delete(generation);
      for (const number of reprieved) this.#revive(number, generation);
    }
    this.#doubtful = new NumberSet();
    for (const { containers } of this.undecided) for (const number of containers) this.#doubtful.add(number);
  }

  /** A container that stays is alive again, unless a later list names it once more. */
  #revive(number: ContainerNumber, generation: number): void {
    for (const list of this.#lists.values()) {
      if (list.generation > generation && list.containers.some(({ text }) => text === number.text)) return;
    }
    this.dead.delete(number);
  }

  /** Takes over the other places of a list's chunks, where the index has none that will last. Those of old lists may have gone since: they are passed over. */
  async #relocate(list: CondemnedList): Promise<void> {
    for (const row of list.relocated) {
      const relocations = await readRelocations(this.#parts.objects, row).catch((error: unknown) => {
        if (error instanceof NotFoundError) throw new IntegrityError(`Read list '${list.generation}' of condemned containers: its object '${row.name}' is missing`, {}, error);
        throw error;
      });
      const { ids, places } = await this.#needed(relocations);
      if (ids.count > 0) await this.#parts.index.putMany(ids, places, []);
    }
  }

  async #needed({ ids, places }: Relocations): Promise<Relocations> {
    const current = new Uint8Array(places.length);
    const found = await this.#parts.index.getMany(ids, current);
    const kept: number[] = [];
    for (let i = 0; i < ids.count; i += 1) {
      const [from, to] = [decodePlace(current, i), decodePlace(places, i)];
      const isKnown = ((found[i >> 3] as number) & (1 << (i & 7))) !== 0 && !this.isDoomed(from.containerHigh, from.containerLow);
      if (this.gone.has(to.containerHigh, to.containerLow) || this.isDoomed(to.containerHigh, to.containerLow)) continue;
      if (!isKnown || (this.dead.has(from.containerHigh, from.containerLow) && !this.dead.has(to.containerHigh, to.containerLow))) kept.push(i);
    }
    const result = { ids: { bytes: new Uint8Array(kept.length * ID_BYTES), count: kept.length }, places: new Uint8Array(kept.length * PLACE_BYTES) };
    kept.forEach((from, to) => {
      result.ids.bytes.set(ids.bytes.subarray(from * ID_BYTES, (from + 1) * ID_BYTES), to * ID_BYTES);
      result.places.set(places.subarray(from * PLACE_BYTES, (from + 1) * PLACE_BYTES), to * PLACE_BYTES);
    });
    return result;
  }
}

interface Mark {
  readonly container: string;
  readonly offset: number;
}

/** The number in an encoded place at `index`. */
export function placeNumber(places: Uint8Array, index: number): ContainerNumber {
  const { containerHigh, containerLow } = decodePlace(places, index);
  return numberOf(containerHigh, containerLow);
}
