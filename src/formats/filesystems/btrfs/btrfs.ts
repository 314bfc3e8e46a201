/** The btrfs reader: devices and chunks to subvolumes. Source: btrfs documentation, "On-disk format"; kernel `fs/btrfs/disk-io.c`, `open_ctree`. */
import { type BlockSource, checkLimit, FormatError, HoldfastError, type Limits } from '../../../core/index.ts';
import { UnitCache } from '../../mapping/unit-cache.ts';
import type { Filesystem, FilesystemContext, FilesystemDriver, FilesystemFacts, MemberFacts } from '../filesystem.ts';
import { BtrfsTree } from './btrfs-tree.ts';
import { ITEM, OBJECT } from './btrfs.layout.ts';
import { ChunkMap, chunkBytes } from './chunk-map.ts';
import { DataSource } from './data-source.ts';
import { replayLogs, type ReplayedLogs } from './log-replay.ts';
import { type Device, LogicalSpace } from './logical-space.ts';
import { itemBytes } from './node.ts';
import { NodeStore } from './node-store.ts';
import { ProblemList } from '../problem-list.ts';
import { SubvolumeTable } from './subvolumes.ts';
import { probeSuperblock, readSuperblock, type Superblock } from './superblock.ts';
import { DiskTree } from './tree.ts';
import { PACKED_EXTENT_BYTES_MAX } from './unpack.ts';
import { wideAt } from './wide.ts';

/** Bytes of a key in front of each chunk in the superblock. */
const KEY_BYTES = 17;

/** Devices of one filesystem, and the superblock that counts. */
interface Members {
  readonly superblock: Superblock;
  readonly devices: ReadonlyMap<number, Device>;
  readonly remarks: string[];
}

async function membersOf(sources: readonly BlockSource[], limits: Limits): Promise<Members> {
  checkLimit(limits, 'volumeMembersMax', sources.length, 'btrfs devices');
  const found: { readonly source: BlockSource; readonly superblock: Superblock }[] = [];
  for (const source of sources) found.push({ source, superblock: await readSuperblock(source) });
  const newest = found.reduce((a, b) => (b.superblock.view.generation > a.superblock.view.generation ? b : a)).superblock;
  const devices = new Map<number, Device>();
  const remarks: string[] = [];
  for (const { source, superblock } of found) {
    const { device, uuid, copy, view } = superblock;
    if (uuid !== newest.uuid) throw new FormatError('Open btrfs', { structure: 'btrfs_super_block', field: 'fsid', found: uuid, expected: newest.uuid });
    if (devices.has(device.id)) throw new FormatError('Open btrfs', { structure: 'btrfs_dev_item', field: 'devid', found: device.id, expected: 'another id for each device' });
    const stale = view.generation < newest.view.generation;
    devices.set(device.id, { id: device.id, uuid: device.uuid, source, stale });
    if (stale) remarks.push(`Device ${device.id} missed the last commits: it is at generation ${view.generation} of ${newest.view.generation}, and read only where there is no other copy`);
    if (copy > 0) remarks.push(`The superblock of device ${device.id} is damaged: its spare copy ${copy} was used`);
    if (source.size < device.bytes) remarks.push(`Device ${device.id} is cut: it has ${source.size} of ${device.bytes} bytes`);
  }
  return { superblock: newest, devices, remarks };
}

/** The chunks that lead to the chunk tree. */
function systemChunks({ view }: Superblock, chunks: ChunkMap): void {
  const array = view.sys_chunk_array.subarray(0, view.sys_chunk_array_size);
  for (let at = 0; at < array.length;) {
    const fault = (field: string, found: string | number, expected: string): FormatError => new FormatError('Open btrfs', { structure: 'sys_chunk_array', field, offset: at, found, expected });
    if (at + KEY_BYTES > array.length) throw fault('key', array.length - at, `${KEY_BYTES} bytes`);
    const key = new DataView(array.buffer, array.byteOffset + at, KEY_BYTES);
    if (key.getUint8(8) !== ITEM.CHUNK_ITEM) throw fault('key.type', key.getUint8(8), String(ITEM.CHUNK_ITEM));
    const bytes = chunkBytes(array, at + KEY_BYTES);
    if (at + KEY_BYTES + bytes > array.length) throw fault('num_stripes', bytes, `a chunk of at most ${array.length - at - KEY_BYTES} bytes`);
    chunks.add(wideAt(key, 9), array.subarray(at + KEY_BYTES, at + KEY_BYTES + bytes));
    at += KEY_BYTES + bytes;
  }
}

async function allChunks(tree: DiskTree, chunks: ChunkMap, limits: Limits): Promise<void> {
  let bytes = 0;
  const range = { objectid: OBJECT.FIRST_CHUNK_TREE, type: ITEM.CHUNK_ITEM, first: 0, last: -1 };
  for await (const page of tree.pages(range)) {
    for (const item of page) {
      bytes += 200 + item.size;
      checkLimit(limits, 'filesystemListBytesMax', bytes, 'btrfs chunks');
      const found = itemBytes(item);
      const wanted = chunkBytes(found, 0);
      if (wanted !== found.length) throw new FormatError('Read btrfs chunk', { structure: 'btrfs_chunk', field: 'num_stripes', offset: item.offset, found: found.length, expected: wanted });
      chunks.add(item.offset, found);
    }
  }
}

