/** A stream as a tree with one file. Its size must be known before it is stored, so it goes through a temporary file below TMPDIR. */
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ToolError, UsageError, utf8, type FileTree } from '../../src/core/index.ts';
import { PosixTree } from '../../src/fs-adapters/posix/index.ts';

/** What was read; `close` removes the temporary file. */
export interface Spool {
  readonly tree: FileTree;
  close(): Promise<void>;
}

/** Runs a command through the shell, its output into `file`. @throws {ToolError} it did not end with 0: what it wrote is not whole then. */
async function runInto(command: string, file: string, signal: AbortSignal): Promise<void> {
  const child = spawn('/bin/bash', ['-o', 'pipefail', '-c', command], { stdio: ['ignore', 'pipe', 'inherit'], signal });
  const end = new Promise<string>((resolve) => {
    child.on('error', (error) => { resolve(error.message); });
    child.on('close', (status, killed) => { resolve(killed ?? String(status)); });
  });
  await pipeline(child.stdout, createWriteStream(file, { mode: 0o600 }));
  const ended = await end;
  if (ended !== '0') throw new ToolError(`Run '${command}': ended with '${ended}', expected '0': nothing of its output is stored`, { command });
}

/**
 * Reads stdin, or with `command` its output, to the end. `name` is the file's.
 * @throws {UsageError} `name` is not that of a file. @throws {ToolError} the command failed. @throws {Error} of the system, a full disk for instance.
 */
export async function spoolStream(name: string, command: string | undefined, signal: AbortSignal): Promise<Spool> {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) throw new UsageError(`Store a stream as '${name}': expected the name of a file without directories`);
  const directory = await mkdtemp(path.join(tmpdir(), 'holdfast-bpipe-'));
  const remove = (): Promise<void> => rm(directory, { recursive: true, force: true });
  try {
    const file = path.join(directory, name);
    if (command === undefined) await pipeline(process.stdin, createWriteStream(file, { mode: 0o600 }), { signal });
    else await runInto(command, file, signal);
  } catch (error) {
    await remove();
    throw error;
  }
  const tree = new PosixTree({ root: utf8(directory) });
  return { tree, close: async () => { await tree.close(); await remove(); } };
}
