/** For indexes of other processes: chunks of containers that are to go, and the other containers that have them. */
import { ID_BYTES, type ChunkIndex } from '../../core/index.ts';
import type { ContainerNumber } from '../containers/container.ts';
import type { NumberSet } from '../containers/number-set.ts';
import { INDEX_ROW_BYTES, filterPages, indexPages } from '../sort/index.ts';
import { tableRows, type TableParts } from './tables.ts';

/**
 * Rows (id, place) of all chunks in `containers` that this process's index places in one of `staying`. Another process's index may place them in the container that
 * goes. Copies made by the collector itself need no row: whoever catches up reads their containers.
 */
export async function* relocationsOf(parts: TableParts & { readonly index: ChunkIndex }, containers: readonly ContainerNumber[], staying: NumberSet): AsyncIterable<Uint8Array> {
  const named = filterPages({ pages: indexPages(parts.index), recordBytes: INDEX_ROW_BYTES }, tableRows(parts, containers), { prefixBytes: ID_BYTES, keep: 'present' });
  for await (const { bytes, count } of named) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const rows = new Uint8Array(count * INDEX_ROW_BYTES);
    let kept = 0;
    for (let at = 0; at < count * INDEX_ROW_BYTES; at += INDEX_ROW_BYTES) {
      if (!staying.has(view.getUint32(at + ID_BYTES), view.getUint32(at + ID_BYTES + 4))) continue;
      rows.set(bytes.subarray(at, at + INDEX_ROW_BYTES), kept);
      kept += INDEX_ROW_BYTES;
    }
    if (kept > 0) yield rows.subarray(0, kept);
  }
}
