/** Opens a repository's index and filter and brings them up to what is stored. */
import type { ChunkIndex, ChunkPlace, Limits, ObjectStore, World } from '../../core/index.ts';
import { listContainers } from '../containers/container.ts';
import { NumberSet } from '../containers/number-set.ts';
import { Replay, type ReplayReport } from '../containers/replay.ts';
import { ChunkFilter } from '../filter/index.ts';
import type { HashName } from '../hashing/hasher.ts';
import { openIndex, removeIndex, type IndexKind, type OpenedIndex } from '../index/index.ts';
import { STAGING_DIRECTORY } from '../objects/index.ts';
import { CatchUp, IndexAheadError } from '../store/catch-up.ts';
import { purgeContainers, purgePlaces, withoutContainers } from '../store/lost-chunks.ts';

/** What opening needs. */
export interface IndexParts {
  readonly world: World;
  readonly objects: ObjectStore;
  readonly limits: Limits;
  readonly hash: HashName;
  /** Id of the writer; absent for a reader. */
  readonly writer?: string;
  note(text: string): void;
}

/** An index that reflects all containers, with what keeps it so. The caller closes index and filter. */
export interface CurrentIndex {
  readonly index: ChunkIndex;
  readonly filter: ChunkFilter;
  readonly catchUp: CatchUp;
  /** Whether this process holds the repository's own index. */
  readonly isHeld: boolean;
  /** Takes chunks that are lost out of index and filter, so that nobody takes them for stored. Only where the index is held. */
  forgetLost(isLost: (place: ChunkPlace) => boolean): Promise<void>;
}

/** An index that names containers that are gone without a reason is made anew: by who holds it on disk, by others for themselves. */
export async function openCurrentIndex(parts: IndexParts, kind: IndexKind): Promise<CurrentIndex> {
  const opened = await open(parts, kind);
  try {
    return await follow(parts, opened);
  } catch (error) {
    await opened.index.close().catch(() => undefined); // the first error counts
    if (!(error instanceof IndexAheadError)) throw error;
    parts.note(`${error.message}: the index is built again from the containers`);
  }
  if (opened.isHeld) await removeIndex(parts.world.disk);
  const fresh = await (opened.isHeld ? open(parts, kind) : openIndex(parts.world, { kind: 'memory', mode: 'write' }));
  try {
    return await follow(parts, fresh);
  } catch (error) {
    await fresh.index.close().catch(() => undefined);
    throw error;
  }
}

async function open(parts: IndexParts, kind: IndexKind): Promise<OpenedIndex> {
  const { world, writer } = parts;
  const opened = await openIndex(world, writer === undefined ? { kind, mode: 'read' } : { kind, mode: 'write', privateDirectory: `${STAGING_DIRECTORY}/${writer}-index` });
  opened.notes.forEach((text) => { parts.note(text); });
  return opened;
}

async function follow(parts: IndexParts, { index, isHeld }: OpenedIndex): Promise<CurrentIndex> {
  const { world, writer } = parts;
  const lost = new NumberSet();
  const visible = withoutContainers(index, lost);
  const filter = writer === undefined
    ? ChunkFilter.none(world)
    : await ChunkFilter.open({ world, index: visible, watermarks: await index.watermarks(), ...(isHeld ? { staging: writer } : {}) });
  const catchUp = new CatchUp({
    ...parts, index, isWriter: writer !== undefined,
    onIndexed: (ids, container) => filter.add(ids, container.number.text, container.size),
    onGone: (container, size) => { filter.forget(container, size); },
    onLost: async (containers) => {
      for (const number of containers.all()) lost.add(number);
      if (isHeld) await purgeContainers(index, containers);
      await filter.rebuild();
    },
  });
  await catchUp.run();
  const forgetLost = async (isLost: (place: ChunkPlace) => boolean): Promise<void> => {
    if (await purgePlaces(index, isLost) > 0) await filter.rebuild();
  };
  return { index, filter, catchUp, isHeld, forgetLost };
}

/**
 * Removes the index and builds it from the containers alone, comparing every payload with its checksum.
 * @throws {BusyError} another process holds it.
 */
export async function rebuildIndex(parts: IndexParts, kind: IndexKind, onContainer?: (done: number, total: number) => void): Promise<ReplayReport> {
  // Opened first: who holds it must not lose it.
  await (await openIndex(parts.world, { kind, mode: 'write' })).index.close();
  await removeIndex(parts.world.disk);
  const { index, notes } = await openIndex(parts.world, { kind, mode: 'write' });
  notes.forEach((text) => { parts.note(text); });
  try {
    const report = await new Replay(parts.objects, index, {
      limits: parts.limits, hash: parts.hash, verify: true, ...(onContainer === undefined ? {} : { onContainer }),
    }).run(await listContainers(parts.objects));
    await index.flush();
    return report;
  } finally {
    await index.close();
  }
}
