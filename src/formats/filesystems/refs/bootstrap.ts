/** From the boot sector by way of superblock and checkpoint to the volume's trees, with the copies that stand in for damaged ones. */
import {
  FormatError, HoldfastError, IntegrityError, readRange, textOf, UnsupportedError, type BlockSource, type Limits,
} from '../../../core/index.ts';
import { bootChecksum } from './checksum.ts';
import { PageReader, type ContainerMap, type PageGeometry } from './page-reader.ts';
import { readReference, REFERENCE_BYTES_MIN, verifySum, type PageReference } from './reference.ts';
import { bootLayout, checkpointLayout, INDIRECT_ROOTS, pageLayout, ROOT, superblockLayout } from './refs.layout.ts';
import { leavesOf } from './tree.ts';

/** Bytes of the boot sector. */
export const BOOT_BYTES = 512;
const SUPERBLOCK_CLUSTER = 30;
/** Copies of the superblock, in clusters from the end. */
const SUPERBLOCK_COPIES = [2, 3] as const;
const PAGE_BYTES_MIN = 16 << 10;
const DEFAULT_CONTAINER_BYTES = 64 << 20;
const ROOTS_MAX = 32;
const SCANS_MAX = 16;
/** Ids of files hold the place of their row, and must stay below 2^53. */
const SIZE_MAX = 2 ** 51;
const ROOTS_AT = pageLayout.size + checkpointLayout.size;
const CHECKPOINTS_MAX = 8;
/** Of a row of the table of containers. */
const CONTAINER = { clustersAt: 0x18, bytesMin: 0xa0, startFromEnd: 16 } as const;
/** The first page of the table of containers says how the volume compresses. */
const COMPRESSION = { markAt: 0xa0, mark: 0x0f, formatAt: 0xa4 } as const;

/** The boot sector's facts. */
export interface BootFacts extends PageGeometry {
  readonly version: string;
  readonly size: number;
  readonly serial: string;
  readonly containerBytes: number;
}

/** Whether a sector is ReFS's. */
export function isRefs(sector: Uint8Array): boolean {
  return textOf(sector.subarray(3, 11)) === 'ReFS\0\0\0\0' && textOf(sector.subarray(16, 20)) === 'FSRS';
}

/** @throws {FormatError} @throws {IntegrityError} @throws {UnsupportedError} for versions other than 3.4 to 3.14. */
export function readBootSector(sector: Uint8Array): BootFacts {
  const boot = bootLayout.view(sector);
  const { name: structure, offsets } = bootLayout;
  if (!isRefs(sector)) throw new FormatError('Read ReFS boot sector', { structure, field: 'FileSystemName', offset: offsets.FileSystemName, expected: 'ReFS' });
  const version = `${boot.MajorVersion}.${boot.MinorVersion}`;
  if (boot.MajorVersion !== 3 || boot.MinorVersion < 4 || boot.MinorVersion > 14) throw new UnsupportedError(`Open ReFS volume: version '${version}' is not read, only 3.4 to 3.14 are`, { version });
  const sum = bootChecksum(sector);
  if (sum !== boot.Checksum) throw new IntegrityError(`Read ReFS boot sector: its checksum is '${boot.Checksum}', its bytes give '${sum}'`, { structure, field: 'Checksum' });
  const clusterBytes = boot.BytesPerSector * boot.SectorsPerCluster;
  if (boot.BytesPerSector < 512 || boot.BytesPerSector > 4096 || (boot.BytesPerSector & boot.BytesPerSector - 1) !== 0) throw new FormatError('Read ReFS boot sector', { structure, field: 'BytesPerSector', offset: offsets.BytesPerSector, found: boot.BytesPerSector, expected: '512 to 4096' });
  if (clusterBytes !== 4096 && clusterBytes !== 65_536) throw new FormatError('Read ReFS boot sector', { structure, field: 'SectorsPerCluster', offset: offsets.SectorsPerCluster, found: boot.SectorsPerCluster, expected: 'clusters of 4 or 64 KiB' });
  const containerBytes = boot.BytesPerContainer || DEFAULT_CONTAINER_BYTES;
  const clusters = containerBytes / clusterBytes;
  if (!Number.isInteger(Math.log2(clusters)) || clusters < 1) throw new FormatError('Read ReFS boot sector', { structure, field: 'BytesPerContainer', offset: offsets.BytesPerContainer, found: containerBytes, expected: 'a power of two of clusters' });
  const size = boot.NumberOfSectors * boot.BytesPerSector;
  if (size > SIZE_MAX) throw new FormatError('Read ReFS boot sector', { structure, field: 'NumberOfSectors', offset: offsets.NumberOfSectors, found: boot.NumberOfSectors, expected: 'at most 2^51 bytes' });
  return { version, size, containerBytes, clusterBytes, pageBytes: Math.max(PAGE_BYTES_MIN, clusterBytes), serial: Buffer.from(boot.SerialNumber).reverse().toString('hex').toUpperCase() };
}

