/** A World in memory with a counter for a clock and seeded bytes: unit tests and small ephemeral stores. No crash model. */
import { createHash } from 'node:crypto';
import { BusyError, NotFoundError, type Disk, type DiskEntry, type DiskFile, type DiskLock, type World } from '../../core/index.ts';

interface Content {
  bytes: Uint8Array;
  size: number;
  readonly modified: number;
}

class MemoryFile implements DiskFile {
  readonly #content: Content;
  readonly #name: string;

  constructor(content: Content, name: string) {
    this.#content = content;
    this.#name = name;
  }

  get size(): number {
    return this.#content.size;
  }

  async readInto(offset: number, target: Uint8Array): Promise<void> {
    if (offset + target.length > this.#content.size) {
      throw new RangeError(`Read '${this.#name}': range '${offset}+${target.length}' leaves '${this.#content.size}' bytes`);
    }
    target.set(this.#content.bytes.subarray(offset, offset + target.length));
  }

  async writeFrom(offset: number, ...parts: readonly Uint8Array[]): Promise<void> {
    let at = offset;
    for (const part of parts) {
      this.#reserve(at + part.length);
      this.#content.bytes.set(part, at);
      at += part.length;
    }
    this.#content.size = Math.max(this.#content.size, at);
  }

  async truncate(size: number): Promise<void> {
    this.#reserve(size);
    this.#content.bytes.fill(0, Math.min(size, this.#content.size));
    this.#content.size = size;
  }

  async sync(): Promise<void> {}

  async close(): Promise<void> {}

  #reserve(size: number): void {
    if (size <= this.#content.bytes.length) return;
    const grown = new Uint8Array(Math.max(size, this.#content.bytes.length * 2, 4096));
    grown.set(this.#content.bytes); // all of it: `size` does not count the parts before this one yet
    this.#content.bytes = grown;
  }
}

class MemoryDisk implements Disk {
  readonly #files = new Map<string, Content>();
  readonly #locks = new Map<string, string>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  async open(name: string): Promise<DiskFile> {
    const content = this.#files.get(name);
    if (content === undefined) throw new NotFoundError(`Open '${name}': no such file`, { path: name });
    return new MemoryFile(content, name);
  }

  async create(name: string): Promise<DiskFile> {
    if (this.#files.has(name)) throw new BusyError(`Create '${name}': it exists already`, { path: name });
    const content = { bytes: new Uint8Array(0), size: 0, modified: this.#now() };
    this.#files.set(name, content);
    return new MemoryFile(content, name);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#files.set(to, this.#find(from));
    this.#files.delete(from);
  }

  async link(from: string, to: string): Promise<void> {
    if (this.#files.has(to)) throw new BusyError(`Create '${to}': it exists already`, { path: to });
    this.#files.set(to, this.#find(from));
  }

  async remove(name: string): Promise<void> {
    this.#files.delete(name);
  }

  async removeTree(name: string): Promise<void> {
    for (const key of this.#files.keys()) if (key === name || key.startsWith(`${name}/`)) this.#files.delete(key);
  }

  async makeDirectory(): Promise<void> {}

  async list(name: string): Promise<readonly DiskEntry[]> {
    const prefix = name === '' ? '' : `${name}/`;
    const rows = new Map<string, DiskEntry>();
    for (const [key, content] of this.#files) {
      if (!key.startsWith(prefix)) continue;
      const [first = '', ...rest] = key.slice(prefix.length).split('/');
      rows.set(first, { name: first, directory: rest.length > 0, size: rest.length > 0 ? 0 : content.size, modified: rest.length > 0 ? 0 : content.modified });
    }
    return [...rows.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async exists(name: string): Promise<boolean> {
    return this.#files.has(name) || (await this.list(name)).length > 0;
  }

  async syncDirectory(): Promise<void> {}

  nativePath(): undefined {
    return undefined;
  }

  async lock(name: string, description: string): Promise<DiskLock> {
    const holder = this.#locks.get(name);
    if (holder !== undefined) throw new BusyError(`Take lock '${name}': held by ${holder}`);
    this.#locks.set(name, description);
    return { isHeld: async () => this.#locks.has(name), release: async () => { this.#locks.delete(name); } };
  }

  #find(name: string): Content {
    const content = this.#files.get(name);
    if (content === undefined) throw new NotFoundError(`Open '${name}': no such file`, { path: name });
    return content;
  }
}

/** Same `seed`, same bytes and times. The clock advances by one millisecond at each look. */
export function memoryWorld(seed = 0): World {
  let clock = 1_700_000_000_000;
  let counter = 0;
  return {
    disk: new MemoryDisk(() => clock),
    now: () => { clock += 1; return clock; },
    sleep: async (milliseconds) => { clock += milliseconds; },
    randomBytes: (count) => {
      const parts: Buffer[] = [];
      for (let size = 0; size < count; size += 32) {
        counter += 1;
        parts.push(createHash('sha256').update(`${seed}/${counter}`).digest());
      }
      return new Uint8Array(Buffer.concat(parts).subarray(0, count));
    },
  };
}
