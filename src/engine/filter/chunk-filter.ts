/**
 * The filter of an open repository: its two parts, their copies on disk, and the scan of the index that builds a lost one.
 *
 * Nobody waits for it. The hot part is merged into the cold one a step with each container that is added. A filter that has to be built
 * says "maybe" at first, and its partitions come one after another over a scan that stands still between steps; only an index that is
 * scanned in about a second is scanned at once. Closing ends what is under way.
 *
 * On disk: `cache/filter-cold`, written when it changed, and `cache/filter-hot`. The hot part names the state of the index that both
 * reflect (a fingerprint of its containers) and the cold part that it goes with; whatever does not match is built again.
 */
import { createHash } from 'node:crypto';
import { ID_BYTES, NotFoundError, UsageError, type ChunkIndex, type DiskFile, type IdBatch, type Watermark, type World } from '../../core/index.ts';
import { ColdBuild, coldCapacity, ColdFilter, coldShape } from './cold-filter.ts';
import { decodeHot, encodeCold, encodeHot, readCold } from './saved-parts.ts';
import { TwoPartFilter, type FilterMetrics } from './two-part-filter.ts';

/** False positives that a filter is made for when nobody chooses: one in a thousand. */
export const RATE_DEFAULT = 0.001;
const RATE_MIN = 0.0001;
const RATE_MAX = 0.01;

const HOT_PATH = 'cache/filter-hot';
const COLD_PATH = 'cache/filter-cold';
/** Ids that are scanned in about a second. */
const AT_ONCE_IDS = 1 << 20;
/** Ids to scan for each that is added, and for each container at least. */
const PACE = 8;
const STEP_IDS_MIN = 16_384;
/** Ids in the hot part for which a build is brought to its end: they cost 8 to 16 bytes each. */
const WAITING_IDS_MAX = 1 << 21;

/** A fingerprint of a set of containers that can be extended one by one: two words, exclusive-or of hashes. */
class ContainerSet {
  #high = 0;
  #low = 0;

  /** With its size: one that was cut since is another. */
  toggle(container: string, size: number): void {
    const digest = createHash('sha256').update(`${container}:${size}`).digest();
    this.#high ^= digest.readUInt32BE(0) & 0x1f_ffff;
    this.#low ^= digest.readUInt32BE(4);
  }

  /** 0…2^53 − 1. */
  get epoch(): number {
    return (this.#high >>> 0) * 0x1_0000_0000 + (this.#low >>> 0);
  }
}

/** A scan that stands still between steps. */
interface Build {
  readonly pages: AsyncIterator<{ readonly ids: IdBatch }>;
  readonly cold: ColdBuild;
}

/** What a filter is opened over; it owns none of it. */
export interface ChunkFilterParts {
  readonly world: World;
  readonly index: Pick<ChunkIndex, 'scan' | 'count'>;
  /** Of the index; what it gains from then on is told to `add`. */
  readonly watermarks: readonly Watermark[];
  /** First part of names of temporary files, of whoever holds the index on disk: nobody else may replace the copy. Absent: nothing is saved. */
  readonly staging?: string;
  /** False positives wanted, 0.0001…0.01; one in a thousand when absent. */
  readonly falsePositiveRate?: number;
}

/** What a filter starts from. */
interface Start {
  readonly filter: TwoPartFilter;
  readonly containers: ContainerSet;
  /** Of the cold part on disk; absent when it has to be built. */
  readonly stamp?: number;
}

/** Says which ids the index surely lacks. One writer. */
export class ChunkFilter {
  readonly #world: World;
  readonly #staging: string | undefined;
  readonly #isReader: boolean;
  readonly #containers: ContainerSet;
  readonly #source: Pick<ChunkIndex, 'scan' | 'count'> | undefined;
  readonly #rate: number;
  #filter: TwoPartFilter;
  #build: Build | undefined;
  #turn: Promise<void> = Promise.resolve();
  /** Of the copy of the cold part on disk; undefined when what is in memory is another. */
  #stamp: number | undefined;
  #savedEpoch: number | undefined;

