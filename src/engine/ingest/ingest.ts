/**
 * The backup walk: a `FileTree` in, the root entry of a snapshot out.
 *
 * One thread walks, reads and cuts; workers hash and compress; a consumer beside the walk stores chunks and builds directories in the
 * order of the walk. Memory is bounded by the slabs, one page per directory level, and the inodes with several names.
 */
import {
  AbortedError, FormatError, HoldfastError, LimitError, compareBytes, joinPath,
  type DirectoryEntry, type FileTree, type Limits, type NodeId, type NodeStat, type TreeProblem, type World,
} from '../../core/index.ts';
import { emptyContent, type Content } from '../snapshots/refs.ts';
import type { Manifest } from '../snapshots/manifest.ts';
import type { MetadataStore } from '../snapshots/metadata-store.ts';
import type { IngestStore } from '../store/content-store.ts';
import type { Arena, BlockPool } from '../workers/arena.ts';
import type { WorkerPool } from '../workers/pool.ts';
import { Collector, type IngestCounts } from './collector.ts';
import { Feeder, SourceFailure, fromSource } from './feeder.ts';
import type { ChunkingSettings } from './lanes.ts';
import { ParentCursor, type ParentEntry } from './parent-cursor.ts';
import { pathText } from './path-text.ts';
import type { EntryFacts, Slab } from './slab.ts';

/** What an ingest works with; it owns none of it. */
export interface IngestParts {
  readonly world: World;
  readonly tree: FileTree;
  readonly store: IngestStore;
  readonly metadata: MetadataStore;
  readonly arena: Arena;
  readonly scratch: number;
  readonly slabs: BlockPool;
  readonly pool: WorkerPool;
  readonly limits: Limits;
  readonly chunking: ChunkingSettings;
  /** Files that did not change since are taken over from it. */
  readonly parent?: Manifest;
  readonly signal?: AbortSignal;
  onProblem(problem: TreeProblem): void;
  onProgress?(counts: Readonly<IngestCounts>, path: Uint8Array): void;
}

/** Milliseconds after which timers and signals get a turn. */
const TURN_MS = 50;
/**
 * A file that changed this close before the parent was made may have changed again within the same clock tick after it was read: read it.
 * Ticks are a few milliseconds; filesystems that keep whole or even seconds only are recognised by their zero nanoseconds.
 */
const RACY_MS = 100;
const RACY_COARSE_MS = 2_000;

/** Where an entry was found. */
interface Origin {
  readonly id: NodeId;
  /** Whether it is the first name of its inode. */
  readonly isFirst: boolean;
  readonly directory: Uint8Array;
}

/** One backup of one tree. */
export class Ingest {
  readonly #parts: IngestParts;
  readonly #feeder: Feeder;
  readonly #collector: Collector;
  readonly #links = new Map<NodeId, number>();
  readonly #damaged = new WeakSet<ParentCursor>();
  #consumed: Promise<void> = Promise.resolve();
  #fail: (error: unknown) => void = () => undefined;
  #lastTurn = 0;

