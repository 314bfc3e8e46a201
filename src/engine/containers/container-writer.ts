/** Writes one container front to back: head, groups, footer. After the first error it is dead. */
import { ToolError, type ObjectStore, type ObjectWriter } from '../../core/index.ts';
import type { CipherKey } from '../crypto/index.ts';
import { TABLE_ROW_BYTES, type ContainerKind } from './container.layout.ts';
import { containerPath, encodeContainerHeader, type ContainerNumber, type Sealing } from './container.ts';
import { encodeFooter, type FooterRow } from './footer.ts';
import { encodeGroupHead, type GroupParts } from './group.ts';

/** What a container is. */
export interface ContainerStart {
  readonly number: ContainerNumber;
  readonly kind: ContainerKind;
  /** First 8 bytes of the repository's id. */
  readonly repository: Uint8Array;
  /** Of a sealed one: what its head says about its key, and that key. */
  readonly seal?: { readonly sealing: Sealing; readonly key: CipherKey };
}

/** An open container, visible to nobody. Calls must not overlap: the store serialises them. */
export class ContainerWriter {
  readonly number: ContainerNumber;
  readonly kind: ContainerKind;
  readonly #key: CipherKey | undefined;
  readonly #object: ObjectWriter;
  readonly #rows: FooterRow[] = [];
  #chunks = 0;
  #sealed = 0;
  #failure: unknown;

  private constructor(object: ObjectWriter, start: ContainerStart) {
    this.#object = object;
    this.number = start.number;
    this.kind = start.kind;
    this.#key = start.seal?.key;
  }

  /** Begins the object. */
  static async create(objects: ObjectStore, start: ContainerStart): Promise<ContainerWriter> {
    const object = await objects.create(containerPath(start.number));
    const writer = new ContainerWriter(object, start);
    await writer.#guard(() => object.append(encodeContainerHeader(start.number, start.kind, start.repository, start.seal?.sealing)));
    return writer;
  }

  /** Key and number for sealing the next group, or undefined when groups are not sealed. A number is given out once, used or not. */
  nextSeal(): (CipherKey & { readonly sequence: number }) | undefined {
    if (this.#key === undefined) return undefined;
    const sequence = this.#sealed;
    this.#sealed += 1;
    return { ...this.#key, sequence };
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
