/**
 * An exFAT volume as a tree: owner root, mode 0755 less what `read-only` takes, as Linux shows it with its defaults. A node's id is the place
 * of its file entry and whether its directory has a chain, which is all that is needed to read its set again: nothing is kept per node but for
 * directories that were listed.
 */
import {
  FormatError, HoldfastError, NotFoundError, UnsupportedError, type BlockSource, type DirectoryEntry, type Limits, type NodeId, type NodeStat, type TreeProblem, type TreeSupports,
} from '../../../core/index.ts';
import { checkCluster, ClusterRuns, followChain } from '../fat/cluster-runs.ts';
import type { ClusterSpace, Span } from '../fat/cluster-space.ts';
import type { ClusterTable } from '../fat/cluster-table.ts';
import { DirectoryClaims } from '../fat/directory-claims.ts';
import { isLegalName, NameIndex } from '../fat/name-index.ts';
import type { ProblemList } from '../problem-list.ts';
import type { Filesystem, FilesystemFacts } from '../filesystem.ts';
import type { ExfatGeometry } from './boot-region.ts';
import { setBytes } from './checksum.ts';
import { type BadSet, type ExfatNode, isBad, readSet } from './entry-set.ts';
import { ENTRY, ENTRY_BYTES, fileLayout, TYPE } from './exfat.layout.ts';
import { countSubdirectories, scanSets, type Scanned } from './set-scan.ts';

const ROOT = 1 as NodeId;
/** Bytes of the largest directory. Source: exFAT specification, section 7.6.7. */
export const DIRECTORY_BYTES_MAX: number = 256 << 20;
const EPOCH = { seconds: 0, nanoseconds: 0 } as const;

/** What the volume is made of. */
export interface ExfatParts {
  readonly geometry: ExfatGeometry;
  readonly limits: Limits;
  readonly space: ClusterSpace;
  readonly table: ClusterTable;
  readonly facts: FilesystemFacts;
  readonly problems: ProblemList;
  /** Absent where it is damaged: then hashes of names are not compared. */
  readonly upcase: Uint16Array | undefined;
  readonly root: ClusterRuns;
}

/** Clusters of a file or directory. */
type Placed = Pick<ExfatNode, 'cluster' | 'size' | 'contiguous' | 'at'>;

/** The clusters that an entry names. @throws {FormatError} when they lead astray or are too few. */
export async function clustersOf({ cluster, size, contiguous, at }: Placed, { table, space, limits }: Pick<ExfatParts, 'table' | 'space' | 'limits'>): Promise<ClusterRuns> {
  const clusters = Math.ceil(size / space.clusterBytes);
  if (clusters === 0) return new ClusterRuns();
  checkCluster(table, cluster, at);
  if (clusters > table.lastCluster - (contiguous ? cluster : 2) + 1) {
    throw new FormatError('Find clusters', { structure: 'directory entry', field: 'DataLength', offset: at, found: size, expected: `at most what ${table.lastCluster - 1} clusters hold` });
  }
  return contiguous ? ClusterRuns.contiguous(cluster, clusters) : followChain(table, { first: cluster, clusters, entryAt: at, limits });
}

/** The tree. */
export class ExfatFilesystem implements Filesystem {
  readonly format = 'exfat' as const;
  readonly rootId: NodeId = ROOT;
  readonly supports: TreeSupports = { hardLinks: false, symlinks: false, devices: false, attributes: false, timestampNanoseconds: 10_000_000, sorted: false };
  readonly facts: FilesystemFacts;
  readonly #source: BlockSource;
  readonly #parts: ExfatParts;
  readonly #claims = new DirectoryClaims();
  readonly #names = new NameIndex((directory) => this.list(directory));
  #closed = false;

  /** Owns `source`. */
  constructor(source: BlockSource, parts: ExfatParts) {
    this.#source = source;
    this.#parts = parts;
    this.facts = parts.facts;
  }

  problems(): readonly TreeProblem[] {
    return this.#parts.problems.all;
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    return isLegalName(name) ? this.#names.find(directory, name) : undefined;
  }

