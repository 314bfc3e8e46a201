/** Where everything is on an exFAT volume: the boot region, checked, and its copy. Source: exFAT specification, section 3. */
import { FormatError, type FormatFault, HoldfastError, IntegrityError, readRange, textOf, type BlockSource } from '../../../core/index.ts';
import { bootChecksum } from './checksum.ts';
import { bootLayout, VOLUME } from './exfat.layout.ts';

/** Bytes of the boot sector; the rest of larger sectors is without meaning. */
export const BOOT_BYTES = 512;
/** Sectors of a boot region under its sum, which the next one holds. */
const SUMMED_SECTORS = 11;
const REGION_SECTORS = 12;
const SHIFT = { sectorMin: 9, sectorMax: 12, clusterMax: 25 } as const;
const CLUSTERS_MAX = 0xffff_fff5;

/** Offsets and lengths in bytes from the start of the volume. */
export interface ExfatGeometry {
  readonly sectorBytes: number;
  readonly clusterBytes: number;
  /** The table in use. */
  readonly tableAt: number;
  readonly heapAt: number;
  readonly lastCluster: number;
  readonly rootCluster: number;
  readonly size: number;
  readonly serial: number;
  readonly clean: boolean;
  /** TexFAT keeps a second table and bitmap; which one is in use. */
  readonly texfat: boolean;
  readonly secondTable: boolean;
}

/** Whether a sector is that of exFAT. */
export function isExfat(bytes: Uint8Array): boolean {
  return textOf(bytes.subarray(3, 11)) === 'EXFAT   ';
}

/** The geometry of a boot sector, or what is wrong with it; `base` is its offset in the volume. */
function parseBootSector(bytes: Uint8Array, base: number): ExfatGeometry | FormatFault {
  const boot = bootLayout.view(bytes, 0, base);
  const { offsets, name: structure } = bootLayout;
  const fault = (field: keyof typeof offsets, expected: string): FormatFault => ({ structure, field, offset: base + offsets[field], found: Number(boot[field]), expected });
  if (!isExfat(bytes)) return { structure, field: 'FileSystemName', offset: base + offsets.FileSystemName, expected: 'EXFAT' };
  if (boot.MustBeZero.some((byte) => byte !== 0)) return { structure, field: 'MustBeZero', offset: base + offsets.MustBeZero, expected: 'zeroes' };
  if (boot.BytesPerSectorShift < SHIFT.sectorMin || boot.BytesPerSectorShift > SHIFT.sectorMax) return fault('BytesPerSectorShift', '9 to 12');
  if (boot.SectorsPerClusterShift > SHIFT.clusterMax - boot.BytesPerSectorShift) return fault('SectorsPerClusterShift', `at most ${SHIFT.clusterMax - boot.BytesPerSectorShift}`);
  if (boot.FileSystemRevision >> 8 !== 1) return fault('FileSystemRevision', '1.00 to 1.99');
  if (boot.NumberOfFats !== 1 && boot.NumberOfFats !== 2) return fault('NumberOfFats', '1 or 2');
  const sectorBytes = 1 << boot.BytesPerSectorShift;
  const sectorsPerCluster = 2 ** boot.SectorsPerClusterShift;
  if (boot.FatOffset < 2 * REGION_SECTORS) return fault('FatOffset', 'at least 24');
  if (boot.ClusterCount < 1 || boot.ClusterCount > CLUSTERS_MAX) return fault('ClusterCount', `1 to ${CLUSTERS_MAX}`);
  if (boot.FatLength * sectorBytes < (boot.ClusterCount + 2) * 4) return fault('FatLength', `enough for ${boot.ClusterCount} clusters`);
  if (boot.ClusterHeapOffset < boot.FatOffset + boot.FatLength * boot.NumberOfFats) return fault('ClusterHeapOffset', 'behind the tables');
  if (boot.VolumeLength < boot.ClusterHeapOffset + boot.ClusterCount * sectorsPerCluster) return fault('VolumeLength', `room for ${boot.ClusterCount} clusters`);
  if (boot.VolumeLength * sectorBytes > Number.MAX_SAFE_INTEGER) return fault('VolumeLength', 'less than 2^53 bytes');
  if (boot.FirstClusterOfRootDirectory < 2 || boot.FirstClusterOfRootDirectory > boot.ClusterCount + 1) return fault('FirstClusterOfRootDirectory', `2 to ${boot.ClusterCount + 1}`);
  const secondTable = boot.NumberOfFats === 2 && (boot.VolumeFlags & VOLUME.secondFat) !== 0;
  return {
    sectorBytes, clusterBytes: sectorBytes * sectorsPerCluster, tableAt: (boot.FatOffset + (secondTable ? boot.FatLength : 0)) * sectorBytes, heapAt: boot.ClusterHeapOffset * sectorBytes,
    lastCluster: boot.ClusterCount + 1, rootCluster: boot.FirstClusterOfRootDirectory, size: boot.VolumeLength * sectorBytes, serial: boot.VolumeSerialNumber,
    clean: (boot.VolumeFlags & (VOLUME.dirty | VOLUME.mediaFailure)) === 0, texfat: boot.NumberOfFats === 2, secondTable,
  };
}

