/** Names the files that damage costs: walks each snapshot, as only paths of a snapshot help anybody. Slow, so only done when something is known to be wrong. */
import {
  AbortedError, ID_BYTES, NotFoundError, PLACE_BYTES, checkLimit, decodePlace, idToHex, joinPath, type ChunkIndex, type Limits, type NodeId, type ObjectStore,
} from '../../core/index.ts';
import { pathText } from '../ingest/path-text.ts';
import { findLeaf, type ContentParts } from '../snapshots/content-reader.ts';
import type { Entry } from '../snapshots/entry.ts';
import { listManifests, readManifest } from '../snapshots/manifest.ts';
import { isHole, refId } from '../snapshots/refs.ts';
import { SnapshotTree } from '../snapshots/snapshot-tree.ts';
import type { DamagedPlaces } from './damaged-places.ts';
import type { ProblemSink } from './problem.ts';

/** What it works with. */
export interface FileFinderParts extends ContentParts {
  readonly objects: ObjectStore;
  readonly index: ChunkIndex;
  readonly limits: Limits;
  readonly places: DamagedPlaces;
  readonly report: ProblemSink;
  /** Learns what others did meanwhile. */
  refresh(): Promise<void>;
  readonly signal?: AbortSignal;
}

/** Problems that are held back at once. */
const HELD_MAX = 1_000;

interface Place {
  readonly id: string;
  readonly snapshot: string;
  readonly path: Uint8Array;
  readonly depth: number;
}

/** Walks snapshots one after the other. */
export class FileFinder {
  readonly #parts: FileFinderParts;
  #held: Parameters<ProblemSink>[] = [];

  constructor(parts: FileFinderParts) {
    this.#parts = parts;
  }

  /** Reports each file and directory of a snapshot that can't be read whole. A damaged manifest is not this one's business. */
  async walk(id: string): Promise<void> {
    const { objects, limits } = this.#parts;
    const manifest = await readManifest(objects, id, limits).catch((error: unknown) => {
      if (error instanceof AbortedError) throw error;
      return undefined;
    });
    if (manifest === undefined) return;
    const tree = new SnapshotTree(manifest, this.#parts);
    await this.#directory(tree, tree.rootId, { id, snapshot: id.slice(0, 12), path: new Uint8Array(0), depth: 0 });
    await this.#tell(id);
  }

  /** Nothing is wrong with a snapshot that was forgotten meanwhile. */
  async #tell(id: string): Promise<void> {
    const held = this.#held;
    this.#held = [];
    if (held.length > 0 && (await listManifests(this.#parts.objects)).includes(id)) for (const problem of held) this.#parts.report(...problem);
  }

  async #directory(tree: SnapshotTree, directory: NodeId, at: Place): Promise<void> {
    if (this.#parts.signal?.aborted === true) throw new AbortedError();
    try {
      checkLimit(this.#parts.limits, 'treeDepthMax', at.depth, 'directories below each other');
      for await (const page of tree.entries(directory)) {
        if (this.#held.length > HELD_MAX) await this.#tell(at.id);
        for (const { id, entry } of page) {
          const path = joinPath(at.path, entry.name);
          if (entry.stat.type === 'directory') await this.#directory(tree, id, { ...at, path, depth: at.depth + 1 });
          else if (entry.stat.type === 'file') await this.#file(entry, `snapshot ${at.snapshot}:/${pathText(path)}`);
        }
      }
    } catch (error) {
      if (error instanceof AbortedError) throw error;
      this.#held.push(['damaged-directory', `snapshot ${at.snapshot}:/${pathText(at.path)}`, error]);
    }
  }

  async #file({ content, stat }: Entry, where: string): Promise<void> {
    let at = 0;
    try {
      while (at < stat.size) {
        const leaf = await findLeaf(content, at, this.#parts);
        await this.#refs(leaf.refs, leaf.count);
        const end = leaf.starts[leaf.count] as number;
        if (end <= at) break;
        at = end;
      }
      if (at !== stat.size) this.#held.push(['wrong-size', where, `Its chunks have '${at}' bytes, the entry says '${stat.size}'`]);
    } catch (error) {
      this.#held.push(['damaged-file', where, error]);
    }
  }

  /** What seems to be damaged may have been moved: then it is looked for again. */
  async #refs(refs: Uint8Array, count: number): Promise<void> {
    if (await this.#firstFault(refs, count) === undefined) return;
    await this.#parts.refresh();
    const fault = await this.#firstFault(refs, count);
    if (fault !== undefined) throw fault;
  }

  async #firstFault(refs: Uint8Array, count: number): Promise<NotFoundError | undefined> {
    const ids = new Uint8Array(count * ID_BYTES);
    for (let i = 0; i < count; i += 1) ids.set(refId(refs, i), i * ID_BYTES);
    const places = new Uint8Array(count * PLACE_BYTES);
    const found = await this.#parts.index.getMany({ bytes: ids, count }, places);
    for (let i = 0; i < count; i += 1) {
      if (isHole(refs, i)) continue;
      const text = (): string => idToHex(refId(refs, i));
      if (((found[i >> 3] as number) & (1 << (i & 7))) === 0) return new NotFoundError(`Find its chunk '${text()}': the index does not have it`);
      if (this.#parts.places.has(decodePlace(places, i))) return new NotFoundError(`Its chunk '${text()}' is damaged`);
    }
    return undefined;
  }
}
