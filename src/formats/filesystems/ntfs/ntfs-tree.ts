/**
 * An NTFS volume as a tree of files. Ids are record numbers. Names for DOS are left out, and so are the volume's own files, as ntfs-3g does.
 */
import { type BlockSource, type DirectoryEntry, type FileTree, MemorySource, type NodeId, type NodeStat, NotFoundError, textOf, type TreeProblem, type TreeSupports, UnsupportedError } from '../../../core/index.ts';
import type { Filesystem, FilesystemFacts, NamedStream } from '../filesystem.ts';
import { inTurn } from '../in-turn.ts';
import { unitsOfWtf8 } from '../wtf8.ts';
import type { AttributeSegments } from './attribute-list.ts';
import { extendedAttributes, namedStreams } from './attributes.ts';
import { openContent } from './content.ts';
import type { FileName, ListedName } from './directory.ts';
import { descriptorOf, type FileFacts, factsOf, plainStat, plainType } from './file-stat.ts';
import { Inodes } from './inodes.ts';
import { isShowable } from './names.ts';
import { ATTRIBUTE, FILE_FLAG, RECORD, REPARSE_TAG } from './ntfs.layout.ts';
import { OVERLAY_STREAM, openOverlayFile } from './overlay-file.ts';
import { type RecordPlace, recordState, type RecordState } from './record.ts';
import { SecurityStore } from './security-store.ts';
import type { Volume } from './volume.ts';

/** Entries that are listed at a time. */
const PAGE_ENTRIES = 2_048;
/** Tags of files whose content is in place all the same: cloud files that are here, programs of the store. */
const CLOUD_TAG_MASK = 0xffff_0fff;
const CLOUD_TAG = 0x9000_001a;

/** Makes an entry of a name and its record, which was checked. */
type Tell = (found: ListedName, place: RecordPlace, state: RecordState) => DirectoryEntry | Promise<DirectoryEntry>;

/** The tree. It owns the volume's source. */
export class NtfsTree implements Filesystem, FileTree {
  readonly format = 'ntfs';
  readonly supports: TreeSupports = { hardLinks: true, symlinks: true, devices: true, attributes: true, timestampNanoseconds: 100, sorted: false };
  readonly rootId: NodeId = RECORD.root as NodeId;
  readonly facts: FilesystemFacts;
  readonly #volume: Volume;
  readonly #inodes: Inodes;
  readonly #security: SecurityStore;

  constructor(volume: Volume, facts: FilesystemFacts) {
    this.#volume = volume;
    this.facts = facts;
    this.#inodes = new Inodes(volume);
    this.#security = new SecurityStore(volume);
  }

  problems(): readonly TreeProblem[] {
    return this.#volume.problems.all;
  }

  async #facts(id: number): Promise<FileFacts> {
    return factsOf(this.#inodes, this.#security, await this.#inodes.open(id));
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    const units = unitsOfWtf8(name);
    if (units === undefined || !isShowable(name)) return undefined;
    const found = await (await this.#inodes.directory(directory)).find(units);
    return found === undefined || !isShown(found) || !await this.#isCurrent(found) ? undefined : found.record as NodeId;
  }

  /** Whether the record still is the file that the entry was made for. */
  async #isCurrent({ record, sequence }: FileName): Promise<boolean> {
    const found = recordState(record, await this.#volume.mft.place(record));
    return isEdition(found, sequence);
  }

  async stat(id: NodeId): Promise<NodeStat> {
    return (await this.#facts(id)).stat;
  }

  list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    return this.#pages(directory, (found, place, state) => {
      const stat = plainStat(this.#security, found.record, place, state);
      return stat === undefined ? this.#entryByFacts(found) : { name: found.name, id: found.record as NodeId, stat };
    });
  }

