/**
 * A store through which nothing can be removed or taken out of sight: what a backup client that may be taken over gets. It stores backups and reads
 * everything; forgetting, collecting and repairing need the store itself. Whoever serves others must put it on his side of the wire: on the
 * client's it protects from mistakes only.
 */
import { UnsupportedError, type ObjectStore, type ObjectStoreCapabilities, type ObjectWriter } from '../../core/index.ts';

/** Directories that a backup creates objects in. In all others an object can take something away: tombstones, lists of condemned containers, keys. */
export const APPENDED_DIRECTORIES: readonly string[] = ['containers', 'manifests', 'parity', 'sessions'];

/**
 * A view of `store`; closing it closes the store. Creating elsewhere than in {@link APPENDED_DIRECTORIES} and removing throw UnsupportedError, and
 * `capabilities` says so. Sessions stay; they count as ended when a manifest or fence has their id.
 */
export function appendOnly(store: ObjectStore): ObjectStore {
  const check = (name: string): void => {
    if (APPENDED_DIRECTORIES.includes(name.split('/', 1)[0] ?? '') && name.includes('/')) return;
    throw new UnsupportedError(`Create '${name}' in '${store.place}': the store is append-only; only backups may be stored`, { name });
  };
  return {
    place: store.place,
    capabilities: async (): Promise<ObjectStoreCapabilities> => ({ ...await store.capabilities(), remove: false }),
    put: async (name, ...parts): Promise<void> => {
      check(name);
      await store.put(name, ...parts);
    },
    create: async (name): Promise<ObjectWriter> => {
      check(name);
      return store.create(name);
    },
    open: (name) => store.open(name),
    list: (directory) => store.list(directory),
    settle: (names) => store.settle(names),
    remove: async (name): Promise<void> => {
      throw new UnsupportedError(`Remove '${name}' from '${store.place}': the store is append-only`, { name });
    },
    close: () => store.close(),
  };
}
