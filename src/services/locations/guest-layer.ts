/**
 * What is on a disk as layers: partitions, volume groups, arrays, encrypted containers, filesystems with their subvolumes and snapshots. Nothing here
 * looks for disk images: a guest may write any magic number into its own disk.
 */
import { NotFoundError, UnsupportedError, UsageError, defaultLimits, type BlockSource } from '../../core/index.ts';
import { createZstd } from '../../engine/index.ts';
import { filesystemMember, openFilesystem, probeFilesystem, type Filesystem, type FilesystemVolume } from '../../formats/filesystems/index.ts';
import { memberOf, openVolumeTable, probeVolumeTable, type Volume, type VolumeTable, type VolumeTableName } from '../../formats/partitions/index.ts';
import { borrowed } from './borrowed.ts';
import { DiskTree } from './disk-tree.ts';
import type { Arrival, DiskPlace, LayerInfo, NodePlace, OpenOptions } from './place.ts';

/** Encrypted containers in each other that are opened on the way to what is inside. */
const CONTAINERS_MAX = 4;

const partitioned: readonly VolumeTableName[] = ['gpt', 'mbr', 'ldm'];

type Sources = readonly [BlockSource, ...BlockSource[]];

function contextOf({ keys, signal }: OpenOptions): { readonly limits: typeof defaultLimits; readonly keys?: readonly Uint8Array[]; readonly signal?: AbortSignal } {
  return { limits: defaultLimits, ...(keys === undefined ? {} : { keys }), ...(signal === undefined ? {} : { signal }) };
}

async function openTable(disks: Sources, options: OpenOptions): Promise<VolumeTable> {
  const [first, ...others] = disks;
  const table = await openVolumeTable([borrowed(first), ...others.map(borrowed)], contextOf(options));
  for (const remark of table.facts.remarks) options.onNote?.(`${table.facts.format}: ${remark}`);
  return table;
}

function factsOf({ step, type, name, uuid, offset, size }: Volume): object {
  return { step, type, ...(name === undefined ? {} : { name }), ...(uuid === undefined ? {} : { uuid }), ...(offset === undefined ? {} : { offset }), size };
}

async function arriveAtVolume(table: VolumeTable, volume: Volume): Promise<Arrival> {
  const disk = await volume.open();
  const tree = new DiskTree(disk);
  return {
    place: { kind: 'disk', disks: [disk], name: volume.step, view: { tree, id: tree.rootId, path: new Uint8Array() } },
    layer: { layer: 'volume', table: table.facts.format, ...factsOf(volume) },
    owned: { close: async () => { await disk.close(); await table.close(); } },
    problems: () => table.problems(),
  };
}

/** The place inside an encrypted container; undefined where it is none. */
async function unlock(place: DiskPlace, options: OpenOptions): Promise<Arrival | undefined> {
  if ((await probeVolumeTable(place.disks[0]))?.name !== 'luks') return undefined;
  const table = await openTable([place.disks[0]], options);
  const [volume] = table.volumes;
  if (volume !== undefined) return arriveAtVolume(table, volume);
  await table.close();
  throw new NotFoundError(`Open '${place.name}': its encrypted container holds nothing`);
}

/** Goes through encrypted containers. @returns the arrivals on the way; the last one is the place to go on from. */
async function unlockAll(place: DiskPlace, options: OpenOptions): Promise<readonly Arrival[]> {
  const way: Arrival[] = [];
  for (let i = 0; i < CONTAINERS_MAX; i += 1) {
    const here = way.at(-1)?.place as DiskPlace | undefined;
    const inside = await unlock(here ?? place, options);
    if (inside === undefined) break;
    way.push(inside);
  }
  return way;
}

/** Disks and partitions of a place that may belong together, and the tables that were opened for them. */
async function candidates(place: DiskPlace, options: OpenOptions): Promise<{ readonly sources: readonly BlockSource[]; readonly tables: readonly VolumeTable[] }> {
  const sources: BlockSource[] = [];
  const tables: VolumeTable[] = [];
  for (const disk of place.disks) {
    const found = await probeVolumeTable(disk);
    if (found === undefined || !partitioned.includes(found.name)) {
      sources.push(disk);
      continue;
    }
    const table = await openTable([disk], options);
    tables.push(table);
    for (const volume of table.volumes) if (volume.offset !== undefined) sources.push(await volume.open());
  }
  return { sources, tables };
}

/** Those of one kind, by group. */
async function groupsOf(sources: readonly BlockSource[], format: VolumeTableName): Promise<readonly Sources[]> {
  const groups = new Map<string, [BlockSource, ...BlockSource[]]>();
  for (const source of sources) {
    const member = await memberOf(source);
    if (member?.name !== format) continue;
    const { group } = member;
    const known = groups.get(group);
    if (known === undefined) groups.set(group, [source]);
    else known.push(source);
  }
  return [...groups.values()];
}

