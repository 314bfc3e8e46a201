/** Ids to places in memory only: for tests, small stores and the tail that a reader replays on top of a stored index. */
import assert from 'node:assert';
import { PLACE_BYTES } from '../../core/index.ts';
import type { ChunkIndex, IdBatch, Watermark } from '../../core/index.ts';
import { pagesOf } from './entry-page.ts';
import { IdTable, idWords } from './id-table.ts';
import { WatermarkMap } from './watermark-map.ts';

/** 61 to 122 bytes an id. `flush` has nothing to do: nothing here survives the process. Conformance: `chunkIndexSuite`. */
export class MemoryIndex implements ChunkIndex {
  readonly kind: string = 'memory';
  readonly #table: IdTable = new IdTable();
  readonly #marks: WatermarkMap = new WatermarkMap();

  async getMany(ids: IdBatch, places: Uint8Array): Promise<Uint8Array> {
    const words = idWords(ids);
    const found = new Uint8Array((ids.count + 7) >> 3);
    for (let i = 0; i < ids.count; i += 1) {
      const slot = this.#table.find(words, i);
      if (slot < 0 || this.#table.isTombstone(slot)) continue;
      this.#table.copyPlace(slot, places, i);
      found[i >> 3] = (found[i >> 3] as number) | 1 << (i & 7);
    }
    return found;
  }

  async putMany(ids: IdBatch, places: Uint8Array, watermarks: readonly Watermark[]): Promise<void> {
    assert(places.length >= ids.count * PLACE_BYTES, 'there is a place for each id');
    const words = idWords(ids);
    for (let i = 0; i < ids.count; i += 1) this.#table.put(words, i, places);
    for (const mark of watermarks) this.#marks.set(mark);
  }

  async deleteMany(ids: IdBatch): Promise<void> {
    const words = idWords(ids);
    for (let i = 0; i < ids.count; i += 1) this.#table.remove(words, i, false);
  }

  async watermarks(): Promise<readonly Watermark[]> {
    return this.#marks.list();
  }

  /** Pages of the state at the first step; the copy behind them costs 53 bytes an id. */
  async *scan(): AsyncIterable<{ readonly ids: IdBatch; readonly places: Uint8Array }> {
    for (const page of pagesOf(this.#table.sorted(true))) {
      yield { ids: { bytes: page.ids, count: page.count }, places: page.places };
    }
  }

  async count(): Promise<number> {
    return this.#table.live;
  }

  async flush(): Promise<void> {}

  async close(): Promise<void> {}
}
