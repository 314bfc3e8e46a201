/**
 * ZFS pools: the pool's root dataset is the tree, all other datasets, snapshots and volumes are opened by name.
 * What is read and what is refused: README.md of this folder.
 */
import {
  type BlockSource, type DirectoryEntry, HoldfastError, LimitError, type NodeId, type NodeStat, NotFoundError, type ProbeVerdict, type TreeProblem, type TreeSupports, UnsupportedError,
} from '../../../core/index.ts';
import type { Filesystem, FilesystemContext, FilesystemDriver, FilesystemFacts, FilesystemVolume, MemberFacts } from '../filesystem.ts';
import { ProblemList } from '../problem-list.ts';
import type { Alter } from './block-reader.ts';
import { type DatasetName, Datasets } from './datasets.ts';
import { FilesystemTree, TREE_SPAN } from './filesystem-tree.ts';
import { hasIntentLog, type LogRecord, readIntentLog } from './intent-log.ts';
import { findLabel, hasUberblock } from './label.ts';
import { KeyRing } from './keys.ts';
import { nvLists, nvNumber } from './nvlist.ts';
import { type ObjectSet, objectSetTypes } from './object-set.ts';
import { openPool, type Pool } from './pool.ts';
import { leavesOf } from './vdev-tree.ts';
import { VolumeTree } from './volume-tree.ts';

/** Ids are at most 2^53 − 1. */
const TREES_MAX = 2 ** 53 / TREE_SPAN;

/** What the trees of one pool share. */
interface Shared {
  readonly pool: Pool;
  readonly datasets: Datasets;
  readonly sources: readonly BlockSource[];
  readonly context: FilesystemContext;
  readonly problems: ProblemList;
  /** Numbers of the trees by the object of their dataset. */
  readonly trees: Map<number, number>;
}

/** One dataset, snapshot or volume of a pool. */
class ZfsFilesystem implements Filesystem {
  readonly format = 'zfs';
  readonly facts: FilesystemFacts;
  readonly supports: TreeSupports;
  readonly rootId: NodeId;
  readonly #shared: Shared;
  readonly #tree: FilesystemTree | VolumeTree;
  readonly #owner: boolean;

  constructor(shared: Shared, tree: FilesystemTree | VolumeTree, facts: FilesystemFacts, owner: boolean) {
    this.#shared = shared;
    this.#tree = tree;
    this.#owner = owner;
    this.facts = facts;
    this.supports = tree.supports;
    this.rootId = tree.rootId;
  }

  problems(): readonly TreeProblem[] {
    return this.#shared.problems.all;
  }

  lookup(directory: NodeId, name: Uint8Array): Promise<NodeId | undefined> {
    return this.#tree.lookup(directory, name);
  }

  stat(id: NodeId): Promise<NodeStat> {
    return this.#tree.stat(id);
  }

  list(directory: NodeId): AsyncIterable<readonly DirectoryEntry[]> {
    return this.#tree.list(directory);
  }

  open(id: NodeId, stream?: string): Promise<BlockSource> {
    return this.#tree.open(id, stream);
  }

  readLink(id: NodeId): Promise<Uint8Array> {
    return this.#tree.readLink(id);
  }

  attributes(id: NodeId): Promise<ReadonlyMap<string, Uint8Array>> {
    return this.#tree.attributes(id);
  }

  async volumes(): Promise<readonly FilesystemVolume[]> {
    const { datasets, problems } = this.#shared;
    const names = await datasets.list((where, error) => {
      if (!(error instanceof HoldfastError)) throw error;
      problems.add('unreadable', where, error.message);
    });
    return names.map(({ kind, name }) => ({ kind, name, readOnly: kind === 'snapshot' }));
  }

