/** Where the records of groups come from: the containers of a repository, few of which are open at a time. */
import { IntegrityError, NotFoundError, type ChunkPlace, type ObjectReader, type ObjectStore } from '../../core/index.ts';
import { containerPath, numberBytes, numberOf, readSealing, type ContainerNumber } from '../containers/container.ts';
import type { CipherKey, Vault } from '../crypto/index.ts';

/** A container that the index names is not there. */
export class MissingContainerError extends IntegrityError {
  readonly number: ContainerNumber;

  constructor(number: ContainerNumber, cause: unknown) {
    super(`Read container '${number.text}': the object is missing`, { container: number.text }, cause);
    this.number = number;
  }
}

/** A record that was read; its bytes are at the start of the caller's buffer. */
export interface ReadRecord {
  readonly length: number;
  /** Present exactly when the record must be sealed. */
  readonly key?: CipherKey;
}

/** Gives records by place. */
export interface RecordSource {
  /**
   * Reads the record at a place to the start of `target`, which takes the largest one. Nothing is checked but that it is there.
   * @throws {MissingContainerError} its container is not there. @throws {RangeError} it ends before.
   */
  read(place: ChunkPlace, target: Uint8Array): Promise<ReadRecord>;
  /** Closes what is open; reading opens it again. */
  close(): Promise<void>;
}

const FILES_KEPT = 24;

/** An open container, and its key when it is sealed. */
interface OpenContainer {
  readonly reader: ObjectReader;
  readonly key: CipherKey | undefined;
}

/** Records in the containers of an object store. */
export class ContainerRecords implements RecordSource {
  readonly #objects: ObjectStore;
  readonly #vault: Vault | undefined;
  readonly #files = new Map<string, Promise<OpenContainer>>();

  /** `vault`: of an encrypted repository, where every group must be sealed. */
  constructor(objects: ObjectStore, vault?: Vault) {
    this.#objects = objects;
    this.#vault = vault;
  }

  async read(place: ChunkPlace, target: Uint8Array): Promise<ReadRecord> {
    const number = numberOf(place.containerHigh, place.containerLow);
    const { reader, key } = await this.#file(number);
    await reader.readInto(place.offset, target.subarray(0, place.length)).catch((error: unknown) => { throw this.#missing(error, number); });
    return { length: place.length, ...(key === undefined ? {} : { key }) };
  }

  async close(): Promise<void> {
    const files = [...this.#files.values()];
    this.#files.clear();
    for (const file of files) await (await file).reader.close();
  }

  #missing(error: unknown, number: ContainerNumber): unknown {
    if (!(error instanceof NotFoundError)) return error;
    this.#files.delete(number.text);
    return new MissingContainerError(number, error);
  }

  async #open(number: ContainerNumber): Promise<OpenContainer> {
    const reader = await this.#objects.open(containerPath(number)).catch((error: unknown) => { throw this.#missing(error, number); });
    try {
      return { reader, key: this.#vault === undefined ? undefined : await this.#vault.containerKey(await readSealing(reader), numberBytes(number)) };
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  #file(number: ContainerNumber): Promise<OpenContainer> {
    const known = this.#files.get(number.text);
    if (known !== undefined) return known;
    const opened = this.#open(number).catch((error: unknown) => {
      this.#files.delete(number.text);
      throw error;
    });
    this.#files.set(number.text, opened);
    if (this.#files.size > FILES_KEPT) {
      const [oldest] = this.#files;
      if (oldest !== undefined) {
        this.#files.delete(oldest[0]);
        // Reads are one synchronous call in the real World; a simulated one keeps an open file readable.
        void oldest[1].then(({ reader }) => reader.close()).catch(() => undefined);
      }
    }
    return opened;
  }
}
