/** What differs between two trees, name by name. */
import { AbortedError, compareBytes, equalBytes, type DirectoryEntry, type FileTree, type NodeStat, type TreeProblem } from '../core/index.ts';
import { typeName, type TypeName } from './entry-record.ts';
import { problemFrom } from './entry-error.ts';
import { jsonPath } from './locations/path-text.ts';
import { sameContent } from './trees/content.ts';
import { childPath, type TreeView } from './trees/walk.ts';

/** In which respects an entry may differ. */
export type Aspect = 'type' | 'content' | 'size' | 'mode' | 'owner' | 'mtime' | 'target' | 'device' | 'xattrs';

/** An entry that only one side has, or that differs. Its path is below the two locations, so it is the same on both sides. */
export interface DiffEntry {
  readonly path: string;
  readonly pathBase64?: string;
  readonly type: TypeName;
  /** Only for changed entries. */
  readonly what?: readonly Aspect[];
}

/** What to compare, and whom to tell. */
export interface DiffOptions {
  /** Take files of equal size and modification time as equal instead of reading both. */
  readonly quick?: boolean;
  readonly signal?: AbortSignal;
  onAdded?(entry: DiffEntry): void;
  onRemoved?(entry: DiffEntry): void;
  onChanged?(entry: DiffEntry): void;
  /** What can't be compared because one side can't be read. */
  onProblem?(problem: TreeProblem): void;
  onProgress?(progress: { readonly files: number; readonly bytes: number }): void;
}

interface Side {
  readonly entry: DirectoryEntry;
  readonly stat: NodeStat;
}

async function directoryOf(view: TreeView): Promise<readonly Side[]> {
  const sides: Side[] = [];
  for await (const page of view.tree.list(view.id)) {
    for (const entry of page) sides.push({ entry, stat: entry.stat ?? (await view.tree.stat(entry.id)) });
  }
  return view.tree.supports.sorted ? sides : sides.sort((a, b) => compareBytes(a.entry.name, b.entry.name));
}

/** Compares two trees from given nodes on. One directory of each side is in memory at a time, per level. */
class Differ {
  readonly #left: FileTree;
  readonly #right: FileTree;
  readonly #options: DiffOptions;
  readonly #precision: number;
  #files = 0;
  #bytes = 0;

  constructor(left: FileTree, right: FileTree, options: DiffOptions) {
    this.#left = left;
    this.#right = right;
    this.#options = options;
    this.#precision = Math.max(left.supports.timestampNanoseconds, right.supports.timestampNanoseconds);
  }

  async directories(left: TreeView, right: TreeView): Promise<void> {
    if (this.#options.signal?.aborted === true) throw new AbortedError();
    const path = left.path;
    const [a, b] = await this.#lists(left, right);
    let i = 0;
    let j = 0;
    while (i < a.length || j < b.length) {
      const [x, y] = [a[i], b[j]];
      const order = x === undefined ? 1 : y === undefined ? -1 : compareBytes(x.entry.name, y.entry.name);
      if (order < 0 && x !== undefined) {
        await this.#alone(this.#left, x, path, (entry) => this.#options.onRemoved?.(entry));
        i += 1;
      } else if (order > 0 && y !== undefined) {
        await this.#alone(this.#right, y, path, (entry) => this.#options.onAdded?.(entry));
        j += 1;
      } else if (x !== undefined && y !== undefined) {
        await this.pair(x, y, childPath(path, x.entry.name));
        i += 1;
        j += 1;
      }
    }
  }

  /** Two entries of one name. */
  async pair(x: Side, y: Side, path: Uint8Array): Promise<void> {
    try {
      const what = await this.#aspects(x, y);
      if (what.length > 0) this.#options.onChanged?.({ ...(path.length === 0 ? { path: '/' } : jsonPath(path)), type: typeName(y.stat.type), what });
    } catch (error) {
      this.#fail(path, error);
    }
    const [left, right] = [x.stat.type === 'directory', y.stat.type === 'directory'];
    if (left && right) return this.directories({ tree: this.#left, id: x.entry.id, path }, { tree: this.#right, id: y.entry.id, path });
    if (left) await this.#below(this.#left, x, path, (entry) => this.#options.onRemoved?.(entry));
    if (right) await this.#below(this.#right, y, path, (entry) => this.#options.onAdded?.(entry));
  }

  async #lists(left: TreeView, right: TreeView): Promise<readonly [readonly Side[], readonly Side[]]> {
    try {
      return [await directoryOf(left), await directoryOf(right)];
    } catch (error) {
      this.#fail(left.path, error);
      return [[], []];
    }
  }

  async #alone(tree: FileTree, side: Side, directory: Uint8Array, report: (entry: DiffEntry) => void): Promise<void> {
    const path = childPath(directory, side.entry.name);
    report({ ...jsonPath(path), type: typeName(side.stat.type) });
    if (side.stat.type === 'directory') await this.#below(tree, side, path, report);
  }

  async #below(tree: FileTree, side: Side, path: Uint8Array, report: (entry: DiffEntry) => void): Promise<void> {
    let sides: readonly Side[] = [];
    try {
      sides = await directoryOf({ tree, id: side.entry.id, path });
    } catch (error) {
      this.#fail(path, error);
    }
    for (const one of sides) await this.#alone(tree, one, path, report);
  }

