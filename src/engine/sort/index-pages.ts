/** The chunk index as sorted rows: an id and its place. */
import { ID_BYTES, PLACE_BYTES, type ChunkIndex } from '../../core/index.ts';
import type { RecordPage } from './record-page.ts';

/** Bytes of a row: id, then place as `decodePlace` reads it. */
export const INDEX_ROW_BYTES: number = ID_BYTES + PLACE_BYTES;

/** All entries of an index in ascending order of ids; pages are one reused buffer. */
export async function* indexPages(index: Pick<ChunkIndex, 'scan'>): AsyncIterable<RecordPage> {
  let bytes = new Uint8Array(0);
  for await (const { ids, places } of index.scan()) {
    if (bytes.length < ids.count * INDEX_ROW_BYTES) bytes = new Uint8Array(ids.count * INDEX_ROW_BYTES);
    for (let i = 0; i < ids.count; i += 1) {
      bytes.set(ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES), i * INDEX_ROW_BYTES);
      bytes.set(places.subarray(i * PLACE_BYTES, (i + 1) * PLACE_BYTES), i * INDEX_ROW_BYTES + ID_BYTES);
    }
    yield { bytes, count: ids.count };
  }
}
