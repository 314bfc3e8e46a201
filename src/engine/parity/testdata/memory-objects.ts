/** Objects in memory that tests may damage, with sectors that cannot be read. */
import { BusyError, NotFoundError, ToolError, type ObjectReader, type ObjectStore, type ObjectWriter } from '../../../core/index.ts';

/** What parity asks of a store, with objects that lie open. */
export class MemoryObjects implements Pick<ObjectStore, 'open' | 'put' | 'create'> {
  /** Name → bytes; tests change them at will. */
  readonly bytes: Map<string, Uint8Array> = new Map();
  /** Name → offset of a byte that no read may cover. */
  readonly badSectors: Map<string, number> = new Map();
  /** Writers neither committed nor abandoned. */
  openWriters = 0;
  openReaders = 0;

  async put(name: string, ...parts: readonly Uint8Array[]): Promise<void> {
    const writer = await this.create(name);
    await writer.append(...parts);
    await writer.commit();
  }

  async create(name: string): Promise<ObjectWriter> {
    const parts: Uint8Array[] = [];
    let isOpen = true;
    const end = (): void => {
      if (isOpen) this.openWriters -= 1;
      isOpen = false;
    };
    this.openWriters += 1;
    return {
      get size() { return parts.reduce((sum, part) => sum + part.length, 0); },
      append: async (...more) => { parts.push(...more.map((part) => Uint8Array.from(part))); },
      abandon: async () => { end(); },
      commit: async () => {
        if (!isOpen) throw new Error('commit after the end');
        end();
        if (this.bytes.has(name)) throw new BusyError(`Create '${name}': it exists`);
        this.bytes.set(name, Uint8Array.from(Buffer.concat(parts)));
      },
    };
  }

  async open(name: string): Promise<ObjectReader> {
    const bytes = this.bytes.get(name);
    if (bytes === undefined) throw new NotFoundError(`Open '${name}': it is absent`);
    this.openReaders += 1;
    return {
      size: bytes.length,
      close: async () => { this.openReaders -= 1; },
      readInto: async (offset, target) => {
        if (offset < 0 || offset + target.length > bytes.length) throw new RangeError(`Read '${name}': past the end`);
        const bad = this.badSectors.get(name) ?? -1;
        if (bad >= offset && bad < offset + target.length) throw new ToolError(`Read '${name}': EIO`, { errno: 'EIO' });
        target.set(bytes.subarray(offset, offset + target.length));
      },
    };
  }
}
