/**
 * The tree that a commit stores: segments that did not change, as the snapshot before has them, and new ones, each split only when the walk comes to it, woven back
 * and compared with the volume's bytes before it is shown. So a commit of any size needs the memory of one segment.
 */
import {
  NotFoundError, UnsupportedError, defaultLimits, MemorySource, utf8,
  type BlockSource, type DirectoryEntry, type FileTree, type NodeId, type NodeStat, type Timestamp, type TreeSupports,
} from '../../core/index.ts';
import { rawSegment, sharedBlockHasher, splitSegment, weave, type Segment } from '../../formats/bacula/index.ts';
import { sameContent } from '../trees/content.ts';
import { FACTS_NAME, SEGMENTS_NAME, partFileName, type PartName, type StoredFacts, type StoredSegment, type StoredVolume } from './stored-volume.ts';

const ROOT = 0 as NodeId;
const SEGMENTS = 1 as NodeId;
const FACTS = 2 as NodeId;
/** Shorter segments are stored as they are: four files would cost more than is gained. */
const WOVEN_BYTES_LEAST = 4096;

/** What is committed. */
export interface CommitParts {
  /** The whole volume; its bytes stay the same until the commit is over. */
  readonly volume: BlockSource;
  /** The commit before, and which of its segments are still as they were. */
  readonly base: StoredVolume | undefined;
  readonly kept: readonly StoredSegment[];
  /** Facts but for the number of segments. */
  readonly facts: Omit<StoredFacts, 'segments'>;
  /** Bytes after which a segment ends. */
  readonly segmentBytes?: number;
}

interface CommitNode {
  readonly stat: NodeStat;
  open(): Promise<BlockSource>;
}

/** See the header; to be walked once, in order. */
export class CommitTree implements FileTree {
  readonly format = 'volume commit';
  readonly supports: TreeSupports = { hardLinks: false, symlinks: false, devices: false, attributes: false, timestampNanoseconds: 1, sorted: true };
  readonly rootId: NodeId = ROOT;
  /** Offset and length of each segment that was split, in order. */
  readonly fresh: { readonly offset: number; readonly length: number; readonly kind: 'woven' | 'raw' | 'torn' }[] = [];
  readonly #parts: CommitParts;
  readonly #modified: Timestamp;
  /** Nodes of the segment that was shown last. */
  #nodes = new Map<NodeId, CommitNode>();
  #nextId: number = FACTS + 1;
  #segments = 0;

  constructor(parts: CommitParts) {
    this.#parts = parts;
    const { modified } = parts.facts;
    this.#modified = { seconds: Math.floor(modified / 1000), nanoseconds: (modified % 1000) * 1e6 };
  }

  async lookup(): Promise<NodeId | undefined> {
    throw new UnsupportedError('Look up a name in a commit: it is walked once');
  }

