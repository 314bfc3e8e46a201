/** Splits a file into runs of data and holes worth keeping. */
import type { BlockSource } from '../../core/index.ts';

/** A run of a file: bytes to be read, or a hole. */
export interface Segment {
  readonly length: number;
  readonly hole: boolean;
}

/** Holes shorter than this are read like data: splitting chunks at them costs more than it saves. */
const HOLE_BYTES_MIN = 65_536;

/**
 * Covers the whole source. Data runs begin and end at multiples of `align` (or the end), so that fixed blocks keep their place.
 */
export async function* segmentsOf(source: BlockSource, align: number): AsyncIterable<Segment> {
  let done = 0;
  for await (const extent of source.extents(0, source.size)) {
    if (extent.kind === 'data') continue;
    const start = Math.max(done, Math.ceil(extent.offset / align) * align);
    const end = extent.offset + extent.length === source.size ? source.size : Math.floor((extent.offset + extent.length) / align) * align;
    if (end - start < HOLE_BYTES_MIN) continue;
    if (start > done) yield { length: start - done, hole: false };
    yield { length: end - start, hole: true };
    done = end;
  }
  if (source.size > done) yield { length: source.size - done, hole: false };
}
