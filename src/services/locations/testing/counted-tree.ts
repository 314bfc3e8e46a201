/** A tree whose files count how often they are opened, read and closed, and fail at a chosen read. */
import { ToolError, utf8, type BlockSource, type NodeId } from '../../../core/index.ts';
import { MemoryTree, directoryNode, fileNode } from '../../../core/testing/memory-tree.ts';
import { Location } from '../location.ts';
import type { OpenOptions } from '../place.ts';

/** See the header. */
export class CountedTree extends MemoryTree {
  opened = 0;
  closed = 0;
  reads = 0;
  /** The number of the read that fails. */
  failAt = 0;

  constructor(files: Readonly<Record<string, Uint8Array>>) {
    super(directoryNode(Object.fromEntries(Object.entries(files).map(([name, content]) => [name, fileNode(content)]))));
  }

  override async open(id: NodeId, stream?: string): Promise<BlockSource> {
    const source = await super.open(id, stream);
    this.opened += 1;
    let isOpen = true;
    return {
      size: source.size, sectorSize: source.sectorSize, extents: (offset, length) => source.extents(offset, length),
      readInto: (offset, target) => {
        this.reads += 1;
        if (this.reads === this.failAt) return Promise.reject(new ToolError(`Read byte ${offset}: it fails as asked`));
        return source.readInto(offset, target);
      },
      close: () => {
        if (isOpen) this.closed += 1;
        isOpen = false;
        return source.close();
      },
    };
  }

  /** Follows steps from the root, and is there while `use` runs. @throws what following throws; all is closed then. */
  async at<T>(steps: readonly string[], options: OpenOptions, use: (location: Location) => Promise<T> | T): Promise<T> {
    const location = new Location({ root: 'tree', steps }, { place: { kind: 'node', view: { tree: this, id: this.rootId, path: utf8('') } } }, options);
    try {
      for (const step of steps) await location.step(step);
      return await use(location);
    } finally {
      await location.close();
    }
  }
}
