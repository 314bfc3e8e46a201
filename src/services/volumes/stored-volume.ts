/** A volume as a snapshot holds it: segments in parts, or as they are, one behind the other. Layout: `docs/formats/woven-volume.md`. */
import {
  FormatError, IntegrityError, SliceSource, checkLimit, checkRange, defaultLimits, readRange, textOf, utf8,
  type BlockSource, type Extent, type FileTree, type NodeId, type NodeStat, type ReadOptions,
} from '../../core/index.ts';
import { weave } from '../../formats/bacula/index.ts';

/** Tag of snapshots that hold a volume. */
export const VOLUME_TAG = 'bacula-volume';
/** The directory of segments, and the file that says what they are. */
export const SEGMENTS_NAME = 'segments';
/** See {@link SEGMENTS_NAME}. */
export const FACTS_NAME = 'volume.json';
/** Bytes of the file of facts. */
const FACTS_BYTES_MAX = 65_536;
/** Segments kept open by one reader; each costs about a megabyte. */
const OPEN_SEGMENTS = 2;

/** Parts of a segment; `raw` and `torn` stand alone: its bytes as they are, and those of a block that was not whole. */
export type PartName = 'data' | 'heads' | 'layout' | 'meta' | 'raw' | 'torn';
const wovenParts = ['data', 'heads', 'layout', 'meta'] as const;

/** What the file of facts says. */
export interface StoredFacts {
  readonly format: 'holdfast volume';
  readonly version: 1;
  readonly name: string;
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly modified: number;
  /** Counts the commits of the volume. */
  readonly sequence: number;
  /** Whose spool it came from, and the last of its logs that is in it. */
  readonly shelf: string;
  readonly log: number;
  readonly segments: number;
  /** The volume was removed where nothing may be removed. */
  readonly removed?: true;
}

/** A file of a segment. */
export interface StoredPart {
  readonly part: PartName;
  readonly id: NodeId;
  readonly stat: NodeStat;
}

/** A segment of a stored volume. */
export interface StoredSegment {
  readonly offset: number;
  readonly length: number;
  readonly isTorn: boolean;
  readonly parts: readonly StoredPart[];
}

/** The name of a part's file; names in byte order are segments in order. */
export function partFileName(offset: number, length: number, part: PartName): string {
  return `${offset.toString(16).padStart(14, '0')}-${length.toString(16).padStart(8, '0')}.${part}`;
}

const partPattern = /^([0-9a-f]{14})-([0-9a-f]{8})\.(data|heads|layout|meta|raw|torn)$/;

function fault(field: string, found: string | number, expected: string | number): FormatError {
  return new FormatError('Read stored volume', { structure: 'volume', field, found, expected });
}

async function readFacts(tree: FileTree): Promise<StoredFacts> {
  const id = await tree.lookup(tree.rootId, utf8(FACTS_NAME));
  if (id === undefined) throw fault(FACTS_NAME, 'nothing', 'a file');
  const source = await tree.open(id);
  try {
    if (source.size > FACTS_BYTES_MAX) throw fault(FACTS_NAME, source.size, `at most ${FACTS_BYTES_MAX} bytes`);
    return checkFacts(textOf(await readRange(source, 0, source.size)));
  } finally {
    await source.close();
  }
}

function checkFacts(text: string): StoredFacts {
  let value: Partial<StoredFacts>;
  try {
    value = JSON.parse(text) as Partial<StoredFacts>;
  } catch {
    throw fault(FACTS_NAME, text.slice(0, 40), 'JSON');
  }
  if (value?.format !== 'holdfast volume' || value.version !== 1) throw fault('format', `${String(value?.format)} ${String(value?.version)}`, 'holdfast volume 1');
  for (const field of ['size', 'modified', 'sequence', 'log', 'segments'] as const) {
    if (!Number.isSafeInteger(value[field]) || (value[field] as number) < 0) throw fault(field, String(value[field]), 'a whole number');
  }
  for (const field of ['name', 'shelf'] as const) if (typeof value[field] !== 'string') throw fault(field, String(value[field]), 'a text');
  return value as StoredFacts;
}