  names(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    return this.#pages(directory, (found, place, state) => {
      const type = plainType(place, state);
      return type === undefined ? this.#entryByFacts(found) : { name: found.name, id: found.record as NodeId, type };
    });
  }

  /** An entry of a file that is not plain. */
  async #entryByFacts({ name, record }: ListedName): Promise<DirectoryEntry> {
    const { stat } = await this.#facts(record);
    return { name, id: record as NodeId, stat, type: stat.type };
  }

  async *#pages(directory: NodeId, tell: Tell): AsyncIterable<readonly DirectoryEntry[]> {
    const opened = await this.#inodes.directory(directory);
    let failure: unknown;
    const damaged = (where: string, error: unknown): void => {
      this.#volume.problems.note(where, error);
      failure ??= error;
    };
    let pending: ListedName[] = [];
    for await (const names of opened.names(damaged)) {
      for (const name of names) if (isShown(name)) pending.push(name);
      if (pending.length < PAGE_ENTRIES) continue;
      yield await this.#page(directory, pending, tell);
      pending = [];
    }
    if (pending.length > 0) yield await this.#page(directory, pending, tell);
    // What is left of a damaged directory was given; that this is not all of it must be known.
    if (failure !== undefined) throw failure;
  }

  /** Records are read in their order on the disk, names given in the order of the index. */
  async #page(directory: number, names: readonly ListedName[], tell: Tell): Promise<readonly DirectoryEntry[]> {
    const order = isAscending(names) ? undefined : names.map((_, index) => index).sort((a, b) => (names[a] as ListedName).record - (names[b] as ListedName).record);
    const found = await inTurn(order?.map((index) => names[index] as ListedName) ?? names, (name) => this.#entry(directory, name, tell));
    return (order === undefined ? found : inOrder(found, order)).filter((entry) => entry !== undefined);
  }

  /** Undefined for a name that cannot be shown or leads to another file than it was made for; without a promise where nothing must be read. */
  #entry(directory: number, found: ListedName, tell: Tell): DirectoryEntry | undefined | Promise<DirectoryEntry | undefined> {
    try {
      if (!isShowable(found.name)) return this.#leftOut('strange-name', placeOf(directory, found.name), 'the name is left out: no tree can show it');
      const placing = this.#volume.mft.place(found.record);
      const entry = placing instanceof Promise ? this.#entryLater(directory, found, tell, placing) : this.#entryAt(directory, found, tell, placing);
      return entry instanceof Promise ? this.#unlessDamaged(directory, found, entry) : entry;
    } catch (error) {
      return this.#damagedEntry(directory, found, error);
    }
  }

  async #entryLater(directory: number, found: ListedName, tell: Tell, placing: Promise<RecordPlace>): Promise<DirectoryEntry | undefined> {
    return this.#entryAt(directory, found, tell, await placing);
  }

  #entryAt(directory: number, found: ListedName, tell: Tell, place: RecordPlace): DirectoryEntry | undefined | Promise<DirectoryEntry> {
    const state = recordState(found.record, place);
    if (isEdition(state, found.sequence)) return tell(found, place, state);
    return this.#leftOut('stale-entry', placeOf(directory, found.name), `MFT record ${found.record} is of another file now`);
  }

  async #unlessDamaged(directory: number, found: ListedName, entry: Promise<DirectoryEntry | undefined>): Promise<DirectoryEntry | undefined> {
    try {
      return await entry;
    } catch (error) {
      return this.#damagedEntry(directory, found, error);
    }
  }

  #damagedEntry(directory: number, { name, record }: ListedName, error: unknown): DirectoryEntry {
    this.#volume.problems.note(placeOf(directory, name), error);
    return { name, id: record as NodeId };
  }

  #leftOut(kind: string, where: string, why: string): undefined {
    this.#volume.problems.add(kind, where, why);
    return undefined;
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    const facts = await this.#facts(id);
    const { segments, kind, information } = facts;
    if (stream !== undefined) return this.#openStream(facts, stream);
    if (kind.type !== 'file') throw new NotFoundError(`Open file '${id}': it is a ${kind.type}`, { record: id });
    if ((information.flags & FILE_FLAG.encrypted) !== 0) throw new UnsupportedError(`Open file '${id}': its content is encrypted by EFS, whose keys are not on the volume`, { feature: 'EFS', record: id });
    if (kind.reparse !== undefined) {
      const { tag } = kind.reparse;
      if (tag === REPARSE_TAG.compressed) {
        const packed = kind.size === 0 ? undefined : await openContent(this.#volume, segments.some(ATTRIBUTE.data, OVERLAY_STREAM));
        // Without its chunks the file was written to after all: its content is in place.
        if (packed !== undefined) return openOverlayFile(packed, kind.reparse, kind.size);
      } else checkTag(id, tag, information.flags);
    }
    return await openContent(this.#volume, segments.some(ATTRIBUTE.data, '')) ?? new MemorySource(new Uint8Array(0));
  }

  async #openStream(facts: FileFacts, stream: string): Promise<BlockSource> {
    const exists = stream !== '' && (await namedStreams(facts)).some(({ name }) => name === stream);
    const source = exists ? await openContent(this.#volume, facts.segments.some(ATTRIBUTE.data, stream)) : undefined;
    if (source === undefined) throw new NotFoundError(`Open stream '${stream}' of file '${facts.segments.record.number}': there is none`, { stream });
    return source;
  }

  async readLink(id: NodeId): Promise<Uint8Array> {
    const { target } = (await this.#facts(id)).kind;
    if (target === undefined) throw new NotFoundError(`Read link '${id}': it is none`, { record: id });
    return target;
  }

  async streams(id: NodeId): Promise<readonly NamedStream[]> {
    return namedStreams(await this.#facts(id));
  }

  async attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>> {
    const facts = await this.#facts(id);
    return extendedAttributes(this.#inodes, facts, await this.#descriptor(facts.segments, facts));
  }

  /** The descriptor, unless it is damaged: that is a problem, and the other attributes are there all the same. */
  async #descriptor(segments: AttributeSegments, { information }: FileFacts): Promise<Uint8Array | undefined> {
    try {
      return await descriptorOf(this.#inodes, this.#security, segments, information);
    } catch (error) {
      this.#volume.problems.note(`security descriptor of MFT record ${segments.record.number}`, error);
      return undefined;
    }
  }

  close(): Promise<void> {
    return this.#volume.source.close();
  }
}

/** Whether a record is a file's, and the edition that an entry names; 0 names any. */
function isEdition({ inUse, base, baseSequence, sequence }: RecordState, wanted: number): boolean {
  return inUse && (base === 0 || baseSequence === 0) && (wanted === 0 || sequence === wanted);
}

/** Names for DOS and the volume's own files are not shown. */
function isShown({ record, isShort }: Pick<FileName, 'record' | 'isShort'>): boolean {
  return !isShort && record >= RECORD.firstUser;
}

function isAscending(names: readonly ListedName[]): boolean {
  for (let i = 1; i < names.length; i += 1) if ((names[i] as ListedName).record < (names[i - 1] as ListedName).record) return false;
  return true;
}

/** Puts each item where `order`, at the item's index, says. */
function inOrder<T>(items: readonly T[], order: readonly number[]): readonly T[] {
  const ordered: T[] = items.slice();
  for (let i = 0; i < order.length; i += 1) ordered[order[i] as number] = items[i] as T;
  return ordered;
}

function placeOf(directory: number, name: Uint8Array): string {
  return `MFT record ${directory} name '${textOf(name)}'`;
}

/** @throws {UnsupportedError} when the content is not in place, or nobody knows whether it is. */
function checkTag(id: number, tag: number, flags: number): void {
  if (tag === REPARSE_TAG.deduplicated) throw new UnsupportedError(`Open file '${id}': its content is in the chunk store of data deduplication`, { feature: 'data deduplication', record: id });
  if (tag === REPARSE_TAG.execLink) return;
  const elsewhere = (flags & (FILE_FLAG.offline | FILE_FLAG.recallOnOpen | FILE_FLAG.recallOnDataAccess)) !== 0;
  if (((tag & CLOUD_TAG_MASK) >>> 0) === CLOUD_TAG && !elsewhere) return;
  throw new UnsupportedError(`Open file '${id}': reparse tag '0x${tag.toString(16)}' says that its content is elsewhere`, { feature: `reparse tag 0x${tag.toString(16)}`, record: id });
}
