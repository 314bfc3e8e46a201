/** Objects in a bucket of S3 or of a store that speaks its protocol. What is relied on, and what was tried: `docs/object-stores.md`. */
import { createHash } from 'node:crypto';
import assert from 'node:assert';
import { LimitError, UnsupportedError, type ObjectReader, type ObjectRow, type ObjectStore, type ObjectStoreCapabilities, type ObjectWriter, type World } from '../../../core/index.ts';
import { S3Client, defaultTuning, type S3Request, type S3Tuning } from './client.ts';
import { openObject } from './download.ts';
import { listObjects } from './listing.ts';
import { isObjectName, type S3Location } from './location.ts';
import { probe, refusesRemoval, removed } from './probe.ts';
import { createObject } from './upload.ts';
import { OBJECT_BYTES_MAX, PiecePool, S3Writer } from './writer.ts';

const READ_ONLY: ObjectStoreCapabilities = { putIfAbsent: false, listAfterPut: false, remove: false, remote: true };

class S3Objects implements ObjectStore {
  readonly place: string;
  readonly #client: S3Client;
  readonly #writable: boolean;
  readonly #pool = new PiecePool();
  #capabilities: Promise<ObjectStoreCapabilities> | undefined;

  constructor(client: S3Client, writable: boolean) {
    this.#client = client;
    this.#writable = writable;
    this.place = client.place;
  }

  /** Tried out at the first call. A store opened for reading isn't tried: it promises nothing. */
  capabilities(): Promise<ObjectStoreCapabilities> {
    if (!this.#writable) return Promise.resolve(READ_ONLY);
    this.#capabilities ??= probe(this.#client).catch((error: unknown) => {
      this.#capabilities = undefined;
      throw error;
    });
    return this.#capabilities;
  }

  async put(name: string, ...parts: readonly Uint8Array[]): Promise<void> {
    this.#checkWrite('Create', name);
    const digest = createHash('sha256');
    let bytes = 0;
    for (const part of parts) {
      digest.update(part);
      bytes += part.length;
    }
    if (bytes > OBJECT_BYTES_MAX) throw new LimitError('object bytes', bytes, OBJECT_BYTES_MAX, `'${name}'`);
    await createObject(this.#client, name, { parts, bytes, digest: digest.digest('hex') });
  }

  async create(name: string): Promise<ObjectWriter> {
    this.#checkWrite('Create', name);
    return new S3Writer(this.#client, name, this.#pool);
  }

  async open(name: string): Promise<ObjectReader> {
    assert(isObjectName(name), `'${name}' is a name of an object`);
    return openObject(this.#client, name);
  }

  list(directory: string): AsyncIterable<readonly ObjectRow[]> {
    assert(directory === '' || isObjectName(directory), `'${directory}' is a directory of objects`);
    return listObjects(this.#client, directory);
  }

  /** A store that acknowledged an object keeps it. */
  async settle(): Promise<void> {}

  async remove(name: string): Promise<void> {
    this.#checkWrite('Remove', name);
    const request: S3Request = { method: 'DELETE', name };
    const outcome = await this.#client.send(request);
    if (removed(outcome.status, outcome.code)) return;
    const failure = this.#client.failure(request, outcome);
    throw refusesRemoval(outcome.status, outcome.code) ? new UnsupportedError(`Remove '${this.place}/${name}': the store's rules forbid it`, { name }, failure) : failure;
  }

  async close(): Promise<void> {
    this.#client.close();
  }

  #checkWrite(action: string, name: string): void {
    assert(isObjectName(name), `'${name}' is a name of an object`);
    if (!this.#writable) throw new UnsupportedError(`${action} '${this.place}/${name}': the store was opened for reading only`, { name });
  }
}

/**
 * Opens a bucket, or a directory of one. For writing its promises are tried out first, with a dozen requests on a scratch object. The clock and
 * the pauses are the world's, which must be a real one.
 * @throws {UnsupportedError} the store overwrites objects, or does not list what was created: it can't hold a repository.
 * @throws {ToolError} it can't be reached or refuses. @throws {UsageError} a location that can't be one.
 */
export async function openS3Objects(world: World, location: S3Location, mode: 'read' | 'write', tuning: Partial<S3Tuning> = {}): Promise<ObjectStore> {
  const store = new S3Objects(new S3Client(world, location, { ...defaultTuning, ...tuning }), mode === 'write');
  if (mode === 'read') return store;
  try {
    const { putIfAbsent, listAfterPut } = await store.capabilities();
    if (!putIfAbsent) throw new UnsupportedError(`Open '${store.place}' for writing: the store does not honour 'If-None-Match' and would overwrite objects`, { place: store.place });
    if (!listAfterPut) throw new UnsupportedError(`Open '${store.place}' for writing: the store does not list what was created`, { place: store.place });
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
}
