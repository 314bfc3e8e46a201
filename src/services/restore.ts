/**
 * Restore: any node of any tree into a directory of the host. A file gets its final name only after its size and every
 * byte were checked by the tree it comes from; one that fails leaves nothing behind, is listed, and the rest goes on.
 */
import { lstatSync } from 'node:fs';
import * as path from 'node:path';
import { AbortedError, HoldfastError, IntegrityError, textOf, utf8 } from '../core/index.ts';
import type { BlockSource, FileSink, FileTree, NodeId, NodeMetadata, PendingFile } from '../core/index.ts';
import { PosixSink, fileSource } from '../fs-adapters/posix/index.ts';
import { entryError, isFatal, type EntryError } from './entry-error.ts';
import { Selection } from './selection.ts';
import { ContentDigest, digestOf, pieceBytes, readContent } from './trees/content.ts';
import { childPath, walk, type TreeView, type WalkEntry } from './trees/walk.ts';

/** What to do with a file that the target has already. */
export type Overwrite = 'always' | 'if-changed' | 'never';

/** How far a restore is: finished files, and bytes moved so far. */
export interface RestoreProgress {
  readonly files: number;
  readonly bytes: number;
  readonly currentPath: Uint8Array;
}

/** What to restore and how. */
export interface RestoreOptions {
  /** Patterns of what to restore, everything without any; see `trees/glob.ts`. */
  readonly include?: readonly string[];
  readonly exclude?: readonly string[];
  readonly overwrite?: Overwrite;
  /** Leave holes also where the source has written zeroes. */
  readonly sparse?: boolean;
  /** Resolve only after everything would survive a crash. */
  readonly durable?: boolean;
  /** Select and count only; nothing is written. */
  readonly dryRun?: boolean;
  /** Read every file again from the target and compare digests. */
  readonly verify?: boolean;
  readonly signal?: AbortSignal;
  onProgress?(progress: RestoreProgress): void;
}

/** What a restore did. With `errors` the listed entries are missing or incomplete in their metadata. */
export interface RestoreResult {
  /** Names of regular files that are in place, further hard links included. */
  readonly files: number;
  readonly directories: number;
  /** Symlinks, FIFOs, device nodes, sockets. */
  readonly others: number;
  /** Bytes of the files' content, holes included; a hard-linked file counts once. */
  readonly bytes: number;
  /** Of `files`, those whose content was checked on the way (with `verify`: and read back). */
  readonly verified: number;
  /** Files left alone because of `overwrite`. */
  readonly skipped: number;
  readonly errors: readonly EntryError[];
  /** Attributes that only the filesystem of origin can hold (`system.ntfs_acl` …), and that the target does not take: how many, by name. */
  readonly leftOut: Readonly<Record<string, number>>;
  /** Patterns of `include` and `exclude` that matched nothing. */
  readonly unmatched: readonly string[];
}

/** Files in flight: enough to overlap decompression with writing, few enough to keep reads nearly sequential. */
const filesInFlight = 4;
/** Files after which the tree hears again which ones come next. */
const filesAhead = 64;

/** Trees that can prefetch say so; the engine's snapshots do. */
interface ReadAhead {
  readAhead?(ids: readonly NodeId[]): void;
}

type Counts = { files: number; directories: number; others: number; bytes: number; verified: number; skipped: number };

/** One restore under way. */
class Restore {
  readonly counts: Counts = { files: 0, directories: 0, others: 0, bytes: 0, verified: 0, skipped: 0 };
  readonly errors: EntryError[] = [];
  readonly #tree: FileTree & ReadAhead;
  readonly #base: number;
  readonly #target: string;
  readonly #sink: FileSink | undefined;
  readonly #options: RestoreOptions;
  readonly #selected: Selection;
  /** First name of each file with several names, while more are expected. */
  readonly #links: Map<NodeId, { readonly first: Promise<Uint8Array | undefined>; left: number }> = new Map<NodeId, { readonly first: Promise<Uint8Array | undefined>; left: number }>();
  readonly #buffers: Uint8Array[] = [];
  #moved = 0;

  constructor(view: TreeView, target: string, sink: FileSink | undefined, options: RestoreOptions) {
    this.#tree = view.tree;
    this.#base = view.path.length + 1;
    this.#target = target;
    this.#sink = sink;
    this.#options = options;
    this.#selected = new Selection(options);
  }

  /** See {@link RestoreResult.unmatched}. */
  unmatched(): readonly string[] {
    return this.#selected.unmatched();
  }

