/** A directory of a tree as the disk of a repository: read-only, so that a repository inside a backup can be opened in place. */
import { NotFoundError, UnsupportedError, textOf, utf8, type BlockSource, type Disk, type DiskEntry, type DiskFile, type DiskLock, type NodeId, type World } from '../../core/index.ts';
import { lookupBelow, type TreeView } from '../trees/walk.ts';

class TreeFile implements DiskFile {
  readonly size: number;
  readonly #source: BlockSource;

  constructor(source: BlockSource) {
    this.#source = source;
    this.size = source.size;
  }

  readInto(offset: number, target: Uint8Array): Promise<void> {
    return this.#source.readInto(offset, target);
  }

  writeFrom(): Promise<void> {
    return refuse();
  }

  truncate(): Promise<void> {
    return refuse();
  }

  sync(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}

function refuse(): Promise<never> {
  return Promise.reject(new UnsupportedError('Write to a repository inside a tree: it can only be read'));
}

/** See the header; reading needs no lock, because nothing in a tree changes. */
class TreeDisk implements Disk {
  readonly #view: TreeView;

  constructor(view: TreeView) {
    this.#view = view;
  }

  async open(path: string): Promise<DiskFile> {
    return new TreeFile(await this.#view.tree.open(await this.#find(path)));
  }

  async list(path: string): Promise<readonly DiskEntry[]> {
    const id = await lookupBelow(this.#view, utf8(path));
    const rows: DiskEntry[] = [];
    if (id === undefined) return rows;
    for await (const page of this.#view.tree.list(id)) {
      for (const entry of page) {
        const stat = entry.stat ?? (await this.#view.tree.stat(entry.id));
        rows.push({ name: textOf(entry.name), directory: stat.type === 'directory', size: stat.size, modified: stat.modified.seconds * 1000 });
      }
    }
    return rows.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async exists(path: string): Promise<boolean> {
    return (await lookupBelow(this.#view, utf8(path))) !== undefined;
  }

  nativePath(): undefined {
    return undefined;
  }

  lock(): Promise<DiskLock> {
    return Promise.resolve({ isHeld: () => Promise.resolve(true), release: () => Promise.resolve() });
  }

  create(): Promise<DiskFile> {
    return refuse();
  }

  rename(): Promise<void> {
    return refuse();
  }

  link(): Promise<void> {
    return refuse();
  }

  remove(): Promise<void> {
    return refuse();
  }

  removeTree(): Promise<void> {
    return refuse();
  }

  makeDirectory(): Promise<void> {
    return refuse();
  }

  syncDirectory(): Promise<void> {
    return Promise.resolve();
  }

  async #find(path: string): Promise<NodeId> {
    const id = await lookupBelow(this.#view, utf8(path));
    if (id === undefined) throw new NotFoundError(`Open '${path}': no such file in '${textOf(this.#view.path)}'`, { path });
    return id;
  }
}

/** A world over what `view` shows, which stays the caller's. Writing is refused. */
export function treeWorld(view: TreeView): World {
  return {
    disk: new TreeDisk(view),
    now: () => Date.now(),
    sleep: (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); }),
    randomBytes: () => { throw new UnsupportedError('Write to a repository inside a tree: it can only be read'); },
  };
}
