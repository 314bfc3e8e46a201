/**
 * An object store that keeps parity: small objects that a repository cannot do without always get a sidecar, containers when asked for.
 *
 * The object comes first, its sidecar second; on removal the sidecar goes first, and once more afterwards. So a sidecar without its object says that the object was lost, and
 * after a crash in between an object is at worst unprotected. A sidecar that cannot be written is reported and costs nothing else.
 */
import {
  HoldfastError, NotFoundError, type Limits, type ObjectReader, type ObjectRow, type ObjectStore, type ObjectStoreCapabilities, type ObjectWriter,
} from '../../core/index.ts';
import { createParity, type ParityWriter } from './create-parity.ts';
import { sidecarName } from './sidecar.ts';

/** What gets sidecars. */
export interface Protection {
  /** Of containers, percent; 0: none. */
  readonly percent: number;
  /** Stored bytes at which a container is sealed; default 32 MiB. */
  readonly containerBytes?: number;
  readonly limits: Limits;
  /** Told of sidecars that could not be written. */
  note(text: string): void;
}

/** Objects that always have a sidecar, by the first part of their names. */
export const lasting: readonly string[] = ['config', 'keys', 'manifests', 'condemned', 'reprieved', 'relocated'];
/** Percent for those of them that are too large to be copied. */
export const LASTING_PERCENT = 20;
/** Stored bytes at which a container is sealed, and those that its last group and footer may add. */
const CONTAINER_BYTES = 32 << 20;
const LAST_BYTES = 8 << 20;

/** Whether an object of this name always has a sidecar. */
export function isLasting(name: string): boolean {
  return lasting.includes(name.split('/')[0] ?? '');
}

/** Whether collectors may remove it while its writer is still at work. */
function isRemovable(name: string): boolean {
  return ['manifests', 'relocated', 'containers'].includes(name.split('/')[0] ?? '');
}

class ProtectedWriter implements ObjectWriter {
  readonly #writer: ObjectWriter;
  readonly #finish: (parity: ParityWriter) => Promise<void>;
  readonly #sizeMax: number;
  #parity: ParityWriter | undefined;

  constructor(writer: ObjectWriter, { parity, sizeMax }: { readonly parity: ParityWriter; readonly sizeMax: number }, finish: (parity: ParityWriter) => Promise<void>) {
    this.#writer = writer;
    this.#parity = parity;
    this.#sizeMax = sizeMax;
    this.#finish = finish;
  }

  get size(): number {
    return this.#writer.size;
  }

  async append(...parts: readonly Uint8Array[]): Promise<void> {
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    if (this.size + bytes > this.#sizeMax) this.#release(); // larger than planned for: it stays without
    this.#parity?.append(...parts);
    await this.#writer.append(...parts);
  }

  async commit(): Promise<void> {
    const parity = this.#parity;
    this.#parity = undefined;
    try {
      await this.#writer.commit();
    } catch (error) {
      parity?.release();
      throw error;
    }
    if (parity !== undefined) await this.#finish(parity);
  }

  async abandon(): Promise<void> {
    this.#release();
    await this.#writer.abandon();
  }

  #release(): void {
    this.#parity?.release();
    this.#parity = undefined;
  }
}

/** See the file's header. Does not own the store below. */
export class ProtectedObjects implements ObjectStore {
  readonly place: string;
  readonly #objects: ObjectStore;
  readonly #protection: Protection;

  constructor(objects: ObjectStore, protection: Protection) {
    this.place = objects.place;
    this.#objects = objects;
    this.#protection = protection;
  }

  capabilities(): Promise<ObjectStoreCapabilities> {
    return this.#objects.capabilities();
  }

  async put(name: string, ...parts: readonly Uint8Array[]): Promise<void> {
    await this.#objects.put(name, ...parts);
    if (!isLasting(name)) return;
    const sizeMax = parts.reduce((sum, part) => sum + part.length, 0);
    if (sizeMax === 0) return;
    const parity = createParity({ name, sizeMax, percent: LASTING_PERCENT, limits: this.#protection.limits });
    parity.append(...parts);
    await this.#finish(name, parity);
  }

  async create(name: string): Promise<ObjectWriter> {
    const { percent, limits, containerBytes = CONTAINER_BYTES } = this.#protection;
    const writer = await this.#objects.create(name);
    if (percent === 0 || !name.startsWith('containers/')) return writer;
    const sizeMax = containerBytes + LAST_BYTES;
    const parity = createParity({ name, sizeMax, percent, limits });
    return new ProtectedWriter(writer, { parity, sizeMax }, (sidecar) => this.#finish(name, sidecar));
  }

  open(name: string): Promise<ObjectReader> {
    return this.#objects.open(name);
  }

  list(directory: string): AsyncIterable<readonly ObjectRow[]> {
    return this.#objects.list(directory);
  }

  settle(names: readonly string[]): Promise<void> {
    return this.#objects.settle(names);
  }

  async remove(name: string): Promise<void> {
    const isProtected = isLasting(name) || name.startsWith('containers/');
    if (isProtected) await this.#objects.remove(sidecarName(name));
    await this.#objects.remove(name);
    if (isProtected) await this.#objects.remove(sidecarName(name)); // of whoever had put the object and was about to put its sidecar
  }

  close(): Promise<void> {
    return this.#objects.close();
  }

  /** The object may have been removed before it had its sidecar; who removes it looks for one afterwards, and we look for it after that of ours: one of the two sees the other. */
  async #removeIfOrphan(name: string): Promise<void> {
    if (!isRemovable(name)) return;
    try {
      await (await this.#objects.open(name)).close();
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      await this.#objects.remove(sidecarName(name));
    }
  }

  async #finish(name: string, parity: ParityWriter): Promise<void> {
    try {
      await parity.finish(this.#objects);
      await this.#removeIfOrphan(name);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      this.#protection.note(`Object '${name}' is stored, but without parity: ${error.message}`);
    }
  }
}
