/** The sources of a backup: host paths, locations and stdin as one tree. */
import { lstatSync, realpathSync } from 'node:fs';
import * as path from 'node:path';
import { NotFoundError, UsageError, splitPath, textOf, utf8, type FileTree, type NodeId, type TreeProblem } from '../core/index.ts';
import { PosixTree } from '../fs-adapters/posix/index.ts';
import { entryError, problemError, type EntryError } from './entry-error.ts';
import { openLocation, type Accounts, type OpenOptions } from './locations/index.ts';
import { filesHint } from './next-step.ts';
import { lookForContent, type ContentLook } from './source-content.ts';
import { spoolStdin } from './stdin.ts';
import { FilterTree } from './trees/filter-tree.ts';
import { Patterns } from './trees/glob.ts';
import { unionTree, type UnionMember } from './trees/union-tree.ts';
import type { TreeView } from './trees/walk.ts';

/** What of the sources to read. */
export interface SourceOptions {
  /** Patterns of what to leave out; see `trees/glob.ts`. */
  readonly exclude?: readonly string[];
  readonly oneFileSystem?: boolean;
  /** Name of what the source `-` reads; default `stdin`. */
  readonly stdinFilename?: string;
  /** Where the repository, or its cache, is on this host: it is left out if a source contains it. */
  readonly repositoryDirectory?: string;
  readonly keys?: readonly Uint8Array[];
  readonly keyNames?: readonly string[];
  readonly accounts?: Accounts;
  /** See `OpenOptions` of locations. */
  readonly cacheDirectory?: string | undefined;
  /** File with the key for places behind a daemon. */
  readonly wireKey?: string | undefined;
  readonly signal?: AbortSignal;
  onNote?(text: string): void;
}

/** What {@link Sources.look} found. */
export interface SourceLook extends ContentLook {
  readonly leftOut?: string;
}

/** The sources as one tree, ready to be stored. */
export interface Sources {
  readonly tree: FileTree;
  /** As they are recorded in the snapshot. */
  readonly names: readonly string[];
  /** Sources that are not there, what could not be read, damage that touches it: complete when the tree was read. */
  errors(): readonly EntryError[];
  /** Patterns of `exclude` that nothing matched: complete when the tree was read. */
  unmatched(): readonly string[];
  /** Looks for content in them, beside the tree. `leftOut` says what patterns, or the repository's own place, kept out of sight. */
  look(): Promise<SourceLook>;
  close(): Promise<void>;
}

/** The repository, or its cache, if it is inside the sources. */
function ownPlace({ repositoryDirectory }: SourceOptions, sources: readonly string[]): string | undefined {
  const repository = repositoryDirectory === undefined ? undefined : realpathSync(repositoryDirectory);
  return repository !== undefined && sources.some((source) => repository === source || repository.startsWith(source === '/' ? '/' : `${source}/`)) ? repository : undefined;
}

/** Leaves out what the patterns name and the repository itself. Undefined when there is nothing to leave out: asking costs time. */
function exclusion(repository: string | undefined, patterns: Patterns): ((path: Uint8Array) => boolean) | undefined {
  if (repository === undefined) return patterns.count > 0 ? (where) => patterns.matches(where) : undefined;
  const own = Buffer.from(repository);
  return (where) => own.equals(where) || patterns.matches(where);
}

/** Host paths of one backup share one tree, so that hard links between them stay. */
function hostTree(paths: readonly string[], options: SourceOptions, patterns: Patterns, errors: EntryError[]): FileTree {
  const exclude = exclusion(ownPlace(options, paths), patterns);
  return new PosixTree({
    root: utf8('/'),
    ...(paths.includes('/') ? {} : { include: paths.map(utf8) }),
    oneFileSystem: options.oneFileSystem ?? false,
    ...(exclude === undefined ? {} : { exclude }),
    onProblem: (problem) => errors.push(problemError(problem)),
  });
}

