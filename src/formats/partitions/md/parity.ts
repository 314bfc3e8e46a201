/**
 * RAID 4, 5 and 6: where data and parity of a stripe are, and what missing disks held, computed from the others.
 * Source: Linux `drivers/md/raid5.c`, `raid5_compute_sector`, `raid6_d0`, `raid6_idx_to_slot`.
 */
import { FormatError, NotFoundError, UnsupportedError } from '../../../core/index.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import { addInto, addMultiple, inverse, power, scale } from './galois.ts';
import type { ArrayDisk } from './striped.ts';

/** md's numbers of layouts. */
export const PARITY_LAYOUT = {
  leftAsymmetric: 0, rightAsymmetric: 1, leftSymmetric: 2, rightSymmetric: 3, parityFirst: 4, parityLast: 5,
  rotatingZeroRestart: 8, rotatingNRestart: 9, rotatingNContinue: 10, leftAsymmetric6: 16, rightAsymmetric6: 17, leftSymmetric6: 18, rightSymmetric6: 19, parityFirst6: 20,
} as const;

/** What is missing is computed in parts of at most this many bytes. */
const PART_BYTES_MAX = 1 << 20;

/** Disks of one stripe's P and Q, and of one data chunk. */
interface Places {
  readonly p: number;
  /** −1 without Q. */
  readonly q: number;
  readonly data: number;
}

/** RAID 4 and 5. */
function placeSingle(layout: number, disks: number, stripe: number, index: number): Places | undefined {
  const data = disks - 1;
  const left = data - stripe % disks;
  const right = stripe % disks;
  switch (layout) {
    case PARITY_LAYOUT.leftAsymmetric: return { p: left, q: -1, data: index >= left ? index + 1 : index };
    case PARITY_LAYOUT.rightAsymmetric: return { p: right, q: -1, data: index >= right ? index + 1 : index };
    case PARITY_LAYOUT.leftSymmetric: return { p: left, q: -1, data: (left + 1 + index) % disks };
    case PARITY_LAYOUT.rightSymmetric: return { p: right, q: -1, data: (right + 1 + index) % disks };
    case PARITY_LAYOUT.parityFirst: return { p: 0, q: -1, data: index + 1 };
    case PARITY_LAYOUT.parityLast: return { p: data, q: -1, data: index };
    default: return undefined;
  }
}

/** RAID 6 whose Q stands behind P, and whose data goes on behind Q (`symmetric`) or from the first disk. */
function placeRotating(p: number, disks: number, index: number, symmetric: boolean): Places {
  const q = (p + 1) % disks;
  if (symmetric) return { p, q, data: (p + 2 + index) % disks };
  if (p === disks - 1) return { p, q, data: index + 1 };
  return { p, q, data: index >= p ? index + 2 : index };
}

/** RAID 6. */
function placeDouble(layout: number, disks: number, stripe: number, index: number): Places | undefined {
  const left = disks - 1 - stripe % disks;
  const right = stripe % disks;
  switch (layout) {
    case PARITY_LAYOUT.leftAsymmetric: return placeRotating(left, disks, index, false);
    case PARITY_LAYOUT.rightAsymmetric: case PARITY_LAYOUT.rotatingZeroRestart: return placeRotating(right, disks, index, false);
    case PARITY_LAYOUT.leftSymmetric: return placeRotating(left, disks, index, true);
    case PARITY_LAYOUT.rightSymmetric: return placeRotating(right, disks, index, true);
    case PARITY_LAYOUT.parityFirst: return { p: 0, q: 1, data: index + 2 };
    case PARITY_LAYOUT.parityLast: return { p: disks - 2, q: disks - 1, data: index };
    case PARITY_LAYOUT.rotatingNRestart: return placeRotating(disks - 1 - (stripe + 1) % disks, disks, index, false);
    case PARITY_LAYOUT.rotatingNContinue: return { p: left, q: (left + disks - 1) % disks, data: (left + 1 + index) % disks };
    default: {
      // As RAID 5 over all disks but the last, which is Q.
      const single = placeSingle(layout - PARITY_LAYOUT.leftAsymmetric6, disks - 1, stripe, index);
      return single === undefined || layout < PARITY_LAYOUT.leftAsymmetric6 || layout > PARITY_LAYOUT.parityFirst6 ? undefined : { ...single, q: disks - 1 };
    }
  }
}

/** What a {@link ParityMap} is made of. */
export interface ParityOptions {
  readonly level: 4 | 5 | 6;
  readonly layout: number;
  readonly chunkBytes: number;
  /** Used on each disk. */
  readonly componentBytes: number;
}

/** The map. */
export class ParityMap implements BlockMap {
  readonly size: number;
  readonly #disks: readonly (ArrayDisk | undefined)[];
  readonly #options: ParityOptions;
  readonly #dataDisks: number;

