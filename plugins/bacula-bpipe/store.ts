/** Opens the repository that the settings name. */
import { IntegrityError, type FileTree } from '../../src/core/index.ts';
import type { SnapshotStore } from '../../src/engine/index.ts';
import { openRepository } from '../../src/services/index.ts';
import { readKeys } from '../../src/services/locations/keys.ts';
import { demandSame, receiptOf, type Receipt } from './receipt.ts';
import type { Settings } from './settings.ts';

/** Opens, uses and closes. @throws what opening throws: no repository, a key that does not fit, a host that can't be reached. */
export async function withStore<T>(settings: Settings, mode: 'read' | 'write', use: (store: SnapshotStore) => Promise<T>): Promise<T> {
  const { repository, keys, cacheDirectory, wireKey } = settings;
  const files = readKeys(keys);
  const store = await openRepository(repository, { mode, cacheDirectory, wireKey, keys: files.map((bytes, i) => ({ bytes, name: keys[i] ?? '' })) });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

/**
 * The files of a receipt's snapshot, after the manifest was read and compared with the receipt.
 * @throws {IntegrityError} another repository, or the snapshot says something else. @throws {NotFoundError} there is no such snapshot any more.
 */
export async function openReceipt(store: SnapshotStore, receipt: Receipt): Promise<FileTree> {
  if (store.id !== receipt.repository) throw new IntegrityError(`Open snapshot '${receipt.snapshot}': the settings name repository '${store.id}', the receipt is of '${receipt.repository}'`);
  const info = await store.resolveSnapshot(receipt.snapshot);
  demandSame(receipt, receiptOf(store.id, receipt.kind, info));
  return store.openSnapshot(receipt.snapshot);
}
