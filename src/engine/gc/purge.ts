/** Takes chunks of removed containers out of the repository's own index; other indexes keep such entries, which never count, until they are rebuilt. */
import type { ChunkIndex } from '../../core/index.ts';
import type { CatchUp } from '../store/catch-up.ts';
import { purgeContainers } from '../store/lost-chunks.ts';

/** Removes entries whose place is in a container that is gone or condemned for good. Durable when it resolves. */
export async function purgeIndex({ index, catchUp }: { readonly index: ChunkIndex; readonly catchUp: CatchUp }): Promise<number> {
  const undecided = new Set(catchUp.undecided.flatMap(({ containers }) => containers.map(({ text }) => text)));
  return undecided.size > 0 ? 0 : purgeContainers(index, catchUp.dead); // what undecided ones list may stay
}