async function closeAll(things: readonly { close(): Promise<void> }[]): Promise<void> {
  for (const thing of things) await thing.close();
}

/** `lv=VG/LV`, `md=NAME`: over all disks of the place, and the partitions on them. */
async function enterGrouped(place: DiskPlace, step: string, options: OpenOptions): Promise<Arrival> {
  const format: VolumeTableName = step.startsWith('lv=') ? 'lvm' : 'md';
  const { sources, tables } = await candidates(place, options);
  const opened: VolumeTable[] = [...tables];
  try {
    const there: string[] = [];
    for (const group of await groupsOf(sources, format)) {
      const table = await openTable(group, options);
      opened.push(table);
      const volume = table.volumes.find((one) => one.step === step);
      if (volume === undefined) {
        there.push(...table.volumes.map((one) => `'${one.step}'`));
        continue;
      }
      const arrival = await arriveAtVolume(table, volume);
      return { ...arrival, owned: { close: async () => { await arrival.owned?.close(); await closeAll(tables); } } };
    }
    throw new NotFoundError(`Open step '${step}': '${place.name}' has ${there.length === 0 ? `no ${format === 'lvm' ? 'volume group' : 'array'}` : there.join(', ')}`, { step });
  } catch (error) {
    await closeAll(opened);
    throw error;
  }
}

async function enterPartition(place: DiskPlace, step: string, options: OpenOptions): Promise<Arrival> {
  const found = await probeVolumeTable(place.disks[0]);
  if (found === undefined) throw new NotFoundError(`Open step '${step}': '${place.name}' has no partition table`, { step });
  const table = await openTable(partitioned.includes(found.name) && found.name !== 'ldm' ? [place.disks[0]] : place.disks as Sources, options);
  const volume = table.volumes.find((one) => one.step === step);
  if (volume !== undefined) return arriveAtVolume(table, volume);
  await table.close();
  throw new NotFoundError(`Open step '${step}': '${place.name}' (${found.name}) has ${table.volumes.map((one) => `'${one.step}'`).join(', ') || 'no volumes'}`, { step });
}

/**
 * Follows `pN`, `lv=VG/LV`, `md=NAME` or `luks` from a disk, through encrypted containers. @returns each layer on the way.
 * @throws {NotFoundError} naming the steps there are. @throws {FormatError} @throws {UnsupportedError} @throws {IntegrityError} no key fits.
 */
export async function enterVolume(place: DiskPlace, step: string, options: OpenOptions): Promise<readonly Arrival[]> {
  if (step === 'luks') return [await enterPartition(place, step, options)];
  const way = await unlockAll(place, options);
  const here = (way.at(-1)?.place ?? place) as DiskPlace;
  return [...way, await (/^(lv|md)=/.test(step) ? enterGrouped : enterPartition)(here, step, options)];
}

/** All sources of the filesystem that the first one belongs to. */
async function filesystemSources(place: DiskPlace, options: OpenOptions): Promise<{ readonly sources: Sources; readonly tables: readonly VolumeTable[] }> {
  const [first] = place.disks;
  const member = place.disks.length > 1 ? await filesystemMember(first) : undefined;
  if (member === undefined) return { sources: [first], tables: [] };
  const found = await candidates(place, options);
  const sources: [BlockSource, ...BlockSource[]] = [first];
  for (const source of found.sources) if (source !== first && (await filesystemMember(source))?.filesystem === member.filesystem) sources.push(source);
  return { sources, tables: found.tables };
}

function arriveAtTree(filesystem: Filesystem, owned?: { close(): Promise<void> }): Arrival {
  const { facts } = filesystem;
  return {
    place: { kind: 'node', view: { tree: filesystem, id: filesystem.rootId, path: new Uint8Array() }, filesystem },
    layer: { layer: 'filesystem', ...facts },
    ...(owned === undefined ? {} : { owned }),
    problems: () => filesystem.problems(),
  };
}

/** What a disk without a filesystem has instead, for people. */
async function contentText(place: DiskPlace, options: OpenOptions): Promise<string> {
  const found = await probeVolumeTable(place.disks[0]);
  if (found === undefined) return 'found no filesystem, partition table or volume group that is known';
  const table = await openTable(place.disks as Sources, options);
  try {
    return `it has no filesystem of its own (${found.name}); name one of ${table.volumes.map((one) => `'${one.step}'`).join(', ') || 'its volumes: it has none'}`;
  } finally {
    await table.close();
  }
}

/**
 * Goes to the root of the filesystem on a disk, through encrypted containers. @returns each layer on the way.
 * @throws {UsageError} there is a table instead: it says which steps there are. @throws {NotFoundError} there is nothing. @throws as `openFilesystem`.
 */
