/** A chunk index whose lookups are timed, for those who run a store and want to know how fast it is. */
import type { ChunkIndex } from '../../core/index.ts';

/** Called when a lookup of `ids` ids begins; what it returns is called when the lookup ended, well or not. The engine has no clock of its own. */
export type TimeLookup = (ids: number) => () => void;

/** An index that does what `index` does. Closing it closes that one. */
export function timedIndex(index: ChunkIndex, time: TimeLookup): ChunkIndex {
  return {
    kind: index.kind,
    getMany: async (ids, places) => {
      const ended = time(ids.count);
      try {
        return await index.getMany(ids, places);
      } finally {
        ended();
      }
    },
    putMany: (ids, places, watermarks) => index.putMany(ids, places, watermarks),
    deleteMany: (ids) => index.deleteMany(ids),
    watermarks: () => index.watermarks(),
    scan: () => index.scan(),
    count: () => index.count(),
    flush: () => index.flush(),
    close: () => index.close(),
  };
}
