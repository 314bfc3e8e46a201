/** The directory of this host in which caches are, below it one for each repository. All of it may be lost at any time. */
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import * as path from 'node:path';
import { ToolError } from '../core/index.ts';

/** Which it is. */
export interface CacheChoice {
  /** Default: HOLDFAST_CACHE_DIR, else `holdfast` in XDG_CACHE_HOME or in `~/.cache`. */
  readonly cacheDirectory?: string | undefined;
}

function cacheRoot({ cacheDirectory }: CacheChoice): string {
  const { HOLDFAST_CACHE_DIR: own = '', XDG_CACHE_HOME: caches = '' } = process.env;
  if (cacheDirectory !== undefined) return cacheDirectory;
  if (own !== '') return own;
  // A relative path there is invalid and to be ignored. Source: XDG Base Directory Specification 0.8.
  return path.join(path.isAbsolute(caches) ? caches : path.join(homedir(), '.cache'), 'holdfast');
}

/** Makes a cache's directory, for this user alone, unless it is there. @returns its path. @throws {ToolError} it can't be made. */
export function makeCache(choice: CacheChoice, name: string): string {
  const directory = path.join(path.resolve(cacheRoot(choice)), name);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new ToolError(`Make cache directory '${directory}': ${(error as NodeJS.ErrnoException).code ?? String(error)}; choose another with --cache-dir`, { path: directory }, error);
  }
  return directory;
}
