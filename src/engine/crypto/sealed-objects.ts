/**
 * An `ObjectStore` whose small objects are sealed on their way in and opened on their way out: manifests, fences, sessions, tombstones and the collector's
 * lists. Who uses it can't forget to. Containers, which are sealed group by group, config, keys and parity pass through as they are.
 */
import {
  LimitError, readObject, type Limits, type ObjectReader, type ObjectRow, type ObjectStore, type ObjectStoreCapabilities, type ObjectWriter,
} from '../../core/index.ts';
import type { Vault } from './vault.ts';

const sealedDirectories: readonly string[] = ['manifests', 'sessions', 'tombstones', 'condemned', 'reprieved', 'relocated'];

/** Padding and header: a sealed object is never larger than that many times its content, but for the smallest. */
const GROWTH = 1.125;
const SMALL_BYTES = 4_096;

/** Whether objects of this name are sealed in an encrypted repository. */
export function isSealedName(name: string): boolean {
  return sealedDirectories.includes(name.split('/')[0] ?? '');
}

class OpenedObject implements ObjectReader {
  readonly size: number;
  readonly #name: string;
  readonly #bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array) {
    this.#name = name;
    this.#bytes = bytes;
    this.size = bytes.length;
  }

  async readInto(offset: number, target: Uint8Array): Promise<void> {
    if (offset + target.length > this.size) throw new RangeError(`Read '${this.#name}': range '${offset}+${target.length}' leaves '${this.size}' bytes`);
    target.set(this.#bytes.subarray(offset, offset + target.length));
  }

  async close(): Promise<void> {}
}

/** Collects a small object, since it can only be sealed as a whole. */
class SealingWriter implements ObjectWriter {
  size = 0;
  readonly #writer: ObjectWriter;
  readonly #seal: (bytes: Uint8Array) => Uint8Array;
  readonly #parts: Uint8Array[] = [];

  constructor(writer: ObjectWriter, seal: (bytes: Uint8Array) => Uint8Array) {
    this.#writer = writer;
    this.#seal = seal;
  }

  async append(...parts: readonly Uint8Array[]): Promise<void> {
    for (const part of parts) {
      this.#parts.push(part.slice());
      this.size += part.length;
    }
  }

  async commit(): Promise<void> {
    await this.#writer.append(this.#seal(Buffer.concat(this.#parts)));
    await this.#writer.commit();
  }

  async abandon(): Promise<void> {
    await this.#writer.abandon();
  }
}

/** See the file's header. Closing it closes the store, not the vault. */
export class SealedObjects implements ObjectStore {
  readonly #objects: ObjectStore;
  readonly #vault: Vault;
  readonly #bytesMax: number;

  constructor(objects: ObjectStore, vault: Vault, limits: Limits) {
    this.#objects = objects;
    this.#vault = vault;
    this.#bytesMax = Math.max(limits.manifestBytesMax, limits.condemnedBytesMax) * GROWTH + SMALL_BYTES;
  }

  get place(): string {
    return this.#objects.place;
  }

  capabilities(): Promise<ObjectStoreCapabilities> {
    return this.#objects.capabilities();
  }

  put(name: string, ...parts: readonly Uint8Array[]): Promise<void> {
    return isSealedName(name) ? this.#objects.put(name, this.#vault.seal(name, Buffer.concat(parts))) : this.#objects.put(name, ...parts);
  }

  async create(name: string): Promise<ObjectWriter> {
    const writer = await this.#objects.create(name);
    return isSealedName(name) ? new SealingWriter(writer, (bytes) => this.#vault.seal(name, bytes)) : writer;
  }

  /** @throws {IntegrityError} a sealed object does not open. @throws {FormatError} it is not sealed. @throws {NotFoundError} @throws {LimitError} */
  async open(name: string): Promise<ObjectReader> {
    if (!isSealedName(name)) return this.#objects.open(name);
    const sealed = await readObject(this.#objects, name, (size) => {
      if (size > this.#bytesMax) throw new LimitError('sealed object', size, this.#bytesMax, `object '${name}'`);
    });
    return new OpenedObject(name, await this.#vault.open(name, sealed));
  }

  list(directory: string): AsyncIterable<readonly ObjectRow[]> {
    return this.#objects.list(directory);
  }

  settle(names: readonly string[]): Promise<void> {
    return this.#objects.settle(names);
  }

  remove(name: string): Promise<void> {
    return this.#objects.remove(name);
  }

  close(): Promise<void> {
    return this.#objects.close();
  }
}
