/** A tree of files made of small distinct blocks: very many chunks from few bytes on disk. */
import { MemoryTree, directoryNode, fileNode, type MemoryNode } from '../../src/core/testing/memory-tree.ts';
import { checkRange, type BlockSource, type Extent, type NodeId } from '../../src/core/index.ts';

/** Bytes of a block: the smallest that the engine cuts. */
export const BLOCK_BYTES = 4096;
/** Blocks of a file. */
export const FILE_BLOCKS = 50_000;

/** Block n is its number, over and over: all differ, and all compress to a few bytes. */
class Blocks implements BlockSource {
  readonly size: number;
  readonly sectorSize: number = BLOCK_BYTES;
  readonly #first: number;

  constructor(first: number, count: number) {
    this.#first = first;
    this.size = count * BLOCK_BYTES;
  }

  async readInto(offset: number, target: Uint8Array): Promise<void> {
    checkRange(this, offset, target.length, 'blocks');
    target.fill(0x5a);
    const view = new DataView(target.buffer, target.byteOffset, target.byteLength);
    for (let at = (BLOCK_BYTES - offset % BLOCK_BYTES) % BLOCK_BYTES; at + 8 <= target.length; at += BLOCK_BYTES) {
      const block = this.#first + (offset + at) / BLOCK_BYTES;
      view.setUint32(at, Math.floor(block / 2 ** 32));
      view.setUint32(at + 4, block);
    }
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    yield { offset, length, kind: 'data' };
  }

  async close(): Promise<void> {}
}

/** Files that hold blocks `[first, end)`. */
export class BlockTree extends MemoryTree {
  readonly #first: number;
  readonly #end: number;
  readonly #names = new Map<NodeId, number>();

  constructor(first: number, end: number) {
    const files: Record<string, MemoryNode> = {};
    for (let block = first; block < end; block += FILE_BLOCKS) {
      files[`blocks-${String(block).padStart(12, '0')}`] = fileNode(new Uint8Array(0), { stat: { size: (Math.min(end, block + FILE_BLOCKS) - block) * BLOCK_BYTES } });
    }
    super(directoryNode(files));
    this.#first = first;
    this.#end = end;
  }

  override async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    const id = await super.lookup(directory, name);
    if (id !== undefined) this.#names.set(id, Number(Buffer.from(name).toString('latin1').slice('blocks-'.length)));
    return id;
  }

  override async open(id: NodeId): Promise<BlockSource> {
    if (this.#names.size === 0) await this.#index();
    const block = this.#names.get(id) ?? this.#first;
    return new Blocks(block, Math.min(this.#end, block + FILE_BLOCKS) - block);
  }

  async #index(): Promise<void> {
    for await (const page of this.list(this.rootId)) for (const { id, name } of page) this.#names.set(id, Number(Buffer.from(name).toString('latin1').slice('blocks-'.length)));
  }
}
