/** Chains of clusters as runs of neighbours: eight bytes a run, however long the file. */
import { checkLimit, FormatError, type Limits } from '../../../core/index.ts';
import { CHAIN_END, type ClusterTable } from './cluster-table.ts';

/** Clusters that follow each other on the volume. */
export interface ClusterRun {
  readonly cluster: number;
  readonly count: number;
}

/** The clusters of one file or directory, in order. */
export class ClusterRuns {
  #indexes = new Uint32Array(4);
  #clusters = new Uint32Array(4);
  #runs = 0;
  #count = 0;

  /** Number of clusters. */
  get count(): number {
    return this.#count;
  }

  /** Number of runs. */
  get runs(): number {
    return this.#runs;
  }

  /** `count` clusters from `first` on, without a chain. */
  static contiguous(first: number, count: number): ClusterRuns {
    const runs = new ClusterRuns();
    if (count > 0) runs.#begin(first);
    runs.#count = count;
    return runs;
  }

  /** Adds a cluster at the end. */
  push(cluster: number): void {
    const last = this.#runs - 1;
    if (last < 0 || (this.#clusters[last] as number) + this.#count - (this.#indexes[last] as number) !== cluster) this.#begin(cluster);
    this.#count += 1;
  }

  #begin(cluster: number): void {
    if (this.#runs === this.#indexes.length) {
      const [indexes, clusters] = [new Uint32Array(this.#runs * 2), new Uint32Array(this.#runs * 2)];
      indexes.set(this.#indexes);
      clusters.set(this.#clusters);
      this.#indexes = indexes;
      this.#clusters = clusters;
    }
    this.#indexes[this.#runs] = this.#count;
    this.#clusters[this.#runs] = cluster;
    this.#runs += 1;
  }

  /** The rest of the run that holds the cluster with this index, from it on; the index is less than `count`. */
  find(index: number): ClusterRun {
    let low = 0;
    let high = this.#runs - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#indexes[middle] as number) <= index) low = middle;
      else high = middle - 1;
    }
    const within = index - (this.#indexes[low] as number);
    return { cluster: (this.#clusters[low] as number) + within, count: this.#end(low) - index };
  }

  /** All runs in order. */
  *[Symbol.iterator](): Iterator<ClusterRun> {
    for (let i = 0; i < this.#runs; i += 1) yield { cluster: this.#clusters[i] as number, count: this.#end(i) - (this.#indexes[i] as number) };
  }

  #end(run: number): number {
    return run + 1 < this.#runs ? this.#indexes[run + 1] as number : this.#count;
  }
}

/** What is followed. */
export interface Chain {
  readonly first: number;
  /** Clusters that are needed; all of them where it is not given. */
  readonly clusters?: number;
  /** Bytes of a cluster, where all are needed: they hold at most `filesystemListBytesMax`. */
  readonly clusterBytes?: number;
  /** Byte of the entry that names the first cluster, for errors. */
  readonly entryAt: number;
  readonly limits: Limits;
}

const BYTES_PER_RUN = 8;
const CIRCLE_STEPS = 4;

/** @throws {FormatError} when a number is that of no cluster: what an entry says about where its bytes begin. */
export function checkCluster(table: ClusterTable, cluster: number, entryAt: number): void {
  if (cluster < 2 || cluster > table.lastCluster) {
    throw new FormatError('Find first cluster', { structure: 'directory entry', field: 'first cluster', offset: entryAt, found: cluster, expected: `2 to ${table.lastCluster}` });
  }
}

/**
 * Follows a chain. What comes after the clusters that are needed is followed only to be sure that they are in no circle, which would give a
 * file's beginning again as its end; it may be damaged otherwise.
 * @throws {FormatError} when the chain leads astray, in a circle, or ends early. @throws {LimitError} when it has too many runs.
 */
export async function followChain(table: ClusterTable, { first, clusters, clusterBytes, entryAt, limits }: Chain): Promise<ClusterRuns> {
  checkCluster(table, first, entryAt);
  const runs = new ClusterRuns();
  const wanted = clusters ?? Number.MAX_SAFE_INTEGER;
  // Brent's way to find circles: a mark that is moved at steps 1, 2, 4, 8 … One that closes within n clusters is found within 3 n steps.
  const stepsMax = clusters === undefined ? Number.MAX_SAFE_INTEGER : CIRCLE_STEPS * (clusters + 1);
  let mark = 0;
  let steps = 0;
  for (let cluster = first, moveAt = 1; cluster !== CHAIN_END && steps < stepsMax;) {
    if (cluster === mark) {
      throw new FormatError('Follow chain of clusters', { structure: table.structure, field: `entry ${cluster}`, offset: table.placeOf(cluster), found: `a circle in the chain of cluster ${first}`, expected: 'a chain with an end' });
    }
    steps += 1;
    if (steps === moveAt) {
      mark = cluster;
      moveAt *= 2;
    }
    if (runs.count < wanted) {
      runs.push(cluster);
      checkLimit(limits, 'filesystemListBytesMax', Math.max(runs.runs * BYTES_PER_RUN, runs.count * (clusterBytes ?? 0)), `chain of cluster ${first}`);
    }
    try {
      const next = table.next(cluster);
      cluster = typeof next === 'number' ? next : await next;
    } catch (error) {
      if (runs.count < wanted) throw error;
      break;
    }
  }
  if (clusters !== undefined && runs.count < clusters) {
    throw new FormatError('Follow chain of clusters', { structure: table.structure, field: `chain of cluster ${first}`, offset: entryAt, found: `${runs.count} clusters`, expected: `${clusters}: the size of the file` });
  }
  return runs;
}
