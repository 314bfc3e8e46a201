/**
 * Clusters of a qcow2 disk by its L1 and L2 tables.
 * Source: QEMU documentation, `docs/interop/qcow2.txt`, sections "Cluster mapping" and "Extended L2 Entries". Entries are decoded by
 * hand: they are the hot loop of every read.
 */
import { type BlockSource, FormatError } from '../../../core/index.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import { checkEntry, TableCache } from '../../mapping/table-cache.ts';
import type { Qcow2Header } from './header.ts';
import type { UnpackCluster } from './unpack.ts';

const STRUCTURE = 'qcow2 L2 table';
/** Bytes of a table that are read and kept together; the smallest cluster is no larger. */
const PART_BYTES = 32 << 10;
const SUBCLUSTERS = 32;

/** What a map reads from. */
export interface ClusterFiles {
  /** Tables and compressed clusters. */
  readonly file: BlockSource;
  /** Clusters of data. */
  readonly data: BlockSource;
  readonly unpack: UnpackCluster;
}

/** Part of the image that no cluster of data may be in; from `start` to before `end`. */
export interface Reserved {
  readonly start: number;
  readonly end: number;
}

function fault(field: string, offset: number, found: string | number, expected: string): FormatError {
  return new FormatError('Map qcow2 cluster', { structure: STRUCTURE, field, offset, found, expected });
}

/** Offset in the upper half of an entry: bits 32 to 55. */
function offsetOf(high: number, low: number): number {
  return (high & 0x00ff_ffff) * 0x1_0000_0000 + ((low & 0xffff_fe00) >>> 0);
}

/** The map of one L1 table. */
export class ClusterMap implements BlockMap {
  readonly #header: Qcow2Header;
  readonly #files: ClusterFiles;
  readonly #l1: Float64Array;
  /** Offsets of all L2 tables, ascending. */
  readonly #tables: Float64Array;
  readonly #reserved: readonly Reserved[];
  readonly #cache: TableCache;
  readonly #clusterBytes: number;
  readonly #entryBytes: number;
  readonly #partBytes: number;
  /** Bytes of the disk that one L2 table maps. */
  readonly #coverage: number;

  /**
   * `l1`: the table as stored.
   * @throws {FormatError} when an entry is no place for a table.
   */
  constructor(header: Qcow2Header, files: ClusterFiles, l1: Uint8Array, tableBytes: number) {
    this.#header = header;
    this.#files = files;
    this.#clusterBytes = 2 ** header.clusterBits;
    this.#entryBytes = header.extendedL2 ? 16 : 8;
    this.#coverage = this.#clusterBytes * (this.#clusterBytes / this.#entryBytes);
    this.#partBytes = Math.min(PART_BYTES, this.#clusterBytes);
    this.#reserved = [
      { start: 0, end: this.#clusterBytes },
      { start: header.l1Offset, end: header.l1Offset + header.l1Entries * 8 },
      { start: header.refcountTable.offset, end: header.refcountTable.offset + header.refcountTable.bytes },
    ];
    this.#l1 = this.#readL1(l1);
    this.#tables = this.#l1.filter((at) => at > 0).sort();
    this.#cache = new TableCache(files.file, { partBytes: this.#partBytes, budget: tableBytes, structure: STRUCTURE });
  }

  #readL1(bytes: Uint8Array): Float64Array {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const entries = new Float64Array(bytes.length / 8);
    for (let i = 0; i < entries.length; i += 1) {
      const high = view.getUint32(8 * i);
      const low = view.getUint32(8 * i + 4);
      const at = offsetOf(high, low);
      const wrong = (high & 0x7f00_0000) !== 0 || (low & 0x1ff) !== 0 || at % this.#clusterBytes !== 0 || at >= this.#files.file.size
        || (at > 0 && this.#reserved.some(({ start, end }) => at < end && at + this.#clusterBytes > start));
      if (wrong) {
        throw new FormatError('Read qcow2 L1 table', {
          structure: 'qcow2 L1 table', field: `entry ${i}`, offset: this.#header.l1Offset + 8 * i, found: `0x${high.toString(16)}:${low.toString(16)}`,
          expected: 'the offset of a cluster of the file that is no other table',
        });
      }
      entries[i] = at;
    }
    return entries;
  }

