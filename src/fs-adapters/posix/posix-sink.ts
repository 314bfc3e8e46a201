/**
 * Restores into a directory of a mounted filesystem. Every entry is made under a temporary name beside its final one, gets its
 * metadata, then takes the final name in one rename. Parents are held as descriptors and opened without following symlinks: neither a
 * hostile tree nor what lies in the target can lead a write outside. Paths of any length work.
 *
 * Known limits: an interrupted process leaves `.holdfast-….part` files behind; what an entry replaces is gone.
 */
import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import {
  FormatError, ToolError, textOf,
  type FileSink, type NodeMetadata, type PendingFile, type SinkProblem,
} from '../../core/index.ts';
import { MetadataWriter } from './apply-metadata.ts';
import { HandleCache } from './handle-cache.ts';
import { makeDirectories } from './make-directories.ts';
import { loadCalls } from './load-calls.ts';
import { NewFile, UnchangedFile } from './pending-files.ts';
import { ProblemList } from './sink-problems.ts';
import { sinkPath, type SinkPath } from './sink-path.ts';
import { SparseWriter } from './sparse-writer.ts';
import { nodeType } from './stat-record.ts';
import { cString, errno, errnoName, openPlace, systemError, type SystemCalls } from './system-calls.ts';

const HANDLES_MAX = 256;
const DOT = cString(new Uint8Array([0x2e]));
const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_DIRECTORY, O_NOFOLLOW } = fs.constants;

/** How a {@link PosixSink} restores. */
export interface PosixSinkOptions {
  /** Directory of the host, as bytes; made (0755) if absent. */
  readonly target: Uint8Array;
  /**
   * What to do where the target has something: replace it (default); leave a file alone when size and modification time
   * agree; refuse. A directory that is full is never replaced by something else.
   */
  readonly overwrite?: 'always' | 'if-changed' | 'never';
  /** Restore owners; default: only as root. */
  readonly ownership?: boolean;
  /** Leave runs of 64 KiB of zeroes and more as holes. What the writer skips is a hole in any case. */
  readonly sparse?: boolean;
  /** For tests: other system calls than those of this process. */
  readonly calls?: SystemCalls;
}

/** See the header. One restore; `finish` ends it. */
export class PosixSink implements FileSink {
  readonly #target: Buffer;
  readonly #overwrite: 'always' | 'if-changed' | 'never';
  readonly #sparse: boolean;
  readonly #calls: SystemCalls;
  readonly #problems = new ProblemList();
  readonly #metadata: MetadataWriter;
  /** By path as Latin-1 text, '' is the target. */
  readonly #handles: HandleCache<string>;
  /** Modes of directories that the target had, between their creation and their end. */
  readonly #found = new Map<string, number>();
  readonly #prefix = `.holdfast-${randomBytes(6).toString('hex')}-`;
  readonly #pending = new Map<NewFile, Uint8Array>();
  #counter = 0;

  /** Touches nothing yet. */
  constructor(options: PosixSinkOptions) {
    this.#target = Buffer.from(options.target);
    this.#overwrite = options.overwrite ?? 'always';
    this.#sparse = options.sparse ?? false;
    this.#calls = options.calls ?? loadCalls();
    this.#handles = new HandleCache(this.#calls, HANDLES_MAX);
    const [uid, gid] = [process.geteuid?.() ?? -1, process.getegid?.() ?? -1];
    this.#metadata = new MetadataWriter(this.#calls, this.#problems, { apply: options.ownership ?? uid === 0, uid, gid });
    const { reason, timestampNanoseconds } = this.#calls.capabilities;
    if (timestampNanoseconds > 1) {
      this.#problems.add(options.target, 'times', `Times are set to '${timestampNanoseconds}' ns only: ${reason ?? 'no libc calls'}`);
    }
  }

  /**
   * Makes the target if need be; otherwise its first use does.
   * @throws {ToolError} when it is no directory or can't be made.
   */
  open(): void {
    this.#directory('');
  }

