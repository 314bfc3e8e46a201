/**
 * A FAT volume as a tree, as Linux's vfat shows it with its defaults and UTC: owner root, mode 0755 less what `read-only` takes, long names in
 * UTF-8, short names in code page 437, their letters' case by the bits of Windows NT. A node's id is the place of its short entry, which
 * is all that is needed to open it: nothing is kept per node but for directories that were listed.
 */
import {
  FormatError, HoldfastError, NotFoundError, UnsupportedError, type BlockSource, type DirectoryEntry, type Limits, type NodeId, type NodeStat, type TreeProblem, type TreeSupports,
} from '../../../core/index.ts';
import type { Filesystem, FilesystemFacts } from '../filesystem.ts';
import type { FatGeometry } from './boot-sector.ts';
import { type Chain, ClusterRuns, followChain } from './cluster-runs.ts';
import type { ClusterSpace, Span } from './cluster-space.ts';
import type { ClusterTable } from './cluster-table.ts';
import { DirectoryClaims } from './directory-claims.ts';
import { countSubdirectories, findLabel, scanDirectory } from './directory-scan.ts';
import { dosTime } from './dos-time.ts';
import { ATTRIBUTE, dirEntryLayout, MARK, SLOT_BYTES } from './fat.layout.ts';
import { isLegalName, NameIndex } from './name-index.ts';
import { ProblemList } from '../problem-list.ts';

const ROOT = 1 as NodeId;
const MODE = { all: 0o755, readOnly: 0o555 } as const;
const EPOCH = { seconds: 0, nanoseconds: 0 } as const;

/** What an entry says about its node. */
interface FatNode {
  readonly directory: boolean;
  readonly cluster: number;
  readonly size: number;
  /** Byte of the volume. */
  readonly at: number;
  readonly stat: NodeStat;
}

function nodeOf(view: DataView, start: number, { at, wide }: { readonly at: number; readonly wide: boolean }): FatNode {
  const entry = dirEntryLayout.view(new Uint8Array(view.buffer, view.byteOffset + start, SLOT_BYTES), 0, at);
  const directory = (entry.DIR_Attr & ATTRIBUTE.directory) !== 0;
  const size = directory ? 0 : entry.DIR_FileSize;
  return {
    directory, size, at, cluster: entry.DIR_FstClusLO + (wide ? entry.DIR_FstClusHI * 0x1_0000 : 0),
    stat: {
      type: directory ? 'directory' : 'file', size, mode: !directory && (entry.DIR_Attr & ATTRIBUTE.readOnly) !== 0 ? MODE.readOnly : MODE.all, uid: 0, gid: 0, links: 1, inode: at / SLOT_BYTES,
      modified: dosTime(entry.DIR_WrtDate, entry.DIR_WrtTime, 0), accessed: dosTime(entry.DIR_LstAccDate, 0, 0), created: dosTime(entry.DIR_CrtDate, entry.DIR_CrtTime, Math.min(199, entry.DIR_CrtTimeTenth)),
    },
  };
}

/** The tree. */
export class FatFilesystem implements Filesystem {
  readonly format = 'fat' as const;
  readonly rootId: NodeId = ROOT;
  readonly supports: TreeSupports = { hardLinks: false, symlinks: false, devices: false, attributes: false, timestampNanoseconds: 2_000_000_000, sorted: false };
  readonly facts: FilesystemFacts;
  readonly #source: BlockSource;
  readonly #geometry: FatGeometry;
  readonly #limits: Limits;
  readonly #space: ClusterSpace;
  readonly #tables: readonly ClusterTable[];
  readonly #claims = new DirectoryClaims();
  readonly #problems = new ProblemList();
  readonly #names = new NameIndex((directory) => this.list(directory));
  #closed = false;

  /** `tables` in the order in which they are asked. Owns `source`. */
  constructor(source: BlockSource, { geometry, limits, tables, facts, space }: {
    readonly geometry: FatGeometry; readonly limits: Limits; readonly tables: readonly ClusterTable[]; readonly facts: FilesystemFacts; readonly space: ClusterSpace;
  }) {
    this.#source = source;
    this.#geometry = geometry;
    this.#limits = limits;
    this.#tables = tables;
    this.#space = space;
    this.facts = facts;
  }

  /** The label in the root directory. @throws {FormatError} when that cannot be read. */
  async rootLabel(): Promise<Uint8Array | undefined> {
    return findLabel(this.#space, await this.#spansOf(ROOT));
  }

  problems(): readonly TreeProblem[] {
    return this.#problems.all;
  }

  async lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    return isLegalName(name) ? this.#names.find(directory, name) : undefined;
  }

