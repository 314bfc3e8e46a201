#!/usr/bin/env node
/** `holdfast-bacula-bpipe`: what Bacula's bpipe plugin and RunScripts start. Exit codes: 0 done, 1 failed, 2 called wrongly, 3 stored incompletely. */
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { HoldfastError, UsageError } from '../../src/core/index.ts';
import { endProcess } from '../../src/services/cli/end-process.ts';
import { keepProcessSmall } from '../../src/services/process-memory.ts';
import { version } from '../version.ts';
import type { Voices, Wanted } from './backup.ts';
import { readSettings, type Settings } from './settings.ts';

interface Options {
  readonly config: string;
  readonly job: string;
  readonly receipts: number;
  readonly bytes: number;
  readonly stdin?: string;
  readonly stream?: string;
  readonly command?: string;
  readonly where?: string;
  readonly replace: string;
}

function warn(line: string): void {
  process.stderr.write(`holdfast-bacula-bpipe: ${line}\n`);
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('expected a whole number');
  return Number(text);
}

function wantedOf(paths: readonly string[], { stdin, stream, command }: Options): Wanted {
  const ways = [paths.length > 0, stdin !== undefined, command !== undefined || stream !== undefined].filter(Boolean).length;
  if (ways !== 1) throw new UsageError("Back up: expected paths, or --stdin NAME, or --stream NAME with --command COMMAND, and only one of these");
  if (stdin !== undefined) return { stream: stdin };
  if (paths.length > 0) return { paths };
  if (stream === undefined || command === undefined) throw new UsageError('Back up: --stream NAME and --command COMMAND belong together');
  return { stream, command };
}

function signals(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => { controller.abort(); });
  return controller.signal;
}

/** Runs one command and sets the exit code. Modules are loaded when they are needed: a RunScript shall not cost a second. */
async function act(config: string, run: (settings: Settings, voices: Voices) => Promise<number>): Promise<void> {
  try {
    process.exitCode = await run(readSettings(config), { signal: signals(), warn });
  } catch (error) {
    warn(error instanceof Error ? error.message : String(error));
    if (!(error instanceof HoldfastError) && error instanceof Error && (error as NodeJS.ErrnoException).code === undefined) warn(error.stack ?? '');
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

function program(): Command {
  const root = new Command('holdfast-bacula-bpipe').description('Stores what a Bacula job backs up through bpipe in a holdfast repository').version(version()).exitOverride();
  const verb = (name: string): Command => root.command(name).requiredOption('--config <file>', 'settings: repository, keys, state');
  verb('begin').description('before the job, on the client').requiredOption('--job <name>', "Bacula's %j").action((options: Options) => act(options.config, async (settings) => {
    const { begin } = await import('./confirm.ts');
    await begin(options.job, settings);
    return 0;
  }));
  verb('backup').description('the reader: stores, and writes a receipt to stdout').argument('[path...]')
    .option('--stdin <name>', 'store stdin under this name').option('--stream <name>', 'name of what --command prints').option('--command <command>', 'store what this shell command prints')
    .action((paths: string[], options: Options) => act(options.config, async (settings, voices) => {
      const { backup } = await import('./backup.ts');
      return backup(wantedOf(paths, options), settings, voices);
    }));
  verb('restore').description('the writer: restores what the receipt on stdin names').option('--where <directory>', "Bacula's %w; empty is the original place").option('--replace <letter>', "Bacula's %r: a or n", 'a')
    .option('--command <command>', 'feed a stream to this shell command').action((options: Options) => act(options.config, async (settings, voices) => {
      const { overwriteOf, restore } = await import('./restore.ts');
      const { where, replace, command } = options;
      if (where === undefined && command === undefined) throw new UsageError("Restore: expected --where, or --command for a stream; '--where=' is the original place, which is overwritten");
      await restore({ where: where ?? '', overwrite: overwriteOf(replace), ...(command === undefined ? {} : { command }) }, settings, voices);
      return 0;
    }));
  verb('confirm').description('after the job, on the client: fails unless all of it is stored').requiredOption('--job <name>', "Bacula's %j").requiredOption('--bytes <number>', "Bacula's %b", wholeNumber)
    .option('--receipts <number>', 'plugin lines of ours in the FileSet', wholeNumber, 1).action((options: Options) => act(options.config, async (settings, voices) => {
      const { confirm } = await import('./confirm.ts');
      await confirm(options, settings, voices);
      return 0;
    }));
  return root;
}

keepProcessSmall();
try {
  await program().parseAsync();
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : 2; // commander has said why
}
await endProcess();