  private constructor(parts: Pick<ChunkFilterParts, 'world' | 'staging' | 'falsePositiveRate'> & Partial<Pick<ChunkFilterParts, 'index'>>, start: Start, isReader = false) {
    this.#world = parts.world;
    this.#staging = parts.staging;
    this.#isReader = isReader;
    this.#source = parts.index;
    this.#rate = parts.falsePositiveRate ?? RATE_DEFAULT;
    this.#containers = start.containers;
    this.#filter = start.filter;
    this.#stamp = start.stamp;
    this.#savedEpoch = start.stamp === undefined ? undefined : start.containers.epoch;
  }

  /**
   * Loads the copy on disk if it reflects the watermarks, else begins to build one.
   * @throws {UsageError} on a rate out of range. @throws what the index throws while it is scanned.
   */
  static async open(parts: ChunkFilterParts): Promise<ChunkFilter> {
    const rate = parts.falsePositiveRate ?? RATE_DEFAULT;
    if (!(rate >= RATE_MIN && rate <= RATE_MAX)) throw new UsageError(`Choose a false-positive rate of ${RATE_MIN}…${RATE_MAX}: found '${rate}'`);
    const containers = new ContainerSet();
    for (const watermark of parts.watermarks) containers.toggle(watermark.container, watermark.offset);
    const loaded = await load(parts.world, containers.epoch);
    if (loaded !== undefined && loaded.filter.metrics.ids <= coldCapacity(loaded.filter.cold.shape, rate)) {
      return new ChunkFilter(parts, { containers, ...loaded });
    }
    const expected = await parts.index.count();
    const made = new ChunkFilter(parts, { containers, filter: new TwoPartFilter(new ColdFilter(coldShape(expected, rate))) });
    made.#build = { pages: parts.index.scan()[Symbol.asyncIterator](), cold: new ColdBuild(made.#filter.cold) };
    if (expected <= AT_ONCE_IDS) await made.#advance(Number.POSITIVE_INFINITY);
    return made;
  }

  /** For a repository that is open for reading: "maybe" to all. Writers alone need to know what is new. */
  static none(world: World): ChunkFilter {
    return new ChunkFilter({ world }, { containers: new ContainerSet(), filter: new TwoPartFilter(new ColdFilter(coldShape(0, RATE_DEFAULT))) }, true);
  }

  get metrics(): FilterMetrics {
    return this.#filter.metrics;
  }

  /** Whether partitions are still missing: their ids are all "maybe". */
  get isBuilding(): boolean {
    return this.#build !== undefined;
  }

  /** Sets the bit of each id that may be known, least significant bit first; clears nothing. @returns how many may be known. */
  mayHave(ids: IdBatch, bitmap: Uint8Array): number {
    return this.#filter.mayHave(ids, bitmap);
  }

  /** The filter said "maybe" of the id at `offset` of `ids`, the index said no. */
  noteFalsePositive(ids: Uint8Array, offset: number): void {
    this.#filter.noteFalsePositive(ids.subarray(offset, offset + ID_BYTES), 0);
  }

  /** Notes that all chunks of a container are in the index now. @throws what the index throws while it is scanned. */
  async add(ids: IdBatch, container: string, size: number): Promise<void> {
    if (this.#isReader) return;
    this.#containers.toggle(container, size);
    this.#filter.add(ids);
    await this.#inTurn(async () => {
      if (this.#build === undefined) this.#step(ids.count);
      else await this.#advance(this.#filter.hot.count > WAITING_IDS_MAX ? Number.POSITIVE_INFINITY : Math.max(STEP_IDS_MIN, ids.count * PACE));
    });
  }

