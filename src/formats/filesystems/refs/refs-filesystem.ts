/**
 * A ReFS volume as a tree. Directories have the number of their object as id; a file's id is the place of its row, so that hard links of a file
 * are shown as files of their own. Modes are made up: all may do everything, but for what is `read-only`.
 */
import {
  FormatError, HoldfastError, MemorySource, NotFoundError, textOf, UnsupportedError, type BlockSource, type DirectoryEntry, type NodeId, type NodeStat, type TreeProblem, type TreeSupports,
} from '../../../core/index.ts';
import { isLegalName, NameIndex } from '../fat/name-index.ts';
import { ProblemList } from '../problem-list.ts';
import type { Filesystem, FilesystemFacts, NamedStream } from '../filesystem.ts';
import { MappedSource } from '../../mapping/mapped-source.ts';
import type { Run } from '../../mapping/run.ts';
import type { RefsVolume } from './bootstrap.ts';
import { RefsNode, type Row } from './node.ts';
import { findObject } from './object-table.ts';
import { FileRecord, filetime, type ReparsePoint, type StreamPlace, unitsText } from './record.ts';
import { ENTRY, FILE, informationLayout, linkLayout, OBJECT, RECORD_INFORMATION_AT, ROW } from './refs.layout.ts';
import { reparseTarget, reparseType } from './reparse.ts';
import { StreamIndex } from './stream-index.ts';
import { type Leaf, leavesOf } from './tree.ts';

/** Ids from here on are places of rows, those below are objects. */
const FILES_FROM = 2 ** 52;
const ROWS_PER_PAGE = 4096;
const MODE = { all: 0o777, readOnly: 0o555 } as const;
const KEY_NAME_AT = 4;
const PAGE_ENTRIES = 1024;
const ATTRIBUTE_BYTES_MAX = 64 << 10;

type Information = ReturnType<typeof informationLayout.view>;

/** A row of a directory that is an entry. */
interface Entry {
  readonly name: Uint8Array;
  readonly kind: number;
  readonly value: Uint8Array;
}

/** A file as its row and record tell. */
interface FileNode {
  readonly record: FileRecord;
  readonly information: Pick<Information, 'Created' | 'Modified' | 'Changed' | 'Accessed' | 'Attributes'>;
  readonly size: number;
  readonly reparse: ReparsePoint | undefined;
}

function entryOf({ key, value }: Row): Entry | undefined {
  if (key.length < KEY_NAME_AT) return undefined;
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  return view.getUint16(0, true) === ROW.entry ? { name: unitsText(key.subarray(KEY_NAME_AT)), kind: view.getUint16(2, true), value } : undefined;
}

function fileId(place: number, row: number): NodeId {
  return FILES_FROM + place * ROWS_PER_PAGE + row as NodeId;
}

/** A file for errors. */
function fileName(id: number): string {
  return `ReFS file at cluster ${Math.floor((id - FILES_FROM) / ROWS_PER_PAGE)}, row ${(id - FILES_FROM) % ROWS_PER_PAGE}`;
}

/** What an entry alone says about a file; undefined for those whose record must be read. */
function informationOf({ kind, value }: Entry): (FileNode['information'] & { readonly FileSize: number }) | undefined {
  const found = kind === ENTRY.record ? informationLayout.view(value, RECORD_INFORMATION_AT) : kind === ENTRY.link ? linkLayout.view(value) : undefined;
  return found === undefined || (found.Attributes & FILE.reparse) !== 0 ? undefined : found;
}

/** The object of a directory; undefined for files. */
function directoryOf({ kind, value }: Entry): number | undefined {
  if (kind !== ENTRY.link) return undefined;
  const link = linkLayout.view(value);
  return (link.Attributes & FILE.directory) === 0 ? undefined : link.Object;
}

/** The tree. */
export class RefsFilesystem implements Filesystem {
  readonly format = 'refs' as const;
  readonly rootId: NodeId = OBJECT.root as NodeId;
  readonly supports: TreeSupports = { hardLinks: false, symlinks: true, devices: false, attributes: true, timestampNanoseconds: 100, sorted: false };
  readonly facts: FilesystemFacts;
  readonly #source: BlockSource;
  readonly #volume: RefsVolume;
  readonly #problems = new ProblemList();
  readonly #names = new NameIndex((directory) => this.list(directory));
  readonly #streams = new StreamIndex((object) => this.#leaves(object), fileId);
  /** The directory in which each other one was met: a directory in two places would make the tree endless. */
  readonly #parents = new Map<number, number>();
  #closed = false;

  /** Owns `source`. */
  constructor(source: BlockSource, volume: RefsVolume, facts: FilesystemFacts) {
    this.#source = source;
    this.#volume = volume;
    this.facts = facts;
  }

