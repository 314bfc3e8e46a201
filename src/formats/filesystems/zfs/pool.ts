/**
 * A pool: its members, its newest state that can be read, its configuration and features.
 * Source: OpenZFS `module/zfs/spa.c` (comments on loading), `include/sys/dmu.h` (DMU_POOL_* names), `zfeature_common.c` (features).
 */
import { type BlockSource, checkLimit, FormatError, IntegrityError, NotFoundError, textOf, UnsupportedError } from '../../../core/index.ts';
import type { FilesystemContext } from '../filesystem.ts';
import { BlockReader, type BlockReaderParts } from './block-reader.ts';
import { loadIndirect } from './indirect.ts';
import { type MemberLabels, type PoolLabel, readLabels, type Uberblock } from './label.ts';
import { decodeNvList, type NvList, nvList, nvLists, nvNumber, nvText } from './nvlist.ts';
import { ObjectSet } from './object-set.ts';
import { MissingVdev, type Vdev } from './vdev.ts';
import { buildTop, guidsOf, leavesOf, type Members } from './vdev-tree.ts';
import { entryNumber, Zap } from './zap.ts';

/** Object of the directory of the meta object set. */
const DIRECTORY_OBJECT = 1;
const VERSION_FEATURES = 5000;
const VERSION_LAST_PLAIN = 28;
/**
 * States of a pool that are tried. ZFS keeps what it frees for three transaction groups, so these are whole unless the disk is damaged; still older
 * ones may be read by chance, and would show a pool as it was long ago, perhaps empty.
 */
const STATES_MAX = 4;

/** Features that a reader must know, and this one does. Those of checksums and compressions are looked at block by block. */
const features: ReadonlySet<string> = new Set([
  'org.illumos:lz4_compress', 'com.joyent:multi_vdev_crash_dump', 'com.delphix:hole_birth', 'com.delphix:extensible_dataset', 'com.delphix:embedded_data',
  'org.open-zfs:large_blocks', 'org.zfsonlinux:large_dnode', 'org.illumos:sha512', 'org.illumos:skein', 'org.illumos:edonr', 'org.openzfs:blake3',
  'com.delphix:redaction_bookmarks', 'com.delphix:redacted_datasets', 'com.delphix:redaction_list_spill', 'com.delphix:bookmark_written', 'com.delphix:device_removal',
  'com.datto:bookmark_v2', 'com.datto:encryption', 'org.freebsd:zstd_compress', 'org.openzfs:draid', 'com.delphix:head_errlog', 'com.klarasystems:vdev_zaps_v2',
  'org.zfsonlinux:longname',
]);

/** What a pool's opener found. */
export interface Pool {
  readonly label: PoolLabel;
  readonly uberblock: Uberblock;
  readonly reader: BlockReader;
  /** The meta object set. */
  readonly meta: ObjectSet;
  readonly directory: Zap;
  readonly config: NvList;
  readonly remarks: readonly string[];
  /** Bytes of all top-level devices. */
  readonly size: number;
}

/** Members by guid, with the label that was written last. */
interface Gathered {
  readonly label: PoolLabel;
  readonly members: Members;
  readonly uberblocks: readonly Uberblock[];
  readonly tops: readonly PoolLabel[];
  readonly remarks: string[];
}