/** Absolute, without symlinks in its directories; the last name stays as it is, so that a link is stored as a link: with a remark, since what it leads to is not. */
function canonical(source: string, { onNote }: SourceOptions): string | undefined {
  const absolute = path.resolve(source);
  try {
    const isLink = lstatSync(absolute).isSymbolicLink();
    if (isLink && source.endsWith('/')) return realpathSync(absolute);
    if (isLink) onNote?.(`'${source}' is a symbolic link and is stored as one; '${source}/' stores what it leads to`);
    return absolute === '/' ? '/' : path.join(realpathSync(path.dirname(absolute)), path.basename(absolute));
  } catch {
    return undefined;
  }
}

/** Nodes from the root of a tree down to (not including) what a view shows: they lend their metadata to the union. */
async function ancestorsOf(view: TreeView): Promise<readonly NodeId[]> {
  const ids: NodeId[] = [];
  let id: NodeId | undefined = view.tree.rootId;
  for (const name of splitPath(view.path)) {
    if (id === undefined) break;
    ids.push(id);
    id = await view.tree.lookup(id, name);
  }
  // A host directory's path is longer than its tree is deep: then there is nothing to lend.
  return id === view.id ? ids : [];
}

/** Where a source is stored, and whether it is files of a guest: those mix with nothing else. */
interface Placed {
  readonly source: string;
  /** Without a slash at its end; empty for the root. */
  readonly at: string;
  readonly isGuest: boolean;
}

/** A guest's tree is whole: merged with another machine's, it could not be told apart again. @throws {UsageError} */
function refuseMixture(placed: readonly Placed[]): void {
  for (const [i, a] of placed.entries()) {
    for (const b of placed.slice(i + 1)) {
      const [outer, inner] = a.at.length <= b.at.length ? [a, b] : [b, a];
      if ((!a.isGuest && !b.isGuest) || !`${inner.at}/`.startsWith(`${outer.at}/`)) continue;
      const where = outer.at === inner.at ? `both would be stored at '${outer.at || '/'}'` : `'${inner.at}' would be stored inside '${outer.at || '/'}' of the other`;
      throw new UsageError(`Back up '${a.source}' and '${b.source}' together: ${where}; store them one by one`, { first: a.source, second: b.source });
    }
  }
}

/** Gathers sources until they become one tree. */
class SourceList {
  readonly names: string[] = [];
  readonly errors: EntryError[] = [];
  readonly #options: SourceOptions;
  readonly #patterns: Patterns;
  readonly #hostPaths: string[] = [];
  readonly #members: UnionMember[] = [];
  readonly #views: TreeView[] = [];
  readonly #placed: Placed[] = [];
  readonly #closers: (() => Promise<void>)[] = [];
  readonly #problems: (() => readonly TreeProblem[])[] = [];

  constructor(options: SourceOptions) {
    this.#options = options;
    this.#patterns = new Patterns(options.exclude ?? []);
  }