  /** Missing disks are undefined. @throws {FormatError} @throws {UnsupportedError} @throws {NotFoundError} more are missing than parity makes up for. */
  constructor(disks: readonly (ArrayDisk | undefined)[], options: ParityOptions) {
    const { level, chunkBytes, componentBytes, layout } = options;
    const spare = level === 6 ? 2 : 1;
    this.#dataDisks = disks.length - spare;
    if (this.#dataDisks < 1) throw new FormatError(`Open RAID ${level}`, { structure: 'md superblock', field: 'raid_disks', found: disks.length, expected: `more than ${spare}` });
    if (!(chunkBytes >= 512) || chunkBytes % 512 !== 0) throw new FormatError(`Open RAID ${level}`, { structure: 'md superblock', field: 'chunksize', found: chunkBytes, expected: 'a multiple of 512' });
    const missing = disks.filter((disk) => disk === undefined).length;
    if (missing > spare) throw new NotFoundError(`Open RAID ${level}: '${missing}' of '${disks.length}' disks are missing, and parity makes up for '${spare}'`);
    this.#disks = disks;
    this.#options = options;
    this.size = Math.floor(componentBytes / chunkBytes) * chunkBytes * this.#dataDisks;
    if (this.#place(0, 0) === undefined) throw new UnsupportedError(`Open RAID ${level}: layout '${layout}' is not known`);
  }

  #place(stripe: number, index: number): Places | undefined {
    const { level, layout } = this.#options;
    if (level === 6) return placeDouble(layout, this.#disks.length, stripe, index);
    return placeSingle(level === 4 ? PARITY_LAYOUT.parityLast : layout, this.#disks.length, stripe, index);
  }

  runAt(offset: number, lengthMax: number): Run {
    const { chunkBytes } = this.#options;
    const chunk = Math.floor(offset / chunkBytes);
    const inChunk = offset - chunk * chunkBytes;
    const stripe = Math.floor(chunk / this.#dataDisks);
    const places = this.#place(stripe, chunk - stripe * this.#dataDisks) as Places;
    const disk = this.#disks[places.data];
    const at = stripe * chunkBytes + inChunk;
    const length = Math.min(lengthMax, chunkBytes - inChunk);
    if (disk !== undefined) return { kind: 'data', length, file: disk.file, at: disk.at + at };
    const part = Math.min(length, PART_BYTES_MAX);
    return { kind: 'packed', length: part, skip: 0, load: () => this.#recover(places, at, part) };
  }

  async #read(disk: number, at: number, length: number): Promise<Uint8Array | undefined> {
    const found = this.#disks[disk];
    if (found === undefined) return undefined;
    const bytes = new Uint8Array(length);
    await found.file.readInto(found.at + at, bytes);
    return bytes;
  }

  /** Exponent of a disk's coefficient in Q: DDF's layouts count all disks from the first, md's own only data, from behind Q. */
  #exponent(disk: number, { p, q }: Places): number {
    const { layout } = this.#options;
    if (layout >= PARITY_LAYOUT.rotatingZeroRestart && layout <= PARITY_LAYOUT.rotatingNContinue) return disk;
    const disks = this.#disks.length;
    const first = (q + 1) % disks;
    let exponent = 0;
    for (let i = first; i !== disk; i = (i + 1) % disks) if (i !== p && i !== q) exponent += 1;
    return exponent;
  }

  /** Bytes of the missing disk `places.data` from `at` on. */
  async #recover(places: Places, at: number, length: number): Promise<Uint8Array> {
    const wanted = places.data;
    const p = await this.#read(places.p, at, length);
    const others = this.#disks.flatMap((disk, i) => (i === wanted || i === places.p || i === places.q ? [] : [{ i, missing: disk === undefined }]));
    const other = others.find(({ missing }) => missing)?.i;
    if (p !== undefined && other === undefined) {
      for (const { i } of others) addInto(p, await this.#read(i, at, length) as Uint8Array);
      return p;
    }
    const q = places.q < 0 ? undefined : await this.#read(places.q, at, length);
    if (q === undefined) throw new NotFoundError('Read RAID: the disks that hold these bytes or make up for them are missing');
    for (const { i, missing } of others) {
      if (missing) continue;
      const bytes = await this.#read(i, at, length) as Uint8Array;
      if (p !== undefined) addInto(p, bytes);
      addMultiple(q, bytes, power(this.#exponent(i, places)));
    }
    const x = power(this.#exponent(wanted, places));
    if (p === undefined || other === undefined) {
      scale(q, inverse(x));
      return q;
    }
    const y = power(this.#exponent(other, places));
    addMultiple(q, p, y);
    scale(q, inverse(x ^ y));
    return q;
  }
}