  async #aspects(x: Side, y: Side): Promise<readonly Aspect[]> {
    const [a, b] = [x.stat, y.stat];
    if (a.type !== b.type) return ['type'];
    const what: Aspect[] = [];
    if (a.type === 'file') {
      if (a.size !== b.size) what.push('content', 'size');
      else if (await this.#contentDiffers(x, y)) what.push('content');
      this.#files += 1;
      this.#bytes += a.size;
      this.#options.onProgress?.({ files: this.#files, bytes: this.#bytes });
    }
    if (a.type === 'symlink' && !equalBytes(await this.#left.readLink(x.entry.id), await this.#right.readLink(y.entry.id))) what.push('target');
    if (a.type !== 'symlink' && a.mode !== b.mode) what.push('mode');
    if (a.uid !== b.uid || a.gid !== b.gid) what.push('owner');
    if (!this.#sameTime(a, b)) what.push('mtime');
    if ((a.type === 'character' || a.type === 'block') && (a.deviceMajor !== b.deviceMajor || a.deviceMinor !== b.deviceMinor)) what.push('device');
    if (!(await this.#sameAttributes(x, y))) what.push('xattrs');
    return what;
  }

  async #contentDiffers(x: Side, y: Side): Promise<boolean> {
    if (x.stat.size === 0 || (this.#options.quick === true && this.#sameTime(x.stat, y.stat))) return false;
    const left = await this.#left.open(x.entry.id);
    try {
      const right = await this.#right.open(y.entry.id);
      try {
        return !(await sameContent(left, right));
      } finally {
        await right.close();
      }
    } finally {
      await left.close();
    }
  }

  /** Equal at the precision of the coarser side. */
  #sameTime(a: NodeStat, b: NodeStat): boolean {
    if (a.modified.seconds !== b.modified.seconds) return false;
    return Math.floor(a.modified.nanoseconds / this.#precision) === Math.floor(b.modified.nanoseconds / this.#precision);
  }

  async #sameAttributes(x: Side, y: Side): Promise<boolean> {
    if (!this.#left.supports.attributes || !this.#right.supports.attributes) return true;
    const [a, b] = [await this.#left.attributes(x.entry.id), await this.#right.attributes(y.entry.id)];
    if (a.size !== b.size) return false;
    for (const [name, value] of a) {
      const other = b.get(name);
      if (other === undefined || !equalBytes(value, other)) return false;
    }
    return true;
  }

  #fail(path: Uint8Array, error: unknown): void {
    if (this.#options.onProblem === undefined) throw error;
    this.#options.onProblem(problemFrom(path, error));
  }
}

/**
 * Compares what two views show, `a` being the older side: what only `b` has was added.
 * @throws what a tree throws, unless `onProblem` is given.
 */
export async function diffTrees(a: TreeView, b: TreeView, options: DiffOptions = {}): Promise<void> {
  const differ = new Differ(a.tree, b.tree, options);
  const [x, y] = [await a.tree.stat(a.id), await b.tree.stat(b.id)];
  if (x.type === 'directory' && y.type === 'directory') await differ.directories({ ...a, path: new Uint8Array() }, { ...b, path: new Uint8Array() });
  else {
    const name = a.path.subarray(a.path.lastIndexOf(0x2f) + 1);
    // Files are named; where one side is a directory, its entries are below the location itself.
    const path = x.type === 'directory' || y.type === 'directory' || name.length === 0 ? new Uint8Array() : childPath(new Uint8Array(), name);
    await differ.pair({ entry: { name, id: a.id }, stat: x }, { entry: { name, id: b.id }, stat: y }, path);
  }
}
