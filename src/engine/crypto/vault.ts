/**
 * What an open encrypted repository does with its keys: one object for the store, the manifests and the `key` verbs.
 * When something names a data key that is not known, another process rotated keys meanwhile, and the newest ring is read.
 */
import { IntegrityError, NotFoundError } from '../../core/index.ts';
import type { Credential } from './credential.ts';
import { addSlot, createKeys, openKeys, refreshKeys, removeSlot, rotateKeys, type RotationOptions, type RotationReport, type SlotRow } from './key-store.ts';
import type { KeyPlace } from './key-survey.ts';
import type { CipherKey, Keys } from './keys.ts';
import { SALT_BYTES } from './kdf.ts';
import { openObject, sealObject } from './object-seal.ts';
import type { CipherName } from './aead.ts';
import type { SlotRequest } from './slot.ts';

/** A new container's key, and what its head says about it. */
export interface NewContainerKey {
  readonly sealing: { readonly dataKey: number; readonly salt: Uint8Array };
  readonly key: CipherKey;
}

/** See the file's header. Closed by whoever opened it. */
export class Vault {
  readonly #place: KeyPlace;
  readonly #keys: Keys;

  private constructor(place: KeyPlace, keys: Keys) {
    this.#place = place;
    this.#keys = keys;
  }

  /** Makes the keys of a new repository, with a slot for each request. Durable on resolve. @throws as `createKeys` and `addSlot`. */
  static async create(place: KeyPlace, [first, ...others]: readonly [SlotRequest, ...SlotRequest[]], cipher: CipherName): Promise<Vault> {
    const keys = await createKeys(place, first, cipher);
    for (const request of others) await addSlot(place, keys, request);
    return new Vault(place, keys);
  }

  /** @throws as `openKeys`. */
  static async open(place: KeyPlace, credentials: readonly Credential[]): Promise<Vault> {
    return new Vault(place, await openKeys(place, credentials));
  }

  /** Key of chunk ids; only read. */
  get idKey(): Uint8Array {
    return this.#keys.idKey;
  }

  /** Id of the slot that opened. */
  get slot(): string {
    return this.#keys.slot;
  }

  /** Cipher of what is written from now on. */
  get cipher(): CipherName {
    return this.#keys.newest.cipher;
  }

  /** A key for a container that is about to be written; `number` are the 8 bytes that name it. */
  newContainerKey(number: Uint8Array): NewContainerKey {
    const sealing = { dataKey: this.#keys.newest.number, salt: this.#place.world.randomBytes(SALT_BYTES) };
    return { sealing, key: this.#keys.containerKey(sealing.dataKey, sealing.salt, number) };
  }

  /** The key of a container that exists. @throws {IntegrityError} no ring has its data key. */
  containerKey({ dataKey, salt }: NewContainerKey['sealing'], number: Uint8Array): Promise<CipherKey> {
    return this.#withNewest(() => this.#keys.containerKey(dataKey, salt, number));
  }

  /** Seals the object `name`. */
  seal(name: string, bytes: Uint8Array): Uint8Array {
    return sealObject(this.#keys, name, bytes, this.#place.world);
  }

  /** The content of the object `name`. @throws as `openObject`. */
  open(name: string, sealed: Uint8Array): Promise<Uint8Array> {
    return this.#withNewest(() => openObject(this.#keys, name, sealed));
  }

  /** @throws as `addSlot`. */
  addSlot(request: SlotRequest): Promise<SlotRow> {
    return addSlot(this.#place, this.#keys, request);
  }

  /** @throws as `removeSlot`. */
  removeSlot(id: string): Promise<void> {
    return removeSlot(this.#place, this.#keys, id);
  }

  /** @throws as `rotateKeys`. */
  rotate(options: RotationOptions = {}): Promise<RotationReport> {
    return rotateKeys(this.#place, this.#keys, options);
  }

  /** Overwrites the keys. */
  close(): void {
    this.#keys.close();
  }

  async #withNewest<T>(use: () => T): Promise<T> {
    try {
      return use();
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
    }
    await refreshKeys(this.#place, this.#keys);
    try {
      return use();
    } catch (error) {
      throw error instanceof NotFoundError ? new IntegrityError(error.message, error.data, error) : error;
    }
  }
}
