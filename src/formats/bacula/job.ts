/** A job as its labels and records describe it. */
import type { SessionIndex } from './session-index.ts';

/** One job as a volume set knows it. Times in seconds since 1970. */
export interface BaculaJob {
  /** 0 when the job's labels are lost; select it by its session then. */
  readonly jobId: number;
  /** Numbers in all its start labels: a VirtualFull has one of each source job, and its own number nowhere. */
  readonly sourceJobs: readonly number[];
  readonly name: string;
  /** The job's unique name. */
  readonly uniqueName: string;
  readonly client: string;
  readonly fileSet: string;
  readonly pool: string;
  /** F full, D differential, I incremental, … as in Bacula's catalog; empty when lost. */
  readonly level: string;
  /** B backup, …; empty when lost. */
  readonly type: string;
  readonly session: { readonly id: number; readonly time: number };
  readonly started: number | undefined;
  readonly ended: number | undefined;
  /** As the end-of-session label counts them, else as found. */
  readonly files: number;
  readonly bytes: number;
  /** T finished, …; undefined without an end-of-session label. */
  readonly status: string | undefined;
  /** Start and end were seen, and nothing is missing between them. */
  readonly complete: boolean;
  /** Entries that are hard links to another entry's data. */
  readonly hardLinks: number;
  /** Entries that say something was deleted (accurate jobs only). */
  readonly deletions: number;
  /** Entries whose content is in a Base job. */
  readonly baseEntries: number;
}

/** Number of the session's job; 0 when its labels are lost. */
export function jobIdOf(session: SessionIndex): number {
  return (session.start ?? session.end)?.jobId ?? 0;
}

/** When the session began (or ended), in microseconds since 1970; 0 when its labels are lost. */
export function timeOf(session: SessionIndex): number {
  return (session.start ?? session.end)?.time ?? 0;
}

/** The job of a session. */
export function describeJob(session: SessionIndex): BaculaJob {
  const label = session.start ?? session.end;
  const { start, end } = session;
  const counted = session.consolidated ? undefined : end;
  return {
    jobId: label?.jobId ?? 0, sourceJobs: session.sourceJobs, name: label?.jobName ?? '', uniqueName: label?.uniqueName ?? '', client: label?.clientName ?? '',
    fileSet: label?.fileSetName ?? '', pool: label?.poolName ?? '', level: label?.level ?? '', type: label?.type ?? '',
    session: { id: session.id, time: session.time },
    started: start === undefined ? undefined : Math.floor(start.time / 1e6), ended: end === undefined ? undefined : Math.floor(end.time / 1e6),
    files: counted?.files ?? session.files.rows, bytes: counted?.bytes ?? session.bytesFound, status: end?.status, complete: session.complete,
    hardLinks: session.files.linkRow.rows, deletions: session.files.deletions, baseEntries: session.files.baseEntries,
  };
}
