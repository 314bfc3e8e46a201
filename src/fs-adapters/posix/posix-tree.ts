/**
 * A mounted filesystem as a FileTree. Every name is looked up relative to an open directory and no symlink is followed, so that
 * a tree that changes while it is read cannot lead outside. Paths of any length work.
 *
 * Known limits: what changes between `list` and `open` is seen as it is then; an id stands for a name (or, for files with
 * several names, for the first name seen), not for an inode that moved.
 */
import * as fs from 'node:fs';
import {
  IntegrityError, NotFoundError, UnsupportedError, attributeNameText, textOf,
  type BlockSource, type DirectoryEntry, type FileTree, type NodeId, type NodeStat, type TreeProblem, type TreeSupports,
} from '../../core/index.ts';
import { FileSource } from './file-source.ts';
import { HandleCache } from './handle-cache.ts';
import { byteKey, includedNames, includeTrie, type IncludeNode } from './include-paths.ts';
import { loadCalls } from './load-calls.ts';
import { sortNames } from './name-sort.ts';
import { NodeTable } from './node-table.ts';
import { nodeStat, nodeType } from './stat-record.ts';
import { cString, errno, openPlace, systemError, type NameList, type SystemCalls } from './system-calls.ts';

const PAGE_ENTRIES = 256;
const HANDLES_MAX = 256;
const NAME_BYTES_MAX = 255;
const DOT = cString(new Uint8Array([0x2e]));
const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NOATIME = 0, O_NONBLOCK } = fs.constants;

/** What a {@link PosixTree} shows. Paths are bytes. */
export interface PosixTreeOptions {
  /** Directory of the host that becomes the root; a symlink is followed here only. */
  readonly root: Uint8Array;
  /** Absolute paths below the root: only these and the directories above them appear. A missing one is a problem, not silence. */
  readonly include?: readonly Uint8Array[];
  /** Mount points below an included path appear as empty directories. */
  readonly oneFileSystem?: boolean;
  /** True leaves an entry out, with all below it. `path` is absolute on the host. */
  readonly exclude?: (path: Uint8Array, stat: NodeStat) => boolean;
  /** Entries that cannot be read while their directory can. Without it they throw. */
  readonly onProblem?: (problem: TreeProblem) => void;
  /** For tests: other system calls than those of this process. */
  readonly calls?: SystemCalls;
}

/** See the header. `close` ends it; ids mean nothing afterwards. */
export class PosixTree implements FileTree {
  readonly format = 'posix';
  readonly supports: TreeSupports;
  readonly rootId: NodeId;
  readonly #options: PosixTreeOptions;
  readonly #calls: SystemCalls;
  readonly #table = new NodeTable();
  /** Where the names below a directory begin, for those listed and not yet forgotten. */
  readonly #below = new Map<NodeId, number>();
  #lossReported = false;
  /** The file opened last, if it had no attributes then. */
  #bare: NodeId | undefined;
  /** Ids before this one stay: behind the newest inode with several names. */
  #kept = 0;
  readonly #handles: HandleCache<NodeId>;
  /** Directories that are shown in part. */
  readonly #partial = new Map<NodeId, IncludeNode>();
  /** First id of each inode with several names. */
  readonly #linked = new Map<string, NodeId>();

  /** Loads the system calls; touches the filesystem only later. @throws {UsageError} on an `include` outside the root. */
  constructor(options: PosixTreeOptions) {
    this.#options = options;
    this.#calls = options.calls ?? loadCalls();
    this.#handles = new HandleCache(this.#calls, HANDLES_MAX);
    this.rootId = this.#table.rootId;
    const trie = includeTrie(options.root, options.include);
    if (!trie.all) this.#partial.set(this.rootId, trie);
    const { attributes } = this.#calls.capabilities;
    this.supports = { hardLinks: true, symlinks: true, devices: true, attributes, timestampNanoseconds: 1, sorted: true };
  }

