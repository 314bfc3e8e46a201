/**
 * A snapshot as a `FileTree`.
 *
 * Ids are positions, not table entries: (directory number + 1) · 2^26 + index of the entry. Only directories that were opened and
 * inodes with several names cost memory, so that a tree of millions of files can be walked in little.
 */
import {
  FormatError, ID_BYTES, LimitError, NotFoundError, checkRange, compareBytes, decodePlace,
  type BlockSource, type ContentVisitor, type DirectoryEntry, type Extent, type FileTree, type NodeId, type NodeStat, type ReadOptions, type TreeSupports,
} from '../../core/index.ts';
import { pathText } from '../ingest/path-text.ts';
import { ContentReader, findRef, type ContentParts } from './content-reader.ts';
import { decodeEntries, type Entry } from './entry.ts';
import type { Manifest } from './manifest.ts';
import { REF_BYTES, isHole, refId, refStarts, type Content } from './refs.ts';

const DIRECTORY_SPAN = 2 ** 26;
/** Ids of inodes with several names begin here. */
const LINK_BASE = 2 ** 52;
/** Pages kept decoded; each has some hundred entries. */
const PAGES_KEPT = 12;
/** Recipe pages of one level of a directory: of the usual 1,000 references each, more than 2^26 entries need. */
const PAGE_PAGES_MAX = 4096;
/** References that a read-ahead hint looks at. */
const AHEAD_REFS = 1024;

interface Directory {
  /** References of its pages, flat. */
  readonly refs: Uint8Array;
  /** Index of the first entry of each page that was seen so far, and of the one after. */
  readonly starts: number[];
  /** Last name of each page that was seen. */
  readonly lasts: Uint8Array[];
}

/** A committed snapshot; read-only, closed by its owner. */
export class SnapshotTree implements FileTree {
  readonly format = 'holdfast snapshot';
  readonly supports: TreeSupports = { hardLinks: true, symlinks: true, devices: true, attributes: true, timestampNanoseconds: 1, sorted: true };
  readonly rootId: NodeId = 0 as NodeId;
  readonly manifest: Manifest;
  readonly #parts: ContentParts;
  readonly #directories: Directory[] = [];
  readonly #numbers = new Map<NodeId, number>();
  readonly #links = new Map<number, NodeId>();
  readonly #pages = new Map<number, readonly Entry[]>();

  constructor(manifest: Manifest, parts: ContentParts) {
    this.manifest = manifest;
    this.#parts = parts;
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    const number = await this.#open(directory);
    const { refs } = this.#directories[number] as Directory;
    for (let page = 0; page < refs.length / REF_BYTES; page += 1) {
      const entries = await this.#page(number, page);
      const last = entries[entries.length - 1];
      if (last === undefined || compareBytes(last.name, name) < 0) continue;
      const index = entries.findIndex((entry) => compareBytes(entry.name, name) === 0);
      return index < 0 ? undefined : this.#idOf(number, page, index, entries[index] as Entry);
    }
    return undefined;
  }

  async stat(id: NodeId): Promise<NodeStat> {
    return (await this.entry(id)).stat;
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    for await (const page of this.entries(directory)) {
      yield page.map(({ id, entry }) => ({ name: entry.name, id, stat: entry.stat }));
    }
  }

