/** RAID 10: copies near each other, far away, or one stripe further. Source: Linux `drivers/md/raid10.c`, `__raid10_find_phys`, `setup_geo`, `calc_sectors`. */
import { FormatError, NotFoundError } from '../../../core/index.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import type { ArrayDisk } from './striped.ts';

interface Geometry {
  readonly near: number;
  readonly far: number;
  readonly offset: boolean;
  readonly disks: number;
  readonly farSet: number;
  /** Bytes of a disk from one far copy to the next. */
  readonly stride: number;
}

/** The map. */
export class Raid10Map implements BlockMap {
  readonly size: number;
  readonly #disks: readonly (ArrayDisk | undefined)[];
  readonly #chunkBytes: number;
  readonly #geometry: Geometry;

  /** `componentBytes` are used on each disk; `layout` is md's. @throws {FormatError} */
  constructor(disks: readonly (ArrayDisk | undefined)[], options: { readonly chunkBytes: number; readonly componentBytes: number; readonly layout: number }) {
    const { chunkBytes, componentBytes, layout } = options;
    const near = layout & 0xff;
    const far = (layout >>> 8) & 0xff;
    const sets = layout >>> 17;
    const fault = (field: string, found: number, expected: string): FormatError => new FormatError('Open RAID 10', { structure: 'md superblock', field, found, expected });
    if (near < 1 || far < 1 || near * far > disks.length || sets > 2) throw fault('layout', layout, `copies for ${disks.length} disks`);
    if (!(chunkBytes >= 512) || (chunkBytes & (chunkBytes - 1)) !== 0) throw fault('chunksize', chunkBytes, 'a power of two, at least 512');
    const chunks = Math.floor(Math.floor(Math.floor(componentBytes / chunkBytes) / far) * disks.length / near);
    const chunksPerDisk = Math.ceil(chunks * near * far / disks.length);
    const offset = (layout & 0x1_0000) !== 0;
    const farSet = [disks.length, Math.floor(disks.length / far), far * near][sets] as number;
    this.size = chunks * chunkBytes;
    this.#disks = disks;
    this.#chunkBytes = chunkBytes;
    this.#geometry = { near, far, offset, disks: disks.length, farSet, stride: offset ? chunkBytes : Math.floor(chunksPerDisk / far) * chunkBytes };
  }

  /** The disk of the next far copy. */
  #nextFar(disk: number): number {
    const { near, disks, farSet } = this.#geometry;
    const next = disk + near;
    const lastStart = (Math.floor(disks / farSet) - 1) * farSet;
    const rest = disks % farSet;
    if (rest !== 0 && next > lastStart) return lastStart + (next - lastStart) % (farSet + rest);
    return next % farSet + farSet * Math.floor(disk / farSet);
  }

  runAt(offset: number, lengthMax: number): Run {
    const { near, far, disks, stride } = this.#geometry;
    const chunkBytes = this.#chunkBytes;
    const chunk = Math.floor(offset / chunkBytes);
    const inChunk = offset - chunk * chunkBytes;
    let disk = (chunk * near) % disks;
    let at = Math.floor(chunk * near / disks) * (this.#geometry.offset ? far : 1) * chunkBytes + inChunk;
    for (let i = 0; i < near; i += 1) {
      for (let f = 0, copy = disk, copyAt = at; f < far; f += 1, copy = this.#nextFar(copy), copyAt += stride) {
        const found = this.#disks[copy];
        if (found !== undefined) return { kind: 'data', length: Math.min(lengthMax, chunkBytes - inChunk), file: found.file, at: found.at + copyAt };
      }
      disk += 1;
      if (disk >= disks) {
        disk = 0;
        at += chunkBytes;
      }
    }
    throw new NotFoundError(`Read RAID 10 at offset ${offset}: all disks that hold these bytes are missing`);
  }
}
