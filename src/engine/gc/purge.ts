/** Takes chunks of removed containers out of the repository's own index; other indexes keep such entries, which never count, until they are rebuilt. */
import { ID_BYTES, decodePlace, type ChunkIndex } from '../../core/index.ts';
import type { CatchUp } from '../store/catch-up.ts';

const BATCH = 4_096;

/** Removes entries whose place is in a container that is gone or condemned for good. Durable when it resolves. */
export async function purgeIndex({ index, catchUp }: { readonly index: ChunkIndex; readonly catchUp: CatchUp }): Promise<number> {
  const undecided = new Set(catchUp.undecided.flatMap(({ containers }) => containers.map(({ text }) => text)));
  if (undecided.size > 0) return 0; // what they list may stay
  const ids = new Uint8Array(BATCH * ID_BYTES);
  let count = 0;
  let purged = 0;
  const flush = async (): Promise<void> => {
    if (count > 0) await index.deleteMany({ bytes: ids.slice(0, count * ID_BYTES), count });
    purged += count;
    count = 0;
  };
  for await (const page of index.scan()) {
    for (let i = 0; i < page.ids.count; i += 1) {
      const { containerHigh, containerLow } = decodePlace(page.places, i);
      if (!catchUp.dead.has(containerHigh, containerLow)) continue;
      ids.set(page.ids.bytes.subarray(i * ID_BYTES, (i + 1) * ID_BYTES), count * ID_BYTES);
      count += 1;
      if (count === BATCH) await flush();
    }
  }
  await flush();
  await index.flush();
  return purged;
}
