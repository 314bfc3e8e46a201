/** Clusters as bytes: the content of files and the pieces of directories. */
import { FormatError, type BlockSource } from '../../../core/index.ts';
import { MappedSource } from '../../mapping/mapped-source.ts';
import { TableCache } from '../../mapping/table-cache.ts';
import type { Run } from '../../mapping/run.ts';
import type { ClusterRuns } from './cluster-runs.ts';

/** Bytes of the volume. */
export interface Span {
  readonly at: number;
  readonly bytes: number;
}

/** A piece of a directory: byte `base + i` of the volume is byte `i` of `view`; `start` and `end` say which are the directory's. */
export interface Piece {
  readonly view: DataView;
  readonly base: number;
  readonly start: number;
  readonly end: number;
}

/** Of a file's content, what is on the volume. */
export interface ContentShape {
  /** Bytes. */
  readonly size: number;
  /** Bytes that were written; zeroes follow up to `size`. */
  readonly validBytes: number;
}

const PART_BYTES = 32 << 10;

/** The clusters of a volume. It owns nothing. */
export class ClusterSpace {
  readonly clusterBytes: number;
  readonly #source: BlockSource;
  readonly #heapAt: number;
  readonly #parts: TableCache;

  /** `heapAt` is the byte of cluster 2; `budget` is for directories, in bytes. */
  constructor(source: BlockSource, { heapAt, clusterBytes, budget }: { readonly heapAt: number; readonly clusterBytes: number; readonly budget: number }) {
    this.#source = source;
    this.#heapAt = heapAt;
    this.clusterBytes = clusterBytes;
    this.#parts = new TableCache(source, { partBytes: PART_BYTES, budget, structure: 'directory' });
  }

  /** Byte of the volume where a cluster begins. */
  placeOf(cluster: number): number {
    return this.#heapAt + (cluster - 2) * this.clusterBytes;
  }

  /** Number of the cluster that holds a byte of the volume. */
  clusterAt(offset: number): number {
    return 2 + Math.floor((offset - this.#heapAt) / this.clusterBytes);
  }

  /** A chain as bytes of the volume. */
  *spans(runs: ClusterRuns): Iterable<Span> {
    for (const { cluster, count } of runs) yield { at: this.placeOf(cluster), bytes: count * this.clusterBytes };
  }

  /** A directory piece by piece, from memory where it was read lately. @throws {FormatError} when the volume ends within. */
  async *pieces(spans: Iterable<Span>): AsyncIterable<Piece> {
    for (const { at, bytes } of spans) {
      const end = at + bytes;
      for (let from = at; from < end;) {
        const base = from - from % PART_BYTES;
        const until = Math.min(end, base + PART_BYTES);
        yield { view: await this.#part(base, until), base, start: from - base, end: until - base };
        from = until;
      }
    }
  }

  /** An entry at a byte of the volume, which is a multiple of its size of at most 32 bytes. @throws {FormatError} when the volume ends before. */
  async entryAt(offset: number, bytes: number): Promise<DataView> {
    const base = offset - offset % PART_BYTES;
    const view = await this.#part(base, offset + bytes);
    return new DataView(view.buffer, view.byteOffset + offset - base, bytes);
  }

  async #part(base: number, until: number): Promise<DataView> {
    const found = this.#parts.get(base);
    const view = found instanceof Promise ? await found : found;
    if (base + view.byteLength < until) {
      throw new FormatError('Read directory', { structure: 'volume', field: 'size', offset: base + view.byteLength, found: base + view.byteLength, expected: `at least ${until}: a directory goes on there` });
    }
    return view;
  }

  /** Content of a file, in these clusters. Closing it closes nothing. */
  content(runs: ClusterRuns, { size, validBytes }: ContentShape): BlockSource {
    const { clusterBytes } = this;
    const runAt = (offset: number, lengthMax: number): Run => {
      if (offset >= validBytes) return { kind: 'zero', length: lengthMax };
      const { cluster, count } = runs.find(Math.floor(offset / clusterBytes));
      const within = offset % clusterBytes;
      const length = Math.min(lengthMax, count * clusterBytes - within, validBytes - offset);
      return { kind: 'data', file: this.#source, at: this.placeOf(cluster) + within, length };
    };
    return new MappedSource(size, this.#source.sectorSize, { what: 'file', map: { runAt }, owned: [], place: { structure: 'volume', field: 'size' } });
  }
}
