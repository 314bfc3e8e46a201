/** Directories with their parents. Node's own `recursive` never returns where a parent refuses children, as /proc does. */
import * as fs from 'node:fs';
import * as path from 'node:path';

/** How often a directory may vanish between being found and being looked at: who gives a lock back removes its directory. A link that leads nowhere is met as often. */
const ATTEMPTS = 100;

function makeOne(directory: string, mode: number): void {
  for (let attempt = 1; ; attempt += 1) {
    try {
      fs.mkdirSync(directory, { mode });
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const found = fs.statSync(directory, { throwIfNoEntry: false });
      if (found?.isDirectory() === true) return;
      if (found !== undefined || attempt === ATTEMPTS) throw error;
    }
  }
}

/**
 * Makes `directory` and what is missing above it, for this user alone unless `mode` says otherwise; one that exists is left alone.
 * @throws what the system says, `EEXIST` when it is no directory.
 */
export function makeDirectories(directory: string, mode: number = 0o700): void {
  try {
    makeOne(directory, mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || path.dirname(directory) === directory) throw error;
    makeDirectories(path.dirname(directory), mode);
    makeOne(directory, mode); // another process may have made it meanwhile
  }
}
