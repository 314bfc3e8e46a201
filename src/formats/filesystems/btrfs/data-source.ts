/** Data of files by logical address: verified sector by sector against the checksum tree, with the other copies as spares. */
import { checkRange, type BlockSource, type Extent, type HoldfastError, IntegrityError, type ReadOptions } from '../../../core/index.ts';
import { ITEM, OBJECT } from './btrfs.layout.ts';
import type { Checksum } from './checksum.ts';
import type { LogicalSpace } from './logical-space.ts';
import type { ProblemList } from '../problem-list.ts';
import type { ItemTree } from './tree.ts';

/** What the sources of data share. */
export interface DataParts {
  readonly space: LogicalSpace;
  readonly checksum: Checksum;
  readonly sectorBytes: number;
  /** Where checksums of data are: the later trees have the last word (logs stand behind the checksum tree). */
  readonly sums: readonly ItemTree[];
  readonly problems: ProblemList;
}

/** Checksums of a run of sectors; those without one are not `known`. */
interface Sums {
  readonly stored: Uint8Array;
  readonly known: Uint8Array;
}

/** The logical addresses; `verified` is false for files that were written without checksums. It owns nothing. */
export class DataSource implements BlockSource {
  readonly size: number;
  readonly sectorSize: number;
  readonly #parts: DataParts;
  readonly #verified: boolean;

  constructor(parts: DataParts, verified: boolean) {
    this.#parts = parts;
    this.#verified = verified;
    this.size = parts.space.chunks.end;
    this.sectorSize = parts.sectorBytes;
  }

  async readInto(offset: number, target: Uint8Array, options?: ReadOptions): Promise<void> {
    checkRange(this, offset, target.length, 'btrfs data');
    if (target.length === 0) return;
    if (!this.#verified) {
      const remark = await this.#parts.space.readAny(offset, target, () => undefined, options);
      this.#note(offset, remark);
      return;
    }
    const { sectorBytes } = this.#parts;
    const start = offset - offset % sectorBytes;
    const end = Math.ceil((offset + target.length) / sectorBytes) * sectorBytes;
    const whole = end - start === target.length ? target : new Uint8Array(end - start);
    await this.#readSectors(start, whole, options);
    if (whole !== target) target.set(whole.subarray(offset - start, offset - start + target.length));
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    checkRange(this, offset, length, 'btrfs data extents');
    if (length > 0) yield { offset, length, kind: 'data' };
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #note(logical: number, remark: string | undefined): void {
    if (remark !== undefined) this.#parts.problems.add('spare-copy', `data at ${logical}`, `Another copy was read: ${remark}`);
  }

  async #readSectors(start: number, target: Uint8Array, options: ReadOptions | undefined): Promise<void> {
    const { space, sectorBytes } = this.#parts;
    const sums = await this.#sumsOf(start, target.length / sectorBytes);
    let readable = true;
    try {
      this.#note(start, await space.readAny(start, target, () => undefined, options));
    } catch (error) {
      // Each sector may still be had from one copy or another.
      if (!(error instanceof IntegrityError)) throw error;
      readable = false;
    }
    for (let i = 0; i < sums.known.length; i += 1) {
      const sector = target.subarray(i * sectorBytes, (i + 1) * sectorBytes);
      if (readable && this.#wrong(sector, sums, i, start) === undefined) continue;
      this.#note(start + i * sectorBytes, await space.readAny(start + i * sectorBytes, sector, (part) => this.#wrong(part, sums, i, start), options));
    }
  }

  #wrong(sector: Uint8Array, sums: Sums, index: number, start: number): HoldfastError | undefined {
    const { checksum, sectorBytes } = this.#parts;
    const logical = start + index * sectorBytes;
    if (sums.known[index] === 0) return new IntegrityError(`Read btrfs data at ${logical}: it has no checksum, and its file should have them`, { logical });
    if (checksum.holds(sector, sums.stored, index * checksum.bytes)) return undefined;
    return new IntegrityError(`Read btrfs data at ${logical}: its ${checksum.name} checksum does not hold`, { logical });
  }

  async #sumsOf(start: number, sectors: number): Promise<Sums> {
    const { checksum, sectorBytes, sums } = this.#parts;
    const stored = new Uint8Array(sectors * checksum.bytes);
    const known = new Uint8Array(sectors);
    for (const tree of sums) {
      const range = { objectid: OBJECT.EXTENT_CSUM, type: ITEM.EXTENT_CSUM, first: start, last: start + (sectors - 1) * sectorBytes, floor: true };
      for await (const page of tree.pages(range)) {
        for (const { offset, view, at, size } of page) {
          const first = (offset - start) / sectorBytes;
          const from = Math.max(0, first);
          const to = Math.min(sectors, first + Math.floor(size / checksum.bytes));
          if (!Number.isInteger(first) || to <= from) continue;
          stored.set(new Uint8Array(view.buffer, view.byteOffset + at + (from - first) * checksum.bytes, (to - from) * checksum.bytes), from * checksum.bytes);
          known.fill(1, from, to);
        }
      }
    }
    return { stored, known };
  }
}
