/** A source that somebody else closes. */
import type { BlockSource } from '../../core/index.ts';

/** The same bytes; closing it closes nothing. */
export function borrowed(source: BlockSource): BlockSource {
  return {
    size: source.size, sectorSize: source.sectorSize, readInto: (offset, target, options) => source.readInto(offset, target, options), extents: (offset, length) => source.extents(offset, length),
    close: () => Promise.resolve(),
  };
}
