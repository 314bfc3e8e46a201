/** Sorted entries in flat buffers: what tables, segments and merges hand to each other. */
import { ID_BYTES, PLACE_BYTES } from '../../core/index.ts';

/** `count` entries in ascending id order; `tombstones[i]` is 1 when entry `i` says "removed". Buffers may be longer. */
export interface EntryPage {
  readonly count: number;
  readonly ids: Uint8Array;
  readonly places: Uint8Array;
  readonly tombstones: Uint8Array;
}

/** Copies an id, byte by byte: a view to copy from costs more than the copy, and is thrown away. */
export function copyId(source: Uint8Array, from: number, target: Uint8Array, to: number): void {
  for (let i = 0; i < ID_BYTES; i += 1) target[to + i] = source[from + i] as number;
}

/** Copies an encoded place, byte by byte. */
export function copyPlaceBytes(source: Uint8Array, from: number, target: Uint8Array, to: number): void {
  for (let i = 0; i < PLACE_BYTES; i += 1) target[to + i] = source[from + i] as number;
}

/** Entries that one page of a scan or merge carries at most. */
export const PAGE_ENTRIES = 1024;

/** Views of at most {@link PAGE_ENTRIES} entries each, in order. */
export function* pagesOf(run: EntryPage): Iterable<EntryPage> {
  for (let at = 0; at < run.count; at += PAGE_ENTRIES) {
    const end = Math.min(run.count, at + PAGE_ENTRIES);
    yield {
      count: end - at,
      ids: run.ids.subarray(at * ID_BYTES, end * ID_BYTES),
      places: run.places.subarray(at * PLACE_BYTES, end * PLACE_BYTES),
      tombstones: run.tombstones.subarray(at, end),
    };
  }
}
