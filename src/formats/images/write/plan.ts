/** Which clusters of a disk an image will hold, decided before the first byte is written: tables can then go in front of the data. */
import { type BlockSource, checkLimit, type Limits } from '../../../core/index.ts';
import type { CountingSink } from './sink.ts';

/** Data is read and written in pieces of about this size. */
const PIECE_BYTES = 1 << 20;
/** Shorter stretches of zeroes are not worth a hole. */
const HOLE_BYTES = 64 << 10;
const zeroes = new Uint8Array(HOLE_BYTES);

/** Clusters with data, by number. */
export class ClusterPlan {
  readonly clusterBytes: number;
  /** Clusters of the disk, the last one perhaps not whole. */
  readonly count: number;
  /** Those that hold data. */
  readonly used: number;
  readonly #bits: Uint8Array;

  /** `bits`: one a cluster, the lowest first. */
  constructor(bits: Uint8Array, clusterBytes: number, count: number) {
    this.#bits = bits;
    this.clusterBytes = clusterBytes;
    this.count = count;
    let used = 0;
    for (let i = 0; i < count; i += 1) if (this.has(i)) used += 1;
    this.used = used;
  }

  has(cluster: number): boolean {
    return ((this.#bits[cluster >>> 3] as number) >>> (cluster & 7) & 1) === 1;
  }

  /** Whether any of the clusters `from … to` (without `to`) holds data. */
  hasAny(from: number, to: number): boolean {
    for (let i = from; i < Math.min(to, this.count); i += 1) if (this.has(i)) return true;
    return false;
  }
}

/** Plans by the source's extents; no data is read. @throws {LimitError} when the disk has too many clusters. */
export async function planClusters(source: BlockSource, clusterBytes: number, limits: Limits): Promise<ClusterPlan> {
  const count = Math.ceil(source.size / clusterBytes);
  checkLimit(limits, 'imageDirectoryBytesMax', Math.ceil(count / 8), 'disk to write');
  const bits = new Uint8Array(Math.ceil(count / 8));
  for await (const { offset, length, kind } of source.extents(0, source.size)) {
    if (kind !== 'data') continue;
    const last = Math.floor((offset + length - 1) / clusterBytes);
    for (let i = Math.floor(offset / clusterBytes); i <= last; i += 1) bits[i >>> 3] = (bits[i >>> 3] as number) | 1 << (i & 7);
  }
  return new ClusterPlan(bits, clusterBytes, count);
}

/** Hands out planned clusters in order, neighbours together; each is whole, filled up with zeroes behind the disk's end. */
export async function forEachPiece(source: BlockSource, plan: ClusterPlan, take: (bytes: Uint8Array, cluster: number) => Promise<void>): Promise<void> {
  const { clusterBytes } = plan;
  const most = Math.max(1, Math.floor(PIECE_BYTES / clusterBytes));
  const buffer = new Uint8Array(most * clusterBytes);
  for (let cluster = 0; cluster < plan.count;) {
    if (!plan.has(cluster)) {
      cluster += 1;
      continue;
    }
    let count = 1;
    while (count < most && cluster + count < plan.count && plan.has(cluster + count)) count += 1;
    const at = cluster * clusterBytes;
    const inside = Math.min(count * clusterBytes, source.size - at);
    await source.readInto(at, buffer.subarray(0, inside), { sequential: true });
    buffer.fill(0, inside, count * clusterBytes);
    await take(buffer.subarray(0, count * clusterBytes), cluster);
    cluster += count;
  }
}

/** Appends bytes; stretches of zeroes become holes where the sink has them. */
export async function writeSparsely(sink: CountingSink, bytes: Uint8Array): Promise<void> {
  const isZero = (at: number): boolean => Buffer.compare(bytes.subarray(at, at + HOLE_BYTES), zeroes.subarray(0, Math.min(HOLE_BYTES, bytes.length - at))) === 0;
  for (let at = 0; at < bytes.length;) {
    const zero = isZero(at);
    let end = at + HOLE_BYTES;
    while (end < bytes.length && isZero(end) === zero) end += HOLE_BYTES;
    end = Math.min(end, bytes.length);
    if (zero) await sink.skip(end - at);
    else await sink.write(bytes.subarray(at, end));
    at = end;
  }
}

/** Appends all planned clusters. */
export function writeClusters(source: BlockSource, plan: ClusterPlan, sink: CountingSink): Promise<void> {
  return forEachPiece(source, plan, (bytes) => writeSparsely(sink, bytes));
}

/** Appends a table of `count` entries of `entryBytes` in pieces; `put` fills in entry `index` at byte `at`, zero-filled before. */
export async function writeTable(sink: CountingSink, table: { readonly count: number; readonly entryBytes: number }, put: (view: DataView, at: number, index: number) => void): Promise<void> {
  const most = PIECE_BYTES / table.entryBytes;
  for (let first = 0; first < table.count; first += most) {
    const bytes = new Uint8Array(Math.min(most, table.count - first) * table.entryBytes);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i * table.entryBytes < bytes.length; i += 1) put(view, i * table.entryBytes, first + i);
    await sink.write(bytes);
  }
}

/** The number rounded up to a multiple of `unit`. */
export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
