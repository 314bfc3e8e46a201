/** A `FileStore` of plain objects, for tests: it can fail on purpose. */
import { BusyError, NotFoundError, ToolError } from '../../../core/index.ts';
import type { FileStore, OpenStoredFile, StoredFile } from '../file-store.ts';

interface Content {
  name: string;
  bytes: Uint8Array;
  synced: Uint8Array;
  open: number;
}

/** See the module's comment. */
export class MemoryStore implements FileStore {
  /** The errno with which writes and syncs fail. */
  fault: string | undefined;
  readonly #files = new Map<string, Content>();

  list(): readonly StoredFile[] {
    return [...this.#files.values()].map(({ name, bytes }) => ({ name, size: bytes.length, modified: 1_700_000_000_250 }));
  }

  async open(name: string, options: { readonly create?: boolean } = {}): Promise<OpenStoredFile> {
    let content = this.#files.get(name);
    if (content === undefined) {
      if (options.create !== true) throw new NotFoundError(`Open '${name}': no such file`);
      content = { name, bytes: new Uint8Array(), synced: new Uint8Array(), open: 0 };
      this.#files.set(name, content);
    }
    content.open += 1;
    return new Handle(content, this);
  }

  async remove(name: string): Promise<void> {
    if ((this.#files.get(name)?.open ?? 0) > 0) throw new BusyError(`Remove '${name}': it is open`);
    if (!this.#files.delete(name)) throw new NotFoundError(`Remove '${name}': no such file`);
  }

  async rename(from: string, to: string): Promise<void> {
    const content = this.#files.get(from);
    if (content === undefined) throw new NotFoundError(`Rename '${from}': no such file`);
    this.#files.delete(from);
    content.name = to;
    this.#files.set(to, content);
  }

  /** What a file would be after a crash. */
  synced(name: string): string {
    return Buffer.from(this.#files.get(name)?.synced ?? []).toString('latin1');
  }
}

class Handle implements OpenStoredFile {
  readonly modified: number = 1_700_000_000_250;
  readonly #content: Content;
  readonly #store: MemoryStore;

  constructor(content: Content, store: MemoryStore) {
    this.#content = content;
    this.#store = store;
  }

  get name(): string {
    return this.#content.name;
  }

  get size(): number {
    return this.#content.bytes.length;
  }

  async readInto(offset: number, target: Uint8Array): Promise<void> {
    if (offset + target.length > this.size) throw new RangeError('Read: behind the end');
    await new Promise((resolve) => { setImmediate(resolve); });
    target.set(this.#content.bytes.subarray(offset, offset + target.length));
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    this.#check();
    const grown = new Uint8Array(Math.max(this.size, offset + bytes.length));
    grown.set(this.#content.bytes);
    grown.set(bytes, offset);
    await new Promise((resolve) => { setImmediate(resolve); });
    this.#content.bytes = grown;
  }

  async truncate(size: number): Promise<void> {
    const cut = new Uint8Array(size);
    cut.set(this.#content.bytes.subarray(0, size));
    this.#content.bytes = cut;
  }

  async sync(): Promise<void> {
    this.#check();
    this.#content.synced = this.#content.bytes;
  }

  async close(): Promise<void> {
    this.#content.open -= 1;
    await this.sync();
  }

  #check(): void {
    const { fault } = this.#store;
    if (fault !== undefined) throw new ToolError(`Write: ${fault}`, { errno: fault });
  }
}
