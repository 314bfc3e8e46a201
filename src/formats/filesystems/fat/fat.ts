/** The reader of FAT12, FAT16 and FAT32 with VFAT's long names. Source: fatgen103; what that leaves open is as in Linux. */
import { FormatError, HoldfastError, readRange, type BlockSource, type Limits, type ProbeVerdict } from '../../../core/index.ts';
import type { Filesystem, FilesystemContext, FilesystemDriver, FilesystemFacts } from '../filesystem.ts';
import { BOOT_BYTES, checkBootSector, type FatGeometry, isFault, looksLikeFat, readBootSector } from './boot-sector.ts';
import { ClusterSpace } from './cluster-space.ts';
import { ClusterTable } from './cluster-table.ts';
import { FatFilesystem } from './fat-filesystem.ts';
import { labelText } from './short-name.ts';

/** Where the copy of a FAT32 boot sector is: sector 6. */
const BACKUP_SECTOR = 6;
const SECTOR_SIZES = [512, 1024, 2048, 4096] as const;
const NO_NAME = 'NO NAME';
/** Entry 1 of a table: set while the volume is in order, and while no disk error was met. */
const CLEAN_BITS = { FAT16: 0xc000, FAT32: 0x0c00_0000 } as const;

async function probe(source: BlockSource): Promise<ProbeVerdict> {
  if (source.size < BOOT_BYTES) return { match: 'no' };
  let bytes: Uint8Array;
  try {
    bytes = await readRange(source, 0, BOOT_BYTES);
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    return { match: 'no' };
  }
  if (!looksLikeFat(bytes)) return { match: 'no' };
  const found = readBootSector(bytes, 0);
  if (!isFault(found)) return { match: 'yes', version: found.variant };
  return { match: 'damaged', reason: `${found.structure}.${found.field} is '${found.found ?? ''}'` };
}

interface Located {
  readonly geometry: FatGeometry;
  readonly remarks: string[];
}

/** The boot sector, or where that is damaged and FAT32 kept a copy, the copy. @throws {FormatError} what is wrong with the first. */
async function locate(source: BlockSource): Promise<Located> {
  if (source.size < BOOT_BYTES) throw new FormatError('Read FAT boot sector', { structure: 'volume', field: 'size', found: source.size, expected: `at least ${BOOT_BYTES}` });
  const first = readBootSector(await readRange(source, 0, BOOT_BYTES), 0);
  if (!isFault(first)) return { geometry: first, remarks: [] };
  for (const sectorBytes of SECTOR_SIZES) {
    const at = BACKUP_SECTOR * sectorBytes;
    if (at + BOOT_BYTES > source.size) break;
    const bytes = await readRange(source, at, BOOT_BYTES);
    const copy = readBootSector(bytes, at);
    if (!looksLikeFat(bytes) || isFault(copy) || copy.variant !== 'FAT32' || copy.sectorBytes !== sectorBytes) continue;
    return { geometry: copy, remarks: [`the boot sector is damaged (${first.field}); its copy at byte ${at} was used`] };
  }
  return { geometry: checkBootSector(first), remarks: [] };
}

function tablesOf(source: BlockSource, geometry: FatGeometry, limits: Limits): readonly ClusterTable[] {
  const bits = Number(geometry.variant.slice(3)) as 12 | 16 | 32;
  const numbers = geometry.activeTable === undefined ? Array.from({ length: geometry.tables }, (_, i) => i) : [geometry.activeTable];
  return numbers.map((i) => new ClusterTable(source, {
    at: geometry.tablesAt + i * geometry.tableBytes, bits, mask: bits === 32 ? 0x0fff_ffff : 2 ** bits - 1, lastCluster: geometry.lastCluster, structure: `FAT copy ${i + 1}`,
  }, limits.filesystemCacheBytesMax / 4 / numbers.length));
}

/** Whether the volume was unmounted in order. */
async function isClean(source: BlockSource, { variant, tablesAt, tableBytes, activeTable, dirty }: FatGeometry): Promise<boolean> {
  if (variant === 'FAT12') return !dirty;
  const entry = await readRange(source, tablesAt + (activeTable ?? 0) * tableBytes + (variant === 'FAT16' ? 2 : 4), variant === 'FAT16' ? 2 : 4);
  const value = entry.reduceRight((sum, byte) => sum * 256 + byte, 0);
  return !dirty && (value & CLEAN_BITS[variant]) === CLEAN_BITS[variant];
}

async function open(sources: readonly BlockSource[], { limits }: FilesystemContext): Promise<Filesystem> {
  const source = sources[0] as BlockSource;
  const { geometry, remarks } = await locate(source);
  if (geometry.heapAt > source.size) throw new FormatError('Open FAT volume', { structure: 'volume', field: 'size', found: source.size, expected: `at least ${geometry.heapAt}: clusters begin there` });
  if (geometry.size > source.size) remarks.push(`the volume is cut: it has ${geometry.size} bytes and ${source.size} are here`);
  const { variant, serial } = geometry;
  const base = {
    format: 'fat', version: variant, size: geometry.size, blockBytes: geometry.clusterBytes, clean: await isClean(source, geometry), remarks,
    ...(serial === undefined ? {} : { uuid: serial.toString(16).toUpperCase().padStart(8, '0').replace(/^(.{4})/, '$1-') }),
  } as const;
  const space = new ClusterSpace(source, { heapAt: geometry.heapAt, clusterBytes: geometry.clusterBytes, budget: limits.filesystemCacheBytesMax / 4 });
  const filesystem = (facts: FilesystemFacts): FatFilesystem => new FatFilesystem(source, { geometry, limits, tables: tablesOf(source, geometry, limits), facts, space });
  let label = geometry.label;
  try {
    label = await filesystem(base).rootLabel() ?? label;
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    remarks.push(`the root directory cannot be read: ${error.message}`);
  }
  const text = labelText(label);
  return filesystem(text === '' || text === NO_NAME ? base : { ...base, label: text });
}

/** FAT12, FAT16 and FAT32. */
export const fatDriver: FilesystemDriver = { name: 'fat', probe, open };
