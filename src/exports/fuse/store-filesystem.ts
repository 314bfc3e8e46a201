/**
 * A `FileStore` as one directory of files that can be created, appended to, overwritten, cut, renamed and removed.
 *
 * All files are opened with `FOPEN_DIRECT_IO`: each write(2) is one request, and an error of the store is the error of that write.
 * (`FUSE_WRITEBACK_CACHE` would report it at some later close, and without it the kernel cuts each write that is not aligned to pages in two.)
 * Appends that follow one another go through a lane where the store opens one. Nobody has pages in the kernel's cache, so no reader can see old bytes. fsync(2) and close(2) return when everything is durable, or with the
 * error.
 *
 * Known limits: no directories, links, devices, attributes; owner, mode and times are the mount's. A file can't be removed or renamed while a
 * program has it open (EBUSY). Space is not told.
 */
import { BusyError, FormatError, NotFoundError, UsageError, isUtf8, textOf, utf8, type NodeStat } from '../../core/index.ts';
import { opcodes, openFlags, rootNode } from './abi.layout.ts';
import { LanePool, type AppendLane } from './append-lane.ts';
import { errors, refuse } from './errno.ts';
import type { FileStore, OpenStoredFile, StoredFile } from './file-store.ts';
import type { FuseHandler, HandlerSettings, Reply } from './handler.ts';
import { ReadWindow, type FileVersion } from './read-window.ts';
import { Listing, attributesReply, entryReply, openReply, statfsReply, writeReply, type NodeAttributes, type Validity } from './reply.ts';
import type { FuseRequest, SetAttributes } from './request.ts';

/** Only this mount changes the files, so what the kernel knows stays true; a second bounds what a mistake could do. */
const validity: Validity = { entry: 1, attributes: 1 };
/** The kernel tells that a file was closed after close(2) has returned: removing it at once must not fail. */
const releaseWaitMs = 2000;
const nameMax = 255;

/** What makes something that is no file. */
const makers: ReadonlySet<number> = new Set([opcodes.symlink, opcodes.mknod, opcodes.mkdir, opcodes.link]);

/** Who owns the files. */
export interface StoreFilesystemOptions {
  readonly uid: number;
  readonly gid: number;
  /** Permission bits of files, such as 0o640; directories get the execute bits that belong to them. */
  readonly mode: number;
}

interface FileRecord extends FileVersion {
  readonly node: number;
  name: string;
  /** Open handles, by which the size is known without asking the store for all files. */
  readonly handles: Set<number>;
}

interface Handle {
  readonly file: OpenStoredFile;
  readonly record: FileRecord;
  readonly window: ReadWindow;
  lane: AppendLane | undefined;
}

/** See the module's comment. The store is the caller's, who closes it after the session has ended. */
export class StoreFilesystem implements FuseHandler {
  readonly settings: HandlerSettings;
  readonly #lanes: LanePool = new LanePool();
  readonly #store: FileStore;
  readonly #options: StoreFilesystemOptions;
  readonly #started: number = Date.now();
  readonly #byNode = new Map<number, FileRecord>();
  readonly #byName = new Map<string, FileRecord>();
  readonly #handles = new Map<number, Handle>();
  readonly #listings = new Map<number, readonly StoredFile[]>();
  readonly #released = new Set<() => void>();
  #nextNode: number = rootNode + 1;
  #nextHandle = 1;

