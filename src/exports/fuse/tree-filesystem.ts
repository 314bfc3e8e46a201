/**
 * Any `FileTree` as a read-only filesystem. What the tree tells never changes, so the kernel may keep it: content in the page cache, names
 * and attributes for a day, absent names too.
 *
 * Known limits: names over 255 bytes are listed and cannot be opened (the kernel's limit); names over 1,024 bytes fail their directory's
 * listing; a node without known space shows as many blocks as its size needs.
 */
import { FormatError, IntegrityError, LimitError, attributeNameBytes, attributeNameText, utf8, type BlockSource, type FileTree, type NodeId, type NodeStat } from '../../core/index.ts';
import { initFlags, openFlags, rootNode } from './abi.layout.ts';
import { errors, refuse } from './errno.ts';
import type { FuseHandler, HandlerSettings, Reply } from './handler.ts';
import { ListingPosition } from '../listing-position.ts';
import { Lookups } from './lookups.ts';
import { ReadBuffers, type ReadPosition } from './read-buffers.ts';
import { Listing, absentReply, attributeReply, attributesReply, entryReply, lseekReply, openReply, statfsReply, type Validity } from './reply.ts';
import type { FuseRequest } from './request.ts';

const validity: Validity = { entry: 86_400, attributes: 86_400 };
/** Flags of open(2) that ask to write. */
const writing = 0o3 | 0o1000;
const seekData = 3;
const seekHole = 4;
const nameMax = 255;

/** How a tree is shown. */
export interface TreeFilesystemOptions {
  /** Node that is the root of the mount; default the tree's. */
  readonly root?: NodeId;
  /** Let the kernel check ACLs too. It then also checks permissions, so only for mounts that others may use. */
  readonly checkAcls?: boolean;
}

type OpenFile = { readonly source: BlockSource; readonly position: ReadPosition };
type OpenDirectory = { readonly listing: ListingPosition; readonly id: NodeId; turn: Promise<unknown> };

/** See the module's comment. The tree is the caller's, who closes it after the session has ended. */
export class TreeFilesystem implements FuseHandler {
  readonly settings: HandlerSettings;
  readonly #tree: FileTree;
  readonly #root: NodeId;
  readonly #lookups: Lookups;
  readonly #buffers = new ReadBuffers();
  readonly #files = new Map<number, OpenFile>();
  readonly #directories = new Map<number, OpenDirectory>();
  #nextHandle = 1;

  constructor(tree: FileTree, options: TreeFilesystemOptions = {}) {
    this.#tree = tree;
    this.#root = options.root ?? tree.rootId;
    this.#lookups = new Lookups((directory) => tree.forget?.(directory));
    this.settings = { writeBytesMax: 4096, flags: options.checkAcls === true && tree.supports.attributes ? initFlags.posixAcl : 0 };
  }

  /** Nodes that the kernel knows, and handles that are open. */
  get held(): { readonly nodes: number; readonly handles: number } {
    return { nodes: this.#lookups.size, handles: this.#files.size + this.#directories.size };
  }

  handle(request: FuseRequest): Promise<Reply> | Reply {
    switch (request.op) {
      case 'lookup': return this.#lookup(this.#id(request.node), request.name);
      case 'forget':
        for (const { node, lookups } of request.forgotten) if (node !== rootNode) this.#lookups.forget(this.#id(node), lookups);
        return 'none';
      case 'getattr': return this.#attributes(request.node);
      case 'readlink': return this.#tree.readLink(this.#id(request.node));
      case 'open': return this.#open(this.#id(request.node), request.flags);
      case 'read': return this.#buffers.read(this.#file(request.handle).source, request, this.#file(request.handle).position);
      case 'lseek': return this.#seek(this.#file(request.handle).source, request.offset, request.whence);
      case 'release': return this.#release(request.handle);
      case 'opendir': return this.#openDirectory(this.#id(request.node));
      case 'readdir': case 'readdirplus': return this.#readDirectory(request);
      case 'releasedir': return this.#releaseDirectory(request.handle);
      case 'getxattr': return this.#attribute(this.#id(request.node), request.name, request.size);
      case 'listxattr': return this.#attributeNames(this.#id(request.node), request.size);
      case 'statfs': return statfsReply({ total: 0, free: 0 }, nameMax);
      // The kernel does not ask again: nothing is ever written.
      case 'flush': case 'fsync': case 'fsyncdir': return refuse(errors.ENOSYS);
      case 'setattr': case 'create': case 'write': case 'unlink': case 'rmdir': case 'rename': return refuse(errors.EROFS);
      default: return refuse(errors.ENOSYS);
    }
  }

  async close(): Promise<void> {
    for (const { source } of this.#files.values()) await source.close();
    for (const { listing } of this.#directories.values()) await listing.close();
    this.#files.clear();
    this.#directories.clear();
  }

  /** 0 and 1 mean something to the kernel, so nodes are ids plus 2. */
  #node(id: NodeId): number {
    if (id === this.#root) return rootNode;
    if (!Number.isSafeInteger(id + 2)) throw new LimitError('node id', id, Number.MAX_SAFE_INTEGER - 2, 'tree for FUSE');
    return id + 2;
  }

  #id(node: number): NodeId {
    return node === rootNode ? this.#root : (node - 2) as NodeId;
  }

  async #lookup(directory: NodeId, name: Uint8Array): Promise<Reply> {
    if (name.length > nameMax) return refuse(errors.ENAMETOOLONG);
    // The tree may keep the name; the request's buffer is used again.
    this.#lookups.hold(directory);
    try {
      const id = await this.#tree.lookup(directory, name.slice());
      if (id === undefined) return absentReply(validity);
      const stat = await this.#tree.stat(id);
      this.#known(id, directory);
      return entryReply({ node: this.#node(id), stat }, validity);
    } finally {
      this.#lookups.drop(directory);
    }
  }

  #known(id: NodeId, directory: NodeId): void {
    if (id !== this.#root) this.#lookups.add(id, directory);
  }

  async #attributes(node: number): Promise<Reply> {
    return attributesReply({ node, stat: await this.#tree.stat(this.#id(node)) }, validity);
  }

  async #open(id: NodeId, flags: number): Promise<Reply> {
    if ((flags & writing) !== 0) return refuse(errors.EROFS);
    const { size } = await this.#tree.stat(id);
    const source = await this.#tree.open(id);
    if (source.size !== size) {
      await source.close();
      throw new IntegrityError(`Open file for FUSE: its content has '${source.size}' bytes, expected '${size}'`);
    }
    return openReply(this.#keep(this.#files, { source, position: { next: 0 } }), openFlags.keepCache);
  }

  #keep<T>(table: Map<number, T>, value: T): number {
    const handle = this.#nextHandle++;
    table.set(handle, value);
    return handle;
  }

  #file(handle: number): OpenFile {
    const file = this.#files.get(handle);
    if (file === undefined) throw unknownHandle(handle);
    return file;
  }

  async #release(handle: number): Promise<Reply> {
    const { source } = this.#file(handle);
    this.#files.delete(handle);
    await source.close();
    return 'none';
  }

  /** Where data or a hole begins, at or behind `offset`; the end of the file counts as a hole. Source: lseek(2). */
  async #seek(source: BlockSource, offset: number, whence: number): Promise<Reply> {
    if (whence !== seekData && whence !== seekHole) return refuse(errors.EINVAL);
    if (offset >= source.size) return refuse(errors.ENXIO);
    for await (const extent of source.extents(offset, source.size - offset)) {
      if ((extent.kind === 'data') === (whence === seekData)) return lseekReply(extent.offset);
    }
    return whence === seekHole ? lseekReply(source.size) : refuse(errors.ENXIO);
  }

