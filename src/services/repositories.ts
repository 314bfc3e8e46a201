/** Opening and making repositories on this host's filesystem. */
import { existsSync } from 'node:fs';
import { NotFoundError } from '../core/index.ts';
import { Repository, nodeWorld, type OpenOptions, type RepositoryChoices } from '../engine/index.ts';

function existing(directory: string): ReturnType<typeof nodeWorld> {
  if (!existsSync(directory)) throw new NotFoundError(`Open repository '${directory}': no such directory`, { path: directory });
  return nodeWorld(directory);
}

/**
 * Opens the repository in a directory, for reading unless told otherwise. Close it when done.
 * @throws {NotFoundError} when there is none. @throws {UnsupportedError} for a layout this build doesn't know.
 * @throws {BusyError} when somebody else writes to it.
 */
export async function openRepository(directory: string, options: Partial<OpenOptions> = {}): Promise<Repository> {
  return Repository.open(existing(directory), { mode: 'read', ...options });
}

/**
 * Makes a repository in a directory that is empty or not there yet, and opens it for writing. Durable when it resolves.
 * @throws {BusyError} when the directory holds something.
 */
export function createRepository(directory: string, choices: RepositoryChoices = {}): Promise<Repository> {
  return Repository.create(nodeWorld(directory), choices);
}

/**
 * Makes the index of a repository new from its containers, reading all of them.
 * @throws {NotFoundError} when there is no repository. @throws {BusyError} when somebody writes to it.
 */
export async function rebuildIndex(
  directory: string,
  options: { onNote?(text: string): void; onProgress?(done: number, total: number): void } = {},
): Promise<{ readonly containers: number; readonly chunks: number }> {
  return Repository.rebuildIndex(existing(directory), options);
}
