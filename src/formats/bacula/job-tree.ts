/**
 * The files of one job, or of a chain of jobs, as a FileTree. Directories list their entries by name, so that whoever stores them
 * need not collect them first; the content of one directory lies close together on the volumes.
 *
 * Ids: a directory is its path's number × 2 + 1; everything else its row × 2 + 2, where a hard link is the row of its data.
 */
import {
  type BlockSource, type DirectoryEntry, type FileTree, FormatError, HoldfastError, IntegrityError, type Limits, MemorySource, type NodeId, type NodeStat,
  type NodeType, NotFoundError, textOf, type TreeProblem, type TreeSupports,
} from '../../core/index.ts';
import { encodeAcl, type NameResolver } from './acl.ts';
import { FILE_TYPE, LSTAT, newAttributeRecord, type AttributeRecord, parseAttributes } from './attributes.ts';
import type { BlockReader } from './block-reader.ts';
import { ContentSource, damageError } from './content.ts';
import { resolvePackedSize, sizeIsKnown } from './content-size.ts';
import type { PathTable } from './path-table.ts';
import type { Pki } from './pki.ts';
import type { ProblemList, VolumeProblem } from './problem.ts';
import { RecordCursor } from './record-cursor.ts';
import type { Chain } from './chain.ts';
import { STREAM, STREAM_TYPE_MASK } from './stream.ts';
import { TreeIndex, type TreeRow } from './tree-index.ts';
import { nodeType } from './node-type.ts';
import { parseXattrs } from './xattr.ts';

export type { NameResolver } from './acl.ts';

const PAGE_ENTRIES = 1024;

/** What a tree shares with its set. */
export interface TreeParts {
  readonly paths: PathTable;
  readonly reader: BlockReader;
  readonly pki: Pki;
  readonly limits: Limits;
  readonly problems: ProblemList;
  readonly resolveName: NameResolver | undefined;
  /** Numbers of the Base jobs of the set. */
  readonly baseJobs: readonly number[];
}

/** A job or chain of jobs. Closing it closes nothing: the volume set owns the sources. */
export class BaculaTree implements FileTree {
  readonly format = 'bacula';
  readonly supports: TreeSupports = { hardLinks: true, symlinks: true, devices: true, attributes: true, timestampNanoseconds: 1e9, sorted: true };
  readonly rootId: NodeId = 1 as NodeId;
  readonly #parts: TreeParts;
  readonly #index: TreeIndex;
  readonly #problems: TreeProblem[] = [];

  /** Made by `BaculaVolumeSet`. */
  constructor(chain: Chain, parts: TreeParts) {
    this.#parts = parts;
    this.#index = new TreeIndex(chain, parts.paths);
    const missing = this.#index.entriesWithoutBase;
    if (missing === 0) return;
    const jobs = chain.sessions.map((session) => session.name).join(', ');
    this.#problems.push({ kind: 'missing-base', where: jobs, message: `Read ${jobs}: '${missing}' entries are in a Base job that is not among the chosen jobs; ${baseAdvice(parts)}` });
  }