  runAt(offset: number, lengthMax: number): Run | Promise<Run> {
    const index = Math.floor(offset / this.#coverage);
    const within = offset - index * this.#coverage;
    const table = this.#l1[index] as number;
    if (table === 0) {
      let next = index + 1;
      while (next < this.#l1.length && this.#l1[next] === 0 && next * this.#coverage - offset < lengthMax) next += 1;
      return { kind: 'parent', length: Math.min(lengthMax, next * this.#coverage - offset) };
    }
    const entryAt = Math.floor(within / this.#clusterBytes) * this.#entryBytes;
    const partAt = Math.floor(entryAt / this.#partBytes) * this.#partBytes;
    const found = this.#cache.get(table + partAt);
    const skip = within % this.#clusterBytes;
    if (found instanceof Promise) return found.then((view) => this.#inPart(view, table + partAt, entryAt - partAt, { skip, lengthMax }));
    return this.#inPart(found, table + partAt, entryAt - partAt, { skip, lengthMax });
  }

  /** The run from `skip` bytes into the cluster of the entry at `at`, over entries that go on with the same. */
  #inPart(view: DataView, base: number, at: number, { skip, lengthMax }: { readonly skip: number; readonly lengthMax: number }): Run {
    checkEntry(view, at, this.#entryBytes, STRUCTURE);
    if (this.#header.extendedL2) return this.#extendedEntry(view, base, at, { skip, lengthMax });
    const first = this.#entry(view, base, at, skip);
    let length = this.#clusterBytes - skip;
    if (first.kind === 'packed') return { ...first, length: Math.min(length, lengthMax) };
    for (let next = at + 8; length < lengthMax && next + 8 <= view.byteLength; next += 8) {
      const following = this.#entry(view, base, next, 0);
      if (following.kind !== first.kind || (first.kind === 'data' && (following as { readonly at: number }).at !== first.at + length)) break;
      length += this.#clusterBytes;
    }
    return { ...first, length: Math.min(length, lengthMax) };
  }

  /** One cluster; its length is the caller's business. */
  #entry(view: DataView, base: number, at: number, skip: number): Run {
    const high = view.getUint32(at);
    const low = view.getUint32(at + 4);
    if ((high & 0x4000_0000) !== 0) return this.#packed(high, low, base + at, skip);
    if ((low & 1) !== 0 && this.#header.version === 2) throw fault('entry', base + at, low, 'no zero flag in version 2');
    const cluster = this.#place(high, low, base + at, 0x1fe);
    if ((low & 1) !== 0) return { kind: cluster === undefined ? 'hole' : 'zero', length: 0 };
    if (cluster === undefined) return { kind: 'parent', length: 0 };
    return { kind: 'data', file: this.#files.data, at: cluster + skip, length: 0 };
  }

  /** Where a cluster of data is; undefined when it is not allocated. */
  #place(high: number, low: number, at: number, reserved: number): number | undefined {
    const cluster = offsetOf(high, low);
    if ((high & 0x3f00_0000) !== 0 || (low & reserved) !== 0) throw fault('entry', at, `0x${high.toString(16)}:${low.toString(16)}`, 'zeroes in reserved bits');
    if (cluster % this.#clusterBytes !== 0) throw fault('host cluster offset', at, cluster, `a multiple of ${this.#clusterBytes}`);
    // In a data file of its own, cluster 0 is one like all others: the bit that says "used once" tells it from "not allocated".
    if (this.#header.externalData) return cluster === 0 && (high & 0x8000_0000) === 0 ? undefined : cluster;
    if (cluster === 0) return undefined;
    if (this.#isTable(cluster)) throw fault('host cluster offset', at, cluster, 'a cluster that is no table');
    return cluster;
  }

  /** Whether a cluster of the file holds header or tables: a guest must not see them, nor anything depend on them. */
  #isTable(cluster: number): boolean {
    if (this.#reserved.some(({ start, end }) => cluster < end && cluster + this.#clusterBytes > start)) return true;
    let low = 0;
    let high = this.#tables.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const found = this.#tables[middle] as number;
      if (found === cluster) return true;
      if (found < cluster) low = middle + 1;
      else high = middle;
    }
    return false;
  }

  #packed(high: number, low: number, at: number, skip: number): Run {
    if (this.#header.externalData) throw fault('entry', at, 'compressed', 'no compressed cluster beside a data file');
    // Bits 0 … x−1 are the offset in bytes, x … 61 count further sectors of 512 bytes; x = 70 − cluster_bits is at least 49.
    const shift = 70 - this.#header.clusterBits - 32;
    const place = (high & (2 ** shift - 1)) * 0x1_0000_0000 + low;
    const sectors = (high & 0x3fff_ffff) >>> shift;
    const bytes = (sectors + 1) * 512 - (place % 512);
    if (place < this.#clusterBytes || place >= this.#files.file.size) throw fault('compressed cluster offset', at, place, `inside the file of ${this.#files.file.size} bytes`);
    return { kind: 'packed', length: 0, skip, load: () => this.#files.unpack(place, Math.min(bytes, this.#files.file.size - place)) };
  }

  /** An entry of 128 bits: the cluster, then a bit "here" and a bit "zeroes" for each of 32 subclusters. */
  #extendedEntry(view: DataView, base: number, at: number, { skip, lengthMax }: { readonly skip: number; readonly lengthMax: number }): Run {
    const high = view.getUint32(at);
    const low = view.getUint32(at + 4);
    const zeroes = view.getUint32(at + 8);
    const here = view.getUint32(at + 12);
    if ((high & 0x4000_0000) !== 0) {
      if (zeroes !== 0 || here !== 0) throw fault('subcluster bitmap', base + at + 8, `${zeroes}:${here}`, '0 for a compressed cluster');
      return { ...this.#packed(high, low, base + at, skip), length: Math.min(this.#clusterBytes - skip, lengthMax) };
    }
    const cluster = this.#place(high, low, base + at, 0x1ff);
    if ((zeroes & here) !== 0) throw fault('subcluster bitmap', base + at + 8, zeroes & here, 'no subcluster both allocated and zero');
    if (cluster === undefined && here !== 0) throw fault('subcluster bitmap', base + at + 12, here, '0 for a cluster that is not allocated');
    const bytes = this.#clusterBytes / SUBCLUSTERS;
    const kindAt = (index: number): 'data' | 'zero' | 'parent' => (((here >>> index) & 1) !== 0 ? 'data' : ((zeroes >>> index) & 1) !== 0 ? 'zero' : 'parent');
    const first = Math.floor(skip / bytes);
    const kind = kindAt(first);
    let next = first + 1;
    while (next < SUBCLUSTERS && kindAt(next) === kind && next * bytes - skip < lengthMax) next += 1;
    const length = Math.min(lengthMax, next * bytes - skip);
    if (kind === 'data') return { kind, length, file: this.#files.data, at: (cluster as number) + skip };
    return { kind: kind === 'zero' && cluster === undefined ? 'hole' : kind, length };
  }
}