  constructor(store: FileStore, options: StoreFilesystemOptions) {
    this.#store = store;
    this.#options = options;
    this.settings = { writeBytesMax: 1 << 20, flags: 0, lanes: this.#lanes.memory };
  }

  handle(request: FuseRequest): Promise<Reply> | Reply {
    switch (request.op) {
      case 'lookup': return this.#lookup(request.name);
      case 'getattr': return this.#attributes(request.node);
      case 'setattr': return this.#setAttributes(request.node, request.set);
      case 'create': return this.#create(request.name);
      case 'open': return this.#open(this.#record(request.node));
      case 'read': return this.#handle(request.handle).window.read(request.offset, request.size);
      case 'write': return this.#write(request);
      case 'flush': case 'fsync': return this.#sync(request.handle);
      case 'release': return this.#release(request.handle);
      case 'unlink': return this.#whenClosed([request.name], ([name = '']) => this.#remove(name));
      case 'rename': return this.#rename(request);
      case 'opendir': return this.#openDirectory();
      case 'readdir': case 'readdirplus': return this.#list(request);
      case 'releasedir':
        this.#listings.delete(request.handle);
        return 'none';
      case 'fsyncdir': case 'forget': return 'none';
      case 'statfs': return statfsReply({ total: 0, free: 0 }, nameMax);
      case 'rmdir': return refuse(errors.ENOTDIR);
      default: return refuse(makers.has(request.opcode) ? errors.EPERM : errors.ENOSYS);
    }
  }

  /** Closes what programs left open, which makes it durable. @throws the first failure, after all were closed */
  async close(): Promise<void> {
    const ends = await Promise.allSettled([...this.#handles.values()].map(({ file }) => file.close()));
    this.#handles.clear();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  #recordOf(name: string): FileRecord {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const record = { node: this.#nextNode++, name, handles: new Set<number>(), version: 0 };
    this.#byName.set(name, record);
    this.#byNode.set(record.node, record);
    return record;
  }

  #record(node: number): FileRecord {
    const record = this.#byNode.get(node);
    if (record === undefined) throw new NotFoundError(`Answer FUSE: the file of node '${node}' was removed`, { errno: 'ESTALE' });
    return record;
  }

  #handle(handle: number): Handle {
    const known = this.#handles.get(handle);
    if (known === undefined) throw new FormatError('Answer FUSE', { structure: 'request', field: 'fh', found: handle, expected: 'an open handle' });
    return known;
  }

  #facts(record: FileRecord): StoredFile | undefined {
    for (const handle of record.handles) return this.#handle(handle).file;
    return this.#store.list().find(({ name }) => name === record.name);
  }

