/** Where everything is on a FAT volume: the boot sector, checked. Source: fatgen103, "FAT Type Determination"; FAT32 by `BPB_FATSz16` = 0, as Linux has it. */
import { FormatError, type FormatFault } from '../../../core/index.ts';
import { bootTailLayout, bpb32Layout, bpbLayout } from './fat.layout.ts';

/** Bytes of the boot sector that are looked at. */
export const BOOT_BYTES = 512;

/** The three widths of table entries. */
export type FatVariant = 'FAT12' | 'FAT16' | 'FAT32';

/** Offsets and lengths in bytes from the start of the volume. */
export interface FatGeometry {
  readonly variant: FatVariant;
  readonly sectorBytes: number;
  readonly clusterBytes: number;
  readonly tables: number;
  readonly tableBytes: number;
  readonly tablesAt: number;
  /** The only table in use where they are not mirrored. */
  readonly activeTable?: number;
  /** FAT12 and FAT16: the root directory's place; FAT32 has a chain. */
  readonly rootAt: number;
  readonly rootBytes: number;
  readonly rootCluster: number;
  /** Byte of cluster 2. */
  readonly heapAt: number;
  /** Number of the last cluster. */
  readonly lastCluster: number;
  readonly size: number;
  readonly label: Uint8Array;
  readonly serial?: number;
  /** The mark of a volume that is in use. */
  readonly dirty: boolean;
}

const structure = bpbLayout.name;
/** Greatest numbers of clusters. */
const CLUSTERS_MAX = { FAT12: 4084, FAT16: 65_524, FAT32: 0x0fff_fff5 } as const;

function isPower(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0;
}

/** What is wrong with the fields that do not depend on each other. */
function fieldFault(bytes: Uint8Array, base: number): FormatFault | undefined {
  const bpb = bpbLayout.view(bytes);
  const fault = (field: keyof typeof bpbLayout.offsets, expected: string): FormatFault => ({ structure, field, offset: base + bpbLayout.offsets[field], found: Number(bpb[field]), expected });
  if (!isPower(bpb.BPB_BytsPerSec) || bpb.BPB_BytsPerSec < 512 || bpb.BPB_BytsPerSec > 4096) return fault('BPB_BytsPerSec', '512, 1024, 2048 or 4096');
  if (!isPower(bpb.BPB_SecPerClus)) return fault('BPB_SecPerClus', 'a power of two');
  if (bpb.BPB_RsvdSecCnt === 0) return fault('BPB_RsvdSecCnt', 'at least 1');
  if (bpb.BPB_NumFATs === 0 || bpb.BPB_NumFATs > 16) return fault('BPB_NumFATs', '1 to 16');
  if (bpb.BPB_Media !== 0xf0 && bpb.BPB_Media < 0xf8) return fault('BPB_Media', '0xf0 or at least 0xf8');
  if (bpb.BPB_TotSec16 === 0 && bpb.BPB_TotSec32 === 0) return fault('BPB_TotSec32', 'at least 1');
  return undefined;
}