  /** What could not be told as it should, so far: entries whose Base job is missing, ACLs with unknown names. */
  problems(): readonly TreeProblem[] {
    return [...this.#problems];
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    const path = this.#parts.paths.find(this.#directoryPath(directory), name);
    return path === undefined || !this.#index.isPresent(path) ? undefined : this.#idOf(path);
  }

  async stat(id: NodeId): Promise<NodeStat> {
    if (id % 2 === 1) {
      const path = this.#directoryPath(id);
      return this.#statOf(this.#index.rowOfPath(path));
    }
    const row = this.#index.locate(id / 2 - 1);
    const data = this.#index.dataRow(row);
    if (data !== undefined && !sizeIsKnown(data.session, data.row)) await resolvePackedSize(data.session, data.row, this.#parts);
    const stat = this.#statOf(row);
    if (stat.type !== 'character' && stat.type !== 'block') return stat;
    const rdev = (await this.#attributeRecord(row)).lstat[LSTAT.rdev] as number;
    return { ...stat, ...deviceNumbers(rdev) };
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    const children = this.#index.children(this.#directoryPath(directory));
    for (let start = 0; start < children.length; start += PAGE_ENTRIES) {
      const page: DirectoryEntry[] = [];
      for (const path of children.subarray(start, start + PAGE_ENTRIES)) page.push(this.#entry(path));
      yield page;
    }
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    if (stream !== undefined) throw new NotFoundError(`Open stream '${stream}' of ${this.#nameOf(id)}: a Bacula job has no named streams`, { stream });
    const row = id % 2 === 1 ? undefined : this.#index.locate(id / 2 - 1);
    if (row === undefined || this.#statOf(row).type !== 'file') throw new NotFoundError(`Open ${this.#nameOf(id)}: it is no file`);
    return this.#open(row);
  }

  async readLink(id: NodeId): Promise<Uint8Array> {
    const row = id % 2 === 1 ? undefined : this.#index.locate(id / 2 - 1);
    if (row === undefined || this.#statOf(row).type !== 'symlink') throw new NotFoundError(`Read the target of ${this.#nameOf(id)}: it is no symbolic link`);
    this.#refuseWithoutBase(row);
    const { link } = await this.#attributeRecord(row);
    if (link.length === 0) throw new IntegrityError(`Read the target of ${this.#nameOf(id)}: none was stored`, { fileIndex: row.session.files.fileIndex.get(row.row) });
    return link;
  }

  async attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>> {
    const row = id % 2 === 1 ? this.#index.rowOfPath(this.#directoryPath(id)) : this.#index.locate(id / 2 - 1);
    const attributes = new Map<string, Uint8Array>();
    if (row === undefined) return attributes;
    this.#refuseWithoutBase(row);
    this.#refuseDamaged(row);
    for (const place of row.session.files.metadataOf(row.row)) {
      const cursor = new RecordCursor(row.session, this.#parts.reader, this.#parts.limits, place);
      const record = await cursor.next();
      if (record !== undefined) this.#addAttribute(row, record.stream & STREAM_TYPE_MASK, record.bytes, attributes);
      cursor.release();
    }
    return attributes;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Reads every file's content to its end and yields what does not hold. Files already known as damaged are not named again. */
  async *verify(signal?: AbortSignal): AsyncGenerator<VolumeProblem> {
    for (const row of this.#index.contentRows()) {
      signal?.throwIfAborted();
      if (row.session.files.damage.has(row.row)) continue;
      try {
        const source = await this.#open(row);
        if (source instanceof ContentSource) await source.verify();
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        yield this.#contentProblem(row, error);
      }
    }
  }

  #contentProblem(row: TreeRow, error: HoldfastError): VolumeProblem {
    const { files, blocks } = row.session;
    const place = this.#parts.reader.place(blocks.get(files.block.get(row.row)));
    const check = error.data['check'];
    const kind = check === 'digest' ? 'digest-mismatch' : check === 'signature' ? 'signature-mismatch' : check === 'size' ? 'size-differs' : 'unreadable-file';
    return { kind, volume: place.volume, block: place.block, offset: place.offset, ...row.session.identity, message: `Read '/${textOf(this.#parts.paths.bytes(files.path.get(row.row)))}': ${error.message}` };
  }

  async #open(row: TreeRow): Promise<BlockSource> {
    const { files, name } = row.session;
    const data = this.#index.dataRow(row);
    this.#refuseWithoutBase(data ?? this.#index.inode(row));
    if (data === undefined) {
      const what = files.linkOf(row.row) === undefined ? 'its content is in an earlier job' : `the data it links to, file ${files.linkOf(row.row)}, is lost`;
      throw new IntegrityError(`Open '/${textOf(this.#parts.paths.bytes(files.path.get(row.row)))}' of ${name}: ${what}`, { fileIndex: files.fileIndex.get(row.row) });
    }
    if (await resolvePackedSize(data.session, data.row, this.#parts)) this.#sizeProblem(data);
    const size = contentSize(data);
    if (data.session.files.stream.get(data.row) === 0) {
      this.#refuseMissing(data, size);
      return new MemorySource(new Uint8Array());
    }
    // Reading an empty file would never meet the damage.
    if (size === 0) this.#refuseDamaged(data);
    return new ContentSource({ session: data.session, row: data.row, size }, this.#parts);
  }

  #sizeProblem(row: TreeRow): void {
    const { files, blocks, name, identity } = row.session;
    const place = this.#parts.reader.place(blocks.get(files.block.get(row.row)));
    const path = textOf(this.#parts.paths.bytes(files.path.get(row.row)));
    this.#parts.problems.add({
      kind: 'size-differs', volume: place.volume, block: place.block, offset: place.offset, ...identity,
      message: `Read ${name}: file '/${path}' has '${contentSize(row)}' bytes of content where its attributes say '${files.size.get(row.row)}'; it changed while it was backed up`,
    });
  }

  /** A file without content may be one whose content is lost, or was never stored. */
  #refuseMissing(row: TreeRow, size: number): void {
    const { files, name } = row.session;
    if (files.type.get(row.row) === FILE_TYPE.REGE) return;
    this.#refuseDamaged(row);
    if (size === 0) return;
    const fileIndex = files.fileIndex.get(row.row);
    const path = textOf(this.#parts.paths.bytes(files.path.get(row.row)));
    throw new IntegrityError(`Read file ${fileIndex} '/${path}' of ${name}: its attributes say '${size}' bytes and none was stored: the client could not read it`, { fileIndex });
  }

  #refuseWithoutBase(row: TreeRow): void {
    if (!this.#index.needsBase(row)) return;
    const { files, name } = row.session;
    const path = textOf(this.#parts.paths.bytes(files.path.get(row.row)));
    throw new IntegrityError(`Read '/${path}' of ${name}: it is in a Base job that is not among the chosen jobs; ${baseAdvice(this.#parts)}`, { fileIndex: files.fileIndex.get(row.row) });
  }

  #refuseDamaged(row: TreeRow): void {
    const damage = row.session.files.damage.get(row.row);
    if (damage !== undefined) throw damageError(row.session, row.row, damage);
  }

  #addAttribute(row: TreeRow, type: number, bytes: Uint8Array, attributes: Map<string, Uint8Array>): void {
    if (type === STREAM.XATTR_LINUX) return parseXattrs(bytes, this.#parts.limits, attributes);
    const name = type === STREAM.ACL_LINUX_ACCESS || type === STREAM.UNIX_ACCESS_ACL ? 'system.posix_acl_access'
      : type === STREAM.ACL_LINUX_DEFAULT || type === STREAM.UNIX_DEFAULT_ACL ? 'system.posix_acl_default' : undefined;
    if (name === undefined) return;
    const acl = encodeAcl(bytes, this.#parts.resolveName);
    if (acl === undefined) return;
    if (acl instanceof Uint8Array) {
      attributes.set(name, acl);
      return;
    }
    const where = `/${textOf(this.#parts.paths.bytes(row.session.files.path.get(row.row)))}`;
    this.#problems.push({ kind: 'unknown-name', where, message: `Read ${name} of '${where}': ${acl.unknownKind} '${acl.unknownName}' has no number here, so the ACL is left out` });
  }

  async #attributeRecord(row: TreeRow): Promise<AttributeRecord> {
    const { files } = row.session;
    const place = { block: files.block.get(row.row), offset: files.offset.get(row.row) };
    const cursor = new RecordCursor(row.session, this.#parts.reader, this.#parts.limits, place);
    const record = await cursor.next();
    if (record === undefined) throw new FormatError('Read attributes', { structure: 'attributes', field: 'record', found: 'end of session' });
    const attributes = newAttributeRecord();
    parseAttributes(record.bytes.slice(), attributes);
    cursor.release();
    return attributes;
  }

  #entry(path: number): DirectoryEntry {
    const row = this.#index.rowOfPath(path);
    const target = row === undefined ? undefined : this.#index.inode(row);
    const stat = this.#statOf(target);
    const name = this.#parts.paths.name(path);
    const id = this.#idOf(path);
    const data = stat.type === 'file' && target !== undefined ? this.#index.dataRow(target) : undefined;
    const known = data === undefined || sizeIsKnown(data.session, data.row);
    return stat.type === 'character' || stat.type === 'block' || !known ? { name, id } : { name, id, stat };
  }

  #idOf(path: number): NodeId {
    const row = this.#index.rowOfPath(path);
    if (row === undefined || this.#index.isDirectory(path)) return (path * 2 + 1) as NodeId;
    return (this.#index.inode(row).global * 2 + 2) as NodeId;
  }

  #directoryPath(id: NodeId): number {
    const path = (id - 1) / 2;
    if (id % 2 !== 1 || !this.#index.isPresent(path) || !this.#index.isDirectory(path)) throw new NotFoundError(`List ${this.#nameOf(id)}: it is no directory`);
    return path;
  }

  #nameOf(id: NodeId): string {
    const path = id % 2 === 1 ? (id - 1) / 2 : this.#index.pathOf(id / 2 - 1);
    return path === undefined || path >= this.#parts.paths.count ? `node '${id}'` : `'/${textOf(this.#parts.paths.bytes(path))}'`;
  }

  /** Stat of a row, or of a directory that no job recorded. */
  #statOf(row: TreeRow | undefined): NodeStat {
    if (row === undefined) {
      const zero = { seconds: 0, nanoseconds: 0 };
      return { type: 'directory', size: 0, mode: 0o755, uid: 0, gid: 0, modified: zero, links: 1, placeholder: true };
    }
    const { files } = row.session;
    const at = row.row;
    const type: NodeType = nodeType(files.type.get(at), files.owner(at).mode, files.stream.get(at));
    const seconds = (value: number): NodeStat['modified'] => ({ seconds: value, nanoseconds: 0 });
    const data = type === 'file' ? this.#index.dataRow(row) : undefined;
    return {
      type, size: type === 'file' ? contentSize(data ?? row) : type === 'symlink' ? Math.max(0, files.size.get(at)) : 0,
      mode: files.owner(at).mode & 0o7777, uid: files.owner(at).uid, gid: files.owner(at).gid,
      modified: seconds(files.modified.get(at)), accessed: seconds(files.accessed.get(at)), changed: seconds(files.changed.get(at)),
      links: this.#index.links(row),
    };
  }
}

/** Which Base jobs the volumes hold, for people who have to name one. */
function baseAdvice(parts: TreeParts): string {
  if (parts.baseJobs.length === 0) return 'the volumes hold no Base job: add those of the Base job that the catalog names for it';
  return `choose both, Base job first: the volumes hold Base job ${parts.baseJobs.map((job) => `'${job}'`).join(', ')}`;
}

/** Bytes of a file: what was stored where that is known, else what its attributes say. */
function contentSize(row: TreeRow): number {
  const { files } = row.session;
  return files.actualSize.get(row.row) ?? Math.max(0, files.size.get(row.row));
}

/** Linux's split of a 64-bit device number: 12 + 20 bits of major, 8 + 24 of minor, interleaved. Source: glibc `gnu_dev_major`. */
function deviceNumbers(rdev: number): { readonly deviceMajor: number; readonly deviceMinor: number } {
  const low = rdev % 0x1_0000_0000;
  const high = Math.floor(rdev / 0x1_0000_0000);
  return { deviceMajor: ((low >>> 8) & 0xfff) + (high & 0xfffff000), deviceMinor: (low & 0xff) + ((low >>> 12) & 0xfff00) };
}
