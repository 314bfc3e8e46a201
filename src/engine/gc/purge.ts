/**
 * Takes chunks of removed containers out of the repository's own index; other indexes keep such entries, which never count, until they are rebuilt. An index has one
 * place for each chunk: where a copy of a removed one lies in a container that stays, it takes its place, so that the index goes on to say what the containers say.
 */
import { ID_BYTES, inParallel, type IdBatch } from '../../core/index.ts';
import { containerPath, listContainers, type ContainerNumber } from '../containers/container.ts';
import { readFooter } from '../containers/footer.ts';
import { NumberSet } from '../containers/number-set.ts';
import { INDEX_ROW_BYTES, indexPages } from '../sort/index.ts';
import { purgeContainers } from '../store/lost-chunks.ts';
import type { CollectorParts } from './collector.ts';
import { Tally } from './tally.ts';

/** What it works with. */
export type PurgeParts = Pick<CollectorParts, 'index' | 'catchUp' | 'objects' | 'limits' | 'store'>;

/** Removed chunks of which other copies are looked for; of more, the copies are stored again when they are wanted. */
const COPIES_MAX = 1 << 16;
const FOOTERS_AT_ONCE = 8;

/** One pass over the index: how many chunks it places in each container, and ids of those that will be removed. */
async function lookOver({ index, catchUp }: PurgeParts): Promise<{ readonly tally: Tally; readonly going: IdBatch }> {
  const tally = new Tally();
  const going = new Uint8Array(COPIES_MAX * ID_BYTES);
  let filled = 0;
  for await (const { bytes, count } of indexPages(index)) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < count * INDEX_ROW_BYTES; at += INDEX_ROW_BYTES) {
      tally.at(view, at).indexed += 1;
      if (filled === COPIES_MAX || !catchUp.dead.has(view.getUint32(at + ID_BYTES), view.getUint32(at + ID_BYTES + 4))) continue;
      going.set(bytes.subarray(at, at + ID_BYTES), filled * ID_BYTES);
      filled += 1;
    }
  }
  return { tally, going: { bytes: going.subarray(0, filled * ID_BYTES), count: filled } };
}

/** Containers that stay and have more chunks than the index places in them: only they can hold copies. */
async function crowdedContainers({ objects, limits, catchUp }: PurgeParts, tally: Tally): Promise<NumberSet> {
  const rows = (await listContainers(objects)).filter(({ number }) => !catchUp.dead.has(number.high, number.low));
  const crowded = new NumberSet();
  const countOf = async (number: ContainerNumber): Promise<number> => {
    const file = await objects.open(containerPath(number));
    try {
      return (await readFooter(file, limits))?.reduce((sum, { chunkCount }) => sum + chunkCount, 0) ?? 0;
    } finally {
      await file.close();
    }
  };
  await inParallel(rows, FOOTERS_AT_ONCE, async ({ number }) => {
    const chunks = await countOf(number).catch(() => 0); // damaged, or gone: nothing is looked for there
    if (chunks > (tally.of(number)?.indexed ?? 0)) crowded.add(number);
  });
  return crowded;
}

/** Removes entries whose place is in a container that is gone or condemned for good. Durable when it resolves. */
export async function purgeIndex(parts: PurgeParts): Promise<number> {
  const { index, catchUp, store } = parts;
  if (catchUp.undecided.length > 0) return 0; // what undecided ones list may stay
  const { tally, going } = await lookOver(parts);
  if (going.count === 0) return 0;
  // Copies enter first: at no moment may others read an index that knows a container and lacks its chunks.
  const crowded = await crowdedContainers(parts, tally);
  if (crowded.size > 0) await store.search(going, crowded);
  return purgeContainers(index, catchUp.dead);
}
