/** A reader's view: an index that is opened read-only, and in memory on top of it what the reader replayed from containers. */
import { PLACE_BYTES, UsageError } from '../../core/index.ts';
import type { ChunkIndex, IdBatch, Watermark } from '../../core/index.ts';
import type { EntryPage } from './entry-page.ts';
import { MemoryIndex } from './memory.ts';
import { mergeRuns } from './merge.ts';
import { isForget } from './watermark-map.ts';

async function* entriesOf(index: ChunkIndex): AsyncIterable<EntryPage> {
  for await (const { ids, places } of index.scan()) {
    yield { count: ids.count, ids: ids.bytes, places, tombstones: new Uint8Array(ids.count) };
  }
}

/** Puts go to memory and end with the process; nothing is written. Owns `base`: `close` closes it. */
export class OverlayIndex implements ChunkIndex {
  readonly kind: string;
  readonly #base: ChunkIndex;
  readonly #top: MemoryIndex = new MemoryIndex();

  constructor(base: ChunkIndex) {
    this.kind = base.kind;
    this.#base = base;
  }

  async getMany(ids: IdBatch, places: Uint8Array): Promise<Uint8Array> {
    const found = await this.#base.getMany(ids, places);
    if (await this.#top.count() === 0) return found;
    const fresh = await this.#top.getMany(ids, places.subarray(0, ids.count * PLACE_BYTES));
    return found.map((bits, i) => bits | (fresh[i] as number));
  }

  putMany(ids: IdBatch, places: Uint8Array, watermarks: readonly Watermark[]): Promise<void> {
    return this.#top.putMany(ids, places, watermarks);
  }

  /** @throws {UsageError} always: a reader has nothing to delete. */
  async deleteMany(_ids: IdBatch): Promise<void> {
    throw new UsageError('Delete from chunk index: it was opened for reading');
  }

  async watermarks(): Promise<readonly Watermark[]> {
    const marks = new Map((await this.#base.watermarks()).map((mark) => [mark.container, mark]));
    for (const mark of await this.#top.watermarks()) marks.set(mark.container, mark);
    return [...marks.values()].filter((mark) => !isForget(mark)).sort((a, b) => (a.container < b.container ? -1 : 1));
  }

  async *scan(): AsyncIterable<{ readonly ids: IdBatch; readonly places: Uint8Array }> {
    for await (const page of mergeRuns([entriesOf(this.#top), entriesOf(this.#base)], { keepTombstones: false, reusePage: false })) {
      yield { ids: { bytes: page.ids, count: page.count }, places: page.places };
    }
  }

  /** Ids that both parts hold count twice. */
  async count(): Promise<number> {
    return await this.#base.count() + await this.#top.count();
  }

  async flush(): Promise<void> {}

  close(): Promise<void> {
    return this.#base.close();
  }
}
