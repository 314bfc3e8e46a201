/**
 * Where a repository is: a directory of this host, or a bucket with a cache in a directory of this host. The cache holds the chunk index, the filter
 * and locks; it may be lost at any time, and is built again from the bucket. It is named by the repository's id, so that one directory serves many.
 */
import { existsSync } from 'node:fs';
import { NotFoundError, UsageError, type ObjectStore } from '../core/index.ts';
import { Repository, nodeWorld, openS3Objects, s3Location } from '../engine/index.ts';
import { makeCache, type CacheChoice } from './cache-directory.ts';
import { isDaemonPlace } from './daemon-place.ts';

/** An open place of a repository. Close it, or hand `closing` to what is opened there. */
export interface RepositoryPlace {
  readonly world: ReturnType<typeof nodeWorld>;
  /** In a bucket: the objects, and who closes them; in a directory nothing. To be handed to the engine as it is. */
  readonly options: { readonly objects?: ObjectStore; onClose?(): Promise<void> };
  close(): Promise<void>;
}

/** What some kinds of places need beside their name. */
export interface PlaceChoice extends CacheChoice {
  /** File with the key for places behind a daemon: of the site, or of this host. Default: HOLDFAST_WIRE_KEY_FILE. */
  readonly wireKey?: string | undefined;
}

/** Whether a text names a bucket, and not a directory. @throws {UsageError} a place behind a daemon, whose objects cannot be reached from here. */
export function isRemotePlace(text: string): boolean {
  if (isDaemonPlace(text)) throw objectsNeeded(text);
  return text.startsWith('s3://');
}

/** What to run instead where a verb needs objects, and a daemon is in front of them. */
export function objectsNeeded(text: string): UsageError {
  return new UsageError(`Open '${text}': this needs the objects themselves, which only the daemon reaches: run the same command on the daemon's host, with the directory or bucket that its configuration names ('repository:') instead of '${text}'`, { root: text });
}

/**
 * Opens the objects of a bucket without a cache, with the credentials of the usual variables of AWS.
 * @throws {UsageError} no credentials, no location. @throws {ToolError} it can't be reached. @throws {UnsupportedError} it can't hold a repository.
 */
export function openBucket(url: string, mode: 'read' | 'write'): Promise<ObjectStore> {
  return openS3Objects(nodeWorld('.'), s3Location(url, process.env), mode);
}

/** Opens the place of a repository that exists. @throws {NotFoundError} there is none. @throws as {@link openBucket}. */
export async function openPlace(text: string, mode: 'read' | 'write', choice: PlaceChoice = {}): Promise<RepositoryPlace> {
  if (!isRemotePlace(text)) {
    if (!existsSync(text)) throw new NotFoundError(`Open repository '${text}': no such directory; 'holdfast init' makes one`, { path: text });
    return { world: nodeWorld(text), options: {}, close: async () => undefined };
  }
  const objects = await openBucket(text, mode);
  return bucketPlace(objects, async () => (await Repository.parameters(nodeWorld('.'), objects)).id, choice);
}

/** The place of the repository whose id `find` gives, with its cache. Takes the objects over, also when it fails. */
export async function bucketPlace(objects: ObjectStore, find: () => Promise<string>, choice: PlaceChoice): Promise<RepositoryPlace> {
  try {
    const world = await makeCache(choice, await find());
    return { world, options: { objects, onClose: () => objects.close() }, close: () => objects.close() };
  } catch (error) {
    await objects.close();
    throw error;
  }
}
