/** The directory of this host in which caches are, below it one for each repository. All of it may be lost at any time. */
import { lstatSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import * as path from 'node:path';
import { ToolError, type World } from '../core/index.ts';
import { makeDirectories, nodeWorld } from '../engine/index.ts';

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

/** What another user may change is no cache of ours: not the directory, nor a link to it. What root has is as good as ours. */
function checkOwner(directory: string): void {
  const own = process.geteuid?.();
  for (const { uid } of [lstatSync(directory), statSync(directory)]) {
    if (own !== undefined && uid !== own && uid !== 0) throw new Error(`'${directory}' belongs to another user, with id '${uid}'`);
  }
}

/** A cache's directory, made for this user alone unless it is there. @throws {ToolError} it can't be made, or belongs to another user. */
export async function makeCache(choice: CacheChoice, name: string): Promise<World> {
  const root = path.resolve(cacheRoot(choice));
  const directory = path.join(root, name);
  const world = nodeWorld(directory);
  try {
    makeDirectories(root);
    checkOwner(root);
    await world.disk.makeDirectory('');
    checkOwner(directory);
    return world;
  } catch (error) {
    throw new ToolError(`Make cache directory '${directory}': ${(error as Error).message}; choose another with --cache-dir`, { path: directory }, error);
  }
}
