/**
 * `confirm`: for the Director's RunScript after a job. Succeeds only when the volumes that the job wrote are committed and hold the whole job: every block, checksum
 * and number, start and end of the session, and the counts in its end label.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError, IntegrityError, NotFoundError, type BlockSource } from '../../src/core/index.ts';
import { openStoredVolume, reportVolumes, type ShelfRepository } from '../../src/services/volumes/index.ts';

/** What is to be confirmed. */
export interface ConfirmRequest {
  readonly volumes: readonly string[];
  /** The job; absent: all jobs of the volumes. */
  readonly jobId: number | undefined;
  /** What the catalog counts; the end label must say the same. */
  readonly files: number | undefined;
  readonly host: string | undefined;
  readonly keys: readonly Uint8Array[];
  /** Milliseconds to wait for the commit. */
  readonly waitMs: number;
  /** Told once, when the waiting begins, what is missing. */
  readonly onWait?: (problem: string) => void;
}

const POLL_MS = 500;
/** Looks after which it is worth saying that one waits: volumes are often committed within a second. */
const WAITED_TRIES = 4;

/** Why the job is not there; none when it is. Nothing is thrown for what may still come. */
async function missing(repository: Pick<ShelfRepository, 'snapshots' | 'openSnapshot'>, request: ConfirmRequest): Promise<readonly string[]> {
  const sources: { readonly name: string; readonly source: BlockSource }[] = [];
  try {
    for (const name of request.volumes) sources.push({ name, source: await openStoredVolume(repository, name, request.host) });
  } catch (error) {
    for (const { source } of sources) await source.close();
    if (error instanceof NotFoundError) return [error.message];
    throw error;
  }
  const { names, jobs, faults } = await reportVolumes(sources, request.keys);
  const problems = [...faults];
  for (const name of request.volumes) if (!names.includes(name)) problems.push(`no label says '${name}'`);
  const wanted = request.jobId === undefined ? jobs : jobs.filter(({ jobId }) => jobId === request.jobId);
  if (wanted.length === 0) problems.push(`'${request.volumes.join(', ')}' hold no job '${request.jobId ?? ''}'`);
  for (const { jobId, files } of wanted) {
    if (request.files !== undefined && files !== request.files) problems.push(`job '${jobId}' has '${files}' files on the volume, expected '${request.files}'`);
  }
  return problems;
}

/** Resolves when everything is there; until the time is over it looks again. @throws {IntegrityError} it is not. */
export async function confirmJob(repository: Pick<ShelfRepository, 'snapshots' | 'openSnapshot'>, request: ConfirmRequest): Promise<void> {
  const deadline = performance.now() + request.waitMs;
  for (let tries = 1; ; tries += 1) {
    let problems: readonly string[];
    try {
      problems = await missing(repository, request);
    } catch (error) {
      // A volume that is being written has no whole blocks yet, or is superseded while it is read.
      if (!(error instanceof HoldfastError)) throw error;
      problems = [error.message];
    }
    if (problems.length === 0) return;
    if (performance.now() >= deadline) {
      throw new IntegrityError(`Confirm job '${request.jobId ?? 'any'}' on '${request.volumes.join(', ')}': ${problems.slice(0, 5).join('; ')}`);
    }
    if (tries === WAITED_TRIES) request.onWait?.(problems[0] as string);
    await sleep(POLL_MS);
  }
}
