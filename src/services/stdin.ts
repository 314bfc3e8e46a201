/** Standard input as a tree with one file. Its size must be known before it is stored, so it goes through a temporary file. */
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import * as os from 'node:os';
import * as path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { NotFoundError, UsageError, utf8, type FileTree } from '../core/index.ts';
import { makeDirectories } from '../engine/index.ts';
import { PosixTree } from '../fs-adapters/posix/index.ts';

/** What was read; `close` removes the temporary file. */
export interface Spooled {
  readonly tree: FileTree;
  close(): Promise<void>;
}

/**
 * Reads stdin to its end into a file below `TMPDIR`; `name` may have directories.
 * @throws {UsageError} when `name` leads out of its tree. @throws {NotFoundError} not one byte came. @throws {Error} of the system, when the temporary disk is full.
 */
export async function spoolStdin(name: string, signal?: AbortSignal): Promise<Spooled> {
  const relative = path.posix.normalize(name).replace(/^\/+/, '');
  if (relative === '' || relative === '.' || relative.startsWith('..') || relative.endsWith('/')) {
    throw new UsageError(`Read stdin as '${name}': expected the path of a file`, { name });
  }
  const directory = await mkdtemp(path.join(os.tmpdir(), 'holdfast-stdin-'));
  const close = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    const file = path.join(directory, relative);
    makeDirectories(path.dirname(file));
    await pipeline(process.stdin, createWriteStream(file, { mode: 0o600 }), signal === undefined ? {} : { signal });
    // A command that fails in front of a pipe leaves nothing else to be seen.
    if ((await stat(file)).size === 0) throw new NotFoundError(`Read stdin as '${name}': it was empty; the command that writes to it may have failed`, { name });
  } catch (error) {
    await close();
    throw error;
  }
  const tree = new PosixTree({ root: utf8(directory) });
  return {
    tree,
    close: async () => {
      await tree.close();
      await close();
    },
  };
}