export async function enterFilesystem(place: DiskPlace, options: OpenOptions): Promise<readonly Arrival[]> {
  const way = await unlockAll(place, options);
  const here = (way.at(-1)?.place ?? place) as DiskPlace;
  const isTable = await probeVolumeTable(here.disks[0]) !== undefined;
  const why = isTable || await probeFilesystem(here.disks[0]) === undefined ? `Open the filesystem of '${here.name}': ${await contentText(here, options)}` : undefined;
  if (why !== undefined) throw isTable ? new UsageError(why) : new NotFoundError(why);
  const { sources: [first, ...others], tables } = await filesystemSources(here, options);
  const zstd = await createZstd();
  try {
    const filesystem = await openFilesystem([borrowed(first), ...others.map(borrowed)], { ...contextOf(options), unzstd: (frame, target) => { zstd.decompress(frame, target); } });
    for (const remark of filesystem.facts.remarks) options.onNote?.(`${here.name}: ${remark}`);
    if (filesystem.facts.experimental === true) options.onNote?.(`${here.name}: reading ${filesystem.facts.version} is experimental: it was never compared with what its maker writes`);
    return [...way, arriveAtTree(filesystem, { close: async () => { await filesystem.close(); await closeAll(tables); } })];
  } catch (error) {
    await closeAll(tables);
    throw error;
  }
}

/** `subvol=NAME`, `dataset=NAME`, `snapshot=NAME` inside a filesystem. @throws {UnsupportedError} it has no such. @throws {NotFoundError} */
export async function enterTreeVolume(filesystem: Filesystem, step: string): Promise<Arrival> {
  const [kind = '', name = ''] = [step.slice(0, step.indexOf('=')), step.slice(step.indexOf('=') + 1)];
  if (filesystem.openVolume === undefined) throw new UnsupportedError(`Open step '${step}': ${filesystem.facts.version} has no subvolumes, datasets or snapshots`, { step });
  return arriveAtTree(await filesystem.openVolume(kind as FilesystemVolume['kind'], name));
}

/** `stream=NAME` of a file or directory. @throws {NotFoundError} it has no such stream. */
export async function enterStream({ view }: NodePlace, name: string): Promise<Arrival> {
  const stream = await view.tree.open(view.id, name);
  const tree = new DiskTree(stream);
  return { place: { kind: 'node', view: { tree, id: tree.rootId, path: view.path } }, layer: { layer: 'stream', name, size: stream.size }, owned: stream };
}

async function describeVolume(volume: Volume, options: OpenOptions): Promise<object> {
  const facts = factsOf(volume);
  try {
    const source = await volume.open();
    try {
      const table = await probeVolumeTable(source);
      const filesystem = table === undefined ? await probeFilesystem(source) : undefined;
      const holds = table?.name ?? (filesystem?.verdict.match === 'yes' ? filesystem.verdict.version : filesystem?.name);
      return holds === undefined ? facts : { ...facts, holds };
    } finally {
      await source.close();
    }
  } catch (error) {
    options.onNote?.(`${volume.step}: ${(error as Error).message}`);
    return { ...facts, holds: (error as Error).message };
  }
}

/** Whether anything known is on a disk: a table of volumes or a filesystem. Reads little and never throws for bad content. */
export async function isDisk(disk: BlockSource): Promise<boolean> {
  return await probeVolumeTable(disk) !== undefined || await probeFilesystem(disk) !== undefined;
}

/** What `info` tells about the content of a disk: its table with what each volume holds, or its filesystem. Nothing where none is known. */
export async function describeDisk(place: DiskPlace, options: OpenOptions): Promise<readonly LayerInfo[]> {
  const found = await probeVolumeTable(place.disks[0]);
  if (found === undefined) {
    if (await probeFilesystem(place.disks[0]) === undefined) return [];
    const way = await enterFilesystem(place, options);
    try {
      const last = way.at(-1)?.place;
      const volumes = last?.kind === 'node' ? await last.filesystem?.volumes?.() ?? [] : [];
      return way.map(({ layer }, i) => ({ ...layer as LayerInfo, ...(i === way.length - 1 && volumes.length > 0 ? { trees: volumes.map(({ kind, name }) => `${kind}=${name}`) } : {}) }));
    } finally {
      await closeAll(way.flatMap(({ owned }) => (owned === undefined ? [] : [owned])).reverse());
    }
  }
  const table = await openTable(place.disks as Sources, options);
  try {
    const parts: object[] = [];
    for (const volume of table.volumes) parts.push(await describeVolume(volume, options));
    return [{ layer: 'table', ...table.facts, parts }];
  } finally {
    await table.close();
  }
}
