/** What the volume adapters share on their command lines: the repository, its keys, the spool, and how they end. */
import * as fs from 'node:fs';
import { homedir } from 'node:os';
import * as path from 'node:path';
import { parseArgs, type ParseArgsConfig } from 'node:util';
import { HoldfastError, UsageError } from '../src/core/index.ts';
import { openRepository } from '../src/services/repositories.ts';
import { VolumeShelf, type ShelfOptions } from '../src/services/volumes/index.ts';
import { version } from './version.ts';

type SnapshotStore = Awaited<ReturnType<typeof openRepository>>;

/** Options of every adapter, for `parseArgs`. */
export const commonOptions: {
  readonly repo: { readonly type: 'string' }; readonly key: { readonly type: 'string'; readonly multiple: true }; readonly 'wire-key': { readonly type: 'string' };
  readonly spool: { readonly type: 'string' }; readonly host: { readonly type: 'string' };
} = { repo: { type: 'string' }, key: { type: 'string', multiple: true }, 'wire-key': { type: 'string' }, spool: { type: 'string' }, host: { type: 'string' } };

/** {@link commonOptions} in the text that explains how a command is used. */
export const COMMON_USAGE = `Options:
  --repo REPO       the repository, a directory or holdfast://HOST:PORT; else HOLDFAST_REPO
  --key FILE        opens an encrypted repository; may be given several times
  --wire-key FILE   key of a daemon's domain or of this host
  --spool DIR       where volumes wait until they are committed; else HOLDFAST_SPOOL_DIR, or a directory of this user's state
  --host NAME       whose snapshots they are; else the name of this host
  --help, --version
Exit codes: 0 done, 1 failed, 2 wrong use`;

/** Values of {@link commonOptions}. */
export interface CommonValues {
  readonly repo?: string | undefined;
  readonly key?: string[] | undefined;
  readonly 'wire-key'?: string | undefined;
  readonly spool?: string | undefined;
  readonly host?: string | undefined;
}

/** Reads arguments strictly. @throws {UsageError} */
export function readArguments<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** A whole number of a range, as an option gives it. @throws {UsageError} */
export function numberOption(name: string, text: string | undefined, { fallback, most }: { readonly fallback: number; readonly most: number }): number {
  if (text === undefined) return fallback;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value > most) throw new UsageError(`Read option '--${name}': found '${text}', expected a whole number up to '${most}'`);
  return value;
}

/** A line for people, on stderr. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Key files in the order given. @throws {UsageError} one can't be read. */
export function readKeyFiles(files: readonly string[] = []): readonly { readonly name: string; readonly bytes: Uint8Array }[] {
  return files.map((name) => {
    try {
      return { name, bytes: new Uint8Array(fs.readFileSync(name)) };
    } catch (error) {
      throw new UsageError(`Read key '${name}': ${(error as NodeJS.ErrnoException).code ?? String(error)}`);
    }
  });
}

/** Opens `--repo`, or HOLDFAST_REPO. @throws {UsageError} neither is given. @throws as `openRepository`. */
export function openGivenRepository(values: CommonValues, mode: 'read' | 'write'): Promise<SnapshotStore> {
  const location = values.repo ?? process.env['HOLDFAST_REPO'];
  if (location === undefined || location === '') throw new UsageError('Open repository: name it with --repo or HOLDFAST_REPO');
  return openRepository(location, { mode, keys: readKeyFiles(values.key), keysMayBeForOthers: true, wireKey: values['wire-key'], onNote: note });
}

/** `--spool`, or HOLDFAST_SPOOL_DIR, or a directory of this user's state that is named by the repository. */
function spoolOf(values: CommonValues, repository: SnapshotStore): string {
  const { HOLDFAST_SPOOL_DIR: own = '', XDG_STATE_HOME: state = '' } = process.env;
  if (values.spool !== undefined) return values.spool;
  if (own !== '') return own;
  return path.join(path.isAbsolute(state) ? state : path.join(homedir(), '.local', 'state'), 'holdfast', `volumes-${repository.id.slice(0, 16)}`);
}

/** Opens the repository for writing and its shelf, runs, and closes both: what was written is committed then. */
export async function withShelf<T>(
  values: CommonValues, run: (open: { readonly shelf: VolumeShelf; readonly repository: SnapshotStore; readonly spool: string }) => Promise<T>, choices: Pick<ShelfOptions, 'commitBytes'> = {},
): Promise<T> {
  const repository = await openGivenRepository(values, 'write');
  try {
    const spool = spoolOf(values, repository);
    const shelf = await VolumeShelf.open(repository, { spool, note, ...choices, ...(values.host === undefined ? {} : { host: values.host }) });
    let result: T;
    try {
      result = await run({ shelf, repository, spool });
    } catch (error) {
      await shelf.close().catch((second: unknown) => { note(`${(second as Error).message}`); }); // the first error counts
      throw error;
    }
    await shelf.close();
    return result;
  } finally {
    await repository.close();
  }
}

/** What is printed instead of running; undefined where the arguments ask for something else. */
function answerTo(given: readonly string[], usage: string): string | undefined {
  if (given[0] === '--version') return version();
  return given[0] === 'help' || given.some((one) => one === '--help' || one === '-h') ? usage : undefined;
}

/**
 * Runs a command to its end and ends the process: 0 done, 1 failed, 2 wrong use. Errors are one line on stderr. Who asks for its version or for help
 * gets that alone.
 * @returns never.
 */
export async function endWith(name: string, usage: string, run: () => Promise<number>): Promise<never> {
  let code = 1;
  try {
    const answer = answerTo(process.argv.slice(2), usage);
    if (answer !== undefined) process.stdout.write(`${answer}\n`);
    code = answer === undefined ? await run() : 0;
  } catch (error) {
    code = error instanceof UsageError ? 2 : 1;
    process.stderr.write(`${name}: ${error instanceof HoldfastError ? error.message : (error as Error).stack ?? String(error)}\n`);
  }
  for (const stream of [process.stdout, process.stderr]) await new Promise<void>((resolve) => { stream.write('', () => { resolve(); }); });
  process.exit(code); // Node may hang in its drain of compiler threads (nodejs/node#54918)
}