/** The boot sector, or its copy in the last sector where it is damaged. @throws what is wrong with the first. */
async function readBoot(source: BlockSource, remarks: string[]): Promise<BootFacts> {
  try {
    return readBootSector(await readRange(source, 0, BOOT_BYTES));
  } catch (error) {
    const copy = await readRange(source, source.size - source.size % BOOT_BYTES - BOOT_BYTES, BOOT_BYTES);
    if (!(error instanceof HoldfastError) || error instanceof UnsupportedError || !isRefs(copy)) throw error;
    const boot = readBootSector(copy);
    remarks.push(`the boot sector is damaged, its copy at the end was used: ${error.message}`);
    return boot;
  }
}

/** A page whose sum is within itself, over its first cluster with the place of the sum empty. @throws {FormatError} @throws {IntegrityError} */
function verifySelf(page: Uint8Array, { at, length, clusterBytes, where }: { readonly at: number; readonly length: number; readonly clusterBytes: number; readonly where: string }): void {
  if (length < REFERENCE_BYTES_MIN || at < pageLayout.size || at + length > clusterBytes) throw new FormatError('Read ReFS page', { structure: where, field: 'SelfOffset', found: at, expected: `at most ${clusterBytes - length}` });
  const { kind, sum } = readReference(page, at, where);
  const bytes = page.slice(0, clusterBytes);
  bytes.fill(0, at, at + length);
  verifySum({ kind, sum, where }, bytes);
}

async function readSigned(source: BlockSource, cluster: number, { bytes, clusterBytes, signature }: { readonly bytes: number; readonly clusterBytes: number; readonly signature: string }): Promise<Uint8Array> {
  const at = cluster * clusterBytes;
  if (cluster < 0 || at + bytes > source.size) throw new FormatError('Read ReFS page', { structure: signature, field: 'cluster', found: cluster, expected: `a place before byte ${source.size}` });
  const page = await readRange(source, at, bytes);
  const found = textOf(page.subarray(0, 4));
  if (found !== signature) throw new FormatError('Read ReFS page', { structure: signature, field: 'Signature', offset: at, found, expected: signature });
  return page;
}

/** The newest of those that can be read; `remarks` says which could not. @throws the first failure when none can. */
async function newest<T extends { readonly clock: number }>(attempts: readonly (() => Promise<T>)[], what: string, remarks: string[]): Promise<T> {
  let best: T | undefined;
  let failure: HoldfastError | undefined;
  for (const attempt of attempts) {
    try {
      const found = await attempt();
      if (best === undefined || found.clock > best.clock) best = found;
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      failure ??= error;
      remarks.push(`a copy of the ${what} is damaged: ${error.message}`);
    }
  }
  if (best === undefined) throw failure ?? new FormatError(`Find ReFS ${what}`, { structure: what, field: 'copies', found: 0, expected: 'at least 1' });
  return best;
}

interface Superblock {
  readonly clock: number;
  readonly guid: Uint8Array;
  readonly checkpoints: readonly number[];
}

async function readSuperblock(source: BlockSource, cluster: number, clusterBytes: number): Promise<Superblock> {
  const page = await readSigned(source, cluster, { bytes: clusterBytes, clusterBytes, signature: 'SUPB' });
  const block = superblockLayout.view(page, pageLayout.size, cluster * clusterBytes);
  verifySelf(page, { at: block.SelfOffset, length: block.SelfLength, clusterBytes, where: `ReFS superblock at cluster ${cluster}` });
  const { CheckpointsOffset: at, CheckpointsCount: count } = block;
  if (count < 1 || count > CHECKPOINTS_MAX || at + 8 * count > page.length) throw new FormatError('Read ReFS superblock', { structure: superblockLayout.name, field: 'CheckpointsCount', found: count, expected: `1 to ${CHECKPOINTS_MAX}` });
  const view = new DataView(page.buffer, page.byteOffset);
  return { clock: block.Generation, guid: block.VolumeGuid.slice(), checkpoints: Array.from({ length: count }, (_, i) => view.getUint32(at + 8 * i, true) + (view.getUint32(at + 8 * i + 4, true) & 0xffff) * 0x1_0000_0000) };
}

interface Checkpoint {
  readonly clock: number;
  readonly roots: readonly (PageReference | undefined)[];
}

