/**
 * Whether all snapshots are whole, without walking any of them: their metadata is read level by level, each page once however many snapshots share
 * it; what they reach is sorted and joined with the index. Memory is bounded by the sort. Says only yes or no: who needs names walks the trees.
 */
import {
  AbortedError, HoldfastError, ID_BYTES, NotFoundError, PLACE_BYTES, decodePlace, type ChunkIndex, type Disk, type IdBatch, type Limits, type ObjectStore,
} from '../../core/index.ts';
import { mark, type MarkProgress } from '../gc/mark.ts';
import { ROW_BYTES, reachableRows, searchAbsent, type AbsentParts } from '../gc/tally.ts';
import type { Entry } from '../snapshots/entry.ts';
import { readManifest } from '../snapshots/manifest.ts';
import type { MetadataStore } from '../snapshots/metadata-store.ts';
import { REF_BYTES, refLength } from '../snapshots/refs.ts';
import { ExternalSorter, type RunFile } from '../sort/index.ts';
import type { DamagedPlaces } from './damaged-places.ts';
import type { ProblemSink } from './problem.ts';

/** What snapshots are checked with. */
export interface SnapshotCheckParts {
  /** For temporary files, whose names begin with `prefix`. */
  readonly disk: Disk;
  readonly prefix: string;
  readonly objects: ObjectStore;
  readonly limits: Limits;
  readonly index: ChunkIndex;
  readonly store: AbsentParts['store'];
  readonly metadata: MetadataStore;
  readonly places: DamagedPlaces;
  readonly report: ProblemSink;
  readonly signal?: AbortSignal;
  onProgress?(progress: MarkProgress): void;
}

/** What was found. */
export interface SnapshotVerdict {
  /** All that snapshots need is there and fits together. Damaged manifests were reported, and don't count here. */
  readonly isSound: boolean;
  readonly snapshots: number;
  /** Entries of files; what snapshots share counts once. */
  readonly files: number;
  readonly chunksReachable: number;
  readonly metadataRead: number;
}

const LENGTH_BUDGET_BYTES = 1 << 20;
const MARK_BUDGET_BYTES = 8 << 20;
/** An id and a length: what a reference claims, or what its page covers. */
const LENGTH_ROW_BYTES = ID_BYTES + 8;
const NOWHERE = 0xff;

function isDamage(error: unknown): boolean {
  return (error instanceof HoldfastError && !(error instanceof AbortedError)) || error instanceof RangeError;
}

/** One run over the manifests in `ids`. */
class SnapshotCheck {
  readonly #parts: SnapshotCheckParts;
  readonly #lengths: ExternalSorter;
  #isSound = true;
  #snapshots = 0;
  #files = 0;

  constructor(parts: SnapshotCheckParts) {
    this.#parts = parts;
    this.#lengths = new ExternalSorter({ disk: parts.disk, prefix: `${parts.prefix}-lengths` }, { recordBytes: LENGTH_ROW_BYTES, duplicates: 'unique', budgetBytes: LENGTH_BUDGET_BYTES });
  }

  async run(ids: readonly string[]): Promise<SnapshotVerdict> {
    let marked = { chunksReachable: 0, metadataRead: 0 };
    try {
      marked = await this.#mark(ids);
      await this.#compareLengths();
    } catch (error) {
      if (!isDamage(error) || (error instanceof HoldfastError && error.code === 'TOOL')) throw error;
      this.#isSound = false; // a page that says nonsense: the walk will say which
    } finally {
      await this.#lengths.close();
    }
    return { isSound: this.#isSound, snapshots: this.#snapshots, files: this.#files, ...marked };
  }

  async *#roots(ids: readonly string[]): AsyncIterable<Entry> {
    const { objects, limits, report } = this.#parts;
    for (const id of ids) {
      let root: Entry;
      try {
        ({ root } = await readManifest(objects, id, limits));
      } catch (error) {
        if (error instanceof NotFoundError) continue; // a fence, or forgotten meanwhile
        report('damaged-manifest', `snapshot ${id.slice(0, 12)}`, error);
        continue;
      }
      this.#snapshots += 1;
      yield root;
    }
  }

