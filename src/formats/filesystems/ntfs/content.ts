/** Content of attributes as bytes. */
import { type BlockSource, checkLimit, FormatError, MemorySource, readRange, UnsupportedError } from '../../../core/index.ts';
import { MappedSource } from '../../mapping/mapped-source.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import type { AttributeSegments, Segments } from './attribute-list.ts';
import { CompressedMap } from './compressed-map.ts';
import { ATTRIBUTE_FLAG } from './ntfs.layout.ts';
import type { Attribute, ClusterAttribute } from './record.ts';
import { NO_CLUSTER, RunList } from './run-list.ts';
import type { ClusterSpace } from './volume.ts';

/** Clusters of a compression unit, as a power of two, at most: 1 MiB of clusters of 4 KiB. */
const COMPRESSION_UNIT_MAX = 8;

/** Clusters that are kept as they are. */
class ClusterMap implements BlockMap {
  readonly #space: ClusterSpace;
  readonly #runs: RunList;
  readonly #validSize: number;

  constructor(space: ClusterSpace, runs: RunList, validSize: number) {
    this.#space = space;
    this.#runs = runs;
    this.#validSize = validSize;
  }

  runAt(offset: number, lengthMax: number): Run {
    const { clusterBytes } = this.#space.geometry;
    const run = this.#runs.at(Math.floor(offset / clusterBytes));
    const length = Math.min(lengthMax, run.end * clusterBytes - offset);
    if (run.cluster === NO_CLUSTER) return { kind: 'hole', length };
    if (offset >= this.#validSize) return { kind: 'zero', length };
    return { kind: 'data', length: Math.min(length, this.#validSize - offset), file: this.#space.source, at: run.cluster * clusterBytes + (offset - run.start * clusterBytes) };
  }
}

/** Bytes in clusters that are kept as they are, and all written. It does not own the volume. */
export function clusterSource(space: ClusterSpace, runs: RunList, size: number): BlockSource {
  return mapped(space, new ClusterMap(space, runs, size), size);
}

function mapped(space: ClusterSpace, map: BlockMap, size: number): BlockSource {
  return new MappedSource(size, space.source.sectorSize, { what: 'NTFS attribute', map, owned: [], place: { structure: 'NTFS data runs', field: 'cluster' } });
}

/**
 * Joins the run lists of an attribute's segments; undefined when there are none.
 * `each` is told after every segment: the table of records reads its next segment through those that are known.
 * @throws {FormatError} when an attribute in the record has segments.
 */
export async function runsOf(space: ClusterSpace, segments: Segments, each?: (runs: RunList, first: ClusterAttribute) => void): Promise<RunList | undefined> {
  let first: ClusterAttribute | undefined;
  const runs = new RunList(space.limits, space.geometry.clusters);
  for await (const segment of segments) {
    if (segment.resident) throw new FormatError('Read NTFS attribute', { structure: 'MFT attribute', field: 'nonResident', found: 0, expected: 'clusters' });
    runs.append({ bytes: segment.runs, lowestVcn: segment.lowestVcn, highestVcn: segment.highestVcn });
    first ??= segment;
    each?.(runs, first);
  }
  return first === undefined ? undefined : runs;
}

async function* one(attribute: Attribute): Segments {
  yield attribute;
}

/**
 * Opens an attribute's content; undefined when it has no segments. The source does not own the volume.
 * @throws {FormatError} @throws {LimitError} @throws {UnsupportedError} when it is encrypted or compressed in an unknown way.
 */
export async function openContent(space: ClusterSpace, segments: Segments): Promise<BlockSource | undefined> {
  let first: Attribute | undefined;
  const checked = async function* checked(): Segments {
    for await (const segment of segments) {
      first ??= segment;
      yield segment;
      if (segment.resident) return;
    }
  };
  const iterator = checked()[Symbol.asyncIterator]();
  const { value, done } = await iterator.next();
  if (done === true) return undefined;
  const head = value as Attribute;
  checkReadable(head);
  if (head.resident) {
    await iterator.return?.();
    return new MemorySource(head.value);
  }
  const rest = async function* rest(): Segments {
    yield head;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  };
  const runs = await runsOf(space, rest()) as RunList;
  return openRuns(space, runs, head);
}

function checkReadable({ flags }: Attribute): void {
  if ((flags & ATTRIBUTE_FLAG.encrypted) !== 0) throw new UnsupportedError('Open file: its content is encrypted by EFS, whose keys are not on the volume', { feature: 'EFS' });
  if ((flags & ATTRIBUTE_FLAG.compressionMask) > ATTRIBUTE_FLAG.compressed) throw new UnsupportedError(`Open file: compression '${flags & ATTRIBUTE_FLAG.compressionMask}' of NTFS is unknown`, { feature: 'compression' });
}

function openRuns(space: ClusterSpace, runs: RunList, { dataSize, validSize, compressionUnit, flags }: ClusterAttribute): BlockSource {
  const { clusterBytes } = space.geometry;
  if (runs.end * clusterBytes < dataSize) {
    throw new FormatError('Open NTFS attribute', { structure: 'MFT attribute', field: 'dataSize', found: dataSize, expected: `at most ${runs.end * clusterBytes}: its runs end there` });
  }
  if ((flags & ATTRIBUTE_FLAG.compressed) === 0 || compressionUnit === 0) return mapped(space, new ClusterMap(space, runs, validSize), dataSize);
  if (compressionUnit > COMPRESSION_UNIT_MAX) throw new FormatError('Open NTFS attribute', { structure: 'MFT attribute', field: 'compressionUnit', found: compressionUnit, expected: `at most ${COMPRESSION_UNIT_MAX}` });
  checkLimit(space.limits, 'filesystemBlockBytesMax', clusterBytes * 2 ** compressionUnit, 'NTFS compression unit');
  return mapped(space, new CompressedMap(space, runs, { unitClusters: 2 ** compressionUnit, dataSize, validSize }), dataSize);
}

/** All bytes of an attribute with one segment; the caller has checked its size. @throws {FormatError} */
export async function readSmall(space: ClusterSpace, attribute: Attribute): Promise<Uint8Array> {
  if (attribute.resident) return attribute.value;
  return readAll(await openContent(space, one(attribute)) as BlockSource);
}

/** All bytes of a source that is known to be small. */
export function readAll(source: BlockSource): Promise<Uint8Array> {
  return readRange(source, 0, source.size);
}

/** The whole content of a small attribute, if the file has it. @throws {FormatError} when it is larger than `bytesMax`. */
export async function smallAttribute(space: ClusterSpace, segments: AttributeSegments, { type, name }: { readonly type: number; readonly name: string }, bytesMax: number): Promise<Uint8Array | undefined> {
  const first = await segments.first(type, name);
  if (first === undefined || first.resident) return first?.value;
  if (first.dataSize > bytesMax) {
    throw new FormatError('Read NTFS attribute', { structure: 'MFT attribute', field: 'dataSize', found: first.dataSize, expected: `at most ${bytesMax} for type 0x${type.toString(16)} of MFT record ${segments.record.number}` });
  }
  return readAll(await openContent(space, segments.some(type, name)) as BlockSource);
}