  #openDirectory(id: NodeId): Reply {
    this.#lookups.hold(id);
    const handle = this.#keep(this.#directories, { listing: new ListingPosition(this.#tree, id), id, turn: Promise.resolve() });
    return openReply(handle, openFlags.keepCache | openFlags.cacheDirectory);
  }

  #directory(handle: number): OpenDirectory {
    const directory = this.#directories.get(handle);
    if (directory === undefined) throw unknownHandle(handle);
    return directory;
  }

  /** One after the other on each handle: the position is one. */
  #readDirectory(request: FuseRequest & { readonly op: 'read' | 'readdir' | 'readdirplus' }): Promise<Reply> {
    const directory = this.#directory(request.handle);
    const list = (): Promise<Reply> => this.#list(directory, request);
    const reply = directory.turn.then(list, list);
    directory.turn = reply;
    return reply;
  }

  async #list({ listing, id }: OpenDirectory, { node, offset, size, op }: FuseRequest & { readonly op: 'read' | 'readdir' | 'readdirplus' }): Promise<Reply> {
    const isPlus = op === 'readdirplus';
    const reply = new Listing(Math.min(size, 1 << 20), isPlus ? validity : undefined);
    for (let position = offset; ; position += 1) {
      const next = position + 1;
      if (position < 2) {
        const name = utf8(position === 0 ? '.' : '..');
        if (!reply.add({ name, node, type: 'directory', next })) return full(reply);
        continue;
      }
      const entry = await listing.at(position - 2);
      if (entry === undefined) break;
      const stat: NodeStat = entry.stat ?? (await this.#tree.stat(entry.id));
      const child = this.#node(entry.id);
      if (!reply.add({ name: entry.name, node: child, type: stat.type, next, ...(isPlus ? { plus: { node: child, stat } } : {}) })) return full(reply);
      if (isPlus) this.#known(entry.id, id);
    }
    return reply.reply();
  }

  async #releaseDirectory(handle: number): Promise<Reply> {
    const { listing, id } = this.#directory(handle);
    this.#directories.delete(handle);
    await listing.close();
    this.#lookups.drop(id);
    return 'none';
  }

  async #attribute(id: NodeId, name: Uint8Array, room: number): Promise<Reply> {
    if (!this.#tree.supports.attributes) return refuse(errors.ENODATA);
    const value = (await this.#tree.attributes(id)).get(attributeNameText(name.slice()));
    if (value === undefined) return refuse(errors.ENODATA);
    return attributeReply(value, room) ?? refuse(errors.ERANGE);
  }

  async #attributeNames(id: NodeId, room: number): Promise<Reply> {
    const names = this.#tree.supports.attributes ? [...(await this.#tree.attributes(id)).keys()] : [];
    const list = Buffer.concat(names.flatMap((name) => [attributeNameBytes(name), new Uint8Array(1)]));
    return attributeReply(list, room) ?? refuse(errors.ERANGE);
  }
}

/** An empty reply would say that the directory ends here. */
function full(listing: Listing): Reply {
  return listing.isEmpty ? refuse(errors.EINVAL) : listing.reply();
}

function unknownHandle(handle: number): FormatError {
  return new FormatError('Answer FUSE', { structure: 'request', field: 'fh', found: handle, expected: 'an open handle' });
}
