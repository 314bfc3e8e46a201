/**
 * Copies the chunks that snapshots need out of sparse containers into new ones. Chunks are read in the order in which they lie, so that each group is decompressed
 * once, and keep their kind: a listing still reads no file content. Nothing is taken away here.
 */
import { AbortedError, ID_BYTES, PLACE_BYTES, decodePlace } from '../../core/index.ts';
import { containerPath, numberOf, readContainerHeader } from '../containers/container.ts';
import type { ContainerKind } from '../containers/container.layout.ts';
import type { NumberSet } from '../containers/number-set.ts';
import { ExternalSorter, type RunFile } from '../sort/index.ts';
import { chunkOf } from '../store/chunk-of.ts';
import type { CollectorParts } from './collector.ts';
import { ROW_BYTES, reachableRows } from './tally.ts';

const SORT_BYTES = 16 << 20;

/** What was copied. */
export interface Evacuation {
  chunks: number;
  /** Raw bytes of chunks. */
  bytes: number;
}

/** What a container holds. @throws {FormatError} its head is damaged. */
export async function kindOf({ objects }: CollectorParts, high: number, low: number): Promise<ContainerKind> {
  const number = numberOf(high, low);
  const file = await objects.open(containerPath(number));
  try {
    return await readContainerHeader(file, number);
  } finally {
    await file.close();
  }
}

/** Rows of these containers with a place before its id, so that sorting gives the order of reading. */
async function collectRows(parts: CollectorParts, sparse: NumberSet, reachable: RunFile, sorter: ExternalSorter): Promise<void> {
  const row = new Uint8Array(ROW_BYTES);
  for await (const { bytes, count } of reachableRows(parts.index, reachable, (high, low) => sparse.has(high, low))) {
    for (let i = 0; i < count; i += 1) {
      const at = i * ROW_BYTES;
      row.set(bytes.subarray(at + ID_BYTES, at + ROW_BYTES));
      row.set(bytes.subarray(at, at + ID_BYTES), PLACE_BYTES);
      await sorter.add({ bytes: row, count: 1 });
    }
  }
}

/**
 * After it resolves, the copies are durable and the index names them.
 * @throws {IntegrityError} a chunk can't be read: then its container must stay. @throws {AbortedError}
 */
export async function evacuate(parts: CollectorParts, sparse: NumberSet, reachable: RunFile, onCopied: (done: Evacuation) => void): Promise<Evacuation> {
  const { store, world, prefix } = parts;
  const done: Evacuation = { chunks: 0, bytes: 0 };
  if (sparse.size === 0) return done;
  const sorter = new ExternalSorter({ disk: world.disk, prefix: `${prefix}-move` }, { recordBytes: ROW_BYTES, duplicates: 'unique', budgetBytes: SORT_BYTES });
  try {
    await collectRows(parts, sparse, reachable, sorter);
    let at: { readonly high: number; readonly low: number; readonly kind: ContainerKind } | undefined;
    for await (const { bytes, count } of sorter.sorted()) {
      for (let i = 0; i < count; i += 1) {
        if (parts.signal?.aborted === true) throw new AbortedError();
        const place = decodePlace(bytes.subarray(i * ROW_BYTES), 0);
        if (at?.high !== place.containerHigh || at.low !== place.containerLow) {
          at = { high: place.containerHigh, low: place.containerLow, kind: await kindOf(parts, place.containerHigh, place.containerLow) };
        }
        const id = bytes.slice(i * ROW_BYTES + PLACE_BYTES, (i + 1) * ROW_BYTES);
        const group = await store.groups.acquire(place);
        try {
          const chunk = chunkOf(group, place.ordinal, id);
          await store.add(at.kind, id, 0, chunk);
          done.chunks += 1;
          done.bytes += chunk.length;
        } finally {
          store.groups.release(group);
        }
      }
      onCopied(done);
    }
    await store.flush();
  } finally {
    await sorter.close();
  }
  return done;
}