  /** Everything below `view`. */
  async directory(view: TreeView): Promise<void> {
    await walk(view, {
      page: (entries) => this.#page(entries),
      into: (directory) => this.#selected.into(directory),
      leave: (directory) => this.#leave(directory),
      failed: (where, error) => this.#fail(where, error),
    }, this.#options.signal);
  }

  /** One file (or symlink …) under its own name. */
  async single(entry: WalkEntry): Promise<void> {
    this.#selected.takeAll();
    await this.#entry(entry, entry.name);
  }

  async #page(entries: readonly WalkEntry[]): Promise<void> {
    const files: WalkEntry[] = [];
    for (const entry of entries) {
      if (!this.#selected.takes(entry)) continue;
      await this.#parents();
      if (entry.stat.type === 'directory') await this.#enter(entry);
      else files.push(entry);
    }
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < files.length) {
        if (this.#options.signal?.aborted === true) throw new AbortedError();
        if (next % filesAhead === 0) this.#readAhead(files, next);
        const entry = files[next] as WalkEntry;
        next += 1;
        await this.#entry(entry, this.#relative(entry.path));
      }
    };
    // All lanes end before an error leaves here: no write may go on behind the caller's back.
    const ends = await Promise.allSettled(Array.from({ length: Math.min(filesInFlight, files.length) }, lane));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }

  #readAhead(files: readonly WalkEntry[], from: number): void {
    if (this.#sink === undefined) return;
    this.#tree.readAhead?.(files.slice(from, from + 2 * filesAhead).filter((entry) => entry.stat.type === 'file').map((entry) => entry.id));
  }

  /** Directories that a pattern did not select but that lead to something selected. */
  async #parents(): Promise<void> {
    for (const directory of this.#selected.pendingParents()) await this.#enter(directory);
  }

  async #enter(entry: WalkEntry): Promise<void> {
    this.#selected.made(entry);
    try {
      await this.#sink?.createDirectory(this.#relative(entry.path), await this.#metadata(entry));
      this.counts.directories += 1;
    } catch (error) {
      this.#fail(entry.path, error);
    }
  }

  async #leave(entry: WalkEntry): Promise<void> {
    if (!this.#selected.leave(entry)) return;
    try {
      await this.#sink?.finishDirectory(this.#relative(entry.path), await this.#metadata(entry));
    } catch (error) {
      this.#fail(entry.path, error);
    }
  }

  async #entry(entry: WalkEntry, to: Uint8Array): Promise<void> {
    const create = (): Promise<boolean> => (entry.stat.type === 'file' ? this.#file(entry, to) : this.#other(entry, to));
    try {
      if (this.#tree.supports.hardLinks && entry.stat.links > 1) await this.#linked(entry, to, create);
      else await create();
    } catch (error) {
      this.#fail(entry.path, error);
    }
  }

  /** @returns whether it was made: not where the target keeps what it has. */
  async #other(entry: WalkEntry, to: Uint8Array): Promise<boolean> {
    const metadata = await this.#metadata(entry);
    try {
      if (entry.stat.type === 'symlink') await this.#sink?.createSymlink(to, await this.#tree.readLink(entry.id), metadata);
      else await this.#sink?.createSpecial(to, metadata);
    } catch (error) {
      if (!this.#isKept(error)) throw error;
      this.counts.skipped += 1;
      return false;
    }
    this.counts.others += 1;
    return true;
  }

  /**
   * The first name is made, further ones are links to it. If it failed, or the target's own file was left in its place, the
   * next name is made anew: a link would lead to something that this restore did not write.
   */
  async #linked(entry: WalkEntry, to: Uint8Array, create: () => Promise<boolean>): Promise<void> {
    const known = this.#links.get(entry.id);
    const first = known === undefined ? undefined : await known.first;
    if (known !== undefined && first !== undefined) {
      known.left -= 1;
      if (known.left <= 0) this.#links.delete(entry.id);
      await this.#linkTo(entry, to, first);
      return;
    }
    const done = create();
    this.#links.set(entry.id, { first: done.then((made) => (made ? to : undefined), () => undefined), left: entry.stat.links - 1 });
    await done;
  }

  async #linkTo(entry: WalkEntry, to: Uint8Array, first: Uint8Array): Promise<void> {
    try {
      await this.#sink?.createHardLink(to, first);
    } catch (error) {
      if (!this.#isKept(error)) throw error;
      this.counts.skipped += 1;
      return;
    }
    if (entry.stat.type !== 'file') {
      this.counts.others += 1;
      return;
    }
    this.counts.files += 1;
    this.counts.verified += this.#sink === undefined ? 0 : 1;
  }

  /** @returns whether it was written. */
  async #file(entry: WalkEntry, to: Uint8Array): Promise<boolean> {
    if (this.#sink !== undefined && !(await this.#write(this.#sink, entry, to))) {
      this.counts.skipped += 1;
      return false;
    }
    this.counts.files += 1;
    this.counts.verified += this.#sink === undefined ? 0 : 1;
    this.counts.bytes += entry.stat.size;
    if (this.#sink === undefined) this.#moved += entry.stat.size;
    this.#progress(entry.path);
    return true;
  }

  /** @returns false when the target's file stays as it is. */
  async #write(sink: FileSink, entry: WalkEntry, to: Uint8Array): Promise<boolean> {
    const pending = await this.#pending(sink, entry, to);
    if (pending === undefined) return false;
    let digest: string | undefined;
    try {
      if ('unchanged' in pending && this.#options.verify !== true) {
        await pending.commit({ size: entry.stat.size, verifiedBytes: 0 });
        return false;
      }
      const source = await this.#tree.open(entry.id);
      try {
        digest = await this.#copy(source, pending, entry.path);
      } finally {
        await source.close();
      }
    } catch (error) {
      await pending.abort();
      throw error;
    }
    if (digest !== undefined) await this.#readBack(to, digest);
    return true;
  }

  /** Undefined when the target has the name already and is to keep it. */
  async #pending(sink: FileSink, entry: WalkEntry, to: Uint8Array): Promise<PendingFile | undefined> {
    try {
      return await sink.createFile(to, await this.#metadata(entry));
    } catch (error) {
      if (this.#isKept(error)) return undefined;
      throw error;
    }
  }

  /** Whether an error only says that the target has the name already and is to keep it. */
  #isKept(error: unknown): boolean {
    return this.#options.overwrite === 'never' && error instanceof HoldfastError && error.data['errno'] === 'EEXIST';
  }

  /** Moves the content and commits. @returns its digest when it is to be read back. */
  async #copy(source: BlockSource, pending: PendingFile, where: Uint8Array): Promise<string | undefined> {
    const digest = this.#options.verify === true ? new ContentDigest('sha256') : undefined;
    const buffer = this.#buffers.pop() ?? new Uint8Array(pieceBytes);
    let verifiedBytes = 0;
    try {
      await readContent(source, {
        data: async (offset, bytes) => {
          digest?.data(bytes);
          verifiedBytes += bytes.length;
          await pending.writeFrom(offset, bytes);
          this.#moved += bytes.length;
          this.#progress(where);
        },
        empty: (_, length) => {
          digest?.empty(length);
          this.#moved += length;
        },
      }, buffer, { signal: this.#options.signal });
      await pending.commit({ size: source.size, verifiedBytes });
    } finally {
      this.#buffers.push(buffer);
    }
    return digest?.hex();
  }

  async #readBack(to: Uint8Array, expected: string): Promise<void> {
    const source = await fileSource(Buffer.concat([Buffer.from(`${this.#target}/`), to]));
    try {
      const found = await digestOf(source, 'sha256');
      if (found !== expected) throw new IntegrityError(`Verify '${textOf(to)}': read back sha256 '${found}', expected '${expected}'`, { found, expected });
    } finally {
      await source.close();
    }
  }

  /** Attributes that can't be read are listed; the content is worth more than they are. */
  async #metadata(entry: WalkEntry): Promise<NodeMetadata> {
    let attributes: NodeMetadata['attributes'] = new Map();
    try {
      attributes = await this.#tree.attributes(entry.id);
    } catch (error) {
      this.#fail(entry.path, error);
    }
    return { stat: entry.stat, attributes };
  }

  #progress(currentPath: Uint8Array): void {
    this.#options.onProgress?.({ files: this.counts.files, bytes: this.#moved, currentPath });
  }

  #relative(where: Uint8Array): Uint8Array {
    return where.subarray(this.#base);
  }

  #fail(where: Uint8Array, error: unknown): void {
    if (isFatal(error)) throw error;
    this.errors.push(entryError(where, error));
  }
}