  problems(): readonly TreeProblem[] {
    return this.#problems.all;
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    return isLegalName(name) ? this.#names.find(directory, name) : undefined;
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    if (directory >= FILES_FROM) throw new UnsupportedError(`List node '${directory}': it is no directory`);
    let page: DirectoryEntry[] = [];
    for await (const { node, place } of this.#leaves(directory)) {
      for (let i = 0; i < node.count; i += 1) {
        const entry = entryOf(node.row(i));
        const shown = entry === undefined ? undefined : this.#shown(entry, directory, { place, row: i });
        if (shown !== undefined) page.push(shown);
        if (page.length < PAGE_ENTRIES) continue;
        yield page;
        page = [];
      }
    }
    if (page.length > 0) yield page;
  }

  #shown(entry: Entry, directory: number, { place, row }: { readonly place: number; readonly row: number }): DirectoryEntry | undefined {
    const where = `object ${directory}, page at cluster ${place}, row ${row}`;
    if (!isLegalName(entry.name)) {
      this.#problems.add('illegal-name', where, `Leave out an entry of object '${directory}': its name cannot be shown`);
      return undefined;
    }
    const object = directoryOf(entry);
    if (object === undefined) {
      return { name: entry.name, ...this.#listed(entry, fileId(place, row)) };
    }
    const parent = this.#parents.get(object);
    if (object >= FILES_FROM || object === OBJECT.root || object === directory || (parent !== undefined && parent !== directory)) {
      this.#problems.add('cross-link', where, `Leave out the directory '${textOf(entry.name)}': its object '${object}' is elsewhere in the tree`);
      return undefined;
    }
    this.#parents.set(object, directory);
    return { name: entry.name, id: object as NodeId };
  }

  /** A file's id, and its stat where the entry is enough; what is damaged is told by `stat`. */
  #listed(entry: Entry, id: NodeId): Pick<DirectoryEntry, 'id' | 'stat'> {
    try {
      const information = informationOf(entry);
      return information === undefined ? { id } : { id, stat: this.#statOf(id, { information, size: information.FileSize, reparse: undefined, directory: false }) };
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      return { id };
    }
  }

