/**
 * RAID 0 over disks of any sizes, and what else is striped without redundancy. Disks of unequal size make zones: the first spans all disks up to the
 * smallest's end, each further one those that go on. Source: Linux `drivers/md/raid0.c`, `create_strip_zones`, `map_sector`.
 */
import { type BlockSource, FormatError, UnsupportedError } from '../../../core/index.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';

/** Where an array's bytes begin on one disk, and how many there are. */
export interface ArrayDisk {
  readonly file: BlockSource;
  /** Bytes. */
  readonly at: number;
  /** Bytes. */
  readonly length: number;
}

const SECTOR = 512;

/** Values of RAID 0's layout. */
export const RAID0_LAYOUT = { untold: 0, original: 1, alternate: 2 } as const;

interface Zone {
  /** Bytes of the array where it begins and ends. */
  readonly start: number;
  readonly end: number;
  /** Bytes of each disk before it. */
  readonly diskStart: number;
  readonly disks: readonly ArrayDisk[];
}

function zonesOf(disks: readonly ArrayDisk[], chunkBytes: number): readonly Zone[] {
  const usable = disks.map((disk) => ({ ...disk, length: Math.floor(disk.length / chunkBytes) * chunkBytes }));
  const zones: Zone[] = [];
  let start = 0;
  let diskStart = 0;
  for (;;) {
    const longer = usable.filter(({ length }) => length > diskStart);
    if (longer.length === 0) return zones;
    const diskEnd = Math.min(...longer.map(({ length }) => length));
    const end = start + (diskEnd - diskStart) * longer.length;
    zones.push({ start, end, diskStart, disks: longer });
    start = end;
    diskStart = diskEnd;
  }
}

/**
 * Bytes of a RAID 0 array of md. Linux rounds each disk down with a mask as if chunks were powers of two: where they are not (`--chunk=20`), the array ends a
 * little before its last zone does. Source: `drivers/md/raid0.c`, `raid0_size`.
 */
export function raid0Size(disks: readonly ArrayDisk[], chunkBytes: number): number {
  const chunkSectors = chunkBytes / SECTOR;
  return disks.reduce((sum, { length }) => {
    const sectors = Math.floor(length / chunkBytes) * chunkSectors;
    return sum + (sectors - ((sectors & (chunkSectors - 1)) >>> 0)) * SECTOR;
  }, 0);
}

/** The map. */
export class StripedMap implements BlockMap {
  readonly size: number;
  readonly #zones: readonly Zone[];
  readonly #chunkBytes: number;
  readonly #original: boolean;

  /** @throws {FormatError} @throws {UnsupportedError} when unequal disks could be read in two ways. */
  constructor(disks: readonly ArrayDisk[], chunkBytes: number, layout: number = RAID0_LAYOUT.alternate) {
    if (!(chunkBytes >= 512) || chunkBytes % 512 !== 0) throw new FormatError('Open striped volume', { structure: 'stripes', field: 'chunk size', found: chunkBytes, expected: 'a multiple of 512' });
    this.#zones = zonesOf(disks, chunkBytes);
    this.#chunkBytes = chunkBytes;
    this.#original = layout === RAID0_LAYOUT.original;
    this.size = this.#zones.at(-1)?.end ?? 0;
    const same = this.#zones.every(({ start, disks: members }) => (start / chunkBytes) % members.length === 0);
    if (!same && layout !== RAID0_LAYOUT.original && layout !== RAID0_LAYOUT.alternate) {
      throw new UnsupportedError(`Open striped volume: its disks differ in size, and the layout '${layout}' does not say which kernel wrote it`);
    }
  }

  runAt(offset: number, lengthMax: number): Run {
    const zone = this.#zones.find(({ end }) => offset < end) as Zone;
    const chunkBytes = this.#chunkBytes;
    const inZone = offset - zone.start;
    const chunk = Math.floor(inZone / chunkBytes);
    const inChunk = inZone - chunk * chunkBytes;
    const counted = this.#original ? Math.floor(offset / chunkBytes) : chunk;
    const disk = zone.disks[counted % zone.disks.length] as ArrayDisk;
    return {
      kind: 'data', length: Math.min(lengthMax, chunkBytes - inChunk), file: disk.file,
      at: disk.at + zone.diskStart + Math.floor(chunk / zone.disks.length) * chunkBytes + inChunk,
    };
  }
}
