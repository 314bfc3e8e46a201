/**
 * The store's membership filter and its copy on disk. Never an authority: a copy that does not reflect exactly the containers that the
 * index reflects (its epoch), or that is damaged, is thrown away and built again from the index.
 */
import { createHash } from 'node:crypto';
import { NotFoundError, type ChunkIndex, type IdBatch, type Watermark, type World } from '../../core/index.ts';
import { MembershipFilter, deserialiseFilter, serialiseFilter } from '../filter/index.ts';

const FILTER_PATH = 'cache/filter';
/** Ids that a new filter is made for; it doubles when full. */
const CAPACITY_MIN = 1 << 18;

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

/** Says which ids the index surely lacks; one for a reader says "maybe" to all and never touches the disk. */
export class StoreFilter {
  readonly #world: World;
  readonly #index: ChunkIndex;
  readonly #containers: ContainerSet;
  #filter: MembershipFilter | undefined;
  #savedEpoch: number | undefined;
  /** Staging prefix of whoever holds the index that the copy on disk reflects: nobody else may replace it. */
  readonly #staging: string | undefined;

  private constructor(world: World, index: ChunkIndex, containers: ContainerSet, filter: { readonly filter: MembershipFilter | undefined; readonly staging: string | undefined }) {
    this.#world = world;
    this.#index = index;
    this.#containers = containers;
    this.#filter = filter.filter;
    this.#staging = filter.staging;
  }

  /** Loads the copy on disk if it reflects `watermarks`, else builds a filter from the index. */
  static async open(world: World, index: ChunkIndex, watermarks: readonly Watermark[], staging: string | undefined): Promise<StoreFilter> {
    const containers = new ContainerSet();
    for (const watermark of watermarks) containers.toggle(watermark.container, watermark.offset);
    const loaded = await load(world, containers.epoch);
    const made = new StoreFilter(world, index, containers, { filter: loaded ?? new MembershipFilter(CAPACITY_MIN), staging });
    if (loaded === undefined) await made.#rebuild(Math.max(CAPACITY_MIN, 2 * await index.count()));
    else made.#savedEpoch = containers.epoch;
    return made;
  }

  /** For a repository that is open for reading: writers alone need to know what is new. */
  static none(world: World, index: ChunkIndex): StoreFilter {
    return new StoreFilter(world, index, new ContainerSet(), { filter: undefined, staging: undefined });
  }

  get falsePositives(): number {
    return this.#filter?.falsePositives ?? 0;
  }

  /** Bytes of the filter in memory. */
  get bytes(): number {
    return this.#filter?.bits.length ?? 0;
  }

  /** Sets the bit of each id that may be known; clears nothing. */
  mayHave(ids: IdBatch, bitmap: Uint8Array): void {
    if (this.#filter === undefined) bitmap.fill(0xff);
    else this.#filter.mayHave(ids, bitmap);
  }

  /** The filter said "maybe", the index said no. */
  noteFalsePositive(): void {
    this.#filter?.noteFalsePositive();
  }

  /** Notes that all chunks of a container are in the index now. */
  async add(ids: IdBatch, container: string, size: number): Promise<void> {
    if (this.#filter === undefined) return;
    this.#containers.toggle(container, size);
    this.#filter.add(ids);
    if (this.#filter.isFull) await this.#rebuild(this.#filter.capacity * 2);
  }

  /** Notes that a container went. Its chunks stay in the filter: they cost a question to the index. */
  forget(container: string, size: number): void {
    this.#containers.toggle(container, size);
  }

  /** Writes the copy when `clean` and it changed. A failure only costs the next open a scan of the index. */
  async close(clean: boolean): Promise<void> {
    const { epoch } = this.#containers;
    if (!clean || this.#staging === undefined || this.#filter === undefined || this.#savedEpoch === epoch) return;
    const { header, bits } = serialiseFilter(this.#filter, epoch);
    const { disk } = this.#world;
    const temporary = `temporary/${this.#staging}-filter-${Buffer.from(this.#world.randomBytes(8)).toString('hex')}`;
    await disk.makeDirectory('cache');
    const file = await disk.create(temporary);
    try {
      await file.writeFrom(0, header, bits);
    } finally {
      await file.close();
    }
    await disk.rename(temporary, FILTER_PATH);
  }

  async #rebuild(capacity: number): Promise<void> {
    const filter = new MembershipFilter(capacity);
    for await (const page of this.#index.scan()) filter.add(page.ids);
    this.#filter = filter;
  }
}

async function load(world: World, epoch: number): Promise<MembershipFilter | undefined> {
  const file = await world.disk.open(FILTER_PATH, 'read').catch((error: unknown) => {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const bytes = new Uint8Array(file.size);
    await file.readInto(0, bytes);
    const verdict = deserialiseFilter(bytes, epoch);
    return verdict.verdict === 'ready' ? verdict.filter : undefined;
  } finally {
    await file.close();
  }
}
