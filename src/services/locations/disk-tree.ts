/** A disk as a tree of one file, its root: what reads files reads disks, too. */
import { NotFoundError, type BlockSource, type DirectoryEntry, type FileTree, type NodeId, type NodeStat, type TreeSupports } from '../../core/index.ts';
import { borrowed } from './borrowed.ts';

/** Shows a source; it stays the caller's: closing the tree, or what it opened, does not close it. */
export class DiskTree implements FileTree {
  readonly format = 'disk';
  readonly rootId: NodeId = 1 as NodeId;
  readonly supports: TreeSupports = { hardLinks: false, symlinks: false, devices: false, attributes: false, timestampNanoseconds: 1, sorted: true };
  readonly #disk: BlockSource;

  constructor(disk: BlockSource) {
    this.#disk = disk;
  }

  lookup(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  /** A disk has a size and nothing else that a file has. */
  stat(): Promise<NodeStat> {
    return Promise.resolve({ type: 'file', size: this.#disk.size, mode: 0o400, uid: 0, gid: 0, modified: { seconds: 0, nanoseconds: 0 }, links: 1 });
  }

  list(): AsyncIterable<readonly DirectoryEntry[]> {
    const next = (): Promise<never> => Promise.reject(new NotFoundError('List disk: it is no directory'));
    return { [Symbol.asyncIterator]: () => ({ next }) };
  }

  open(_id: NodeId, stream?: string): Promise<BlockSource> {
    if (stream !== undefined) return Promise.reject(new NotFoundError(`Open stream '${stream}' of disk: it has none`, { stream }));
    return Promise.resolve(borrowed(this.#disk));
  }

  readLink(): Promise<Uint8Array> {
    return Promise.reject(new NotFoundError('Read link: a disk is none'));
  }

  attributes(): Promise<ReadonlyMap<string, Uint8Array>> {
    return Promise.resolve(new Map());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
