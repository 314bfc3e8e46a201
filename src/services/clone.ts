/** A consistent copy of a repository into a directory or a bucket, while backups go on. */
import { cloneRepository, nodeWorld, type CloneOptions, type CloneReport, type CloneSide } from '../engine/index.ts';
import { isRemotePlace, openBucket, openPlace, type PlaceChoice, type RepositoryPlace } from './repository-place.ts';

/**
 * Copies what is not there yet; run again, it brings the copy up to date. Needs no key. Durable when it resolves.
 * @throws {NotFoundError} no repository. @throws {BusyError} the target holds another one. @throws {IntegrityError} an object differs.
 */
export async function cloneLocation(from: string, to: string, options: CloneOptions & PlaceChoice = {}): Promise<CloneReport> {
  const source = await openPlace(from, 'write', options);
  try {
    if (!isRemotePlace(to)) return await cloneRepository(sideOf(source), { world: nodeWorld(to) }, options);
    const objects = await openBucket(to, 'write');
    try {
      // The copy needs no cache of its own: locks beside the source's tell whose staged files are whose.
      return await cloneRepository(sideOf(source), { world: source.world, objects }, options);
    } finally {
      await objects.close();
    }
  } finally {
    await source.close();
  }
}

function sideOf({ world, options: { objects } }: RepositoryPlace): CloneSide {
  return { world, ...(objects === undefined ? {} : { objects }) };
}
