/** Writes one container front to back: head, groups, footer. After the first error it is dead. */
import { ToolError, type ObjectStore, type ObjectWriter } from '../../core/index.ts';
import { TABLE_ROW_BYTES, type ContainerKind } from './container.layout.ts';
import { containerPath, encodeContainerHeader, type ContainerNumber } from './container.ts';
import { encodeFooter, type FooterRow } from './footer.ts';
import { encodeGroupHead, type GroupParts } from './group.ts';

/** An open container, visible to nobody. Calls must not overlap: the store serialises them. */
export class ContainerWriter {
  readonly number: ContainerNumber;
  readonly kind: ContainerKind;
  readonly #object: ObjectWriter;
  readonly #rows: FooterRow[] = [];
  #chunks = 0;
  #failure: unknown;

  private constructor(object: ObjectWriter, number: ContainerNumber, kind: ContainerKind) {
    this.#object = object;
    this.number = number;
    this.kind = kind;
  }

  /** Begins the object. */
  static async create(objects: ObjectStore, number: ContainerNumber, kind: ContainerKind, repository: Uint8Array): Promise<ContainerWriter> {
    const object = await objects.create(containerPath(number));
    const writer = new ContainerWriter(object, number, kind);
    await writer.#guard(() => object.append(encodeContainerHeader(number, kind, repository)));
    return writer;
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#object.size;
  }

  get chunks(): number {
    return this.#chunks;
  }

  /** Appends a group. @returns its row; nothing is durable before `seal`. */
  async append(parts: GroupParts): Promise<FooterRow> {
    const offset = this.size;
    const head = encodeGroupHead(parts, { containerLow: this.number.low, offset });
    const row = { offset, length: head.length + parts.count * TABLE_ROW_BYTES + parts.payload.length, chunkCount: parts.count };
    await this.#guard(() => this.#object.append(head, parts.table.subarray(0, parts.count * TABLE_ROW_BYTES), parts.payload));
    this.#rows.push(row);
    this.#chunks += parts.count;
    return row;
  }

  /** Writes the footer and gives the container its name: after it resolves, it survives a crash. */
  async seal(): Promise<void> {
    await this.#guard(async () => {
      await this.#object.append(encodeFooter(this.#rows, this.size));
      await this.#object.commit();
    });
  }

  /** Gives up after an error elsewhere: there is no container. */
  async abandon(): Promise<void> {
    this.#failure ??= new ToolError(`Write container '${this.number.text}': abandoned`);
    await this.#object.abandon();
  }

  async #guard(run: () => Promise<void>): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure as Error;
    try {
      await run();
    } catch (error) {
      this.#failure = error;
      await this.#object.abandon().catch(() => undefined); // the first error counts
      throw error;
    }
  }
}