async function gather(sources: readonly BlockSource[], context: FilesystemContext): Promise<Gathered> {
  checkLimit(context.limits, 'volumeMembersMax', sources.length, 'ZFS pool');
  const members = new Map<bigint, BlockSource>();
  const labels: PoolLabel[] = [];
  const uberblocks: Uberblock[] = [];
  const remarks: string[] = [];
  for (const [i, source] of sources.entries()) {
    const found: MemberLabels = await readLabels(source);
    if (found.label.auxiliary !== undefined) {
      remarks.push(`member ${i + 1} is a ${found.label.auxiliary} device: it holds no data of its own`);
      continue;
    }
    if (members.has(found.label.guid)) throw new FormatError('Open ZFS pool', { structure: 'vdev_label', field: 'guid', found: String(found.label.guid), expected: 'members with different guids' });
    if (found.damaged > 0) remarks.push(`${found.damaged} of 4 labels of member ${i + 1} are damaged; another was used`);
    members.set(found.label.guid, source);
    labels.push(found.label);
    uberblocks.push(...found.uberblocks);
  }
  const [first] = labels;
  if (first === undefined) throw new UnsupportedError('Open ZFS pool: only spare or cache devices are at hand');
  const stranger = labels.find(({ poolGuid }) => poolGuid !== first.poolGuid);
  if (stranger !== undefined) throw new FormatError('Open ZFS pool', { structure: 'vdev_label', field: 'pool_guid', found: String(stranger.poolGuid), expected: String(first.poolGuid) });
  const label = labels.reduce((newest, one) => (one.txg > newest.txg ? one : newest));
  if (label.destroyed) remarks.push('the pool was destroyed');
  return { label, members, uberblocks, tops: labels.toSorted((a, b) => b.txg - a.txg), remarks };
}

function checkVersion(label: PoolLabel): void {
  if (label.version !== VERSION_FEATURES && (label.version < 1 || label.version > VERSION_LAST_PLAIN)) {
    throw new UnsupportedError(`Open ZFS pool '${label.name}': version '${label.version}' is not supported`, { version: label.version });
  }
  checkFeatures(label.name, label.features);
}

function checkFeatures(pool: string, names: readonly string[]): void {
  const strange = names.filter((name) => !features.has(name));
  if (strange.length > 0) throw new UnsupportedError(`Open ZFS pool '${pool}': it uses features that are not supported: ${strange.map((name) => `'${name}'`).join(', ')}`, { features: strange.join(' ') });
}

/** Top-level devices as the labels tell: those without a member at hand are not known yet. */
function topsOfLabels({ label, tops, members }: Gathered, context: FilesystemContext): readonly (Vdev | undefined)[] {
  checkLimit(context.limits, 'volumeMembersMax', label.children, 'ZFS pool');
  const found: (Vdev | undefined)[] = Array.from({ length: label.children });
  for (const { tree } of tops) {
    const id = nvNumber(tree, 'id') ?? 0;
    if (id < found.length) found[id] ??= buildTop(tree, members, context.limits);
  }
  return found.map((vdev, i) => vdev ?? new MissingVdev(`device ${i}`));
}

/** Uberblocks from the newest on, each state once. */
function statesOf(uberblocks: readonly Uberblock[]): readonly Uberblock[] {
  const sorted = uberblocks.toSorted((a, b) => b.txg - a.txg || b.timestamp - a.timestamp || b.sequence - a.sequence);
  return sorted.filter((one, i) => i === 0 || one.txg !== (sorted[i - 1] as Uberblock).txg || one.timestamp !== (sorted[i - 1] as Uberblock).timestamp).slice(0, STATES_MAX);
}

/** What stands in the object of a packed list. @throws {FormatError} @throws {LimitError} */
async function packedList(meta: ObjectSet, id: number): Promise<NvList> {
  const object = await meta.object(id);
  const { bonus } = object.dnode;
  const length = bonus.length >= 8 ? Number(new DataView(bonus.buffer, bonus.byteOffset, 8).getBigUint64(0, true)) : object.size;
  checkLimit(meta.supply.reader.limits, 'volumeTableBytesMax', length, 'packed list of a ZFS pool');
  return decodeNvList(await object.bytes(0, length));
}

/** The pool's state at one uberblock. */
interface State {
  readonly meta: ObjectSet;
  readonly directory: Zap;
  readonly config: NvList;
}

async function readState(reader: BlockReader, uberblock: Uberblock): Promise<State> {
  const meta = await ObjectSet.open({ reader }, uberblock.root);
  const directory = await Zap.open(await meta.object(DIRECTORY_OBJECT));
  const config = await packedList(meta, await directory.required('config'));
  return { meta, directory, config };
}