  async #mark(ids: readonly string[]): Promise<{ readonly chunksReachable: number; readonly metadataRead: number }> {
    const { disk, prefix, limits, signal, onProgress } = this.#parts;
    const { reachable, metadataRead } = await mark(this.#roots(ids), {
      disk, prefix: `${prefix}-mark`, limits, budgetBytes: MARK_BUDGET_BYTES, ...(signal === undefined ? {} : { signal }),
      store: { locate: (batch) => this.#locate(batch) },
      metadata: { get: (id) => this.#get(id) },
      onEntry: (entry) => { this.#entry(entry); },
      onCovered: (id, bytes) => this.#covered(id, bytes),
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    try {
      await this.#join(reachable);
      return { chunksReachable: reachable.count, metadataRead };
    } finally {
      await reachable.remove();
    }
  }

  /** What the index lacks is nowhere, and will not be read. */
  async #locate(batch: IdBatch): Promise<Uint8Array> {
    const places = new Uint8Array(batch.count * PLACE_BYTES).fill(NOWHERE);
    await this.#parts.index.getMany(batch, places);
    return places;
  }

  async #get(id: Uint8Array): Promise<Uint8Array> {
    try {
      return await this.#parts.metadata.get(id);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#isSound = false;
      return new Uint8Array(0);
    }
  }

  #entry({ stat, content: { refs } }: Entry): void {
    if (stat.type !== 'file') return;
    this.#files += 1;
    let covered = 0;
    for (let i = 0; i < refs.length / REF_BYTES; i += 1) covered += refLength(refs, i);
    if (covered !== stat.size) this.#isSound = false;
  }

  #covered(id: Uint8Array, bytes: number): Promise<void> | undefined {
    const row = new Uint8Array(LENGTH_ROW_BYTES);
    row.set(id);
    new DataView(row.buffer).setBigUint64(ID_BYTES, BigInt(bytes));
    return this.#lengths.add({ bytes: row, count: 1 });
  }

  /** All who refer to a page, and the page itself, must agree: then each id comes once. */
  async #compareLengths(): Promise<void> {
    let before: Buffer = Buffer.alloc(0);
    for await (const { bytes, count } of this.#lengths.sorted()) {
      const rows = Buffer.from(bytes.buffer, bytes.byteOffset, count * LENGTH_ROW_BYTES);
      for (let at = 0; at < rows.length; at += LENGTH_ROW_BYTES) {
        const id = rows.subarray(at, at + ID_BYTES);
        if (before.equals(id)) this.#isSound = false;
        before = id;
      }
      before = Buffer.from(before); // the page is reused
    }
  }

  /** Everything reachable must have a place, and a good one. A copy that the index does not name counts too. */
  async #join(reachable: RunFile): Promise<void> {
    if (await this.#count(reachable) === reachable.count) return;
    await searchAbsent(this.#parts, reachable, (high, low) => this.#parts.places.isPresent(high, low));
    if (await this.#count(reachable) !== reachable.count) this.#isSound = false;
  }

  /** How many reachable chunks the index places in containers that are there. */
  async #count(reachable: RunFile): Promise<number> {
    const { index, places } = this.#parts;
    let found = 0;
    for await (const { bytes, count } of reachableRows(index, reachable, (high, low) => places.isPresent(high, low))) {
      if (this.#parts.signal?.aborted === true) throw new AbortedError();
      found += count;
      if (places.isEmpty) continue;
      for (let i = 0; i < count; i += 1) {
        const at = i * ROW_BYTES + ID_BYTES;
        if (places.has(decodePlace(bytes.subarray(at, at + PLACE_BYTES), 0))) this.#isSound = false;
      }
    }
    return found;
  }
}

/** Checks the snapshots with these ids. @throws {AbortedError} */
export function checkSnapshots(parts: SnapshotCheckParts, ids: readonly string[]): Promise<SnapshotVerdict> {
  return new SnapshotCheck(parts).run(ids);
}
