/** One line per job of a volume and per snapshot of a repository, as `ls`, `info` and `snapshots` print them. */
import type { SnapshotInfo } from '../../engine/index.ts';
import { formatTime } from '../entry-record.ts';
import { formatBytes } from './progress.ts';
import { alignColumns } from './table.ts';

/** What a line tells of a job; times are seconds since 1970. */
export interface JobFacts {
  readonly name: string;
  readonly client: string;
  readonly type: string;
  readonly level: string;
  readonly status: string | undefined;
  readonly complete: boolean;
  readonly files: number;
  readonly bytes: number;
  readonly started: number | undefined;
}

/** Source: Bacula's catalog, tables JobHisto (Level, Type) and Status. */
const levels: Readonly<Record<string, string>> = { F: 'Full', D: 'Differential', I: 'Incremental', S: 'Since', B: 'Base', f: 'VirtualFull' };
const types: Readonly<Record<string, string>> = { A: 'Archive', B: 'Backup', C: 'Copy', D: 'Admin', M: 'Migrated', R: 'Restore', V: 'Verify', g: 'Migration', c: 'Copying' };
const statuses: Readonly<Record<string, string>> = { A: 'canceled', D: 'differences', E: 'failed', e: 'errors', f: 'fatal error', I: 'incomplete', R: 'running', T: 'OK', W: 'OK, warnings' };

function word(words: Readonly<Record<string, string>>, letter: string): string {
  return words[letter] ?? (letter.trim() === '' ? '?' : `'${letter}'`);
}

function statusText({ status, complete }: JobFacts): string {
  const text = status === undefined ? 'no end of session' : word(statuses, status);
  return complete || status === undefined ? text : `${text}, parts missing`;
}

/** Lines with a head; `names` are the steps that lead to the jobs, in the same order. */
export function jobLines(jobs: readonly JobFacts[], names: readonly string[]): readonly string[] {
  if (jobs.length === 0) return [];
  return alignColumns([
    ['STEP', 'JOB', 'CLIENT', 'TYPE', 'LEVEL', 'STATUS', 'FILES', 'SIZE', 'STARTED (UTC)'],
    ...jobs.map((job, i) => [
      names[i] ?? '', job.name, job.client, word(types, job.type), word(levels, job.level), statusText(job), String(job.files), formatBytes(job.bytes), job.started === undefined ? '?' : formatTime(job.started),
    ]),
  ], [6, 7]);
}

/** Lines without a head, the id shortened to twelve digits unless `whole`. */
export function snapshotLines(snapshots: readonly SnapshotInfo[], whole = false): readonly string[] {
  return alignColumns(snapshots.map(({ id, time, host, counts, sources, tags }) => [
    whole ? id : id.slice(0, 12), `${new Date(time).toISOString().slice(0, 19)}Z`, host, `${counts.files} files`, formatBytes(counts.bytes), `${sources.join(' ')}${tags.length === 0 ? '' : ` [${tags.join(', ')}]`}`,
  ]), [3, 4]);
}