/** The newest state that can be read. */
async function newestState(reader: BlockReader, gathered: Gathered): Promise<State & { readonly uberblock: Uberblock }> {
  const states = statesOf(gathered.uberblocks);
  let failure: unknown = new FormatError('Open ZFS pool', { structure: 'uberblock', field: 'ub_magic', found: 'none that holds', expected: 'at least one' });
  for (const [i, uberblock] of states.entries()) {
    try {
      const state = await readState(reader, uberblock);
      if (i > 0) gathered.remarks.push(`the newest ${i === 1 ? 'state' : `${i} states`} of the pool cannot be read; this is transaction group ${uberblock.txg}, the newest is ${(states[0] as Uberblock).txg}`);
      return { ...state, uberblock };
    } catch (error) {
      if (!(error instanceof IntegrityError || error instanceof FormatError || error instanceof NotFoundError)) throw error;
      if (i === 0) failure = error;
    }
  }
  throw failure;
}

/** Names of the features in use that a reader must know. */
async function featuresInUse(meta: ObjectSet, directory: Zap): Promise<readonly string[]> {
  const id = await directory.number('features_for_read');
  if (id === undefined) return [];
  const names: string[] = [];
  for await (const page of (await Zap.open(await meta.object(id))).entries()) for (const entry of page) if (entryNumber(entry) > 0) names.push(textOf(entry.name));
  return names;
}

/** Replaces what the labels told of the devices by the pool's own configuration. */
async function useConfig(reader: BlockReader, state: State, gathered: Gathered, context: FilesystemContext): Promise<NvList> {
  const root = nvList(state.config, 'vdev_tree');
  if (root === undefined) throw new FormatError('Open ZFS pool', { structure: 'config', field: 'vdev_tree', found: 'nothing', expected: 'a list' });
  const children = nvLists(root, 'children');
  checkLimit(context.limits, 'volumeMembersMax', children.length, 'ZFS pool');
  const vdevs: (Vdev | undefined)[] = [];
  const removed: NvList[] = [];
  for (const [i, child] of children.entries()) {
    if (nvText(child, 'type') === 'indirect') removed.push(child);
    else vdevs[nvNumber(child, 'id') ?? i] = buildTop(child, gathered.members, context.limits);
  }
  reader.vdevs = vdevs;
  await loadIndirect(reader, state.meta, removed, vdevs);
  const absent = children.flatMap(leavesOf).filter((leaf) => ['disk', 'file'].includes(nvText(leaf, 'type') ?? '') && !gathered.members.has(leaf.get('guid') as bigint));
  if (absent.length > 0) gathered.remarks.push(`members are missing: ${absent.map((leaf) => nvText(leaf, 'path') ?? String(leaf.get('guid'))).join(', ')}`);
  return root;
}

/**
 * Opens a pool. `watch.repaired` is told of blocks of which the first copy was bad.
 * @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} @throws {IntegrityError}
 */
export async function openPool(sources: readonly BlockSource[], context: FilesystemContext, watch: Pick<BlockReaderParts, 'repaired' | 'altered'>): Promise<Pool> {
  const gathered = await gather(sources, context);
  checkVersion(gathered.label);
  const reader = new BlockReader({ limits: context.limits, unzstd: context.unzstd, ...watch });
  reader.vdevs = topsOfLabels(gathered, context);
  const state = await newestState(reader, gathered);
  checkFeatures(gathered.label.name, await featuresInUse(state.meta, state.directory));
  const root = await useConfig(reader, state, gathered, context);
  const salt = await state.directory.find(Buffer.from('org.illumos:checksum_salt'));
  if (salt !== undefined && salt.value.length === 32) reader.salt = salt.value;
  const sum = BigInt.asUintN(64, guidsOf(root).reduce((total, guid) => total + guid, 0n));
  if (sum !== state.uberblock.guidSum) gathered.remarks.push('the sum of the guids of its devices is not what the pool says');
  const size = nvLists(root, 'children').reduce((total, child) => total + (nvNumber(child, 'asize') ?? 0), 0);
  return { label: gathered.label, uberblock: state.uberblock, reader, meta: state.meta, directory: state.directory, config: state.config, remarks: gathered.remarks, size };
}
