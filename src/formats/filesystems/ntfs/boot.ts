/**
 * The boot sector: geometry of the volume. Its spare copy is in the last sector of the partition, behind the volume.
 * Source: libfsntfs project, "NTFS format specification", "The volume header".
 */
import { type BlockSource, FormatError, readRange, textOf } from '../../../core/index.ts';
import { bootLayout } from './ntfs.layout.ts';

const STRUCTURE = bootLayout.name;
const SECTOR = 512;
/** Windows formats with clusters of up to 2 MiB. */
const CLUSTER_BYTES_MAX = 2 << 20;
const RECORD_BYTES_MAX = 64 << 10;

/** Sizes in bytes, places in clusters. */
export interface Geometry {
  readonly sectorBytes: number;
  readonly clusterBytes: number;
  readonly recordBytes: number;
  readonly indexBytes: number;
  /** Clusters of the volume. */
  readonly clusters: number;
  readonly size: number;
  readonly mftCluster: number;
  readonly mirrorCluster: number;
  /** As tools write it: 16 capital hexadecimal digits. */
  readonly serial: string;
}

function isPower(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0;
}

/** Positive: so many clusters; negative: a power of two in bytes. */
function unitBytes(code: number, clusterBytes: number): number {
  return code < 0x80 ? code * clusterBytes : 2 ** Math.min(40, 256 - code);
}

/** Whether the sector claims to be one of NTFS. */
export function looksLikeBoot(bytes: Uint8Array): boolean {
  return textOf(bytes.subarray(3, 11)) === 'NTFS    ';
}

/** The geometry of a boot sector that was read from `offset`. @throws {FormatError} naming the field. */
export function parseBoot(bytes: Uint8Array, offset: number): Geometry {
  const boot = bootLayout.view(bytes, 0, offset);
  const check = (field: keyof typeof bootLayout.offsets & string, valid: boolean, found: number | string, expected: string): void => {
    if (!valid) throw new FormatError('Read NTFS boot sector', { structure: STRUCTURE, field, offset: offset + bootLayout.offsets[field], found, expected });
  };
  check('oemId', looksLikeBoot(bytes), textOf(boot.oemId), 'NTFS');
  const sectorBytes = boot.bytesPerSector;
  check('bytesPerSector', isPower(sectorBytes) && sectorBytes >= 256 && sectorBytes <= 4096, sectorBytes, 'a power of two from 256 to 4096');
  const code = boot.sectorsPerCluster;
  const perCluster = code > 0x80 ? 2 ** (256 - code) : code;
  const clusterBytes = perCluster * sectorBytes;
  check('sectorsPerCluster', perCluster > 0 && clusterBytes <= CLUSTER_BYTES_MAX && isPower(perCluster), code, 'a power of two up to clusters of 2 MiB');
  const recordBytes = unitBytes(boot.recordSize, clusterBytes);
  check('recordSize', isPower(recordBytes) && recordBytes >= SECTOR && recordBytes <= RECORD_BYTES_MAX, boot.recordSize, 'records of 512 bytes to 64 KiB');
  const indexBytes = unitBytes(boot.indexSize, clusterBytes);
  check('indexSize', isPower(indexBytes) && indexBytes >= SECTOR && indexBytes <= CLUSTER_BYTES_MAX, boot.indexSize, 'index blocks of 512 bytes to 2 MiB');
  const size = boot.totalSectors * sectorBytes;
  const clusters = Math.floor(boot.totalSectors / perCluster);
  check('totalSectors', clusters > 0 && Number.isSafeInteger(size), boot.totalSectors, 'at least one cluster, less than 2^53 bytes');
  check('mftCluster', boot.mftCluster > 0 && boot.mftCluster < clusters, boot.mftCluster, `a cluster of ${clusters}`);
  return {
    sectorBytes, clusterBytes, recordBytes, indexBytes, clusters, size, mftCluster: boot.mftCluster, mirrorCluster: boot.mirrorCluster,
    serial: Buffer.from(boot.serial).reverse().toString('hex').toUpperCase(),
  };
}

/** The boot sector or its spare. */
export interface FoundBoot {
  readonly geometry: Geometry;
  /** Set when the spare was used: what is wrong with the first. */
  readonly damage?: string;
}

async function spareBoot(source: BlockSource, damage: string): Promise<FoundBoot | undefined> {
  for (const sectorBytes of [SECTOR, 1024, 2048, 4096]) {
    const at = source.size - sectorBytes;
    if (at <= 0) break;
    const bytes = await readRange(source, at, SECTOR);
    if (!looksLikeBoot(bytes)) continue;
    try {
      return { geometry: parseBoot(bytes, at), damage };
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  }
  return undefined;
}

/**
 * Reads the boot sector, or its spare when that cannot be used.
 * @throws {FormatError} about the first when there is no usable spare.
 */
export async function readBoot(source: BlockSource): Promise<FoundBoot> {
  if (source.size < SECTOR) throw new FormatError('Read NTFS boot sector', { structure: STRUCTURE, field: 'size', offset: 0, found: source.size, expected: 'at least 512' });
  try {
    return { geometry: parseBoot(await readRange(source, 0, SECTOR), 0) };
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    const spare = await spareBoot(source, error.message);
    if (spare === undefined) throw error;
    return spare;
  }
}