  async openVolume(kind: FilesystemVolume['kind'], name: string): Promise<Filesystem> {
    const found = kind === 'subvol' ? undefined : await this.#shared.datasets.find(name);
    if (found === undefined || found.kind !== kind) {
      const names = (await this.volumes()).filter((one) => one.kind === kind).map((one) => `'${one.name}'`);
      throw new NotFoundError(`Open ${kind} '${name}' of ZFS pool: it has ${names.slice(0, 50).join(', ') || 'none'}`, { name });
    }
    return openDataset(this.#shared, found, false);
  }

  async close(): Promise<void> {
    if (this.#owner) for (const source of this.#shared.sources) await source.close();
  }
}

function factsOf({ pool }: Shared, name: string, tree: FilesystemTree | VolumeTree, log: readonly string[]): FilesystemFacts {
  const what = tree instanceof FilesystemTree ? `filesystem v${tree.version}` : 'volume';
  return {
    format: 'zfs', version: `ZFS pool v${pool.label.version}, ${what}`, label: name, uuid: String(pool.label.poolGuid), size: pool.size,
    blockBytes: 2 ** (nvNumber(pool.label.tree, 'ashift') ?? 9), clean: pool.label.exported && log.length === 0,
    remarks: [...pool.remarks, ...log],
  };
}

/** The records of a dataset's log, and what people should know about them. */
async function pendingLog({ pool, context }: Shared, objects: ObjectSet, dataset: DatasetName): Promise<{ readonly records: readonly LogRecord[]; readonly remarks: readonly string[] }> {
  if (!hasIntentLog(objects) || dataset.kind === 'snapshot') return { records: [], remarks: [] };
  if (context.journal === 'ignore') return { records: [], remarks: [`the intent log of '${dataset.name}' is left out, as asked`] };
  try {
    const records = await readIntentLog(objects, pool.uberblock.txg);
    return { records, remarks: records.length === 0 ? [] : [`'${records.length}' records of the intent log of '${dataset.name}' were replayed in memory`] };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    return { records: [], remarks: [`the intent log of '${dataset.name}' cannot be read, so its last changes are missing: ${error.message}`] };
  }
}

async function openDataset(shared: Shared, dataset: DatasetName, owner: boolean): Promise<ZfsFilesystem> {
  const objects = await shared.datasets.open(dataset);
  const tree = shared.trees.get(dataset.object) ?? shared.trees.size;
  if (tree >= TREES_MAX) throw new LimitError('open datasets', tree + 1, TREES_MAX, 'ZFS pool');
  const { records, remarks } = await pendingLog(shared, objects, dataset);
  let opened: FilesystemTree | VolumeTree;
  if (objects.type === objectSetTypes.filesystem) opened = await FilesystemTree.open({ objects, tree, log: records, problem: ({ kind, where, message }) => { shared.problems.add(kind, where, message); } });
  else if (objects.type === objectSetTypes.volume) opened = await VolumeTree.open(objects, tree * TREE_SPAN, records);
  else throw new UnsupportedError(`Open ZFS dataset '${dataset.name}': its objects are of type '${objects.type}', which is no filesystem and no volume`, { type: objects.type });
  shared.trees.set(dataset.object, tree);
  return new ZfsFilesystem(shared, opened, factsOf(shared, dataset.name, opened, remarks), owner);
}

/**
 * Opens a pool; the driver does it without `altered`, which tests use.
 * @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} @throws {IntegrityError}
 */
export async function openZfs(sources: readonly BlockSource[], context: FilesystemContext, altered?: Alter): Promise<Filesystem> {
  const problems = new ProblemList();
  const repaired = (where: string): void => { problems.add('repaired', where, 'Read ZFS block: another copy was used'); };
  const pool = await openPool(sources, context, { repaired, altered });
  const ring = new KeyRing(pool.meta, context);
  const datasets = new Datasets(pool, (object, dataset) => ring.cipher(object, dataset));
  return openDataset({ pool, datasets, sources, context, problems, trees: new Map() }, await datasets.root(), true);
}

async function probe(source: BlockSource): Promise<ProbeVerdict> {
  try {
    const found = await findLabel(source);
    if (found?.index === 0) return { match: 'yes', version: `pool v${found.label.version}` };
    // Whoever made another filesystem here left the labels further on alone.
    if (found !== undefined) return { match: 'damaged', reason: `the first label does not hold, label ${found.index + 1} does` };
    return await hasUberblock(source) ? { match: 'damaged', reason: 'none of the four labels holds' } : { match: 'no' };
  } catch (error) {
    if (error instanceof HoldfastError) return { match: 'damaged', reason: error.message };
    throw error;
  }
}

/** What a member says; `members` is the least there can be: of other top-level devices its label knows only the number. */
async function member(source: BlockSource): Promise<MemberFacts> {
  const label = (await findLabel(source))?.label;
  if (label === undefined) throw new NotFoundError('Read ZFS label: none holds');
  const leaves = nvLists(label.tree, 'children').length === 0 ? 1 : leavesOf(label.tree).length;
  return { filesystem: String(label.poolGuid), member: String(label.guid), members: Math.max(1, label.children - 1 + leaves) };
}

/** Opens pools of one or several devices. */
export const zfsDriver: FilesystemDriver = { name: 'zfs', probe, member, open: (sources, context) => openZfs(sources, context) };
