/** Whether volumes hold whole jobs: every block, number, checksum and end-of-session count is checked, as when they are read. */
import { NotFoundError, defaultLimits, type BlockSource } from '../../core/index.ts';
import { openVolumeSet, type BaculaJob, type VolumeProblem } from '../../formats/bacula/index.ts';
import { volumeSnapshot, type ShelfRepository } from './repository.ts';
import { StoredVolume } from './stored-volume.ts';

/** What was found. */
export interface VolumeReport {
  /** By the labels, in the order in which they were written; undefined where a label is lost. */
  readonly names: readonly (string | undefined)[];
  readonly jobs: readonly BaculaJob[];
  /** Reasons not to rely on the volumes, for people. */
  readonly faults: readonly string[];
}

/** Problems of files that Bacula itself stored so, or that a reader meets: the volume is as it was written. */
const asWritten: ReadonlySet<VolumeProblem['kind']> = new Set<VolumeProblem['kind']>([
  'bad-path', 'duplicate-path', 'missing-data', 'size-differs', 'mixed-streams', 'duplicate-stream', 'missing-base', 'missing-link-target', 'unknown-stream',
  'stream-not-applied', 'unsupported-stream',
]);

/** Reads volumes of one set from end to end and closes them. @throws {NotFoundError} a key is missing. @throws {FormatError} no volumes. */
export async function reportVolumes(volumes: readonly { readonly name: string; readonly source: BlockSource }[], keys: readonly Uint8Array[] = []): Promise<VolumeReport> {
  const set = await openVolumeSet(volumes, { limits: defaultLimits, keys }, { order: 'any' });
  try {
    const faults = set.problems().filter(({ kind }) => !asWritten.has(kind)).map(({ kind, volume, message }) => `${volume ?? ''}: ${kind}: ${message}`);
    const jobs = set.jobs();
    for (const job of jobs) {
      const what = `job ${job.jobId} (session ${job.session.id}/${job.session.time})`;
      if (!job.complete) faults.push(`${what} is not whole: its start, its end or something between them is missing`);
      if (job.status !== undefined && job.status !== 'T' && job.status !== 'W') faults.push(`${what} ended with status '${job.status}'`);
    }
    return { names: set.labels.map(({ label }) => label?.volumeName), jobs, faults };
  } finally {
    await set.close();
  }
}

/** Opens the newest commit of a volume. @throws {NotFoundError} there is none. */
export async function openStoredVolume(repository: Pick<ShelfRepository, 'snapshots' | 'openSnapshot'>, name: string, host?: string): Promise<StoredVolume> {
  const found = (await repository.snapshots()).map(volumeSnapshot).filter((one) => one !== undefined && one.name === name && (host === undefined || one.host === host));
  const newest = found.reduce((best, one) => (best === undefined || (one !== undefined && one.sequence > best.sequence) ? one : best), undefined);
  if (newest === undefined || newest.isRemoved) throw new NotFoundError(`Open volume '${name}': the repository has none of that name${host === undefined ? '' : ` of host '${host}'`}`, { volume: name });
  return StoredVolume.open(await repository.openSnapshot(newest.id), newest.id);
}
