/** Mappings of a file that the log promises to change. Source: "XFS Algorithms & Data Structures", "Mapped Extent Update Intent". */
import { checkLimit, FormatError, type Limits } from '../../../core/index.ts';
import { BLOCKS_END, checkRecords, type Mapping, mappingIn, putRecord, RECORD_BYTES, type RecordPage } from './extent.ts';
import type { BlockFinder } from './file-map.ts';
import type { XfsGeometry } from './geometry.ts';

/** One change: blocks of a file that get a place, or lose theirs. */
export interface MapChange {
  readonly isMap: boolean;
  /** Block of the file. */
  readonly start: number;
  /** Block of the device. */
  readonly block: number;
  readonly count: number;
  readonly unwritten: boolean;
}

type Part = Omit<MapChange, 'isMap'>;

/** All that is mapped. @throws {LimitError} for a file of too many extents. */
async function partsOf(finder: BlockFinder, limits: Limits): Promise<readonly Part[]> {
  const parts: Part[] = [];
  for (let at = 0; at < BLOCKS_END;) {
    const { count, block, unwritten }: Mapping = await finder.find(at);
    if (block !== undefined) parts.push({ start: at, block, count, unwritten });
    checkLimit(limits, 'filesystemListBytesMax', parts.length * RECORD_BYTES, 'extents of a file that the log changes');
    at += count;
  }
  return parts;
}

function without(parts: readonly Part[], { start, count }: MapChange): readonly Part[] {
  const end = start + count;
  return parts.flatMap((part) => {
    const partEnd = part.start + part.count;
    if (partEnd <= start || part.start >= end) return [part];
    const kept: Part[] = [];
    if (part.start < start) kept.push({ ...part, count: start - part.start });
    if (partEnd > end) kept.push({ ...part, start: end, block: part.block + end - part.start, count: partEnd - end });
    return kept;
  });
}

/** A finder that knows the changes. @throws {FormatError} when a change leaves the device. @throws {LimitError} */
export async function changedFinder(finder: BlockFinder, changes: readonly MapChange[], options: { readonly geometry: XfsGeometry; readonly limits: Limits }): Promise<BlockFinder> {
  let parts = await partsOf(finder, options.limits);
  for (const change of changes) {
    if (change.start + change.count > BLOCKS_END / 2) throw new FormatError('Replay XFS log', { structure: 'xfs_map_extent', field: 'me_startoff', found: change.start, expected: `${change.count} blocks of a file` });
    parts = without(parts, change);
    if (change.isMap) parts = [...parts, change].sort((a, b) => a.start - b.start);
  }
  const page: RecordPage = { view: new DataView(new ArrayBuffer(parts.length * RECORD_BYTES)), at: 0, count: parts.length, from: 0, end: BLOCKS_END };
  parts.forEach((part, i) => putRecord(page, i, part));
  checkRecords(page, options.geometry, 0);
  return { find: (block) => mappingIn(page, block) };
}