  async stat(id: NodeId): Promise<NodeStat> {
    if (id === ROOT) return { type: 'directory', size: 0, mode: 0o755, uid: 0, gid: 0, links: await this.#linksOf(id), inode: ROOT, modified: EPOCH };
    const { stat, directory } = await this.#node(id);
    return directory ? { ...stat, links: await this.#linksOf(id) } : stat;
  }

  /** As Linux counts: itself, its entry above it, and one for each directory in it. A damaged one fails when it is listed. */
  async #linksOf(directory: NodeId): Promise<number> {
    try {
      const { spans } = await this.#directory(directory);
      return 2 + await countSubdirectories(this.#parts.space, spans);
    } catch (error) {
      if (error instanceof HoldfastError) return 2;
      throw error;
    }
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    const { spans, contiguous } = await this.#directory(directory);
    for await (const found of scanSets(this.#parts.space, spans)) {
      const page: DirectoryEntry[] = [];
      for (const one of found) {
        const entry = this.#entryOf(one, contiguous);
        if (entry !== undefined) page.push(entry);
      }
      if (page.length > 0) yield page;
    }
  }

  /** What is shown of a set; the rest is a problem. */
  #entryOf(one: Scanned, contiguous: boolean): DirectoryEntry | undefined {
    const { problems, upcase } = this.#parts;
    const where = `directory entry at byte ${one.at}`;
    if (one.kind === 'torn') {
      problems.add('damaged-entry', where, `Read exFAT entry set at byte '${one.at}': '${one.missing}' of its entries are missing`);
      return undefined;
    }
    if (one.kind === 'other') {
      this.#noteOther(one.bytes[0] as number, where);
      return undefined;
    }
    const inode = one.at / ENTRY_BYTES * 2 + (contiguous ? 1 : 0);
    const node = readSet(one.bytes, { at: one.at, inode, upcase });
    if (!isLegalName(node.name)) {
      problems.add('illegal-name', where, isBad(node) ? node.fault.message : `Leave out the entry at byte '${one.at}': its name cannot be shown`);
      return undefined;
    }
    const id = inode as NodeId;
    if (isBad(node)) {
      problems.add('damaged-entry', where, node.fault.message);
      return { name: node.name, id };
    }
    if (node.strangeHash) problems.add('name-hash', where, `Read the name at byte '${one.at}': its hash is that of another name; drivers that search by hash do not find it`);
    return { name: node.name, id, ...(node.directory ? {} : { stat: node.stat }) };
  }

  /** Benign entries may be passed over; others are beyond this reader and are told. */
  #noteOther(type: number, where: string): void {
    if ((type & TYPE.benign) !== 0 || type === ENTRY.bitmap || type === ENTRY.upcase || type === ENTRY.label) return;
    this.#parts.problems.add('unknown-entry', where, `Leave out an entry of the unknown critical type '${type}'`);
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    if (stream !== undefined) throw new NotFoundError(`Open stream '${stream}' of node '${id}': exFAT has no named streams`);
    const node = id === ROOT ? undefined : await this.#node(id);
    if (node === undefined || node.directory) throw new UnsupportedError(`Open node '${id}': it is a directory`);
    return this.#parts.space.content(await clustersOf(node, this.#parts), node);
  }

  readLink(id: NodeId): Promise<Uint8Array> {
    return Promise.reject(new UnsupportedError(`Read link '${id}': exFAT has no symbolic links`));
  }

  attributes(): Promise<ReadonlyMap<string, Uint8Array>> {
    return Promise.resolve(new Map());
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#source.close();
  }

  async #node(id: NodeId): Promise<ExfatNode> {
    const { geometry, upcase } = this.#parts;
    const at = Math.floor(id / 2) * ENTRY_BYTES;
    if (!Number.isSafeInteger(at) || at < geometry.heapAt || at + ENTRY_BYTES > geometry.size) throw new NotFoundError(`Find node '${id}': no entry can be there`);
    const set = await this.#setAt(at, id % 2 === 1);
    if (set[0] !== ENTRY.file) throw new NotFoundError(`Find node '${id}': there is no file entry`);
    const node: ExfatNode | BadSet = readSet(set, { at, inode: id, upcase });
    if (isBad(node)) throw node.fault;
    return node;
  }

  /** A set that may go on in the next cluster of its directory. */
  async #setAt(first: number, contiguous: boolean): Promise<Uint8Array> {
    const { space, table } = this.#parts;
    let at = first;
    let set = new Uint8Array(0);
    for (let i = 0; i === 0 || i * ENTRY_BYTES < set.length; i += 1) {
      const entry = await space.entryAt(at, ENTRY_BYTES);
      if (i === 0) set = new Uint8Array(setBytes(entry.getUint8(fileLayout.offsets.SecondaryCount)));
      set.set(new Uint8Array(entry.buffer, entry.byteOffset, ENTRY_BYTES), i * ENTRY_BYTES);
      at += ENTRY_BYTES;
      if ((at - space.placeOf(2)) % space.clusterBytes !== 0 || (i + 1) * ENTRY_BYTES >= set.length) continue;
      const here = space.clusterAt(at - ENTRY_BYTES);
      const next = contiguous ? here + 1 : await table.next(here);
      checkCluster(table, next, at - ENTRY_BYTES);
      at = space.placeOf(next);
    }
    return set;
  }

  /** The pieces of a directory; its clusters are then its own. */
  async #directory(directory: NodeId): Promise<{ readonly spans: Iterable<Span>; readonly contiguous: boolean }> {
    const { space, root, geometry } = this.#parts;
    if (directory === ROOT) {
      this.#claims.claim(ROOT, geometry.rootCluster, { runs: root, entryAt: 0 });
      return { spans: space.spans(root), contiguous: false };
    }
    const node = await this.#node(directory);
    if (!node.directory) throw new UnsupportedError(`List node '${directory}': it is no directory`);
    if (node.size > DIRECTORY_BYTES_MAX) throw new FormatError('Open directory', { structure: 'directory entry', field: 'DataLength', offset: node.at, found: node.size, expected: `at most ${DIRECTORY_BYTES_MAX}` });
    const runs = await clustersOf(node, this.#parts);
    if (runs.count > 0) this.#claims.claim(directory, node.cluster, { runs, entryAt: node.at });
    return { spans: space.spans(runs), contiguous: node.contiguous };
  }
}