/**
 * Reads the boot region at sector `first` of a size that the sector itself tells.
 * @throws {FormatError} naming the field that is wrong. @throws {IntegrityError} when the region's sum does not hold.
 */
async function readRegion(source: BlockSource, base: number): Promise<ExfatGeometry> {
  if (base + BOOT_BYTES > source.size) throw new FormatError('Read exFAT boot sector', { structure: 'volume', field: 'size', found: source.size, expected: `at least ${base + BOOT_BYTES}` });
  const geometry = parseBootSector(await readRange(source, base, BOOT_BYTES), base);
  if ('field' in geometry) throw new FormatError('Read exFAT boot sector', geometry);
  const { sectorBytes } = geometry;
  if (base + REGION_SECTORS * sectorBytes > source.size) throw new FormatError('Read exFAT boot region', { structure: 'volume', field: 'size', found: source.size, expected: `at least ${base + REGION_SECTORS * sectorBytes}` });
  const region = await readRange(source, base, REGION_SECTORS * sectorBytes);
  const sum = bootChecksum(region.subarray(0, SUMMED_SECTORS * sectorBytes));
  const kept = new DataView(region.buffer, SUMMED_SECTORS * sectorBytes, sectorBytes);
  for (let i = 0; i < sectorBytes; i += 4) {
    const found = kept.getUint32(i, true);
    if (found !== sum) throw new IntegrityError(`Read exFAT boot region: its checksum at byte '${base + SUMMED_SECTORS * sectorBytes + i}' is '${found}', its bytes give '${sum}'`, { offset: base, structure: 'exFAT boot region', field: 'BootChecksum' });
  }
  return geometry;
}

/** The volume's geometry, and what people should know about how it was found. */
export interface LocatedVolume {
  readonly geometry: ExfatGeometry;
  readonly remarks: string[];
}

/** The main boot region, or its copy where that is damaged. @throws {FormatError} @throws {IntegrityError} what is wrong with the main one. */
export async function locateVolume(source: BlockSource): Promise<LocatedVolume> {
  let failure: HoldfastError;
  try {
    return { geometry: await readRegion(source, 0), remarks: [] };
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    failure = error;
  }
  for (let shift: number = SHIFT.sectorMin; shift <= SHIFT.sectorMax; shift += 1) {
    const base = REGION_SECTORS << shift;
    try {
      const geometry = await readRegion(source, base);
      if (geometry.sectorBytes === 1 << shift) return { geometry, remarks: [`the main boot region is damaged; its copy at byte ${base} was used (${failure.message})`] };
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
    }
  }
  throw failure;
}
