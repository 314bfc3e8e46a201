/**
 * A tree as NFS sees it: file handles instead of ids, files and listings that stay open between requests, which know nothing of each other.
 * All of that is bounded, and made again when it was dropped.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { HoldfastError, NotFoundError, UnsupportedError, joinPath, splitPath, type BlockSource, type DirectoryEntry, type FileTree, type NodeId, type NodeStat } from '../../core/index.ts';
import { ListingPosition } from '../listing-position.ts';

/** Bytes of a file handle: a seal of 8 that only this server can make, the node's id. */
export const HANDLE_BYTES = 16;
const SEAL_BYTES = 8;
/** Longer names are more than clients take: Linux gives up the whole directory. */
const NAME_BYTES_MAX = 255;
/** Files that stay open. */
const FILES_MAX = 64;
/** Listings that stay where they are. */
const LISTINGS_MAX = 32;
/** Directories whose parent is known, for `..`. */
const PARENTS_MAX = 65_536;

interface OpenFile {
  readonly source: Promise<BlockSource>;
  users: number;
  isDropped: boolean;
}

interface OpenListing {
  readonly directory: NodeId;
  readonly listing: ListingPosition;
  next: number;
  turn: Promise<unknown>;
}

/** See the header. The tree is the caller's, who closes it after this. */
export class ServedTree {
  readonly tree: FileTree;
  readonly root: NodeId;
  readonly #key: Uint8Array;
  readonly #onProblem: (error: unknown) => void;
  readonly #files = new Map<NodeId, OpenFile>();
  readonly #listings: OpenListing[] = [];
  readonly #parents = new Map<NodeId, NodeId>();

  /**
   * `key` seals handles, so that only those that were given work: neither those of an earlier server, nor invented ones that lead out of the export. `onProblem`
   * hears of entries that cannot be shown.
   */
  constructor(tree: FileTree, root: NodeId, { key, onProblem }: { readonly key: Uint8Array; onProblem(error: unknown): void }) {
    this.tree = tree;
    this.root = root;
    this.#key = key;
    this.#onProblem = onProblem;
  }