  /** @throws {NotFoundError} and other errors of opening a location. */
  async add(text: string): Promise<void> {
    const host = text === '-' ? undefined : canonical(text, this.#options);
    if (host !== undefined) {
      this.#hostPaths.push(host);
      this.#placed.push({ source: host, at: host === '/' ? '' : host, isGuest: false });
      this.names.push(host);
    } else if (text === '-') await this.#addStdin();
    else await this.#addLocation(text);
  }

  /** One tree of all that was added. @throws {NotFoundError} when that is nothing. @throws {UsageError} when sources overlap. */
  async join(): Promise<FileTree> {
    refuseMixture(this.#placed);
    if (this.#hostPaths.length > 0) {
      const own = ownPlace(this.#options, this.#hostPaths);
      if (own !== undefined) this.#options.onNote?.(`leaving out the repository '${own}', which is inside the source`);
      const tree = hostTree(this.#hostPaths, this.#options, this.#patterns, this.errors);
      this.#closers.push(() => tree.close());
      // The usual case goes without the union's cost for each entry.
      if (this.#members.length === 0) return tree;
      this.#mount(tree, this.#hostPaths.join("', '"));
    }
    const [only] = this.#members;
    if (only === undefined) throw new NotFoundError('Back up: none of the sources is there');
    const { tree, id } = await only.open();
    if (this.#members.length === 1 && only.at.length === 0 && id === tree.rootId) return tree;
    return unionTree(this.#members);
  }

  /** See {@link Sources.errors}. */
  allErrors(): readonly EntryError[] {
    return [...this.errors, ...this.#problems.flatMap((problems) => problems().map(problemError))];
  }

  /** See {@link Sources.unmatched}. */
  unmatched(): readonly string[] {
    return this.#patterns.unmatched();
  }

  /** See {@link Sources.look}. Paths of this host are looked at in a tree of their own: the other one forgets what was read, and tells of failures once. */
  async look(): Promise<SourceLook> {
    const failed: EntryError[] = [];
    const host = this.#hostPaths.length === 0 ? undefined : hostTree(this.#hostPaths, this.#options, this.#patterns, failed);
    try {
      const look = await lookForContent([...(host === undefined ? [] : [{ tree: host, id: host.rootId, path: new Uint8Array() }]), ...this.#views], this.#options.signal);
      const [first] = failed;
      const own = ownPlace(this.#options, this.#hostPaths);
      const leftOut = this.unmatched().length < this.#patterns.count ? 'all that is in them matches a pattern of what to leave out' : own && `'${own}' is the repository itself`;
      return { ...(first === undefined ? {} : { first: { kind: first.code, where: first.path, message: first.message } }), ...look, failures: look.failures + failed.length, ...(leftOut === undefined ? {} : { leftOut }) };
    } finally {
      await host?.close();
    }
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
  }

  async #addStdin(): Promise<void> {
    const name = this.#options.stdinFilename ?? 'stdin';
    const spooled = await spoolStdin(name, this.#options.signal);
    this.#closers.push(() => spooled.close());
    this.#views.push({ tree: spooled.tree, id: spooled.tree.rootId, path: new Uint8Array() });
    this.#placed.push({ source: '-', at: path.posix.join('/', name), isGuest: false });
    this.#mount(spooled.tree, '-');
    this.names.push(name);
  }

  async #addLocation(text: string): Promise<void> {
    const { keys, keyNames, accounts, signal, onNote, cacheDirectory, wireKey } = this.#options;
    const opening: OpenOptions = {
      ...(keys === undefined ? {} : { keys }), ...(keyNames === undefined ? {} : { keyNames }), ...(accounts === undefined ? {} : { accounts }), ...(signal === undefined ? {} : { signal }), ...(onNote === undefined ? {} : { onNote }), cacheDirectory, wireKey,
      onProblem: (problem) => this.errors.push(problemError(problem)),
    };
    const location = await openLocation(text, opening, 'inside-root');
    this.#closers.push(() => location.close());
    this.#problems.push(() => location.problems());
    if (location.place.kind === 'disk') throw new UsageError(`Back up '${text}': ${await filesHint(location)}`);
    const view = await location.node();
    const ancestors = await ancestorsOf(view);
    const tree = this.#patterns.count === 0 ? view.tree : new FilterTree(view, (where) => this.#patterns.matches(where));
    this.#views.push({ ...view, tree });
    this.#placed.push({ source: text, at: textOf(view.path), isGuest: location.layers.some(({ layer }) => layer === 'filesystem') });
    this.#members.push({ at: view.path, source: text, open: () => Promise.resolve({ tree, id: view.id, ancestors }) });
    this.names.push(text);
  }

  #mount(tree: FileTree, source: string): void {
    this.#members.push({ at: new Uint8Array(), source, open: () => Promise.resolve({ tree, id: tree.rootId }) });
  }
}

/**
 * Opens the sources of a backup: existing host paths as they are, `-` for stdin, anything else as a location. A source
 * that isn't there is an error in the list, as long as another one is.
 * @throws {NotFoundError} when none is there. @throws {UsageError} bad locations, overlapping sources.
 */
export async function openSources(texts: readonly string[], options: SourceOptions = {}): Promise<Sources> {
  const list = new SourceList(options);
  try {
    for (const text of texts) {
      try {
        await list.add(text);
      } catch (error) {
        if (!(error instanceof NotFoundError) || texts.length === 1) throw error;
        list.errors.push(entryError(utf8(text), error));
      }
    }
    return { tree: await list.join(), names: list.names, errors: () => list.allErrors(), unmatched: () => list.unmatched(), look: () => list.look(), close: () => list.close() };
  } catch (error) {
    await list.close();
    throw error;
  }
}
