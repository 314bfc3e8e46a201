/** The directory of this host in which caches are, below it one for each repository. All of it may be lost at any time. */
import { homedir } from 'node:os';
import * as path from 'node:path';
import { ToolError, type World } from '../core/index.ts';
import { nodeWorld } from '../engine/index.ts';

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

/** A cache's directory, made for this user alone unless it is there. @throws {ToolError} it can't be made. */
export async function makeCache(choice: CacheChoice, name: string): Promise<World> {
  const directory = path.join(path.resolve(cacheRoot(choice)), name);
  const world = nodeWorld(directory);
  try {
    await world.disk.makeDirectory('');
    return world;
  } catch (error) {
    throw new ToolError(`Make cache directory '${directory}': ${(error as Error).message}; choose another with --cache-dir`, { path: directory }, error);
  }
}