  /** The handle of a node. */
  handleOf(id: NodeId): Uint8Array {
    const handle = new Uint8Array(HANDLE_BYTES);
    const view = new DataView(handle.buffer);
    view.setUint32(SEAL_BYTES, Math.floor(id / 2 ** 32));
    view.setUint32(SEAL_BYTES + 4, id % 2 ** 32);
    handle.set(this.#sealOf(handle.subarray(SEAL_BYTES)));
    return handle;
  }

  #sealOf(id: Uint8Array): Uint8Array {
    return createHmac('sha256', this.#key).update(id).digest().subarray(0, SEAL_BYTES);
  }

  /** The node of a handle; undefined for one that this server never gave. */
  nodeOf(handle: Uint8Array): NodeId | undefined {
    if (handle.length !== HANDLE_BYTES || !timingSafeEqual(this.#sealOf(handle.subarray(SEAL_BYTES)), handle.subarray(0, SEAL_BYTES))) return undefined;
    const view = new DataView(handle.buffer, handle.byteOffset, handle.byteLength);
    const id = view.getUint32(SEAL_BYTES) * 2 ** 32 + view.getUint32(SEAL_BYTES + 4);
    return Number.isSafeInteger(id) ? id as NodeId : undefined;
  }

  /** A name in a directory, with `.` and `..`; undefined where it is absent. */
  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    const text = name.length > 2 ? '' : Buffer.from(name).toString('latin1');
    if (text === '.') return directory;
    if (text === '..') return directory === this.root ? this.root : this.#parents.get(directory);
    const id = await this.tree.lookup(directory, name.slice()); // the tree may keep the name; the message is used again
    if (id !== undefined) this.#noteParent(id, directory);
    return id;
  }

  /** A path from the root, as mount requests name it. @throws {NotFoundError} */
  async resolve(path: Uint8Array): Promise<NodeId> {
    let id: NodeId = this.root;
    let shown: Uint8Array = new Uint8Array();
    for (const part of splitPath(path)) {
      shown = joinPath(shown, part);
      const child = await this.lookup(id, part);
      if (child === undefined) throw new NotFoundError(`Mount '${Buffer.from(shown).toString()}': no such directory`);
      id = child;
    }
    return id;
  }

  /** Runs `use` with an open file, which stays open for later requests. */
  async withFile<T>(id: NodeId, use: (source: BlockSource) => Promise<T>): Promise<T> {
    const file = this.#open(id);
    file.users += 1;
    try {
      return await use(await file.source);
    } catch (error) {
      if (this.#files.get(id) === file) this.#files.delete(id);
      file.isDropped = true;
      throw error;
    } finally {
      file.users -= 1;
      if (file.isDropped && file.users === 0) await closeFile(file);
    }
  }

  /**
   * Entries of a directory from number `first` on, until `take` wants no more. Resolves true at the end of the directory. An entry whose facts cannot be read comes
   * without them; where the listing itself fails, what came before counts, and the next call gets the error.
   */
  async list(directory: NodeId, first: number, take: (entry: DirectoryEntry, stat: NodeStat | undefined, index: number) => boolean): Promise<boolean> {
    const open = this.#listing(directory, first);
    const run = async (): Promise<boolean> => {
      for (let index = first; ; index += 1) {
        const entry = await open.listing.at(index).catch((error: unknown) => {
          if (index > first && error instanceof HoldfastError) return 'failed' as const;
          throw error;
        });
        if (entry === undefined) return true;
        if (entry === 'failed') return false;
        if (entry.name.length > NAME_BYTES_MAX) {
          this.#onProblem(new UnsupportedError(`List directory for NFS: a name of '${entry.name.length}' bytes is left out, clients take '${NAME_BYTES_MAX}'`));
          continue;
        }
        const stat = entry.stat ?? await this.tree.stat(entry.id).catch((error: unknown) => this.#withoutFacts(error));
        if (stat?.type === 'directory') this.#noteParent(entry.id, directory);
        if (!take(entry, stat, index)) return false;
        open.next = index + 1;
      }
    };
    const turn = open.turn.then(run, run);
    open.turn = turn.catch(() => undefined);
    return turn;
  }

  /** Closes what is open. */
  async close(): Promise<void> {
    for (const file of this.#files.values()) await closeFile(file);
    this.#files.clear();
    for (const { listing } of this.#listings.splice(0)) await listing.close();
  }

  #withoutFacts(error: unknown): undefined {
    if (!(error instanceof HoldfastError)) throw error;
    this.#onProblem(error);
  }

  #open(id: NodeId): OpenFile {
    const known = this.#files.get(id);
    if (known !== undefined) {
      this.#files.delete(id);
      this.#files.set(id, known);
      return known;
    }
    const source = this.tree.open(id);
    source.catch(() => undefined); // whoever reads gets the error
    const file: OpenFile = { source, users: 0, isDropped: false };
    this.#files.set(id, file);
    for (const [oldest, one] of this.#files) {
      if (this.#files.size <= FILES_MAX) break;
      this.#files.delete(oldest);
      one.isDropped = true;
      if (one.users === 0) void closeFile(one);
    }
    return file;
  }

  /** The listing that stands where a client goes on, or a new one. */
  #listing(directory: NodeId, first: number): OpenListing {
    const at = this.#listings.findIndex((one) => one.directory === directory && one.next === first);
    const [found] = at < 0 ? [] : this.#listings.splice(at, 1);
    const open = found ?? { directory, listing: new ListingPosition(this.tree, directory), next: first, turn: Promise.resolve() };
    this.#listings.push(open);
    if (this.#listings.length > LISTINGS_MAX) {
      const oldest = this.#listings.shift();
      void oldest?.turn.then(() => oldest.listing.close());
    }
    return open;
  }

  #noteParent(id: NodeId, directory: NodeId): void {
    this.#parents.set(id, directory);
    if (this.#parents.size <= PARENTS_MAX) return;
    for (const oldest of this.#parents.keys()) {
      this.#parents.delete(oldest);
      break;
    }
  }
}

async function closeFile({ source }: OpenFile): Promise<void> {
  const opened = await source.catch(() => undefined); // one that could not be opened needs no closing
  await opened?.close();
}