  #openTarget(): number {
    try {
      makeDirectories(Buffer.from(this.#target));
      return fs.openSync(this.#target, openPlace & ~O_NOFOLLOW);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).errno;
      if (code === undefined) throw error;
      throw systemError(`Open target '${textOf(this.#target)}'`, code);
    }
  }

  /** A descriptor of a directory below the target; valid until the next call of this method. */
  #directory(key: string): number {
    let handle = this.#handles.get(key);
    if (handle !== undefined) return handle;
    // The deepest ancestor that is open, then down from there one name at a time.
    let known = key;
    while (handle === undefined && known !== '') {
      known = known.slice(0, Math.max(0, known.lastIndexOf('/')));
      handle = this.#handles.get(known);
    }
    if (handle === undefined) {
      handle = this.#openTarget();
      this.#handles.set('', handle);
    }
    while (known.length < key.length) {
      const start = known === '' ? 0 : known.length + 1;
      const slash = key.indexOf('/', start);
      const next = slash < 0 ? key : key.slice(0, slash);
      handle = this.#calls.openAt(handle, cString(Buffer.from(next.slice(start), 'latin1')), openPlace, 0);
      if (handle < 0) {
        const hint = handle === -errno.ENOTDIR || handle === -errno.ELOOP ? ': something else stands where a directory belongs' : '';
        throw systemError(`Open directory '${this.#text(Buffer.from(next, 'latin1'))}'${hint}`, handle);
      }
      this.#handles.set(next, handle);
      known = next;
    }
    return handle;
  }

  #text(path: Uint8Array): string {
    return textOf(Buffer.concat([this.#target, SLASH, path]));
  }

  #temporaryName(): Uint8Array {
    this.#counter += 1;
    return Buffer.from(`${this.#prefix}${this.#counter}.part\0`, 'latin1');
  }

  #check(action: string, path: Uint8Array, result: number): void {
    if (result < 0) throw systemError(`${action} '${this.#text(path)}'`, result);
  }

  async createDirectory(path: Uint8Array, _metadata: NodeMetadata): Promise<void> {
    const { parent, name } = sinkPath(path);
    if (name.length === 1) {
      this.#directory('');
      return;
    }
    const handle = this.#directory(parent);
    const made = this.#calls.makeDirectory(handle, name, 0o700);
    if (made >= 0) return;
    if (made !== -errno.EEXIST) this.#check('Create directory', path, made);
    this.#check('Read metadata of', path, this.#calls.statAt(handle, name));
    const { mode } = this.#calls.record;
    if (nodeType(mode) === 'directory') {
      this.#found.set(pathKey(path), mode & 0o7777);
      // It may have been made by an unprivileged owner without write permission.
      if ((mode & 0o700) !== 0o700) this.#calls.chmodAt(handle, name, mode & 0o7777 | 0o700);
      return;
    }
    if (this.#overwrite === 'never') throw this.#exists(path);
    this.#check('Replace', path, this.#calls.unlink(handle, name, false));
    this.#check('Create directory', path, this.#calls.makeDirectory(handle, name, 0o700));
  }

  async finishDirectory(path: Uint8Array, metadata: NodeMetadata): Promise<void> {
    const { parent, name } = sinkPath(path);
    const fd = this.#calls.openAt(this.#directory(parent), name.length === 1 ? DOT : name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);
    this.#check('Finish directory', path, fd);
    const found = this.#found.get(pathKey(path));
    this.#found.delete(pathKey(path));
    const isPlaceholder = metadata.stat.placeholder === true;
    if (found !== undefined && (isPlaceholder || this.#overwrite === 'never')) {
      // The target's own directory stays as it was, but for what createDirectory had to lend it.
      if ((found & 0o700) !== 0o700) this.#calls.chmodFd(fd, found);
    } else if (isPlaceholder) this.#calls.chmodFd(fd, PLACEHOLDER_MODE);
    else this.#metadata.apply(path, { fd }, metadata);
    this.#calls.close(fd);
  }

  async createFile(path: Uint8Array, metadata: NodeMetadata): Promise<PendingFile> {
    const { parent, name } = this.#leaf(path);
    const handle = this.#directory(parent);
    if (this.#overwrite !== 'always' && this.#calls.statAt(handle, name) >= 0) {
      if (this.#overwrite === 'never') throw this.#exists(path);
      if (this.#isUnchanged(metadata)) return this.#unchangedFile(path, handle, name, metadata);
    }
    const temporary = this.#temporaryName();
    const fd = this.#calls.openAt(handle, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    this.#check('Create file', path, fd);
    const file = new NewFile(new SparseWriter(this.#calls, fd, this.#sparse, () => this.#text(path)), {
      calls: this.#calls,
      fd,
      name: () => this.#text(path),
      applyMetadata: () => this.#metadata.apply(path, { fd }, metadata),
      take: () => this.#take(this.#directory(parent), temporary, name, path),
      remove: () => this.#check('Remove temporary file of', path, this.#calls.unlink(this.#directory(parent), temporary, false)),
      ended: () => this.#pending.delete(file),
    });
    this.#pending.set(file, path);
    return file;
  }

  /** Gives a finished temporary entry its final name. */
  #take(handle: number, temporary: Uint8Array, name: Uint8Array, path: Uint8Array): void {
    let result = this.#calls.rename(handle, temporary, name, this.#overwrite !== 'never');
    if (result === -errno.EEXIST && this.#overwrite === 'never') throw this.#exists(path);
    // An empty directory may give way; a full one is never removed.
    if (result === -errno.EISDIR && this.#calls.unlink(handle, name, true) >= 0) result = this.#calls.rename(handle, temporary, name, true);
    this.#check('Rename to', path, result);
  }

  #exists(path: Uint8Array): ToolError {
    return new ToolError(`Restore '${this.#text(path)}': it exists and 'overwrite' is 'never'`, { errno: 'EEXIST', path: this.#text(path) });
  }

  /** Compares what the record holds; a file with other names is written anew, since those may lie outside. */
  #isUnchanged({ stat }: NodeMetadata): boolean {
    const record = this.#calls.record;
    return nodeType(record.mode) === 'file' && record.links === 1 && record.size === stat.size
      && record.modifiedSeconds === stat.modified.seconds && record.modifiedNanoseconds === stat.modified.nanoseconds;
  }

  #unchangedFile(path: Uint8Array, handle: number, name: Uint8Array, metadata: NodeMetadata): PendingFile {
    const fd = this.#calls.openAt(handle, name, O_RDONLY | O_NOFOLLOW, 0);
    this.#check('Open', path, fd);
    return new UnchangedFile({
      name: () => this.#text(path),
      applyMetadata: () => this.#metadata.apply(path, { fd }, metadata),
      ended: () => this.#calls.close(fd),
    });
  }

  async createSymlink(path: Uint8Array, target: Uint8Array, metadata: NodeMetadata): Promise<void> {
    if (target.length === 0 || target.includes(0)) {
      throw new FormatError(`Restore '${textOf(path)}'`, { structure: 'symlink', field: 'target', found: textOf(target), expected: 'bytes without NUL' });
    }
    this.#createWhole('Create symlink', path, metadata, (handle, name) => this.#calls.makeSymlink(handle, name, cString(target)));
  }

  async createSpecial(path: Uint8Array, metadata: NodeMetadata): Promise<void> {
    const { type } = metadata.stat;
    if (type === 'file' || type === 'directory' || type === 'symlink') {
      throw new FormatError(`Restore '${textOf(path)}'`, { structure: 'special file', field: 'type', found: type, expected: 'fifo, character, block or socket' });
    }
    this.#leaf(path);
    if (!this.#calls.capabilities.specials) {
      this.#problems.add(path, type, `Create ${type}: ${this.#calls.capabilities.reason ?? 'no libc calls'}`);
      return;
    }
    this.#createWhole(`Create ${type}`, path, metadata, (handle, name) => this.#calls.makeSpecial(handle, name, metadata.stat));
  }

  /** Makes an entry without content: temporary name, metadata, final name. */
  #createWhole(action: string, path: Uint8Array, metadata: NodeMetadata, make: (handle: number, name: Uint8Array) => number): void {
    const { parent, name } = this.#leaf(path);
    const handle = this.#directory(parent);
    if (this.#overwrite === 'never' && this.#calls.statAt(handle, name) >= 0) throw this.#exists(path);
    const temporary = this.#temporaryName();
    const made = make(handle, temporary);
    if (made === -errno.EPERM) {
      this.#problems.add(path, metadata.stat.type, `${action}: ${errnoName(made)}`);
      return;
    }
    this.#check(action, path, made);
    try {
      this.#metadata.apply(path, { directory: handle, name: temporary }, metadata);
      this.#take(handle, temporary, name, path);
    } catch (error) {
      this.#calls.unlink(handle, temporary, false);
      throw error;
    }
  }

  async createHardLink(path: Uint8Array, existing: Uint8Array): Promise<void> {
    const { parent, name } = this.#leaf(path);
    const from = this.#leaf(existing);
    // Opening the second directory may close the first one's descriptor: hold a copy.
    const source = this.#calls.openAt(this.#directory(from.parent), DOT, openPlace, 0);
    this.#check('Open directory of', existing, source);
    try {
      const handle = this.#directory(parent);
      const linked = this.#calls.link(source, from.name, handle, name);
      if (linked !== -errno.EEXIST) return this.#check(`Link to '${this.#text(existing)}'`, path, linked);
      if (this.#overwrite === 'never') throw this.#exists(path);
      const temporary = this.#temporaryName();
      this.#check(`Link to '${this.#text(existing)}'`, path, this.#calls.link(source, from.name, handle, temporary));
      try {
        this.#take(handle, temporary, name, path);
      } finally {
        // Still there when renaming failed, and when both names were links to one file already.
        this.#calls.unlink(handle, temporary, false);
      }
    } finally {
      this.#calls.close(source);
    }
  }

  #leaf(path: Uint8Array): SinkPath {
    const split = sinkPath(path);
    if (split.name.length === 1) throw new FormatError('Restore the root', { structure: 'path', field: 'name', found: '', expected: 'a name' });
    return split;
  }

  /** Attributes that only another filesystem's driver takes and that were left out: how many, by name. */
  get leftOut(): ReadonlyMap<string, number> {
    return this.#metadata.leftOut;
  }

  /** Files that were neither committed nor aborted are aborted and listed. */
  async finish(options?: { readonly durable?: boolean }): Promise<readonly SinkProblem[]> {
    for (const [file, path] of this.#pending) {
      this.#problems.add(path, 'unfinished', 'Restore file: it was neither committed nor aborted');
      await file.abort();
    }
    if (options?.durable === true) {
      const fd = this.#calls.openAt(this.#directory(''), DOT, O_RDONLY | O_DIRECTORY, 0);
      this.#check('Open target', new Uint8Array(0), fd);
      const failed = await this.#calls.syncFilesystem(fd);
      this.#calls.close(fd);
      this.#check('Sync', new Uint8Array(0), failed);
    }
    this.#handles.close();
    return this.#problems.all();
  }
}

const SLASH = new Uint8Array([0x2f]);

/** Mode of a directory that is made only to hold its children. */
const PLACEHOLDER_MODE = 0o755;

function pathKey(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('latin1');
}