  /** The stored entries of a directory with their ids, page by page; for the engine's own use. */
  async *entries(directory: NodeId): AsyncIterable<readonly { readonly id: NodeId; readonly entry: Entry }[]> {
    const number = await this.#open(directory);
    const { refs } = this.#directories[number] as Directory;
    for (let page = 0; page < refs.length / REF_BYTES; page += 1) {
      const entries = await this.#page(number, page);
      yield entries.map((entry, index) => ({ id: this.#idOf(number, page, index, entry), entry }));
    }
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    const entry = await this.entry(id);
    if (stream !== undefined) throw new NotFoundError(`Open stream '${stream}': a snapshot has no named streams`);
    if (entry.stat.type !== 'file') throw new NotFoundError(`Open entry: it is a ${entry.stat.type}, not a file`);
    return new SnapshotSource(entry, this.#parts);
  }

  async readLink(id: NodeId): Promise<Uint8Array> {
    const entry = await this.entry(id);
    if (entry.target === undefined) throw new NotFoundError(`Read link: the entry is a ${entry.stat.type}`);
    return entry.target;
  }

  async attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>> {
    return (await this.entry(id)).attributes;
  }

  async close(): Promise<void> {
    this.#pages.clear();
  }

  readAhead(ids: readonly NodeId[]): void {
    void this.#readAhead(ids).catch(() => undefined); // the read itself reports what is wrong
  }

  /** The stored entry behind an id; for the engine's own use (unchanged files reuse its content). */
  async entry(id: NodeId): Promise<Entry> {
    if (id === this.rootId) return this.manifest.root;
    const position = id >= LINK_BASE ? this.#links.get(id - LINK_BASE) : id;
    if (position === undefined) throw new NotFoundError(`Find entry '${id}': the tree gave out no such id`);
    const number = Math.floor(position / DIRECTORY_SPAN) - 1;
    const index = position % DIRECTORY_SPAN;
    const directory = this.#directories[number];
    const page = directory === undefined ? -1 : findRef(directory.starts, index);
    const entry = page < 0 ? undefined : (await this.#page(number, page))[index - (directory?.starts[page] ?? 0)];
    if (entry === undefined) throw new NotFoundError(`Find entry '${id}': the tree gave out no such id`);
    return entry;
  }

  #idOf(number: number, page: number, index: number, entry: Entry): NodeId {
    const start = this.#directories[number]?.starts[page] ?? 0;
    const position = ((number + 1) * DIRECTORY_SPAN + start + index) as NodeId;
    if (entry.link === 0) return position;
    if (!this.#links.has(entry.link)) this.#links.set(entry.link, position);
    return (LINK_BASE + entry.link) as NodeId;
  }

  /** The number of a directory, which is opened by its first use. */
  async #open(id: NodeId): Promise<number> {
    const known = this.#numbers.get(id);
    if (known !== undefined) return known;
    const entry = await this.entry(id);
    if (entry.stat.type !== 'directory') throw new NotFoundError(`List entry: it is a ${entry.stat.type}, not a directory`);
    const refs = await this.#flatten(entry.content);
    const again = this.#numbers.get(id); // someone else may have been faster
    if (again !== undefined) return again;
    this.#directories.push({ refs, starts: [0], lasts: [] });
    this.#numbers.set(id, this.#directories.length - 1);
    return this.#directories.length - 1;
  }

  /** All page references of a directory: 40 bytes for some hundred entries. */
  async #flatten(content: Content): Promise<Uint8Array> {
    let refs = content.refs.slice();
    for (let depth = content.depth; depth > 0; depth -= 1) {
      const pages: Uint8Array[] = [];
      const count = refs.length / REF_BYTES;
      if (count > PAGE_PAGES_MAX) throw new LimitError('recipe pages', count, PAGE_PAGES_MAX, 'directory');
      for (let i = 0; i < count; i += 1) pages.push(await this.#parts.metadata.get(refId(refs, i)));
      refs = new Uint8Array(Buffer.concat(pages));
    }
    refStarts(refs, 0);
    return refs;
  }

  async #page(number: number, page: number): Promise<readonly Entry[]> {
    const key = number * DIRECTORY_SPAN + page;
    const known = this.#pages.get(key);
    if (known !== undefined) return known;
    const directory = this.#directories[number] as Directory;
    const bytes = await this.#parts.metadata.get(refId(directory.refs, page));
    const entries = decodeEntries(bytes, this.#parts.limits);
    checkOrder(entries, page === 0 ? undefined : directory.lasts[page - 1]);
    directory.lasts[page] = entries[entries.length - 1]?.name.slice() ?? new Uint8Array(0);
    const start = directory.starts[page];
    if (start === undefined) throw new NotFoundError('Read directory page: the pages before it were not read');
    if (start + entries.length >= DIRECTORY_SPAN) throw new FormatError('Read directory', { structure: 'directory', field: 'entries', found: start + entries.length, expected: `fewer than ${DIRECTORY_SPAN}` });
    directory.starts[page + 1] = start + entries.length;
    this.#pages.set(key, entries);
    if (this.#pages.size > PAGES_KEPT) {
      const [oldest] = this.#pages.keys();
      if (oldest !== undefined) this.#pages.delete(oldest);
    }
    return entries;
  }

  async #readAhead(ids: readonly NodeId[]): Promise<void> {
    const wanted: Uint8Array[] = [];
    for (const id of ids) {
      const { content } = await this.entry(id);
      if (content.depth > 0) continue;
      for (let i = 0; i < content.refs.length / REF_BYTES && wanted.length < AHEAD_REFS; i += 1) {
        if (!isHole(content.refs, i)) wanted.push(refId(content.refs, i));
      }
    }
    if (wanted.length === 0) return;
    const bytes = new Uint8Array(wanted.length * ID_BYTES);
    wanted.forEach((id, i) => { bytes.set(id, i * ID_BYTES); });
    const places = await this.#parts.store.locate({ bytes, count: wanted.length });
    for (let i = 0; i < wanted.length; i += 1) {
      if (!this.#parts.store.groups.prefetch(decodePlace(places, i))) return;
    }
  }
}

/** Names ascend through all pages of a directory: pages that repeat would make it endless. */
function checkOrder(entries: readonly Entry[], last: Uint8Array | undefined): void {
  let before = last;
  for (const { name } of entries) {
    checkName(name);
    if (before !== undefined && compareBytes(before, name) >= 0) {
      throw new FormatError('Read directory page', { structure: 'entry', field: 'name', found: pathText(name), expected: `a name behind '${pathText(before)}'` });
    }
    before = name;
  }
}

/** A name that is a path would leave the directory it is restored to. */
function checkName(name: Uint8Array): void {
  const isDots = name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
  if (name.length > 0 && !isDots && !name.includes(0x2f) && !name.includes(0)) return;
  throw new FormatError('Read directory page', { structure: 'entry', field: 'name', found: pathText(name), expected: 'one part of a path' });
}

/** One file's content. */
class SnapshotSource implements BlockSource {
  readonly size: number;
  readonly sectorSize = 1;
  readonly #reader: ContentReader;

  constructor(entry: Entry, parts: ContentParts) {
    this.size = entry.stat.size;
    this.#reader = new ContentReader(entry.content, parts);
  }

  async readInto(offset: number, target: Uint8Array, options?: ReadOptions): Promise<void> {
    checkRange(this, offset, target.length, 'snapshot file');
    if (target.length > 0) await this.#reader.readInto(offset, target, options?.sequential === true);
  }

  visit(visitor: ContentVisitor): Promise<void> {
    return this.#reader.visit(this.size, visitor);
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    checkRange(this, offset, length, 'snapshot file extents');
    const end = offset + length;
    let at = offset;
    while (at < end) {
      const leaf = await this.#reader.leafAt(at);
      let index = findRef(leaf.starts, at);
      while (at < end && index < leaf.count) {
        const kind = isHole(leaf.refs, index) ? 'hole' : 'data';
        while (index < leaf.count && isHole(leaf.refs, index) === (kind === 'hole')) index += 1;
        const stop = Math.min(end, leaf.starts[index] as number);
        yield { offset: at, length: stop - at, kind };
        at = stop;
      }
    }
  }

  async close(): Promise<void> {}
}