  async stat(id: NodeId): Promise<NodeStat> {
    if (id === ROOT) return { type: 'directory', size: 0, mode: MODE.all, uid: 0, gid: 0, links: await this.#linksOf(id), inode: ROOT, modified: EPOCH };
    const { stat } = await this.#node(id);
    return stat.type === 'directory' ? { ...stat, links: await this.#linksOf(id) } : stat;
  }

  /** As Linux counts: itself, its entry above it, and the parent entry of each directory in it. A damaged one fails when it is listed. */
  async #linksOf(directory: NodeId): Promise<number> {
    try {
      return 2 + await countSubdirectories(this.#space, await this.#spansOf(directory));
    } catch (error) {
      if (error instanceof HoldfastError) return 2;
      throw error;
    }
  }

  async *list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    const wide = this.#geometry.variant === 'FAT32';
    for await (const found of scanDirectory(this.#space, await this.#spansOf(directory))) {
      const page: DirectoryEntry[] = [];
      for (const { name, view, start, at } of found) {
        if (!isLegalName(name)) {
          this.#problems.add('illegal-name', `directory entry at byte ${at}`, `Leave out the entry at byte '${at}': its name cannot be shown`);
          continue;
        }
        const { stat, directory: below } = nodeOf(view, start, { at, wide });
        page.push({ name, id: at / SLOT_BYTES as NodeId, ...(below ? {} : { stat }) });
      }
      if (page.length > 0) yield page;
    }
  }

  async open(id: NodeId, stream?: string): Promise<BlockSource> {
    if (stream !== undefined) throw new NotFoundError(`Open stream '${stream}' of node '${id}': FAT has no named streams`);
    const node = id === ROOT ? undefined : await this.#node(id);
    if (node === undefined || node.directory) throw new UnsupportedError(`Open node '${id}': it is a directory`);
    const { size } = node;
    const clusters = Math.ceil(size / this.#geometry.clusterBytes);
    const runs = clusters === 0 ? new ClusterRuns() : await this.#follow({ first: node.cluster, clusters, entryAt: node.at, limits: this.#limits });
    return this.#space.content(runs, { size, validBytes: size });
  }

  readLink(id: NodeId): Promise<Uint8Array> {
    return Promise.reject(new UnsupportedError(`Read link '${id}': FAT has no symbolic links`));
  }

  attributes(): Promise<ReadonlyMap<string, Uint8Array>> {
    return Promise.resolve(new Map());
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#source.close();
  }

  async #node(id: NodeId): Promise<FatNode> {
    const at = id * SLOT_BYTES;
    const { rootAt, size } = this.#geometry;
    if (!Number.isSafeInteger(at) || at < rootAt || at + SLOT_BYTES > size) throw new NotFoundError(`Find node '${id}': no entry can be there`);
    const view = await this.#space.entryAt(at, SLOT_BYTES);
    if (view.getUint8(0) === MARK.end || view.getUint8(0) === MARK.deleted) throw new NotFoundError(`Find node '${id}': there is no entry`);
    return nodeOf(view, 0, { at, wide: this.#geometry.variant === 'FAT32' });
  }

  /** The pieces of a directory; its clusters are then its own. */
  async #spansOf(directory: NodeId): Promise<Iterable<Span>> {
    const { rootAt, rootBytes, rootCluster, variant } = this.#geometry;
    if (directory === ROOT && variant !== 'FAT32') return [{ at: rootAt, bytes: rootBytes }];
    const node = directory === ROOT ? { directory: true, cluster: rootCluster, at: 0 } : await this.#node(directory);
    if (!node.directory) throw new UnsupportedError(`List node '${directory}': it is no directory`);
    const runs = await this.#follow({ first: node.cluster, clusterBytes: this.#geometry.clusterBytes, entryAt: node.at, limits: this.#limits });
    this.#claims.claim(directory, node.cluster, { runs, entryAt: node.at });
    return this.#space.spans(runs);
  }

  /** By the first table; where that leads astray, by the next. @throws {FormatError} that of the first table. */
  async #follow(chain: Chain): Promise<ClusterRuns> {
    let first: unknown;
    for (const [i, table] of this.#tables.entries()) {
      try {
        const runs = await followChain(table, chain);
        if (i > 0) this.#problems.add('spare-copy', `chain of cluster ${chain.first}`, `Follow the chain of cluster '${chain.first}' in ${table.structure}: ${String((first as Error).message)}`);
        return runs;
      } catch (error) {
        first ??= error;
        if (!(error instanceof HoldfastError)) break;
      }
    }
    throw first ?? new FormatError('Follow chain of clusters', { structure: 'FAT', field: 'tables', found: 0, expected: 'at least 1' });
  }
}