async function missingDevices(tree: DiskTree, devices: ReadonlyMap<number, Device>): Promise<readonly number[]> {
  const missing: number[] = [];
  for await (const page of tree.pages({ objectid: OBJECT.DEV_ITEMS, type: ITEM.DEV_ITEM, first: 0, last: -1 })) {
    for (const { offset } of page) if (!devices.has(offset)) missing.push(offset);
  }
  return missing;
}

function factsOf({ view, uuid, label }: Superblock, remarks: readonly string[]): FilesystemFacts {
  return {
    format: 'btrfs', version: 'btrfs', ...(label === '' ? {} : { label }), uuid, size: view.total_bytes, blockBytes: view.sectorsize,
    clean: view.log_root === 0, remarks,
  };
}

/** What a log adds; when it cannot be read, the filesystem is as of its last commit, and a remark says so. */
async function logsOf(members: Members, parts: { readonly store: NodeStore; readonly subvolumes: SubvolumeTable; readonly context: FilesystemContext }): Promise<ReplayedLogs> {
  const { superblock: { view }, remarks } = members;
  if (view.log_root === 0) return { sums: [] };
  if (parts.context.journal === 'ignore') {
    remarks.push('There is a log of what was synced after the last commit; it was left out');
    return { sums: [] };
  }
  try {
    const root = { tree: OBJECT.TREE_LOG, logical: view.log_root, level: view.log_root_level, generation: view.generation + 1 };
    const replayed = await replayLogs({ root, store: parts.store, subvolumes: parts.subvolumes, limits: parts.context.limits, noHoles: Math.floor(view.incompat_flags / 512) % 2 === 1, sectorBytes: view.sectorsize });
    remarks.push('The log of what was synced after the last commit was replayed in memory');
    return replayed;
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code === 'ABORTED') throw error;
    remarks.push(`What was synced after the last commit is missing, for the log cannot be replayed: ${error.message}`);
    return { sums: [] };
  }
}

async function openBtrfs(sources: readonly BlockSource[], context: FilesystemContext): Promise<Filesystem> {
  const { limits } = context;
  const members = await membersOf(sources, limits);
  const { superblock, devices, remarks } = members;
  const { view, checksum } = superblock;
  const problems = new ProblemList();
  const chunks = new ChunkMap();
  systemChunks(superblock, chunks);
  const space = new LogicalSpace(chunks, devices);
  const store = new NodeStore({ space, checksum, nodeBytes: view.nodesize, uuid: superblock.metadataUuid, problems, budget: limits.filesystemCacheBytesMax / 2 });
  const chunkTree = new DiskTree(store, { tree: OBJECT.CHUNK_TREE, logical: view.chunk_root, level: view.chunk_root_level, generation: view.chunk_root_generation });
  await allChunks(chunkTree, chunks, limits);
  for (const id of await missingDevices(chunkTree, devices)) remarks.push(`Device ${id} is missing: what has a copy elsewhere can be read`);
  const roots = new DiskTree(store, { tree: OBJECT.ROOT_TREE, logical: view.root, level: view.root_level, generation: view.generation });
  const subvolumes = new SubvolumeTable(roots, store, limits);
  const logs = await logsOf(members, { store, subvolumes, context });
  const sumsRoot = await subvolumes.root(OBJECT.CSUM_TREE);
  const data = {
    space, checksum, sectorBytes: view.sectorsize, problems,
    sums: [...(sumsRoot === undefined ? [] : [new DiskTree(store, sumsRoot)]), ...logs.sums],
  };
  const shown = await subvolumes.get(await subvolumes.defaultId(view.root_dir_objectid));
  if (shown === undefined) throw new FormatError('Open btrfs', { structure: 'btrfs_root_item', field: 'default subvolume', found: 'none', expected: 'a subvolume' });
  let closed: Promise<void> | undefined;
  const tree = new BtrfsTree({
    facts: factsOf(superblock, remarks), limits, sectorBytes: view.sectorsize, subvolumes, problems,
    extents: { units: new UnitCache(PACKED_EXTENT_BYTES_MAX, limits.filesystemCacheBytesMax / 4), unpack: { sectorBytes: view.sectorsize, fast: context.unzstd } },
    verified: new DataSource(data, true), unverified: new DataSource(data, false),
    close: () => closed ??= closeAll(sources),
  }, shown);
  await tree.stat(tree.rootId);
  return tree;
}

async function closeAll(sources: readonly BlockSource[]): Promise<void> {
  const failed = (await Promise.allSettled(sources.map((source) => source.close()))).find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function memberOf(source: BlockSource): Promise<MemberFacts> {
  const { uuid, device, view } = await readSuperblock(source);
  return { filesystem: uuid, member: device.uuid, members: view.num_devices };
}

/** The btrfs driver. */
export const btrfsDriver: FilesystemDriver = { name: 'btrfs', probe: probeSuperblock, member: memberOf, open: openBtrfs };
