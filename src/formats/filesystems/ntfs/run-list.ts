/**
 * Where the clusters of an attribute are.
 * Source: libfsntfs project, "NTFS format specification", "Data runs".
 */
import { checkLimit, FormatError, type Limits } from '../../../core/index.ts';

const STRUCTURE = 'NTFS data runs';

/** A hole: clusters without a place. */
export const NO_CLUSTER = -1;

/** A stretch of clusters; `start` and `end` are VCNs, `cluster` is the LCN of `start` or {@link NO_CLUSTER}. */
export interface ClusterRun {
  readonly start: number;
  readonly end: number;
  readonly cluster: number;
}

/** One run list as it is stored, and what it must agree with. */
export interface StoredRuns {
  readonly bytes: Uint8Array;
  /** VCN of the first cluster. */
  readonly lowestVcn: number;
  /** VCN of the last; 0 or less where the writer did not say. */
  readonly highestVcn: number;
}

/** Little-endian, signed, 1 to 8 bytes. */
function signedAt(bytes: Uint8Array, at: number, count: number): number {
  let value = (bytes[at + count - 1] as number) << 24 >> 24;
  for (let i = count - 2; i >= 0; i -= 1) value = value * 256 + (bytes[at + i] as number);
  return value;
}

function fault(field: string, found: number, expected: string): FormatError {
  return new FormatError('Read NTFS data runs', { structure: STRUCTURE, field, found, expected });
}

/** Runs in order, without gaps. */
export class RunList {
  readonly #limits: Limits;
  readonly #clusters: number;
  #ends = new Float64Array(4);
  #places = new Float64Array(4);
  #count = 0;
  #last = 0;

  /** `clusters` of the volume: no run leaves it. */
  constructor(limits: Limits, clusters: number) {
    this.#limits = limits;
    this.#clusters = clusters;
  }

  /** VCN behind the last run. */
  get end(): number {
    return this.#count === 0 ? 0 : this.#ends[this.#count - 1] as number;
  }

  /** Whether some cluster has no place. */
  get hasHoles(): boolean {
    return this.#places.subarray(0, this.#count).includes(NO_CLUSTER);
  }

  /** Appends a stored list. @throws {FormatError} @throws {LimitError} */
  append({ bytes, lowestVcn, highestVcn }: StoredRuns): void {
    if (lowestVcn !== this.end) throw fault('lowestVcn', lowestVcn, `${this.end}: runs follow each other`);
    let cluster = 0;
    let at = 0;
    for (;;) {
      const head = bytes[at];
      if (head === undefined) throw fault('end', at, 'a zero byte at the end');
      if (head === 0) break;
      const lengthBytes = head & 15;
      const placeBytes = head >> 4;
      if (lengthBytes === 0 || lengthBytes > 8 || placeBytes > 8 || at + 1 + lengthBytes + placeBytes > bytes.length) throw fault('head', head, '1 to 8 bytes of length and at most 8 of place');
      const length = signedAt(bytes, at + 1, lengthBytes);
      if (length <= 0 || this.end + length > 2 ** 44) throw fault('length', length, '1 to 2^44 clusters');
      if (placeBytes > 0) cluster += signedAt(bytes, at + 1 + lengthBytes, placeBytes);
      // Before version 3, a hole was a run at cluster −1.
      if (placeBytes === 0 || cluster === NO_CLUSTER) this.#push(NO_CLUSTER, length);
      else {
        if (cluster < 0 || cluster + length > this.#clusters) throw fault('cluster', cluster, `clusters of the ${this.#clusters} of the volume`);
        this.#push(cluster, length);
      }
      at += 1 + lengthBytes + placeBytes;
    }
    if (highestVcn > 0 && this.end !== highestVcn + 1) throw fault('highestVcn', highestVcn, `${this.end - 1}, the last of the runs`);
  }

  #push(cluster: number, length: number): void {
    const last = this.#count - 1;
    if (last >= 0) {
      const start = last === 0 ? 0 : this.#ends[last - 1] as number;
      const place = this.#places[last] as number;
      const goesOn = cluster === NO_CLUSTER ? place === NO_CLUSTER : place !== NO_CLUSTER && place + (this.#ends[last] as number) - start === cluster;
      if (goesOn) {
        this.#ends[last] = (this.#ends[last] as number) + length;
        return;
      }
    }
    if (this.#count === this.#ends.length) this.#grow();
    this.#ends[this.#count] = this.end + length;
    this.#places[this.#count] = cluster;
    this.#count += 1;
  }

  #grow(): void {
    const capacity = this.#count * 2;
    checkLimit(this.#limits, 'filesystemListBytesMax', capacity * 16, 'NTFS data runs');
    const grow = (old: Float64Array): Float64Array<ArrayBuffer> => {
      const larger = new Float64Array(capacity);
      larger.set(old);
      return larger;
    };
    this.#ends = grow(this.#ends);
    this.#places = grow(this.#places);
  }

  /** The run of a VCN. @throws {FormatError} when there is none: the attribute is longer than its runs. */
  at(vcn: number): ClusterRun {
    let index = this.#last;
    if (index >= this.#count || (this.#ends[index] as number) <= vcn || (index > 0 && (this.#ends[index - 1] as number) > vcn)) {
      let low = 0;
      let high = this.#count;
      while (low < high) {
        const middle = (low + high) >>> 1;
        if ((this.#ends[middle] as number) <= vcn) low = middle + 1;
        else high = middle;
      }
      index = low;
    }
    if (index >= this.#count) throw fault('end', this.end, `a run of cluster ${vcn} of the attribute`);
    this.#last = index;
    return { start: index === 0 ? 0 : this.#ends[index - 1] as number, end: this.#ends[index] as number, cluster: this.#places[index] as number };
  }
}