/** Groups files to segments. @throws {FormatError} unless they cover the volume without gaps. */
async function readSegments(tree: FileTree, facts: StoredFacts): Promise<readonly StoredSegment[]> {
  const directory = await tree.lookup(tree.rootId, utf8(SEGMENTS_NAME));
  const segments: StoredSegment[] = [];
  let parts: StoredPart[] = [];
  let at = 0;
  if (directory === undefined) throw fault(SEGMENTS_NAME, 'nothing', 'a directory');
  for await (const page of tree.list(directory)) {
    for (const entry of page) {
      const match = partPattern.exec(textOf(entry.name));
      if (match === null) throw fault(SEGMENTS_NAME, textOf(entry.name), 'a part of a segment');
      const [offset, length, part] = [parseInt(match[1] as string, 16), parseInt(match[2] as string, 16), match[3] as PartName];
      const first = parts[0];
      if (first === undefined && (offset !== at || length === 0)) throw fault('offset', offset, at);
      const stat = entry.stat ?? await tree.stat(entry.id);
      parts.push({ part, id: entry.id, stat });
      const expected = parts.length === 1 && (part === 'raw' || part === 'torn') ? part : wovenParts[parts.length - 1];
      if (offset !== at || part !== expected) throw fault('part', `${part} at ${offset}`, `${expected ?? 'another segment'} at ${at}`);
      if (part === 'data' || part === 'heads' || part === 'layout') continue;
      if (part !== 'meta' && stat.size !== length) throw fault('length', stat.size, length);
      segments.push({ offset, length, isTorn: part === 'torn', parts });
      checkLimit(defaultLimits, 'baculaFilesMax', segments.length, 'stored volume');
      parts = [];
      at += length;
    }
  }
  if (parts.length > 0 || at !== facts.size || segments.length !== facts.segments) throw fault('size', `${at} in ${segments.length} segments`, `${facts.size} in ${facts.segments}`);
  return segments;
}

/** Random access over a stored volume. Owns its tree. */
export class StoredVolume implements BlockSource {
  readonly facts: StoredFacts;
  readonly segments: readonly StoredSegment[];
  readonly size: number;
  readonly sectorSize = 1;
  /** Id of the snapshot. */
  readonly snapshot: string;
  readonly tree: FileTree;
  readonly #open = new Map<number, Promise<BlockSource>>();

  private constructor(tree: FileTree, snapshot: string, facts: StoredFacts, segments: readonly StoredSegment[]) {
    this.tree = tree;
    this.snapshot = snapshot;
    this.facts = facts;
    this.segments = segments;
    this.size = facts.size;
  }

  /** Takes over the tree, also when it fails. @throws {FormatError} no volume, or not all of one. */
  static async open(tree: FileTree, snapshot: string): Promise<StoredVolume> {
    try {
      const facts = await readFacts(tree);
      return new StoredVolume(tree, snapshot, facts, await readSegments(tree, facts));
    } catch (error) {
      await tree.close();
      throw error;
    }
  }

  async readInto(offset: number, target: Uint8Array, options?: ReadOptions): Promise<void> {
    checkRange(this, offset, target.length, `volume '${this.facts.name}'`);
    let index = this.#find(offset);
    for (let done = 0; done < target.length; index += 1) {
      const segment = this.segments[index] as StoredSegment;
      const skip = offset + done - segment.offset;
      const piece = target.subarray(done, done + Math.min(segment.length - skip, target.length - done));
      await (await this.#segment(index)).readInto(skip, piece, options);
      done += piece.length;
    }
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    checkRange(this, offset, length, `volume '${this.facts.name}'`);
    if (length > 0) yield { offset, length, kind: 'data' };
  }

  /** Lets go of the memory that reads are fast by. */
  rest(): void {
    this.#open.clear();
  }

  async close(): Promise<void> {
    this.rest();
    await this.tree.close();
  }

  #find(offset: number): number {
    let low = 0;
    let high = this.segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.segments[middle] as StoredSegment).offset <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Sources hold memory and no handles, so that one which is still being read may be let go. */
  #segment(index: number): Promise<BlockSource> {
    const known = this.#open.get(index);
    if (known !== undefined) {
      this.#open.delete(index);
      this.#open.set(index, known);
      return known;
    }
    const opened = this.#openSegment(this.segments[index] as StoredSegment);
    this.#open.set(index, opened);
    opened.catch(() => { this.#open.delete(index); }); // the next reader tries again
    if (this.#open.size > OPEN_SEGMENTS) {
      const [oldest] = this.#open.keys();
      this.#open.delete(oldest as number);
    }
    return opened;
  }

  async #openSegment({ offset, length, parts }: StoredSegment): Promise<BlockSource> {
    const [first, ...others] = await Promise.all(parts.map(({ id }) => this.tree.open(id)));
    if (first === undefined) throw fault('parts', 0, 1);
    if (others.length === 0) return new SliceSource(first, 0, length);
    const [heads, layout, meta] = others as [BlockSource, BlockSource, BlockSource];
    const woven = await weave({ data: first, heads, layout, meta }, () => this.tree.open((parts[0] as StoredPart).id));
    if (woven.size !== length) throw new IntegrityError(`Read volume '${this.facts.name}' at ${offset}: its segment has '${woven.size}' bytes, expected '${length}'`);
    return woven;
  }
}
