/**
 * `check`: looks at every container, every index entry and every file of every snapshot, and says what is wrong and where. Changes nothing.
 *
 * Levels: structure and existence always; with `readData` each payload is read, decompressed and each chunk compared with its id.
 */
import {
  HoldfastError, ID_BYTES, NotFoundError, PLACE_BYTES, checkLimit, decodePlace, idToHex, joinPath, type ChunkIndex, type Limits, type NodeId, type ObjectReader, type ObjectStore,
} from '../../core/index.ts';
import { TABLE_ROW_BYTES } from '../containers/container.layout.ts';
import { containerPath, listContainers, numberOf, readContainerHeader, scanGroups, type ContainerNumber, type ScannedGroup } from '../containers/container.ts';
import { fetchTables } from '../containers/fetched-reader.ts';
import { readFooter, type FooterRow } from '../containers/footer.ts';
import { pathText } from '../ingest/path-text.ts';
import type { Entry } from '../snapshots/entry.ts';
import { findLeaf } from '../snapshots/content-reader.ts';
import { listManifests, readManifest } from '../snapshots/manifest.ts';
import type { MetadataStore } from '../snapshots/metadata-store.ts';
import { isHole, refId } from '../snapshots/refs.ts';
import { SnapshotTree } from '../snapshots/snapshot-tree.ts';
import type { CatchUp } from '../store/catch-up.ts';
import { MissingContainerError } from '../store/group-cache.ts';
import { IdSet } from '../store/id-table.ts';
import type { LocalStore } from '../store/local-store.ts';

/** One thing that is wrong. Kinds: `docs/formats/README.md`. */
export interface CheckProblem {
  readonly kind: string;
  readonly where: string;
  readonly message: string;
}

/** How deep to look. */
export interface CheckOptions {
  /** Read, decompress and hash everything. */
  readonly readData?: boolean;
  onProblem(problem: CheckProblem): void;
  onProgress?(progress: { readonly phase: 'containers' | 'index' | 'snapshots'; readonly done: number; readonly total: number }): void;
}

/** What was looked at. `ok` only when nothing was wrong. */
export interface CheckReport {
  readonly ok: boolean;
  readonly problems: number;
  readonly containers: number;
  readonly groups: number;
  readonly chunks: number;
  readonly snapshots: number;
  readonly files: number;
  /** Raw bytes that were compared with their ids; 0 without `readData`. */
  readonly bytesRead: number;
}

/** Groups asked for ahead. */
const GROUPS_AHEAD = 4;

/** What a check works with. */
export interface CheckParts {
  readonly objects: ObjectStore;
  readonly limits: Limits;
  readonly index: ChunkIndex;
  readonly catchUp: CatchUp;
  readonly store: LocalStore;
  readonly metadata: MetadataStore;
}

/** One run. */
export class Check {
  readonly #parts: CheckParts;
  readonly #options: CheckOptions;
  readonly #bad = new IdSet();
  readonly #present = new Set<string>();
  /** Of the snapshot under way: nothing is wrong if it was forgotten meanwhile. */
  #held: CheckProblem[] | undefined;
  #problems = 0;
  #groups = 0;
  #chunks = 0;
  #files = 0;
  #bytesRead = 0;

  constructor(parts: CheckParts, options: CheckOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  async run(): Promise<CheckReport> {
    const containers = await listContainers(this.#parts.objects);
    for (const [done, container] of containers.entries()) {
      this.#options.onProgress?.({ phase: 'containers', done, total: containers.length });
      this.#present.add(container.number.text);
      await this.#container(container.number);
    }
    await this.#index();
    const snapshots = await this.#snapshots();
    return {
      ok: this.#problems === 0, problems: this.#problems, containers: containers.length, groups: this.#groups, chunks: this.#chunks,
      snapshots, files: this.#files, bytesRead: this.#bytesRead,
    };
  }

  #report(kind: string, where: string, cause: unknown): void {
    if (cause instanceof Error && !(cause instanceof HoldfastError) && !(cause instanceof RangeError)) throw cause;
    const problem = { kind, where, message: cause instanceof Error ? cause.message : String(cause) };
    if (this.#held === undefined) this.#tell(problem);
    else this.#held.push(problem);
  }

  #tell(problem: CheckProblem): void {
    this.#problems += 1;
    this.#options.onProblem(problem);
  }

  /** Whether a container is missing because a collector removed it since it was listed. */
  async #isCollected(number: ContainerNumber, error: unknown): Promise<boolean> {
    if (!(error instanceof NotFoundError || error instanceof MissingContainerError)) return false;
    const { catchUp } = this.#parts;
    await catchUp.run().catch(() => undefined); // reads the lists first; what else is wrong is found by this check
    if (!catchUp.dead.has(number.high, number.low)) return false;
    this.#present.delete(number.text);
    return true;
  }

