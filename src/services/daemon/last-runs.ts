/**
 * When tasks last began, across restarts: a daemon that is restarted or reloaded more often than a task is due must run it all the same. Kept in a small file of the
 * state directory; without one, for the life of the process. The file is a convenience: what cannot be read counts as never, and the next run writes it anew.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { makeDirectories } from '../../engine/index.ts';
import type { TaskName } from './metrics/maintenance.ts';

const FILE = 'maintenance.json';

/** See the file's header. */
export class LastRuns {
  readonly #directory: string | undefined;
  readonly #times = new Map<string, number>();
  readonly #note: (text: string) => void;

  /** Reads what `directory` holds. `note`: why it is not kept; `directory` undefined: it is not to be. */
  constructor(directory: string | undefined, note: (text: string) => void) {
    this.#directory = directory;
    this.#note = note;
    if (directory === undefined) return;
    try {
      const found: unknown = JSON.parse(readFileSync(path.join(directory, FILE), 'utf8'));
      for (const [task, time] of Object.entries(found as object)) if (Number.isSafeInteger(time)) this.#times.set(task, time as number);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') note(`Read '${path.join(directory, FILE)}': ${(error as Error).message}`);
    }
  }

  /** Milliseconds since 1970 at which a task last began; where that is unknown, or to come, it is `now` from here on. */
  of(task: TaskName, now: number): number {
    const last = this.#times.get(task);
    if (last !== undefined && last <= now) return last;
    this.begin(task, now);
    return now;
  }

  /** Notes that a task begins. Never throws. */
  begin(task: TaskName, now: number): void {
    this.#times.set(task, now);
    if (this.#directory === undefined) return;
    const file = path.join(this.#directory, FILE);
    try {
      makeDirectories(this.#directory);
      writeFileSync(`${file}.new`, `${JSON.stringify(Object.fromEntries(this.#times))}\n`, { mode: 0o600 });
      renameSync(`${file}.new`, file);
    } catch (error) {
      this.#note(`Write '${file}': ${(error as Error).message}`);
    }
  }
}