/** The geometry of a boot sector of at least {@link BOOT_BYTES} bytes, or what is wrong with it; `base` is its offset in the volume. */
export function readBootSector(bytes: Uint8Array, base: number): FatGeometry | FormatFault {
  const wrong = fieldFault(bytes, base);
  if (wrong !== undefined) return wrong;
  const bpb = bpbLayout.view(bytes);
  const wide = bpb32Layout.view(bytes, bpbLayout.size);
  const is32 = bpb.BPB_FATSz16 === 0;
  const tail = bootTailLayout.view(bytes, bpbLayout.size + (is32 ? bpb32Layout.size : 0));
  const sectorBytes = bpb.BPB_BytsPerSec;
  const clusterBytes = sectorBytes * bpb.BPB_SecPerClus;
  const size = (bpb.BPB_TotSec16 || bpb.BPB_TotSec32) * sectorBytes;
  const tableBytes = (is32 ? wide.BPB_FATSz32 : bpb.BPB_FATSz16) * sectorBytes;
  if (tableBytes === 0) return { structure: bpb32Layout.name, field: 'BPB_FATSz32', offset: base + bpbLayout.size, found: 0, expected: 'at least 1' };
  if (is32 && wide.BPB_FSVer !== 0) return { structure: bpb32Layout.name, field: 'BPB_FSVer', offset: base + bpbLayout.size + bpb32Layout.offsets.BPB_FSVer, found: wide.BPB_FSVer, expected: 0 };
  const tablesAt = bpb.BPB_RsvdSecCnt * sectorBytes;
  const rootAt = tablesAt + bpb.BPB_NumFATs * tableBytes;
  const rootBytes = is32 ? 0 : bpb.BPB_RootEntCnt * 32;
  const heapAt = rootAt + Math.ceil(rootBytes / sectorBytes) * sectorBytes;
  const inside = Math.floor((size - heapAt) / clusterBytes);
  if (inside < 1) return { structure, field: 'BPB_TotSec32', offset: base + bpbLayout.offsets.BPB_TotSec32, found: size / sectorBytes, expected: `more than ${heapAt / sectorBytes}: data begins there` };
  const variant = is32 ? 'FAT32' : inside <= CLUSTERS_MAX.FAT12 ? 'FAT12' : 'FAT16';
  const described = Math.floor(tableBytes * 8 / Number(variant.slice(3))) - 2;
  const clusters = Math.min(inside, described);
  if (clusters > CLUSTERS_MAX[variant] || clusters < 1) return { structure, field: 'BPB_FATSz16', offset: base + bpbLayout.offsets.BPB_FATSz16, found: bpb.BPB_FATSz16, expected: `a table of 1 to ${CLUSTERS_MAX[variant]} clusters` };
  const active = wide.BPB_ExtFlags & 0x0f;
  const single = is32 && (wide.BPB_ExtFlags & 0x80) !== 0;
  if (single && active >= bpb.BPB_NumFATs) return { structure: bpb32Layout.name, field: 'BPB_ExtFlags', offset: base + bpbLayout.size + bpb32Layout.offsets.BPB_ExtFlags, found: active, expected: `less than ${bpb.BPB_NumFATs}` };
  return {
    variant, sectorBytes, clusterBytes, tables: bpb.BPB_NumFATs, tableBytes, tablesAt, rootAt, rootBytes, rootCluster: is32 ? wide.BPB_RootClus : 0, heapAt, lastCluster: clusters + 1, size,
    label: tail.BS_BootSig === 0x29 ? Uint8Array.from(tail.BS_VolLab) : new Uint8Array(0), dirty: (tail.BS_Reserved1 & 1) !== 0,
    ...(single ? { activeTable: active } : {}), ...(tail.BS_BootSig === 0x29 || tail.BS_BootSig === 0x28 ? { serial: tail.BS_VolID } : {}),
  };
}

/** Whether {@link readBootSector} found something wrong. */
export function isFault(found: FatGeometry | FormatFault): found is FormatFault {
  return 'field' in found;
}

/**
 * Whether a sector says that it is FAT's, so that damage to its numbers is damage to FAT and not another format: the name of the type,
 * or a jump and the signature at its end.
 */
export function looksLikeFat(bytes: Uint8Array): boolean {
  const text = (start: number): string => Buffer.from(bytes.subarray(start, start + 5)).toString('latin1');
  if (/^FAT(?:12|16|  )/.test(text(54)) || text(82) === 'FAT32') return true;
  const jumps = bytes[0] === 0xe9 || (bytes[0] === 0xeb && bytes[2] === 0x90);
  return jumps && bytes[510] === 0x55 && bytes[511] === 0xaa && !isFault(readBootSector(bytes, 0));
}

/** @throws {FormatError} naming the field that is wrong. */
export function checkBootSector(found: FatGeometry | FormatFault): FatGeometry {
  if (isFault(found)) throw new FormatError('Read FAT boot sector', found);
  return found;
}
