/** Writes one container front to back: head, groups, footer. After the first error it is dead. */
import { ToolError, type Disk, type DiskFile } from '../../core/index.ts';
import { TABLE_ROW_BYTES, type ContainerKind } from './container.layout.ts';
import { containerPath, encodeContainerHeader, type ContainerNumber } from './container.ts';
import { encodeFooter, type FooterRow } from './footer.ts';
import { encodeGroupHead, type GroupParts } from './group.ts';

/** An open container. Calls must not overlap: the store serialises them. */
export class ContainerWriter {
  readonly number: ContainerNumber;
  readonly kind: ContainerKind;
  readonly #disk: Disk;
  readonly #file: DiskFile;
  readonly #rows: FooterRow[] = [];
  #end: number;
  #chunks = 0;
  #failure: unknown;

  private constructor(disk: Disk, file: DiskFile, number: ContainerNumber, kind: ContainerKind) {
    this.#disk = disk;
    this.#file = file;
    this.number = number;
    this.kind = kind;
    this.#end = file.size;
  }

  /** Creates the file. @throws {BusyError} when a container of that number exists. */
  static async create(disk: Disk, number: ContainerNumber, kind: ContainerKind, repository: Uint8Array): Promise<ContainerWriter> {
    await disk.makeDirectory(`containers/${number.text.slice(0, 2)}`);
    const file = await disk.create(containerPath(number));
    await file.writeFrom(0, encodeContainerHeader(number, kind, repository));
    return new ContainerWriter(disk, file, number, kind);
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#end;
  }

  get chunks(): number {
    return this.#chunks;
  }

  /** Appends a group. @returns its row; nothing is durable before `seal`. */
  async append(parts: GroupParts): Promise<FooterRow> {
    if (this.#failure !== undefined) throw this.#failure as Error;
    const offset = this.#end;
    const head = encodeGroupHead(parts, { containerLow: this.number.low, offset });
    const row = { offset, length: head.length + parts.count * TABLE_ROW_BYTES + parts.payload.length, chunkCount: parts.count };
    await this.#guard(() => this.#file.writeFrom(offset, head, parts.table.subarray(0, parts.count * TABLE_ROW_BYTES), parts.payload));
    this.#end += row.length;
    this.#rows.push(row);
    this.#chunks += parts.count;
    return row;
  }

  /**
   * Writes the footer, syncs file and directories and closes it.
   * After it resolves the container survives a crash, name and all.
   */
  async seal(): Promise<void> {
    await this.#guard(async () => {
      const footer = encodeFooter(this.#rows, this.#end);
      // Twice: a footer that survives a crash must mean that all before it did, or what the crash tore looks like damage for ever.
      await this.#file.sync();
      await this.#file.writeFrom(this.#end, footer);
      this.#end += footer.length;
      await this.#file.sync();
      await this.#file.close();
      await this.#disk.syncDirectory(`containers/${this.number.text.slice(0, 2)}`);
      await this.#disk.syncDirectory('containers');
    });
  }

  /**
   * Gives up after an error elsewhere. Nothing refers to a container that was not sealed, so it is removed: on a full disk its
   * bytes are wanted. What a failed removal leaves is what a crash leaves.
   */
  async abandon(): Promise<void> {
    this.#failure ??= new ToolError(`Write container '${this.number.text}': abandoned`);
    await this.#file.close();
    await this.#disk.remove(containerPath(this.number)).catch(() => undefined);
  }

  async #guard(run: () => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure as Error;
    try {
      await run();
    } catch (error) {
      this.#failure = error;
      await this.#file.close().catch(() => undefined); // the first error counts
      throw error;
    }
  }
}
