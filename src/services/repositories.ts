/** Opening and making repositories: in a directory of this host, or in a bucket. */
import { Repository, nodeWorld, type RepairReport, type RepositoryChoices, type RepositoryKeys, type SnapshotStore } from '../engine/index.ts';
import { withCredentials, type KeyedOptions } from './credentials.ts';
import { isDaemonPlace, openDaemonRepository } from './daemon-place.ts';
import { bucketPlace, isRemotePlace, openBucket, openPlace, type PlaceChoice, type RepositoryPlace } from './repository-place.ts';

/** Runs `use` with a place, and closes it at the end, or only after a failure when what was opened there goes on. */
async function withPlace<T>(opening: Promise<RepositoryPlace>, goesOn: boolean, use: (place: RepositoryPlace) => Promise<T>): Promise<T> {
  const place = await opening;
  try {
    const result = await use(place);
    if (!goesOn) await place.close();
    return result;
  } catch (error) {
    await place.close().catch(() => undefined); // the first error counts
    throw error;
  }
}

/**
 * Opens the repository in a directory, at `s3://BUCKET/PREFIX` or behind a daemon (`holdfast://HOST[:PORT][/DOMAIN]`), for reading unless told otherwise. Close it when done.
 * @throws {NotFoundError} when there is none. @throws {UnsupportedError} for a layout this build doesn't know, or a bucket that can't hold one.
 * @throws {UsageError} when it is encrypted and nothing opens it, or it is not and a key is given; a bucket without credentials.
 * @throws {ToolError} the bucket or daemon can't be reached, or refuses. @throws {ProtocolError} the daemon refuses the key.
 */
export function openRepository(location: string, options: KeyedOptions & PlaceChoice = {}): Promise<SnapshotStore> {
  if (!isDaemonPlace(location)) return openDirectRepository(location, options);
  const { wireKey, cacheDirectory, workers, onNote } = options;
  return openDaemonRepository(location, { wireKey, cacheDirectory, ...(workers === undefined ? {} : { workers }), ...(onNote === undefined ? {} : { onNote: (text) => { onNote(text); } }) });
}

/**
 * Opens a repository whose objects can be reached from here, for what only they allow: check, forget, collect.
 * @throws as {@link openRepository}; {UsageError} also for one behind a daemon.
 */
export function openDirectRepository(location: string, { cacheDirectory, wireKey: _, ...options }: KeyedOptions & PlaceChoice = {}): Promise<Repository> {
  const mode = options.mode ?? 'read';
  return withPlace(openPlace(location, mode, { cacheDirectory }), true, async ({ world, options: where }) =>
    Repository.open(world, { mode, ...await withCredentials(world, { ...options, ...where }) }));
}

/** Opens the keys of an encrypted repository, to add and remove slots and to rotate. @throws as {@link openRepository}. */
export function openRepositoryKeys(location: string, { cacheDirectory, wireKey: _, ...options }: KeyedOptions & PlaceChoice = {}): Promise<RepositoryKeys> {
  return withPlace(openPlace(location, 'write', { cacheDirectory }), true, async ({ world, options: where }) =>
    Repository.openKeys(world, await withCredentials(world, { ...options, ...where })));
}

/** The key slots of a repository; needs no key. @throws {NotFoundError} */
export function repositoryKeySlots(location: string, choice: PlaceChoice = {}): ReturnType<typeof Repository.keySlots> {
  return withPlace(openPlace(location, 'read', choice), false, ({ world, options }) => Repository.keySlots(world, options));
}

/**
 * Makes a repository in a directory that is empty or not there yet, or at an empty `s3://BUCKET/PREFIX` of a bucket that exists, and opens it for writing.
 * Durable when it resolves.
 * @throws {BusyError} when the place holds something.
 */
export async function createRepository(location: string, choices: RepositoryChoices = {}, choice: PlaceChoice = {}): Promise<Repository> {
  if (!isRemotePlace(location)) return Repository.create(nodeWorld(location), choices);
  const objects = await openBucket(location, 'write');
  const place = bucketPlace(objects, async () => (await Repository.establish(nodeWorld('.'), choices, { objects })).id, choice);
  const credentials = (choices.encryption?.slots ?? []).map(({ credential }) => credential);
  return withPlace(place, true, ({ world, options }) => Repository.open(world, { mode: 'write', credentials, ...options }));
}

/** Whether a repository is encrypted; needs no key. @throws {NotFoundError} */
export function isEncrypted(location: string, choice: PlaceChoice = {}): Promise<boolean> {
  return withPlace(openPlace(location, 'read', choice), false, async ({ world, options }) => (await Repository.parameters(world, options.objects)).encryption !== 'none');
}

/**
 * Makes the index of a repository new from its containers, reading all of them. Needs no key.
 * @throws {NotFoundError} when there is no repository. @throws {BusyError} when somebody writes to it.
 */
export function rebuildIndex(
  location: string,
  { cacheDirectory, wireKey: _, ...options }: PlaceChoice & { onNote?(text: string): void; onProgress?(done: number, total: number): void } = {},
): Promise<Awaited<ReturnType<typeof Repository.rebuildIndex>>> {
  return withPlace(openPlace(location, 'read', { cacheDirectory }), false, ({ world, options: where }) => Repository.rebuildIndex(world, { ...options, ...where }));
}

/**
 * Repairs a repository: see `Repository.repair`. An encrypted one needs a key.
 * @throws {NotFoundError} when there is none. @throws what opening it throws, when what is needed for that is beyond repair.
 */
export function repairRepository(
  location: string, { cacheDirectory, wireKey: _, ...options }: Omit<KeyedOptions, 'mode'> & PlaceChoice & Omit<Parameters<typeof Repository.repair>[1], 'objects'>,
): Promise<RepairReport> {
  return withPlace(openPlace(location, 'write', { cacheDirectory }), false, async ({ world, options: where }) => {
    const healed = await Repository.healObjects(world, { ...options, ...where });
    return Repository.repair(world, { ...options, ...await withCredentials(world, { ...options, ...where }), healed });
  });
}
