/**
 * Attributes compressed by NTFS: units of 2^n clusters. A unit with all its clusters is stored as it is, one with none is empty, one with
 * some is compressed into them.
 * Source: libfsntfs project, "NTFS format specification", "Compressed data" (compression units).
 */
import { FormatError } from '../../../core/index.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import { UnitCache } from '../../mapping/unit-cache.ts';
import { decodeLznt1 } from './lznt1.ts';
import { NO_CLUSTER, type RunList } from './run-list.ts';
import type { ClusterSpace } from './volume.ts';

/** Unpacked bytes that an open file keeps. */
const CACHE_BYTES = 512 << 10;

/** Sizes of the attribute; those of bytes from its start. */
export interface CompressedSizes {
  readonly unitClusters: number;
  readonly dataSize: number;
  readonly validSize: number;
}

/** The map. */
export class CompressedMap implements BlockMap {
  readonly #space: ClusterSpace;
  readonly #runs: RunList;
  readonly #sizes: CompressedSizes;
  readonly #unitBytes: number;
  readonly #cache: UnitCache;

  constructor(space: ClusterSpace, runs: RunList, sizes: CompressedSizes) {
    this.#space = space;
    this.#runs = runs;
    this.#sizes = sizes;
    this.#unitBytes = sizes.unitClusters * space.geometry.clusterBytes;
    this.#cache = new UnitCache(this.#unitBytes, CACHE_BYTES);
  }

  runAt(offset: number, lengthMax: number): Run {
    const { unitClusters, validSize } = this.#sizes;
    const { clusterBytes } = this.#space.geometry;
    const unit = Math.floor(offset / this.#unitBytes);
    const first = unit * unitClusters;
    const run = this.#runs.at(first);
    const whole = Math.floor((run.end - first) / unitClusters);
    if (whole > 0) {
      const length = Math.min(lengthMax, (first + whole * unitClusters) * clusterBytes - offset);
      if (run.cluster === NO_CLUSTER) return { kind: 'hole', length };
      if (offset >= validSize) return { kind: 'zero', length };
      return { kind: 'data', length: Math.min(length, validSize - offset), file: this.#space.source, at: run.cluster * clusterBytes + (offset - run.start * clusterBytes) };
    }
    return this.#brokenUnit(unit, offset, lengthMax);
  }

  /** A unit of several runs: it is compressed when the last of them are holes. */
  #brokenUnit(unit: number, offset: number, lengthMax: number): Run {
    const { unitClusters, validSize } = this.#sizes;
    const { clusterBytes } = this.#space.geometry;
    const stored = this.#storedClusters(unit * unitClusters);
    const length = Math.min(lengthMax, (unit + 1) * this.#unitBytes - offset);
    if (stored === 0) return { kind: 'hole', length };
    if (offset >= validSize) return { kind: 'zero', length };
    const written = Math.min(length, validSize - offset);
    if (stored === unitClusters || stored === Math.max(0, this.#runs.end - unit * unitClusters)) {
      const run = this.#runs.at(Math.floor(offset / clusterBytes));
      return { kind: 'data', length: Math.min(written, run.end * clusterBytes - offset), file: this.#space.source, at: run.cluster * clusterBytes + (offset - run.start * clusterBytes) };
    }
    return { kind: 'packed', length: written, skip: offset - unit * this.#unitBytes, load: () => this.#cache.get(unit, () => this.#unpack(unit, stored)) };
  }

  /** Clusters of a unit that have a place; they come first. @throws {FormatError} when a hole is between them. */
  #storedClusters(first: number): number {
    const end = Math.min(first + this.#sizes.unitClusters, this.#runs.end);
    let stored = 0;
    for (let vcn = first; vcn < end;) {
      const run = this.#runs.at(vcn);
      const next = Math.min(run.end, end);
      if (run.cluster !== NO_CLUSTER) {
        if (stored !== vcn - first) throw new FormatError('Read compressed NTFS file', { structure: 'NTFS data runs', field: 'cluster', found: vcn, expected: 'no data behind a hole in a compression unit' });
        stored += next - vcn;
      }
      vcn = next;
    }
    return stored;
  }

  async #unpack(unit: number, stored: number): Promise<Uint8Array> {
    const { clusterBytes } = this.#space.geometry;
    const first = unit * this.#sizes.unitClusters;
    const packed = new Uint8Array(stored * clusterBytes);
    for (let vcn = first; vcn < first + stored;) {
      const run = this.#runs.at(vcn);
      const end = Math.min(run.end, first + stored);
      const at = (run.cluster + vcn - run.start) * clusterBytes;
      const part = packed.subarray((vcn - first) * clusterBytes, (end - first) * clusterBytes);
      if (at + part.length > this.#space.source.size) throw new FormatError('Read compressed NTFS file', { structure: 'NTFS data runs', field: 'cluster', found: at, expected: 'a place in the partition' });
      await this.#space.source.readInto(at, part);
      vcn = end;
    }
    const target = new Uint8Array(this.#unitBytes);
    decodeLznt1(packed, target);
    return target;
  }
}