  async stat(id: NodeId): Promise<NodeStat> {
    if (id === ROOT || id === SEGMENTS) return { type: 'directory', size: 0, mode: 0o700, uid: 0, gid: 0, modified: this.#modified, links: 1 };
    if (id === FACTS) return this.#fileStat(this.#facts().length);
    return this.#node(id).stat;
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    if (directory === SEGMENTS) {
      yield* this.#listSegments();
      return;
    }
    // The facts come last: they tell how many segments there were.
    yield [{ name: utf8(SEGMENTS_NAME), id: SEGMENTS }];
    yield [{ name: utf8(FACTS_NAME), id: FACTS }];
  }

  async open(id: NodeId): Promise<BlockSource> {
    return id === FACTS ? new MemorySource(this.#facts()) : this.#node(id).open();
  }

  async readLink(): Promise<Uint8Array> {
    throw new UnsupportedError('Read a link of a commit: it has none');
  }

  async attributes(): Promise<ReadonlyMap<string, Uint8Array>> {
    return new Map();
  }

  async close(): Promise<void> {}

  #facts(): Uint8Array {
    return utf8(JSON.stringify({ ...this.#parts.facts, segments: this.#segments }));
  }

  #node(id: NodeId): CommitNode {
    const node = this.#nodes.get(id);
    if (node === undefined) throw new NotFoundError(`Find node '${id}' of a commit: only the last page can be opened`);
    return node;
  }

  /** A new file's `changed` is the number of the commit: a later commit takes it for the same file only with the same number. */
  #fileStat(size: number): NodeStat {
    const { sequence } = this.#parts.facts;
    return { type: 'file', size, mode: 0o600, uid: 0, gid: 0, modified: this.#modified, changed: { seconds: sequence, nanoseconds: 1 }, links: 1, inode: sequence, device: 0 };
  }

  async *#listSegments(): AsyncIterable<readonly DirectoryEntry[]> {
    let at = 0;
    for (const segment of [...this.#parts.kept, undefined]) {
      const end = segment?.offset ?? this.#parts.volume.size;
      while (at < end) {
        const split = await this.#split(at, end);
        yield split.entries;
        at += split.length;
      }
      if (segment === undefined) return;
      yield this.#keep(segment);
      at = segment.offset + segment.length;
    }
  }

  #page(nodes: readonly { readonly name: string; readonly node: CommitNode }[]): readonly DirectoryEntry[] {
    this.#segments += 1;
    this.#nodes = new Map();
    return nodes.map(({ name, node }) => {
      const id = this.#nextId as NodeId;
      this.#nextId += 1;
      this.#nodes.set(id, node);
      return { name: utf8(name), id, stat: node.stat };
    });
  }

  #keep({ offset, length, parts }: StoredSegment): readonly DirectoryEntry[] {
    const { base } = this.#parts;
    return this.#page(parts.map(({ part, id, stat }) => ({
      name: partFileName(offset, length, part),
      node: { stat, open: () => base?.tree.open(id) ?? Promise.reject(new NotFoundError(`Open part of '${offset}': there was no commit before`)) },
    })));
  }

  async #split(at: number, end: number): Promise<{ readonly entries: readonly DirectoryEntry[]; readonly length: number }> {
    const { volume, segmentBytes } = this.#parts;
    const range = end === volume.size ? volume : new Bounded(volume, end);
    const segment = await splitSegment(range, at, { limits: defaultLimits, hasher: await sharedBlockHasher(), ...(segmentBytes === undefined ? {} : { segmentBytes }) });
    const { offset, length, parts } = segment;
    const kind = segment.torn && end === volume.size ? 'torn' : parts !== undefined && length >= WOVEN_BYTES_LEAST && await isExact(range, segment) ? 'woven' : 'raw';
    this.fresh.push({ offset, length, kind });
    const files: readonly (readonly [PartName, BlockSource])[] = kind === 'woven' && parts !== undefined
      ? [['data', parts.data], ['heads', parts.heads], ['layout', parts.layout], ['meta', parts.meta]]
      : [[kind === 'torn' ? 'torn' : 'raw', rawSegment(range, segment)]];
    const entries = this.#page(files.map(([part, source]) => ({ name: partFileName(offset, length, part), node: { stat: this.#fileStat(source.size), open: async () => source } })));
    return { entries, length };
  }
}

/** Whether the parts give the segment's bytes back. Parts that do not even open are not believed either: what is wrong with them is ours. */
async function isExact(volume: BlockSource, segment: Segment): Promise<boolean> {
  if (segment.parts === undefined) return false;
  let woven: BlockSource;
  try {
    woven = await weave(segment.parts);
  } catch {
    return false;
  }
  return sameContent(woven, rawSegment(volume, segment));
}

/** The first bytes of a volume: a split must not run into what is kept. */
class Bounded implements BlockSource {
  readonly size: number;
  readonly sectorSize = 1;
  readonly extents: BlockSource['extents'];
  readonly readInto: BlockSource['readInto'];

  constructor(volume: BlockSource, size: number) {
    this.size = size;
    this.extents = (offset, length) => volume.extents(offset, length);
    this.readInto = (offset, target, options) => volume.readInto(offset, target, options);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