  /** Builds it again, at once: the index has lost chunks that nobody may take for stored. @throws what the index throws while it is scanned. */
  rebuild(): Promise<void> {
    return this.#inTurn(async () => {
      const source = this.#source;
      if (source === undefined || this.#isReader) return;
      await this.#build?.pages.return?.();
      this.#filter = new TwoPartFilter(new ColdFilter(coldShape(await source.count(), this.#rate)));
      this.#build = { pages: source.scan()[Symbol.asyncIterator](), cold: new ColdBuild(this.#filter.cold) };
      this.#stamp = undefined;
      this.#savedEpoch = undefined;
      await this.#advance(Number.POSITIVE_INFINITY);
    });
  }

  /** Notes that a container is gone. Its ids cost false positives until the filter is built again. */
  forget(container: string, size: number): void {
    this.#containers.toggle(container, size);
  }

  /** Writes the copies when `clean` and they changed, after ending what is under way. A failure only costs the next open a build. */
  close(clean: boolean): Promise<void> {
    return this.#inTurn(async () => {
      if (clean && this.#staging !== undefined) await this.#advance(Number.POSITIVE_INFINITY);
      await this.#build?.pages.return?.();
      this.#build = undefined;
      const { epoch } = this.#containers;
      if (!clean || this.#staging === undefined || this.#savedEpoch === epoch) return;
      await this.#world.disk.makeDirectory('cache');
      this.#stamp ??= await this.#saveCold(this.#staging);
      await this.#replace(HOT_PATH, this.#staging, encodeHot(this.#filter.hot, { epoch, stamp: this.#stamp }));
      this.#savedEpoch = epoch;
    });
  }

  /** One after the other: two containers may be sealed at once. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  #step(added: number): void {
    if (this.#filter.step(added)) this.#stamp = undefined;
  }

  /** Goes on with a build for about `ids` ids. */
  async #advance(ids: number): Promise<void> {
    const build = this.#build;
    if (build === undefined) return;
    for (const until = build.cold.taken + ids; build.cold.taken < until;) {
      const page = await build.pages.next();
      if (page.done === true) {
        build.cold.finish();
        this.#build = undefined;
        return;
      }
      build.cold.take(page.value.ids);
    }
  }

  /** @returns the stamp that it got. */
  async #saveCold(staging: string): Promise<number> {
    const random = Buffer.from(this.#world.randomBytes(8));
    const stamp = (random.readUInt32BE(0) & 0x1f_ffff) * 0x1_0000_0000 + random.readUInt32BE(4);
    await this.#replace(COLD_PATH, staging, encodeCold(this.#filter.cold, stamp));
    return stamp;
  }

  async #replace(path: string, staging: string, parts: Iterable<Uint8Array>): Promise<void> {
    const { disk } = this.#world;
    const temporary = `temporary/${staging}-filter-${Buffer.from(this.#world.randomBytes(8)).toString('hex')}`;
    const file = await disk.create(temporary);
    try {
      for (const part of parts) await file.writeFrom(file.size, part);
    } finally {
      await file.close();
    }
    await disk.rename(temporary, path);
  }
}

async function load(world: World, epoch: number): Promise<{ readonly filter: TwoPartFilter; readonly stamp: number } | undefined> {
  const hot = await withFile(world, HOT_PATH, async (file) => {
    const bytes = new Uint8Array(file.size);
    await file.readInto(0, bytes);
    return decodeHot(bytes, epoch);
  });
  if (hot?.verdict !== 'ready') return undefined;
  const cold = await withFile(world, COLD_PATH, (file) => readCold(file, hot.stamp));
  if (cold?.verdict !== 'ready') return undefined;
  return { filter: new TwoPartFilter(cold.cold, hot.hot), stamp: hot.stamp };
}

async function withFile<T>(world: World, path: string, use: (file: DiskFile) => Promise<T>): Promise<T | undefined> {
  const file = await world.disk.open(path, 'read').catch((error: unknown) => {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}
