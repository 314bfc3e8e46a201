/**
 * An index of others and one of our own on top of it: what a reader replayed from containers, or what a writer stored while another process holds the
 * repository's index.
 */
import { PLACE_BYTES, UsageError } from '../../core/index.ts';
import type { ChunkIndex, IdBatch, Watermark } from '../../core/index.ts';
import type { EntryPage } from './entry-page.ts';
import { mergeRuns } from './merge.ts';
import { isForget } from './watermark-map.ts';

async function* entriesOf(index: ChunkIndex): AsyncIterable<EntryPage> {
  for await (const { ids, places } of index.scan()) {
    yield { count: ids.count, ids: ids.bytes, places, tombstones: new Uint8Array(ids.count) };
  }
}

/** Puts go to `top`, which ends with the process. Owns both: `close` closes them. */
export class OverlayIndex implements ChunkIndex {
  readonly kind: string;
  readonly #base: ChunkIndex;
  readonly #top: ChunkIndex;
  readonly #onClosed: () => Promise<void>;

  constructor(base: ChunkIndex, top: ChunkIndex, onClosed: () => Promise<void> = async () => undefined) {
    this.kind = base.kind;
    this.#base = base;
    this.#top = top;
    this.#onClosed = onClosed;
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

  /** @throws {UsageError} always: what is below belongs to another process. */
  async deleteMany(_ids: IdBatch): Promise<void> {
    throw new UsageError('Delete from chunk index: it was opened for reading, or another process holds it');
  }

  async watermarks(): Promise<readonly Watermark[]> {
    const marks = new Map((await this.#base.watermarks()).map((mark) => [mark.container, mark]));
    for (const mark of await this.#top.watermarks()) marks.set(mark.container, mark);
    return [...marks.values()].filter((mark) => !isForget(mark)).sort((a, b) => (a.container < b.container ? -1 : 1));
  }

  async *scan(): AsyncIterable<{ readonly ids: IdBatch; readonly places: Uint8Array }> {
    for await (const page of mergeRuns([entriesOf(this.#top), entriesOf(this.#base)], { keepTombstones: false })) {
      yield { ids: { bytes: page.ids, count: page.count }, places: page.places };
    }
  }

  /** Ids that both parts hold count twice. */
  async count(): Promise<number> {
    return await this.#base.count() + await this.#top.count();
  }

  /** Nothing of `top` has to survive: the containers say it all. */
  async flush(): Promise<void> {}

  async close(): Promise<void> {
    await this.#top.close();
    await this.#base.close();
    await this.#onClosed();
  }
}
