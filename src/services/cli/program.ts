/** The verbs and their options. A verb's module is loaded only when it runs. */
import { Command, CommanderError, Option } from 'commander';
import { UsageError } from '../../core/index.ts';
import type { Context, CommonOptions, Outcome } from './context.ts';
import { endQuietlyWithoutReader, failUsage, runVerb } from './run.ts';

const locationHelp = `
A location is ROOT[::STEP]…, each step one layer deeper:
  ROOT      a host path; a repository; a Bacula volume, several joined with ',', or a directory of volumes
  latest    a repository's newest snapshot; also a snapshot id or a unique beginning of one
  job=12    a job of the volumes; also session=ID/TIME, or a chain jobs=1+4+9 (Full, Differential, Incremental)
  /path     inside a snapshot or job; '\\xHH' is a byte, '\\\\' a backslash
A file may be opened further: "repo::latest::/volumes/Full-0001::job=12::/etc/hosts".
Exit codes: 0 done and verified, 1 failed or damaged, 2 usage, 3 finished but some entries failed (each listed).`;

type Load<Options> = () => Promise<{ run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> }>;

function collect(value: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), value];
}

function count(text: string): number {
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text))) throw new UsageError(`Read '${text}': expected a number of bytes`);
  return Number(text);
}

/** Adds a verb: `syntax` is its name and operands as commander reads them. */
function verb<Options extends CommonOptions>(program: Command, syntax: string, description: string, load: Load<Options>): Command {
  const command = program.command(syntax).description(description);
  command.option('--json', 'print one JSON object on stdout');
  command.option('-q, --quiet', 'no progress and no notes on stderr');
  command.option('--key <file>', 'key of an encrypted layer (may be repeated)', collect);
  command.option('--key-cmd <command>', 'command that prints a key');
  command.option('--map-user <name=id>', 'id of a user name in ACLs of a volume, where this host has another or none (may be repeated)', collect);
  command.option('--map-group <name=id>', 'the same for a group', collect);
  command.action(async () => {
    const { run } = await load();
    const options = command.opts<Options>();
    process.exitCode = await runVerb(command.name(), options, (context) => run(context, command.args, options));
  });
  return command;
}

function addRepositoryVerbs(program: Command): void {
  verb(program, 'init <repository>', 'make a new repository', () => import('./verbs/init.ts'))
    .addOption(new Option('--hash <name>', 'chunk ids').choices(['blake3', 'sha256']).default('blake3'))
    .addOption(new Option('--compression <name>', 'compression of chunks').choices(['zstd', 'none']).default('zstd'))
    .option('--encrypt', 'encrypt the repository');
  verb(program, 'backup <source...>', "store sources as one snapshot; '-' reads stdin", () => import('./verbs/backup.ts'))
    .requiredOption('--repo <repository>', 'where to store')
    .option('--tag <tag>', 'mark the snapshot (may be repeated)', collect)
    .option('--exclude <glob>', 'leave out what matches (may be repeated)', collect)
    .option('--one-file-system', 'stay on the file system of each source')
    .option('--parent <id>', "snapshot to compare with, or 'none'; default: the last one of the same sources")
    .option('--host <name>', 'host name to record')
    .option('--stdin-filename <path>', "name of what '-' reads", 'stdin')
    .addOption(new Option('--chunking <kind>', 'how content is cut').choices(['auto', 'fastcdc', 'fixed']).default('auto'));
  verb(program, 'snapshots <repository>', 'list snapshots', () => import('./verbs/snapshots.ts'))
    .option('--tag <tag>', 'only those with the tag (may be repeated)', collect);
}

function addTreeVerbs(program: Command): void {
  verb(program, 'restore <location> <target>', 'write a tree, a directory or a file into a directory of the host', () => import('./verbs/restore.ts'))
    .option('--include <glob>', 'restore only what matches (may be repeated)', collect)
    .option('--exclude <glob>', 'leave out what matches (may be repeated)', collect)
    .addOption(new Option('--overwrite <when>', 'what to do with files that exist').choices(['always', 'if-changed', 'never']).default('always'))
    .option('--sparse', 'make holes out of zeroes')
    .option('--durable', 'return only after everything would survive a crash')
    .option('--dry-run', 'count only, write nothing')
    .option('--verify', 'read everything again from the target and compare')
    .addHelpText('after', '\nThe location maps to TARGET: repo::latest puts /etc/hosts at TARGET/etc/hosts, repo::latest::/etc puts it at TARGET/hosts;\na single file gets TARGET/<its name>.');
  verb(program, 'ls <location>', 'list a directory', () => import('./verbs/ls.ts'))
    .option('-R, --recursive', 'list all below')
    .option('-l, --long', 'show type, mode, owner, size and time')
    .option('--xattrs', 'values of extended attributes in the JSON')
    .addOption(new Option('--digest <name>', 'digest of each file').choices(['sha256', 'md5']));
  verb(program, 'stat <location>', 'describe one entry', () => import('./verbs/stat.ts'))
    .addOption(new Option('--digest <name>', 'digest of the content').choices(['sha256', 'md5']));
  verb(program, 'cat <location>', 'write a file to stdout', () => import('./verbs/cat.ts'))
    .addOption(new Option('--offset <bytes>', 'begin here').argParser(count))
    .addOption(new Option('--length <bytes>', 'write at most so much').argParser(count));
  verb(program, 'cp <location> <file>', 'copy one file to a file of the host', () => import('./verbs/cp.ts'));
  verb(program, 'info <location>', 'tell which layers are there, their geometry and damage', () => import('./verbs/info.ts'));
  verb(program, 'check <location>', 'look for damage in a repository, volumes or a tree', () => import('./verbs/check.ts'))
    .option('--read-data', 'read and verify all content')
    .option('--rebuild-index', 'make the index of a repository new from its containers');
  verb(program, 'diff <a> <b>', 'compare two locations; differences are no error', () => import('./verbs/diff.ts'))
    .option('--quick', 'take files of equal size and time as equal instead of reading them');
}

/** Builds the program; exported for tests of its help. */
export function buildProgram(version: string): Command {
  const program = new Command('holdfast')
    .description('Backup into a deduplicating repository, from files and from Bacula volumes, and back.')
    .version(version)
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  addRepositoryVerbs(program);
  addTreeVerbs(program);
  program.addHelpText('after', locationHelp);
  for (const command of program.commands) command.exitOverride().configureOutput({ outputError: () => undefined });
  return program;
}

/** Runs the command line; sets the exit code. */
export async function runProgram(argv: readonly string[], version: string): Promise<void> {
  endQuietlyWithoutReader();
  try {
    await buildProgram(version).parseAsync(argv);
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help and version that were asked for are no errors; commander has printed them.
      if (error.exitCode === 0) return;
      const message = error.code === 'commander.help' ? 'Read the command line: a verb is missing' : error.message.replace(/^error: /, '').replace(/\n/g, ' ');
      process.exitCode = failUsage(new UsageError(message), argv.includes('--json'));
    } else if (error instanceof UsageError) process.exitCode = failUsage(error, argv.includes('--json'));
    else throw error;
  }
}