  constructor(parts: IngestParts) {
    this.#parts = parts;
    this.#collector = new Collector({ ...parts, onProblem: (problem) => { parts.onProblem(problem); } });
    const failed = new Promise<never>((_, reject) => { this.#fail = reject; });
    failed.catch(() => undefined);
    this.#feeder = new Feeder({ ...parts, settings: parts.chunking, failed, handOver: (slab) => { this.#handOver(slab); }, takeTurn: () => this.#takeTurn() });
  }

  get counts(): Readonly<IngestCounts> {
    return this.#collector.counts;
  }

  /**
   * Walks the whole tree. Chunks are stored but not yet flushed, and no manifest is written.
   * @returns the encoded root entry. @throws {AbortedError} @throws whatever the store throws.
   */
  async run(): Promise<Uint8Array> {
    const { tree, parent } = this.#parts;
    const stat = await tree.stat(tree.rootId);
    if (stat.type !== 'directory') throw new FormatError('Back up tree', { structure: 'tree', field: 'root', found: stat.type, expected: 'directory' });
    try {
      await this.#directory({ id: tree.rootId, name: new Uint8Array(0), stat, path: new Uint8Array(0), depth: 0 }, parent?.root.content);
      this.#feeder.finish();
    } finally {
      this.#feeder.abandon();
      await this.#consumed; // also after an abort: the slabs are wanted again
    }
    return this.#collector.root;
  }

  /** The consumer takes slabs one after another; its error reaches whoever waits for a slab, and `run`. */
  #handOver(slab: Slab): void {
    const { store } = this.#parts;
    const asked = store.answersLate === true && slab.count > 0 ? slab.hashed.then(() => store.has({ bytes: slab.ids, count: slab.count })) : undefined;
    asked?.catch(() => undefined); // the collector awaits it
    const taken = this.#consumed.then(() => this.#collector.take(slab, asked));
    this.#consumed = taken.finally(async () => {
      await (asked ?? slab.hashed).catch(() => undefined); // a worker may still read it, even when the consumer has failed
      this.#parts.slabs.release(slab.block);
    }).then(() => { this.#parts.onProgress?.(this.#collector.counts, this.#collector.current); });
    this.#consumed.catch((error: unknown) => { this.#fail(error); });
  }

  async #directory(node: { id: NodeId; name: Uint8Array; stat: NodeStat; path: Uint8Array; depth: number }, before: Content | undefined): Promise<void> {
    const { limits } = this.#parts;
    if (node.depth > limits.treeDepthMax) {
      throw new SourceFailure(new LimitError('treeDepthMax', node.depth, limits.treeDepthMax, `directory '${pathText(node.path)}'`));
    }
    await this.#feeder.step({ kind: 'enter', name: node.name });
    const cursor = before === undefined ? undefined : new ParentCursor(before, this.#parts);
    let attributes: ReadonlyMap<string, Uint8Array> = new Map();
    try {
      attributes = await fromSource(() => this.#parts.tree.attributes(node.id));
    } catch (error) {
      this.#report(error, node.path);
    }
    try {
      for await (const page of this.#pages(node.id)) {
        for (const entry of page) await this.#entry(entry, node, cursor);
      }
    } catch (error) {
      this.#report(error, node.path); // what was listed so far stays; the problem makes the backup incomplete, visibly
    }
    await this.#feeder.step({ kind: 'leave', facts: { name: node.name, stat: node.stat, link: 0, attributes } });
    this.#parts.tree.forget?.(node.id);
  }

  /** Pages in ascending order of names; errors are the source's. */
  async *#pages(id: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    const pages = this.#parts.tree.list(id)[Symbol.asyncIterator]();
    const unsorted: DirectoryEntry[] = [];
    for (;;) {
      const next = await fromSource(() => pages.next());
      if (next.done === true) break;
      if (this.#parts.tree.supports.sorted) yield next.value;
      else unsorted.push(...next.value);
    }
    if (unsorted.length > 0) yield unsorted.sort((a, b) => compareBytes(a.name, b.name));
  }

  async #entry(entry: DirectoryEntry, parent: { path: Uint8Array; depth: number }, cursor: ParentCursor | undefined): Promise<void> {
    await this.#takeTurn();
    try {
      const stat = entry.stat ?? await fromSource(() => this.#parts.tree.stat(entry.id));
      const found = this.#inParent(cursor, entry.name, parent.path);
      const before = found instanceof Promise ? await found : found;
      if (stat.type === 'directory') {
        const path = joinPath(parent.path, entry.name);
        await this.#directory({ id: entry.id, name: entry.name.slice(), stat, path, depth: parent.depth + 1 }, contentOf(before));
        return;
      }
      const link = stat.links > 1 ? this.#linkOf(entry.id) : { number: 0, isFirst: true };
      const reuse = before !== undefined && link.isFirst && this.#mayReuse(stat, before);
      if (before !== undefined && (reuse instanceof Promise ? await reuse : reuse)) {
        await this.#reuse(before, { stat, link: link.number });
        return;
      }
      // A copy: the step is taken later, and the tree may have forgotten the name by then.
      await this.#node({ name: entry.name.slice(), stat, link: link.number, attributes: new Map() }, { id: entry.id, isFirst: link.isFirst, directory: parent.path });
    } catch (error) {
      this.#report(error, joinPath(parent.path, entry.name));
    }
  }

  /** What the parent has; a parent that is damaged here is no help, which is reported, and everything is read. */
  #inParent(cursor: ParentCursor | undefined, name: Uint8Array, path: Uint8Array): ParentEntry | undefined | Promise<ParentEntry | undefined> {
    if (cursor === undefined || this.#damaged.has(cursor)) return undefined;
    const failed = (error: unknown): undefined => {
      if (!(error instanceof HoldfastError) || error.code === 'TOOL') throw error;
      this.#damaged.add(cursor);
      this.#parts.onProblem({ kind: 'damaged-parent', where: pathText(path), message: `Compare '${pathText(path)}' with the parent snapshot: ${error.message}; it is read anew` });
    };
    try {
      const found = cursor.find(name);
      return found instanceof Promise ? found.catch(failed) : found;
    } catch (error) {
      return failed(error);
    }
  }

  /** An unchanged file is stored by copying its entry; only numbers of hard links have to be given anew. */
  #reuse(before: ParentEntry, now: { readonly stat: NodeStat; readonly link: number }): Promise<void> {
    if (now.link === 0 && !before.isLink) return this.#feeder.step({ kind: 'unchanged', bytes: before.bytes, name: before.name, size: now.stat.size });
    const { attributes, content } = before.decode();
    return this.#feeder.step({ kind: 'ready', entry: { ...now, name: before.name, attributes, content } });
  }

  async #node(facts: EntryFacts, origin: Origin): Promise<void> {
    const { tree } = this.#parts;
    const { id, isFirst } = origin;
    if (facts.stat.type !== 'file' || !isFirst) {
      const attributes = await this.#attributes(facts, origin);
      if (facts.stat.type === 'file') return this.#feeder.step({ kind: 'linked', facts: { ...facts, attributes } });
      const target = facts.stat.type === 'symlink' ? { target: await fromSource(() => tree.readLink(id)) } : {};
      return this.#feeder.step({ kind: 'ready', entry: { ...facts, ...target, attributes, content: emptyContent } });
    }
    const source = await fromSource(() => tree.open(id));
    try {
      const attributes = await this.#attributes(facts, origin); // cheapest right after opening
      // A file that changed size since it was listed is stored as it is now, with the facts of now.
      const stat = source.size === facts.stat.size ? facts.stat : { ...await fromSource(() => tree.stat(id)), size: source.size };
      await this.#feeder.file(source);
      await this.#feeder.step({ kind: 'file', facts: { ...facts, stat, attributes } });
    } catch (error) {
      if (error instanceof SourceFailure) await this.#feeder.step({ kind: 'drop' });
      throw error;
    } finally {
      await source.close();
    }
  }