  /** Ids handed out and bytes held for them. */
  get memory(): { readonly nodes: number; readonly bytes: number } {
    return { nodes: this.#table.count, bytes: this.#table.bytes };
  }

  /** Absolute path on the host, as bytes. */
  path(id: NodeId): Uint8Array {
    const parts: Uint8Array[] = [];
    for (let at = id; at !== this.rootId; at = this.#table.parent(at)) parts.push(this.#table.name(at));
    const root = Buffer.from(this.#options.root);
    const trimmed = root.length > 0 && root[root.length - 1] === 0x2f ? root.subarray(0, -1) : root;
    if (parts.length === 0) return root;
    return Buffer.concat([trimmed, ...parts.reverse().flatMap((part) => [SLASH, part])]);
  }

  #text(id: NodeId): string {
    return textOf(this.path(id));
  }

  /** A descriptor to work below a directory; valid until the next call of this method. */
  #directory(id: NodeId): number {
    const missing: NodeId[] = [];
    let at = id;
    let handle = this.#handles.get(at);
    while (handle === undefined && at !== this.rootId) {
      missing.push(at);
      at = this.#table.parent(at);
      handle = this.#handles.get(at);
    }
    if (handle === undefined) {
      handle = this.#openRoot();
      this.#handles.set(this.rootId, handle);
    }
    for (let next = missing.pop(); next !== undefined; next = missing.pop()) {
      handle = this.#calls.openAt(handle, this.#table.cName(next), openPlace, 0);
      if (handle < 0) throw systemError(`Open directory '${this.#text(next)}'`, handle);
      this.#handles.set(next, handle);
    }
    return handle;
  }

  #openRoot(): number {
    try {
      return fs.openSync(Buffer.from(this.#options.root), openPlace & ~O_NOFOLLOW);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).errno;
      if (code === undefined) throw error;
      throw systemError(`Open directory '${textOf(this.#options.root)}'`, code);
    }
  }

  /** Where a node is: its directory and its name there; `.` for the root. */
  #place(id: NodeId): { readonly directory: number; readonly name: Uint8Array } {
    if (id === this.rootId) return { directory: this.#directory(id), name: DOT };
    return { directory: this.#directory(this.#table.parent(id)), name: this.#table.cName(id) };
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    if (name.length === 0 || name.length > NAME_BYTES_MAX || name.includes(0x2f) || name.includes(0)) return undefined;
    if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) return undefined;
    const partial = this.#partial.get(directory);
    if (partial !== undefined && !partial.children.has(byteKey(name))) return undefined;
    if (this.#isForeign(directory)) return undefined;
    const handle = this.#directory(directory);
    const failed = this.#calls.statAt(handle, cString(name));
    if (failed === -errno.ENOENT || failed === -errno.ENAMETOOLONG) return undefined;
    const id = this.#table.intern(directory, name, 0, name.length);
    if (failed < 0) throw systemError(`Look up '${this.#text(id)}'`, failed);
    return this.#entry(directory, id)?.id;
  }

  async stat(id: NodeId): Promise<NodeStat> {
    const { directory, name } = this.#place(id);
    const failed = this.#calls.statAt(directory, name);
    if (failed < 0) throw systemError(`Read metadata of '${this.#text(id)}'`, failed);
    return nodeStat(this.#calls.record);
  }

  /**
   * Names are views on memory of the tree, not to be written to.
   * @throws {ToolError} when the directory cannot be read.
   */
  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    if (!this.#below.has(directory)) this.#below.set(directory, this.#table.end);
    const partial = this.#partial.get(directory);
    const names = partial === undefined ? this.#names(directory) : listOf(includedNames(partial));
    for (let start = 0; start < names.count; start += PAGE_ENTRIES) {
      const page = this.#page(directory, names, start);
      if (page.length > 0) yield page;
    }
  }

  forget(directory: NodeId): void {
    const below = this.#below.get(directory);
    this.#below.delete(directory);
    if (below === undefined) return;
    const from = Math.max(below, this.#kept);
    // What is known by id must not outlive it: the id will be given to another name.
    const isGone = (id: NodeId): boolean => id >= from;
    this.#handles.deleteWhere(isGone);
    for (const map of [this.#below, this.#partial]) for (const id of map.keys()) if (isGone(id)) map.delete(id);
    this.#table.release(from);
  }

  #names(directory: NodeId): NameList {
    if (this.#isForeign(directory)) return { bytes: DOT, offsets: new Uint32Array(0), count: 0 };
    const fd = this.#calls.openAt(this.#directory(directory), DOT, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) throw systemError(`List '${this.#text(directory)}'`, fd);
    const names = this.#calls.names(fd);
    this.#calls.close(fd);
    if (typeof names === 'number') throw systemError(`List '${this.#text(directory)}'`, names);
    sortNames(names);
    return names;
  }

  /** Whether a directory is a mount point that `oneFileSystem` leaves empty. Included paths and those above them may be on any. */
  #isForeign(directory: NodeId): boolean {
    if (this.#options.oneFileSystem !== true || directory === this.rootId) return false;
    const parent = this.#table.parent(directory);
    if (this.#partial.has(parent) || this.#partial.has(directory)) return false;
    const device = (id: NodeId): string => {
      const failed = this.#calls.statFd(this.#directory(id));
      if (failed < 0) throw systemError(`Read metadata of '${this.#text(id)}'`, failed);
      return `${this.#calls.record.deviceMajor}:${this.#calls.record.deviceMinor}`;
    };
    return device(directory) !== device(parent);
  }

  #page(directory: NodeId, names: NameList, start: number): readonly DirectoryEntry[] {
    const handle = this.#directory(directory);
    const { bytes, offsets } = names;
    const end = Math.min(start + PAGE_ENTRIES, names.count);
    const page: DirectoryEntry[] = [];
    let previous = start === 0 ? -1 : this.#table.intern(directory, bytes, offsets[start - 1]!, lengthAt(bytes, offsets[start - 1]!));
    for (let i = start; i < end; i += 1) {
      const id = this.#table.intern(directory, bytes, offsets[i]!, lengthAt(bytes, offsets[i]!));
      // A directory that changes while it is read may report a name twice; sorting made them neighbours.
      if (id === previous) continue;
      previous = id;
      const failed = this.#calls.statAt(handle, this.#table.cName(id));
      if (failed < 0) {
        this.#report('unreadable', id, systemError(`Read metadata of '${this.#text(id)}'`, failed));
        continue;
      }
      const entry = this.#entry(directory, id);
      if (entry !== undefined) page.push(entry);
    }
    return page;
  }

  #report(kind: string, id: NodeId, error: Error): void {
    if (this.#options.onProblem === undefined) throw error;
    this.#options.onProblem({ kind, where: this.#text(id), message: error.message });
  }

  /** The entry whose stat is in the record; undefined when it is excluded. */
  #entry(directory: NodeId, id: NodeId): DirectoryEntry | undefined {
    const record = this.#calls.record;
    const isDirectory = nodeType(record.mode) === 'directory';
    const shared = !isDirectory && record.links > 1;
    const key = shared ? `${record.deviceMajor}:${record.deviceMinor}:${record.inodeHigh}:${record.inodeLow}` : '';
    const stat = nodeStat(record);
    if (this.#options.exclude !== undefined && this.#options.exclude(this.path(id), stat)) return undefined;
    const name = this.#table.name(id);
    const include = this.#partial.get(directory)?.children.get(byteKey(name));
    if (include !== undefined && !include.all) {
      if (isDirectory) this.#partial.set(id, include);
      else this.#report('unreadable', id, new NotFoundError(`Include below '${this.#text(id)}': it is a ${stat.type}, not a directory; give the real path`));
    }
    if (!shared) return { name, id, stat };
    const first = this.#linked.get(key);
    if (first === undefined) {
      this.#linked.set(key, id);
      this.#kept = this.#table.end;
    }
    return { name, id: first ?? id, stat };
  }

  /** Opens a file for reading; `size` and `blocks` are in the record. */
  #openFile(id: NodeId): number {
    const { directory, name } = this.#place(id);
    // O_NONBLOCK: should a fifo have taken the file's place, opening it must not wait for a writer.
    let flags = O_RDONLY | O_NOFOLLOW | O_NOATIME | O_NONBLOCK;
    let fd = this.#calls.openAt(directory, name, flags, 0);
    if (fd === -errno.EPERM) fd = this.#calls.openAt(directory, name, (flags &= ~O_NOATIME), 0);
    if (fd === -errno.EAGAIN) fd = this.#calls.openAt(directory, name, flags & ~O_NONBLOCK, 0);
    if (fd < 0) throw systemError(`Open '${this.#text(id)}'`, fd);
    const failed = this.#calls.statFd(fd);
    const type = nodeType(this.#calls.record.mode);
    if (failed < 0 || type !== 'file') {
      this.#calls.close(fd);
      if (failed < 0) throw systemError(`Open '${this.#text(id)}'`, failed);
      throw new UnsupportedError(`Open '${this.#text(id)}': it is a ${type}, expected a file`);
    }
    return fd;
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    if (stream !== undefined) throw new NotFoundError(`Open stream '${stream}' of '${this.#text(id)}': files here have no named streams`);
    const fd = this.#openFile(id);
    const { size, blocks } = this.#calls.record;
    this.#bare = this.#calls.mayHaveAttributes(fd) ? undefined : id;
    return new FileSource(this.#calls, fd, size, { dense: blocks * 512 >= size, path: () => this.#text(id) });
  }

  /**
   * Reads a whole file in one go, blocking: for many small files this saves a source and three promises each.
   * @returns its bytes in `target`, or −1 when it is larger than `target` (then use {@link open}).
   * @throws {IntegrityError} when it shrank meanwhile. @throws {ToolError} when it cannot be read.
   */
  readSmall(id: NodeId, target: Uint8Array): number {
    const fd = this.#openFile(id);
    const size = this.#calls.record.size;
    try {
      if (size > target.length) return -1;
      let done = 0;
      while (done < size) {
        const count = this.#calls.read(fd, target.subarray(done, size), done);
        if (count < 0) throw systemError(`Read '${this.#text(id)}' at ${done}`, count);
        if (count === 0) throw new IntegrityError(`Read '${this.#text(id)}': it ended at '${done}', expected '${size}' bytes: it shrank while it was read`);
        done += count;
      }
      return size;
    } finally {
      this.#calls.close(fd);
    }
  }

  async readLink(id: NodeId): Promise<Uint8Array> {
    const { directory, name } = this.#place(id);
    const target = this.#calls.readLink(directory, name);
    if (typeof target === 'number') throw systemError(`Read link '${this.#text(id)}'`, target);
    return target;
  }

  /** Once, and only to those who ask for what is missing: a tree that just lends its files to a parser loses nothing. */
  #reportLoss(): void {
    if (this.#lossReported) return;
    this.#lossReported = true;
    this.#options.onProblem?.({
      kind: 'unsupported', where: textOf(this.#options.root),
      message: `Extended attributes, ACLs and holes cannot be read: no libc calls: ${this.#calls.capabilities.reason ?? 'not asked for'}`,
    });
  }

  /** Asked right after `open`, it costs nothing for a file without attributes: then it answers as of the opening. */
  async attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>> {
    if (!this.supports.attributes) {
      this.#reportLoss();
      return noAttributes;
    }
    if (id === this.#bare) {
      this.#bare = undefined;
      return noAttributes;
    }
    const { directory, name } = this.#place(id);
    const names = this.#calls.listAttributes(directory, name);
    const found = new Map<string, Uint8Array>();
    if (typeof names === 'number') {
      if (names === -errno.ENOTSUP) return found;
      throw systemError(`List attributes of '${this.#text(id)}'`, names);
    }
    for (let start = 0; start < names.length; start += lengthAt(names, start) + 1) {
      const attribute = names.subarray(start, start + lengthAt(names, start));
      const text = attributeNameText(attribute);
      const value = this.#calls.getAttribute(directory, name, text);
      // Removed since it was listed.
      if (value === -errno.ENODATA) continue;
      if (typeof value === 'number') throw systemError(`Read attribute '${text}' of '${this.#text(id)}'`, value);
      found.set(text, value);
    }
    return found;
  }

  async close(): Promise<void> {
    this.#handles.close();
  }
}

const SLASH = new Uint8Array([0x2f]);
const noAttributes: ReadonlyMap<string, Uint8Array> = new Map();

function lengthAt(bytes: Uint8Array, offset: number): number {
  let end = offset;
  while (bytes[end] !== 0) end += 1;
  return end - offset;
}

function listOf(names: readonly Uint8Array[]): NameList {
  const bytes = new Uint8Array(names.reduce((sum, name) => sum + name.length + 1, 0));
  const offsets = new Uint32Array(names.length);
  let used = 0;
  for (const [i, name] of names.entries()) {
    offsets[i] = used;
    bytes.set(name, used);
    used += name.length + 1;
  }
  return { bytes, offsets, count: names.length };
}