async function readCheckpoint(source: BlockSource, cluster: number, boot: BootFacts): Promise<Checkpoint> {
  const { clusterBytes, pageBytes } = boot;
  const where = `ReFS checkpoint at cluster ${cluster}`;
  const page = await readSigned(source, cluster, { bytes: pageBytes, clusterBytes, signature: 'CHKP' });
  const head = checkpointLayout.view(page, pageLayout.size, cluster * clusterBytes);
  verifySelf(page, { at: head.SelfOffset, length: head.ReferenceLength, clusterBytes, where });
  const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
  const list = (head.Flags & INDIRECT_ROOTS) === 0 ? ROOTS_AT : view.getUint32(ROOTS_AT, true);
  if (head.RootsCount <= ROOT.containersCopy || head.RootsCount > ROOTS_MAX || list + 4 * head.RootsCount > page.length) throw new FormatError('Read ReFS checkpoint', { structure: where, field: 'RootsCount', found: head.RootsCount, expected: `${ROOT.containersCopy + 1} to ${ROOTS_MAX}` });
  const roots = Array.from({ length: head.RootsCount }, (_, i) => {
    const at = view.getUint32(list + 4 * i, true);
    if (at === 0) return undefined;
    if (at + head.ReferenceLength > page.length) throw new FormatError('Read ReFS checkpoint', { structure: where, field: `root ${i}`, found: at, expected: `at most ${page.length - head.ReferenceLength}` });
    return readReference(page.subarray(0, at + head.ReferenceLength), at, `${where}, root ${i}`);
  });
  return { clock: head.Clock, roots };
}

/** A volume's trees, ready to be read. */
export interface RefsVolume {
  readonly boot: BootFacts;
  readonly guid: Uint8Array;
  readonly pages: PageReader;
  readonly limits: Limits;
  /** The table of objects, its copy behind it. */
  readonly objects: readonly PageReference[];
  /** The volume packs what is in its containers. */
  readonly compressed: boolean;
  readonly remarks: string[];
  /** How often yet the whole table of objects may be looked through for one that is not where it should be. */
  readonly scans: { left: number };
}

/** The table of containers from the first of its copies that can be read. */
async function readContainers(roots: readonly (PageReference | undefined)[], { pages, limits, boot, remarks }: { readonly pages: PageReader; readonly limits: Limits; readonly boot: BootFacts; readonly remarks: string[] }): Promise<{ readonly map: ContainerMap; readonly compressed: boolean }> {
  const clusters = boot.containerBytes / boot.clusterBytes;
  const attempts = [ROOT.containers, ROOT.containersCopy].map((root) => async () => {
    const reference = roots[root];
    if (reference === undefined) throw new FormatError('Read ReFS table of containers', { structure: 'ReFS checkpoint', field: `root ${root}`, found: 'none', expected: 'a reference' });
    const starts = new Map<number, number>();
    for await (const { node } of leavesOf(reference, { pages, limits, physical: true })) {
      for (let i = 0; i < node.count; i += 1) {
        const { value } = node.row(i);
        const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
        if (value.length < CONTAINER.bytesMin || view.getUint32(CONTAINER.clustersAt, true) !== clusters) throw new FormatError('Read ReFS table of containers', { structure: reference.where, field: `row ${i}`, found: value.length < CONTAINER.bytesMin ? value.length : view.getUint32(CONTAINER.clustersAt, true), expected: `${clusters} clusters` });
        const start = view.getUint32(value.length - CONTAINER.startFromEnd, true) + (view.getUint32(value.length - CONTAINER.startFromEnd + 4, true) & 0xffff) * 0x1_0000_0000;
        starts.set(view.getUint32(0, true) + (view.getUint32(4, true) & 0xffff) * 0x1_0000_0000, start);
      }
    }
    const first = await pages.read(reference, true);
    const head = new DataView(first.buffer, first.byteOffset);
    const compressed = head.getUint32(COMPRESSION.markAt, true) === COMPRESSION.mark && head.getUint16(COMPRESSION.formatAt, true) !== 0;
    return { clock: 0, map: { starts, clusters }, compressed };
  });
  return newest(attempts, 'table of containers', remarks);
}

/** Finds everything. @throws {FormatError} @throws {IntegrityError} @throws {UnsupportedError} @throws {LimitError} */
export async function openVolume(source: BlockSource, limits: Limits): Promise<RefsVolume> {
  if (source.size < BOOT_BYTES) throw new FormatError('Read ReFS boot sector', { structure: 'volume', field: 'size', found: source.size, expected: `at least ${BOOT_BYTES}` });
  const remarks: string[] = [];
  const boot = await readBoot(source, remarks);
  const clusters = Math.floor(boot.size / boot.clusterBytes);
  const superblock = await newest([SUPERBLOCK_CLUSTER, ...SUPERBLOCK_COPIES.map((back) => clusters - back)].map((cluster) => () => readSuperblock(source, cluster, boot.clusterBytes)), 'superblock', remarks);
  const checkpoint = await newest(superblock.checkpoints.map((cluster) => () => readCheckpoint(source, cluster, boot)), 'checkpoint', remarks);
  const pages = new PageReader(source, boot, limits);
  const { map, compressed } = await readContainers(checkpoint.roots, { pages, limits, boot, remarks });
  pages.useContainers(map);
  const objects = [checkpoint.roots[ROOT.objects], checkpoint.roots[ROOT.objectsCopy]].filter((root) => root !== undefined);
  if (objects.length === 0) throw new FormatError('Open ReFS volume', { structure: 'ReFS checkpoint', field: 'root 0', found: 'none', expected: 'a reference' });
  return { boot, guid: superblock.guid, pages, limits, objects, compressed, remarks, scans: { left: SCANS_MAX } };
}