  #shown(node: number, facts: StoredFile | undefined): NodeAttributes {
    const { uid, gid, mode } = this.#options;
    const ms = facts?.modified ?? this.#started;
    const modified = { seconds: Math.floor(ms / 1000), nanoseconds: Math.floor(ms % 1000) * 1_000_000 };
    const common = { uid, gid, modified };
    const stat: NodeStat = facts === undefined
      ? { ...common, type: 'directory', size: 0, mode: mode | ((mode & 0o444) >> 2), links: 2 }
      : { ...common, type: 'file', size: facts.size, mode, links: 1 };
    return { node, stat };
  }

  #lookup(bytes: Uint8Array): Reply {
    if (!isUtf8(bytes)) return refuse(errors.ENOENT);
    const name = textOf(bytes);
    const known = this.#byName.get(name);
    const facts = known === undefined ? this.#store.list().find((file) => file.name === name) : this.#facts(known);
    return facts === undefined ? refuse(errors.ENOENT) : entryReply(this.#shown(this.#recordOf(name).node, facts), validity);
  }

  #attributes(node: number): Reply {
    if (node === rootNode) return attributesReply(this.#shown(node, undefined), validity);
    const facts = this.#facts(this.#record(node));
    return facts === undefined ? refuse(errors.ESTALE) : attributesReply(this.#shown(node, facts), validity);
  }

  /** A size, or nothing: owner, mode and times are not the file's own. Setting what is already so, or the present time, changes nothing. */
  async #setAttributes(node: number, set: SetAttributes): Promise<Reply> {
    const { uid, gid, mode } = this.#options;
    if ((set.uid ?? uid) !== uid || (set.gid ?? gid) !== gid || set.setsTimes) return refuse(errors.EPERM);
    if (set.mode !== undefined && node !== rootNode && (set.mode & 0o7777) !== mode) return refuse(errors.EPERM);
    if (set.size !== undefined && node !== rootNode) {
      const { size } = set;
      const record = this.#record(node);
      const file = await this.#store.open(record.name);
      try {
        await changing(record, () => file.truncate(size));
      } finally {
        await file.close();
      }
    }
    return this.#attributes(node);
  }

  async #create(bytes: Uint8Array): Promise<Reply> {
    if (!isUtf8(bytes)) return refuse(errors.EILSEQ);
    const name = textOf(bytes);
    let file: OpenStoredFile;
    try {
      file = await this.#store.open(name, { create: true });
    } catch (error) {
      if (error instanceof UsageError) return refuse(errors.EINVAL);
      throw error;
    }
    const record = this.#recordOf(name);
    const opened = this.#keep(record, file);
    return [...entryReply(this.#shown(record.node, file), validity), opened];
  }

  async #open(record: FileRecord): Promise<Reply> {
    return this.#keep(record, await this.#store.open(record.name));
  }

  #keep(record: FileRecord, file: OpenStoredFile): Uint8Array {
    const handle = this.#nextHandle++;
    this.#handles.set(handle, { file, record, window: new ReadWindow(file, record), lane: undefined });
    record.handles.add(handle);
    return openReply(handle, openFlags.directIo);
  }

  async #write({ handle, offset, data }: FuseRequest & { readonly op: 'write' }): Promise<Reply> {
    const open = this.#handle(handle);
    const { file, record } = open;
    await changing(record, () => file.write(offset, data));
    if (file.offer !== undefined && this.#handles.has(handle)) {
      open.lane ??= this.#lanes.lend(handle);
      if (open.lane !== undefined) file.offer(open.lane);
    }
    return writeReply(data.length);
  }

  async #sync(handle: number): Promise<Reply> {
    await this.#handle(handle).file.sync();
    return 'none';
  }

  async #release(handle: number): Promise<Reply> {
    const { file, record, lane } = this.#handle(handle);
    try {
      await file.close();
    } finally {
      this.#handles.delete(handle);
      record.handles.delete(handle);
      if (lane !== undefined) this.#lanes.giveBack(lane);
      for (const wake of this.#released) wake();
    }
    return 'none';
  }

  /** Runs something that needs files closed: at once, or when the releases that are on their way have come. */
  async #whenClosed(bytes: readonly Uint8Array[], run: (names: readonly string[]) => Promise<Reply>): Promise<Reply> {
    if (!bytes.every(isUtf8)) return refuse(errors.ENOENT);
    const names = bytes.map(textOf);
    const end = Date.now() + releaseWaitMs;
    const isOpen = (): boolean => names.some((name) => (this.#byName.get(name)?.handles.size ?? 0) > 0);
    while (isOpen() && Date.now() < end) {
      await new Promise<void>((resolve) => {
        const wake = (): void => {
          clearTimeout(timer);
          this.#released.delete(wake);
          resolve();
        };
        const timer = setTimeout(wake, end - Date.now());
        this.#released.add(wake);
      });
    }
    if (isOpen()) return refuse(errors.EBUSY);
    try {
      return await run(names);
    } catch (error) {
      if (error instanceof BusyError) return refuse(errors.EBUSY);
      if (error instanceof UsageError) return refuse(errors.EINVAL);
      throw error;
    }
  }

  async #remove(name: string): Promise<Reply> {
    await this.#store.remove(name);
    this.#gone(name);
    return 'none';
  }

  #gone(name: string): void {
    const record = this.#byName.get(name);
    this.#byName.delete(name);
    if (record !== undefined) this.#byNode.delete(record.node);
  }

  /** `flags` 1 is RENAME_NOREPLACE; exchanging is not possible. Source: renameat2(2). */
  async #rename({ from, to, flags }: FuseRequest & { readonly op: 'rename' }): Promise<Reply> {
    if (flags > 1) return refuse(errors.EINVAL);
    return this.#whenClosed([from, to], async ([source = '', target = '']) => {
      if (flags === 1 && this.#store.list().some(({ name }) => name === target)) return refuse(errors.EEXIST);
      await this.#store.rename(source, target);
      const record = this.#recordOf(source);
      this.#gone(target);
      this.#byName.delete(source);
      record.name = target;
      this.#byName.set(target, record);
      return 'none';
    });
  }

  /** The listing of a handle is that of its opening. */
  #openDirectory(): Reply {
    const handle = this.#nextHandle++;
    this.#listings.set(handle, this.#store.list());
    return openReply(handle, 0);
  }

  #list({ handle, offset, size, op }: FuseRequest & { readonly op: 'read' | 'readdir' | 'readdirplus' }): Reply {
    const files = this.#listings.get(handle) ?? [];
    const isPlus = op === 'readdirplus';
    const reply = new Listing(Math.min(size, 1 << 20), isPlus ? validity : undefined);
    for (let position = offset; position < files.length + 2; position += 1) {
      const next = position + 1;
      const file = files[position - 2];
      const shown = file === undefined ? undefined : this.#shown(this.#recordOf(file.name).node, file);
      const fits = file === undefined || shown === undefined
        ? reply.add({ name: utf8(position === 0 ? '.' : '..'), node: rootNode, type: 'directory', next })
        : reply.add({ name: utf8(file.name), node: shown.node, type: 'file', next, ...(isPlus ? { plus: shown } : {}) });
      if (!fits) break;
    }
    return reply.reply();
  }
}

/** Runs a change of a file, so that nothing that was read before or during it is served from a window afterwards. */
async function changing(file: FileVersion, change: () => Promise<void>): Promise<void> {
  file.version += 1;
  try {
    await change();
  } finally {
    file.version += 1;
  }
}
