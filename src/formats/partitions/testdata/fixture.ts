/** The disks in `testdata/`, for tests. */
import { type BlockSource, defaultLimits, MemorySource, NotFoundError, type OpenContext } from '../../../core/index.ts';
import { packedFiles } from '../../testdata/packed.ts';
import { openVolumeTable } from '../open.ts';
import type { VolumeTable } from '../volume-table.ts';

/** Bytes of a disk; the same array each time. */
export const fixture: (name: string) => Promise<Uint8Array> = packedFiles((name) => `partitions/testdata/${name}.raw`);

/** Bytes of disks `name-0`, `name-1` … */
export function fixtureDisks(name: string, count: number): Promise<readonly Uint8Array[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => fixture(`${name}-${i}`)));
}

/** Opens disks; `key` as text. */
export function openDisks(disks: readonly Uint8Array[], key?: string): Promise<VolumeTable> {
  const context: OpenContext = { limits: defaultLimits, ...(key === undefined ? {} : { keys: [Buffer.from(key)] }) };
  return openVolumeTable(disks.map((bytes) => new MemorySource(bytes)), context);
}

/** A volume of a table, open. */
export async function openStep(table: VolumeTable, step: string): Promise<BlockSource> {
  const volume = table.volumes.find((one) => one.step === step);
  if (volume === undefined) throw new NotFoundError(`Open '${step}': there are ${table.volumes.map((one) => one.step).join(', ')}`);
  return volume.open();
}

/** Sectors of the file that all volumes were filled from: `sector N` and dots, from sector `first` on. */
export function patternOf(first: number, count: number): Uint8Array {
  return Buffer.concat(Array.from({ length: count }, (_, i) => Buffer.from(`${`sector ${first + i}\0`.padEnd(511, '.').replace('\0', '.')}\n`)));
}
