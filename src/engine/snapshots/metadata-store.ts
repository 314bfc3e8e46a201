/** Metadata chunks (directory pages, recipe pages): hashed on this thread, deduplicated like everything else. */
import { ID_BYTES, type IdBatch } from '../../core/index.ts';
import type { Hasher } from '../hashing/hasher.ts';
import { chunkOf } from '../store/chunk-of.ts';
import type { IngestStore } from '../store/content-store.ts';

/** Puts and gets whole metadata chunks. */
export class MetadataStore {
  readonly #store: IngestStore;
  readonly #hasher: Hasher;

  constructor(store: IngestStore, hasher: Hasher) {
    this.#store = store;
    this.#hasher = hasher;
  }

  /** Stores `bytes` if they are new; they may be reused once the promise resolves. @returns their id. */
  async put(bytes: Uint8Array): Promise<Uint8Array> {
    const id = new Uint8Array(ID_BYTES);
    this.#hasher.digestInto(bytes, id, 0);
    if (this.#store.offer !== undefined) {
      await this.#store.offer(id, bytes);
      return id;
    }
    const batch: IdBatch = { bytes: id, count: 1 };
    const known = await this.#store.has(batch);
    if (((known[0] as number) & 1) === 0) await this.#store.add('metadata', id, 0, bytes);
    return id;
  }

  /** A copy of one chunk. @throws {NotFoundError} @throws {IntegrityError} */
  async get(id: Uint8Array): Promise<Uint8Array> {
    const { group, ordinal } = await this.#store.acquire(id);
    try {
      return chunkOf(group, ordinal, id).slice();
    } finally {
      this.#store.groups.release(group);
    }
  }
}