  async #container(number: ContainerNumber): Promise<void> {
    const where = `container ${number.text}`;
    let file: ObjectReader | undefined;
    try {
      file = await this.#parts.objects.open(containerPath(number));
      if ((await this.#parts.objects.capabilities()).remote) file = await fetchTables(file, this.#parts.limits);
      await readContainerHeader(file, number).catch((error: unknown) => { this.#report('damaged-container', where, error); });
      const rows = await this.#footer(file, where);
      for await (const found of scanGroups(file, number, this.#parts.limits, rows)) {
        if ('fault' in found) this.#report('damaged-group', `${where} at ${found.offset}`, found.fault);
        else {
          this.#readAhead(number, rows, found.group.offset);
          await this.#group(number, found.group);
        }
      }
    } catch (error) {
      if (!(await this.#isCollected(number, error))) this.#report('damaged-container', where, error);
    } finally {
      await file?.close();
    }
  }

  async #footer(file: ObjectReader, where: string): Promise<readonly FooterRow[] | undefined> {
    try {
      const rows = await readFooter(file, this.#parts.limits);
      if (rows === undefined) this.#report('cut-container', where, `It ends at '${file.size}' without a footer`);
      return rows;
    } catch (error) {
      this.#report('damaged-footer', where, error);
      return undefined;
    }
  }

  async #group(number: ContainerNumber, group: ScannedGroup): Promise<void> {
    const { count } = group.head;
    this.#groups += 1;
    this.#chunks += count;
    const ids = new Uint8Array(count * ID_BYTES);
    for (let i = 0; i < count; i += 1) ids.set(group.table.subarray(i * TABLE_ROW_BYTES, i * TABLE_ROW_BYTES + ID_BYTES), i * ID_BYTES);
    const found = await this.#parts.index.getMany({ bytes: ids, count }, new Uint8Array(count * PLACE_BYTES));
    const where = `container ${number.text} at ${group.offset}`;
    let missing = 0;
    for (let i = 0; i < count; i += 1) if (((found[i >> 3] as number) & (1 << (i & 7))) === 0) missing += 1;
    if (missing > 0) this.#report('not-indexed', where, `The index lacks ${missing} of ${count} chunks; rebuild it, unless they are damaged (--read-data tells): then a new backup of the same files stores them again`);
    if (this.#options.readData === true) await this.#read(number, group, ids);
  }

  /** Asks for the groups that follow, where each request costs time. */
  #readAhead({ high, low }: ContainerNumber, rows: readonly FooterRow[] | undefined, offset: number): void {
    if (this.#options.readData !== true || rows === undefined) return;
    const next = rows.findIndex((row) => row.offset === offset) + 1;
    for (const row of rows.slice(next, next + GROUPS_AHEAD)) {
      this.#parts.store.groups.prefetch({ containerHigh: high, containerLow: low, offset: row.offset, length: row.length, ordinal: 0 });
    }
  }

  /** Reads through the store, so that what is checked is what a restore does. */
  async #read(number: ContainerNumber, group: ScannedGroup, ids: Uint8Array): Promise<void> {
    const where = `container ${number.text} at ${group.offset}`;
    const { groups } = this.#parts.store;
    try {
      const read = await groups.acquire({
        containerHigh: number.high, containerLow: number.low, offset: group.offset, length: group.head.recordLength, ordinal: 0,
      });
      for (const ordinal of read.bad) {
        this.#bad.add(ids, ordinal * ID_BYTES);
        this.#report('damaged-chunk', where, `Chunk '${idToHex(ids.subarray(ordinal * ID_BYTES, (ordinal + 1) * ID_BYTES))}' does not match its id`);
      }
      this.#bytesRead += read.offsets[read.count] as number;
      groups.release(read);
    } catch (error) {
      for (let i = 0; i < group.head.count; i += 1) this.#bad.add(ids, i * ID_BYTES);
      if (!(await this.#isCollected(number, error))) this.#report('damaged-group', where, error);
    }
  }

  /** Entries of the index must name containers that exist. */
  async #index(): Promise<void> {
    const total = await this.#parts.index.count();
    let done = 0;
    const dangling = new Map<string, number>();
    try {
      for await (const page of this.#parts.index.scan()) {
        this.#options.onProgress?.({ phase: 'index', done, total });
        done += page.ids.count;
        for (let i = 0; i < page.ids.count; i += 1) {
          const place = decodePlace(page.places, i);
          const { text } = numberOf(place.containerHigh, place.containerLow);
          if (this.#present.has(text)) continue;
          this.#bad.add(page.ids.bytes, i * ID_BYTES);
          // Nothing refers to what a collector removed, and indexes of others keep its entries; a snapshot that does has a damaged file.
          if (this.#parts.catchUp.dead.has(place.containerHigh, place.containerLow)) continue;
          dangling.set(text, (dangling.get(text) ?? 0) + 1);
        }
      }
    } catch (error) {
      this.#report('damaged-index', 'index', error);
    }
    for (const [container, count] of dangling) this.#report('missing-container', `container ${container}`, `The index has ${count} chunks in it, but the file is gone`);
  }

  async #snapshots(): Promise<number> {
    const { objects } = this.#parts;
    const ids = await listManifests(objects);
    let gone = 0;
    for (const [done, id] of ids.entries()) {
      this.#options.onProgress?.({ phase: 'snapshots', done, total: ids.length });
      this.#held = [];
      try {
        const manifest = await readManifest(objects, id, this.#parts.limits);
        const tree = new SnapshotTree(manifest, this.#parts);
        await this.#directory(tree, tree.rootId, { snapshot: id.slice(0, 12), path: new Uint8Array(0), depth: 0 });
      } catch (error) {
        if (error instanceof NotFoundError) gone += 1; // a fence, or forgotten meanwhile
        else this.#report('damaged-manifest', `snapshot ${id.slice(0, 12)}`, error);
      }
      const held = this.#held;
      this.#held = undefined;
      if (held.length > 0 && (await listManifests(objects)).includes(id)) for (const problem of held) this.#tell(problem);
    }
    return ids.length - gone;
  }

  async #directory(tree: SnapshotTree, directory: NodeId, at: { snapshot: string; path: Uint8Array; depth: number }): Promise<void> {
    try {
      checkLimit(this.#parts.limits, 'treeDepthMax', at.depth, 'directories below each other');
      for await (const page of tree.entries(directory)) {
        for (const { id, entry } of page) {
          const path = joinPath(at.path, entry.name);
          if (entry.stat.type === 'directory') await this.#directory(tree, id, { snapshot: at.snapshot, path, depth: at.depth + 1 });
          else await this.#content(entry, `snapshot ${at.snapshot}:/${pathText(path)}`);
        }
      }
    } catch (error) {
      this.#report('damaged-directory', `snapshot ${at.snapshot}:/${pathText(at.path)}`, error);
    }
  }

  /** A damaged chunk may have been stored again since: then the index names the good copy, and the bad one is only waste. */
  async #hasGoodCopy(id: Uint8Array): Promise<boolean> {
    try {
      await this.#parts.metadata.get(id);
      return true;
    } catch (error) {
      if (error instanceof HoldfastError || error instanceof RangeError) return false;
      throw error;
    }
  }

  /** All chunks of a file must be in the index, and none may be among those found damaged; lengths must add up. */
  async #content(entry: Entry, where: string): Promise<void> {
    if (entry.stat.type !== 'file') return;
    this.#files += 1;
    let at = 0;
    try {
      while (at < entry.stat.size) {
        const leaf = await findLeaf(entry.content, at, this.#parts);
        for (let i = 0; i < leaf.count; i += 1) {
          if (!isHole(leaf.refs, i) && this.#bad.has(refId(leaf.refs, i), 0) && !(await this.#hasGoodCopy(refId(leaf.refs, i)))) {
            this.#report('damaged-file', where, `Its chunk '${idToHex(refId(leaf.refs, i))}' is damaged`);
            return;
          }
        }
        await this.#parts.store.locate(withoutHoles(leaf.refs, leaf.count));
        const end = leaf.starts[leaf.count] as number;
        if (end <= at) break;
        at = end;
      }
      if (at !== entry.stat.size) this.#report('wrong-size', where, `Its chunks have '${at}' bytes, the entry says '${entry.stat.size}'`);
    } catch (error) {
      this.#report('damaged-file', where, error);
    }
  }
}

function withoutHoles(refs: Uint8Array, count: number): { bytes: Uint8Array; count: number } {
  const bytes = new Uint8Array(count * ID_BYTES);
  let used = 0;
  for (let i = 0; i < count; i += 1) {
    if (isHole(refs, i)) continue;
    bytes.set(refId(refs, i), used * ID_BYTES);
    used += 1;
  }
  return { bytes, count: used };
}