/**
 * Restores what `view` shows into `target`: the contents of a directory go directly into it, any other node under its
 * own name. `view.tree` stays open. Resolves when every file has its final name (with `durable`: and would survive a crash).
 * @throws {AbortedError} and on a full disk; files finished before stay. @throws {ToolError} when `target` can't be made.
 */
export async function restoreTree(view: TreeView, target: string, options: RestoreOptions = {}): Promise<RestoreResult> {
  const directory = path.resolve(target);
  const sink = options.dryRun === true ? undefined : new PosixSink({
    target: utf8(directory),
    overwrite: options.overwrite ?? 'always',
    sparse: options.sparse ?? false,
  });
  const restore = new Restore(view, directory, sink, options);
  try {
    const fresh = lstatSync(directory, { throwIfNoEntry: false }) === undefined;
    sink?.open(); // a target that can't be used is one error, not one per entry
    const stat = await view.tree.stat(view.id);
    const slash = view.path.lastIndexOf(0x2f);
    if (stat.type === 'directory') {
      const metadata: NodeMetadata = { stat, attributes: await view.tree.attributes(view.id) };
      await restore.directory(view);
      // A directory that the user had is the user's; one that this restore made looks like its original.
      if (fresh && view.path.length > 0) await sink?.finishDirectory(new Uint8Array(), metadata);
    } else await restore.single({ path: view.path, name: view.path.subarray(slash + 1), id: view.id, stat });
    const problems = (await sink?.finish({ durable: options.durable ?? false })) ?? [];
    const above = stat.type === 'directory' ? view.path : view.path.subarray(0, slash);
    for (const problem of problems) restore.errors.push({ ...entryError(childPath(above, problem.path), problem.message), code: problem.what });
  } catch (error) {
    // Only closes what is open: the first error is the one to tell.
    await sink?.finish().catch(() => undefined);
    throw error;
  }
  return { ...restore.counts, errors: restore.errors, leftOut: Object.fromEntries(sink?.leftOut ?? []), unmatched: restore.unmatched() };
}
