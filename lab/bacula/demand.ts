/** The script of docs/bacula.md that holds the director to the truth. */
import { chmodSync, writeFileSync } from 'node:fs';
import type { Stand } from './stand.ts';

/**
 * Installs `holdfast-demand JOBID COMMAND…`: a job whose command fails is marked as failed in the catalog, because the director can't be told by a RunScript
 * after the job (measured, 9.6.7 and 15.0.3). @returns its path
 */
export function demandScript(stand: Stand): string {
  const file = stand.path('bin', 'holdfast-demand');
  const database = stand.path('bacula', 'director', 'bacula.db');
  writeFileSync(file, `#!/bin/sh\nid=$1\nshift\n"$@" && exit 0\nsqlite3 -cmd '.timeout 10000' '${database}' "UPDATE Job SET JobStatus = 'E', JobErrors = JobErrors + 1 WHERE JobId = $id"\nexit 1\n`);
  chmodSync(file, 0o755);
  return file;
}
