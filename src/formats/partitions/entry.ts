/** Entries of MBR and GPT as volumes: clipped to the disk, compared with each other. */
import { type BlockSource, FormatError, type TreeProblem } from '../../core/index.ts';
import { windowOf } from './parts.ts';
import type { Volume } from './volume-table.ts';

/** One entry of a partition table; places in bytes. */
export interface PartitionEntry {
  readonly number: number;
  readonly type: string;
  readonly name?: string;
  readonly uuid?: string;
  readonly start: number;
  readonly length: number;
}

/** An entry on its disk. What lies behind the disk's end is cut off, and a problem. */
function volumeOf(disk: BlockSource, entry: PartitionEntry, sectorSize: number, problems: TreeProblem[]): Volume {
  const { number, type, name, uuid, start } = entry;
  const size = Math.max(0, Math.min(entry.length, disk.size - start));
  if (size < entry.length) {
    problems.push({ kind: 'truncated', where: `p${number}`, message: `partition ends at ${start + entry.length}, the disk at ${disk.size}` });
  }
  return {
    step: `p${number}`, type, offset: start, size, ...(name === undefined ? {} : { name }), ...(uuid === undefined ? {} : { uuid }),
    open: () => {
      if (size > 0) return Promise.resolve(windowOf(disk, start, size, sectorSize));
      return Promise.reject(new FormatError(`Open partition 'p${number}'`, { structure: 'partition entry', field: 'first sector', found: start, expected: `less than ${disk.size}: the disk ends there` }));
    },
  };
}

/** Entries as volumes, in the order of their numbers; overlaps and cuts are added to `problems`. */
export function volumesOf(disk: BlockSource, entries: readonly PartitionEntry[], sectorSize: number, problems: TreeProblem[]): readonly Volume[] {
  const inOrder = [...entries].sort((a, b) => a.start - b.start);
  let reached: PartitionEntry | undefined;
  for (const entry of inOrder) {
    if (reached !== undefined && entry.start < reached.start + reached.length) {
      problems.push({ kind: 'overlap', where: `p${entry.number}`, message: `partitions p${reached.number} and p${entry.number} share the bytes from ${entry.start}` });
    }
    if (reached === undefined || entry.start + entry.length > reached.start + reached.length) reached = entry;
  }
  return entries.map((entry) => volumeOf(disk, entry, sectorSize, problems));
}
