/** Directories with their parents, for this user alone. Node's own `recursive` never returns where a parent refuses children, as /proc does. */
import * as fs from 'node:fs';
import * as path from 'node:path';

/** Makes `directory` and what is missing above it; one that exists is left alone. @throws what the system says. */
export function makeDirectories(directory: string): void {
  try {
    fs.mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || path.dirname(directory) === directory) throw error;
    makeDirectories(path.dirname(directory));
    fs.mkdirSync(directory, { mode: 0o700 });
  }
}