  /** Attributes that can't be read are reported; the entry is stored without them. */
  async #attributes(facts: EntryFacts, origin: Origin): Promise<ReadonlyMap<string, Uint8Array>> {
    try {
      return await fromSource(() => this.#parts.tree.attributes(origin.id));
    } catch (error) {
      this.#report(error, joinPath(origin.directory, facts.name));
      return new Map();
    }
  }

  #mayReuse(now: NodeStat, before: ParentEntry): boolean | Promise<boolean> {
    const { parent } = this.#parts;
    if (parent === undefined || now.changed === undefined) return false;
    const { seconds, nanoseconds } = now.changed;
    const margin = nanoseconds === 0 ? RACY_COARSE_MS : RACY_MS;
    if (seconds * 1000 + nanoseconds / 1e6 + margin >= parent.time) return false;
    const same = before.isSame(now);
    // A page of the parent that can't be read is a page whose chunks may be lost.
    return same instanceof Promise ? same.catch(() => false) : same;
  }

  #linkOf(id: NodeId): { number: number; isFirst: boolean } {
    const known = this.#links.get(id);
    if (known !== undefined) return { number: known, isFirst: false };
    const number = this.#links.size + 1;
    this.#links.set(id, number);
    return { number, isFirst: true };
  }

  /** A failure of the source is reported and the walk goes on; any other error ends it. */
  #report(error: unknown, path: Uint8Array): void {
    if (!(error instanceof SourceFailure)) throw error;
    this.#parts.onProblem({ kind: 'unreadable', where: pathText(path), message: error.reason.message });
  }

  async #takeTurn(): Promise<void> {
    if (this.#parts.signal?.aborted === true) throw new AbortedError();
    const now = this.#parts.world.now();
    if (now - this.#lastTurn < TURN_MS) return;
    await this.#parts.world.sleep(0);
    this.#lastTurn = this.#parts.world.now();
  }
}

/** The content of the parent's directory, if it is one. */
function contentOf(before: ParentEntry | undefined): Content | undefined {
  const entry = before?.decode();
  return entry?.stat.type === 'directory' ? entry.content : undefined;
}