  async *#leaves(object: number): AsyncIterable<Leaf> {
    const { pages, limits } = this.#volume;
    yield* leavesOf(await findObject(this.#volume, object), { pages, limits });
  }

  async stat(id: NodeId): Promise<NodeStat> {
    if (id < FILES_FROM) {
      const record = await this.#ownRecord(id);
      if (record === undefined) return { type: 'directory', size: 0, mode: MODE.all, uid: 0, gid: 0, links: 1, inode: id, modified: { seconds: 0, nanoseconds: 0 } };
      const reparse = (record.information.Attributes & FILE.reparse) === 0 ? undefined : record.reparsePoint();
      return this.#statOf(id, { information: record.information, size: 0, reparse, directory: true });
    }
    const entry = entryOf(await this.#row(id));
    const information = entry === undefined ? undefined : informationOf(entry);
    if (information !== undefined) return this.#statOf(id, { information, size: information.FileSize, reparse: undefined, directory: false });
    return this.#statOf(id, { ...await this.#file(id), directory: false });
  }

  #statOf(id: NodeId, { information, size, reparse, directory }: Omit<FileNode, 'record'> & { readonly directory: boolean }): NodeStat {
    const type = (reparse === undefined ? undefined : reparseType(reparse)) ?? (directory ? 'directory' : 'file');
    const target = type === 'symlink' && reparse !== undefined ? reparseTarget(reparse) : undefined;
    return {
      type, size: type === 'file' ? size : target?.length ?? 0, mode: !directory && (information.Attributes & FILE.readOnly) !== 0 ? MODE.readOnly : MODE.all, uid: 0, gid: 0, links: 1, inode: id,
      created: filetime(information.Created), modified: filetime(information.Modified), changed: filetime(information.Changed), accessed: filetime(information.Accessed),
    };
  }

  /** The row of a directory about itself; one without is a problem, but can be listed. */
  async #ownRecord(object: number): Promise<FileRecord | undefined> {
    const where = `ReFS object ${object}`;
    for await (const { node } of this.#leaves(object)) {
      for (let i = 0; i < node.count; i += 1) {
        const { key, value } = node.row(i);
        if (key.length >= 2 && new DataView(key.buffer, key.byteOffset).getUint16(0, true) === ROW.own) return FileRecord.read(value, { ...this.#volume, where });
      }
    }
    this.#problems.add('missing-data', where, `Read ${where}: it has no row about itself`);
    return undefined;
  }

  /** The row that an id names. */
  async #row(id: NodeId): Promise<Row> {
    const place = Math.floor((id - FILES_FROM) / ROWS_PER_PAGE);
    const row = (id - FILES_FROM) % ROWS_PER_PAGE;
    if (id < FILES_FROM || !Number.isInteger(place) || !Number.isInteger(row)) throw new NotFoundError(`Find node '${id}': no file can be there`);
    const where = fileName(id);
    const node = RefsNode.ofPage(await this.#volume.pages.readAgain(place, where), where);
    if (node.level !== 0 || row >= node.count) throw new NotFoundError(`Find node '${id}': there is no file`);
    return node.row(row);
  }

  async #file(id: NodeId): Promise<FileNode> {
    const entry = entryOf(await this.#row(id));
    if (entry === undefined) throw new NotFoundError(`Find node '${id}': there is no file`);
    const where = fileName(id);
    if (entry.kind === ENTRY.record) {
      const record = await FileRecord.read(entry.value, { ...this.#volume, where });
      return this.#fileNode(record, record.information, record.information.FileSize);
    }
    if (entry.kind !== ENTRY.link) throw new UnsupportedError(`Read ${where}: entries of kind '${entry.kind}' are not known`);
    const link = linkLayout.view(entry.value);
    const record = await FileRecord.read(await this.#streamRow(link.Object, link.Ordinal), { ...this.#volume, where });
    return this.#fileNode(record, link, link.FileSize);
  }

  #fileNode(record: FileRecord, information: FileNode['information'], size: number): FileNode {
    return { record, information, size, reparse: (information.Attributes & FILE.reparse) === 0 ? undefined : record.reparsePoint() };
  }

  /** The record of a file that is kept apart from its names: in the tree of the directory where it was made. */
  async #streamRow(home: number, ordinal: number): Promise<Uint8Array> {
    const id = await this.#streams.find(home, ordinal);
    if (id === undefined) throw new FormatError('Find ReFS file', { structure: `ReFS object ${home}`, field: `stream ${ordinal}`, found: 'none', expected: 'a row of type 0x40' });
    return (await this.#row(id)).value;
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    if (id < FILES_FROM && stream === undefined) throw new UnsupportedError(`Open node '${id}': it is a directory`);
    if (stream !== undefined) {
      const place = (await this.#record(id))?.stream(stream);
      if (place === undefined) throw new NotFoundError(`Open stream '${stream}' of node '${id}': there is none of this name`);
      return this.#contentOf(place);
    }
    const { record, size, reparse } = await this.#file(id);
    if (reparse !== undefined) throw new UnsupportedError(`Open node '${id}': its content is a reparse point with the tag '${reparse.tag.toString(16)}'`, { tag: reparse.tag });
    return this.#contentOf(record.content(size));
  }

  async #record(id: NodeId): Promise<FileRecord | undefined> {
    return id < FILES_FROM ? this.#ownRecord(id) : (await this.#file(id)).record;
  }

  #contentOf(place: StreamPlace): BlockSource {
    if (place.kind === 'inline') return new MemorySource(place.bytes.slice());
    if (this.#volume.compressed) throw new UnsupportedError('Open ReFS file: the volume is compressed, which is not read');
    const { clusterBytes } = this.#volume.pages.geometry;
    const { runs, validBytes, size } = place;
    const runAt = (offset: number, lengthMax: number): Run => {
      if (offset >= validBytes) return { kind: 'zero', length: lengthMax };
      const index = Math.floor(offset / clusterBytes);
      const run = runs.findLast(({ fileCluster }) => fileCluster <= index);
      const length = Math.min(lengthMax, validBytes - offset);
      if (run === undefined || index >= run.fileCluster + run.count) {
        const next = runs.find(({ fileCluster }) => fileCluster > index);
        return { kind: 'hole', length: next === undefined ? length : Math.min(length, next.fileCluster * clusterBytes - offset) };
      }
      const within = index - run.fileCluster;
      const { physical, count } = this.#volume.pages.translate(run.cluster + within, 'ReFS file');
      const skip = offset % clusterBytes;
      return { kind: 'data', file: this.#source, at: physical * clusterBytes + skip, length: Math.min(length, Math.min(count, run.count - within) * clusterBytes - skip) };
    };
    return new MappedSource(size, this.#source.sectorSize, { what: 'ReFS file', map: { runAt }, owned: [], place: { structure: 'ReFS extents', field: 'Cluster' } });
  }

  async readLink(id: NodeId): Promise<Uint8Array> {
    const reparse = id < FILES_FROM ? (await this.#ownRecord(id))?.reparsePoint() : (await this.#file(id)).reparse;
    const target = reparse === undefined ? undefined : reparseTarget(reparse);
    if (target === undefined) throw new UnsupportedError(`Read link '${id}': it has no target`);
    return target;
  }

  async streams(id: NodeId): Promise<readonly NamedStream[]> {
    return (await this.#record(id))?.streams() ?? [];
  }

  async attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>> {
    const record = await this.#record(id);
    if (record === undefined) return new Map();
    const found = new Map<string, Uint8Array>([...record.extendedAttributes()].map(([name, value]) => [`user.${name}`, value]));
    for (const { name, size } of record.streams()) {
      if (size > ATTRIBUTE_BYTES_MAX) continue;
      try {
        const source = await this.open(id, name);
        const bytes = new Uint8Array(source.size);
        await source.readInto(0, bytes);
        found.set(`user.${name}`, bytes);
      } catch (error) {
        this.#problems.note(`stream '${name}' of node ${id}`, error);
      }
    }
    return found;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#source.close();
  }
}
