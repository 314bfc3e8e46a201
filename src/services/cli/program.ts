/** The verbs and their options. A verb's module is loaded only when it runs. */
import { Command, CommanderError, Option } from 'commander';
import { UsageError } from '../../core/index.ts';
import type { Context, CommonOptions, Outcome } from './context.ts';
import { addGeneralOptions, collect, generalHelp } from './general-options.ts';
import { endQuietlyWithoutReader, failUsage, runVerb, type RunStyle } from './run.ts';

const locationHelp = `
A location is ROOT[::STEP]…, each step one layer deeper:
  ROOT      a host path; a repository (a directory, s3://BUCKET/PREFIX, or holdfast://HOST[:PORT][/DOMAIN]);
            a Bacula volume or disk image, several joined with ',', or a directory of volumes
  latest    a repository's newest snapshot; also a snapshot id or a unique beginning of one
  job=12    a job of the volumes; also session=ID/TIME, or a chain jobs=1+4+9 (Full, Differential, Incremental)
  p2        a partition of a disk; also lv=VG/LV, md=NAME, ldm=NAME, luks, and snapshot=NAME, subvol=, dataset=
  /path     inside a snapshot, job or filesystem; '\\xHH' is a byte, '\\\\' a backslash
A file may be opened further: "repo::latest::/volumes/Full-0001::job=12::/etc/hosts", "repo::latest::/vm/disk.vhdx::p2::/etc/hosts".
Exit codes: 0 done and verified, 1 failed or damaged, 2 usage, 3 finished but some entries failed (each listed).`;

/** Verbs that differ from others in what runs around them. */
const styles: Readonly<Record<string, RunStyle>> = { daemon: { quietSignals: true } };

type Load<Options> = () => Promise<{ run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> }>;

function count(text: string): number {
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text))) throw new UsageError(`Read '${text}': expected a number of bytes`);
  return Number(text);
}

/** Adds a verb: `syntax` is its name and operands as commander reads them. */
function verb<Options extends CommonOptions>(program: Command, syntax: string, description: string, load: Load<Options>): Command {
  const command = program.command(syntax).description(description);
  addGeneralOptions(command);
  command.action(async () => {
    const { run } = await load();
    const options = command.opts<Options>();
    process.exitCode = await runVerb(command.name(), options, (context) => run(context, command.args, options), styles[command.name()]);
  });
  return command;
}

function addRepositoryVerbs(program: Command): void {
  verb(program, 'init <repository>', 'make a new repository', () => import('./verbs/init.ts'))
    .addOption(new Option('--hash <name>', 'chunk ids').choices(['blake3', 'sha256']).default('blake3'))
    .addOption(new Option('--compression <name>', 'compression of chunks').choices(['zstd', 'none']).default('zstd'))
    .option('--parity <percent>', 'parity of containers: heals damaged sectors; default none')
    .option('--encrypt', 'encrypt it; --key and --key-cmd give what opens it')
    .addOption(new Option('--cipher <name>', 'of an encrypted one').choices(['aes-256-gcm', 'chacha20-poly1305']))
    .option('--label <text>', 'whose the keys are');
  verb(program, 'backup <source...>', "store sources as one snapshot; '-' reads stdin", () => import('./verbs/backup.ts'))
    .requiredOption('--repo <repository>', 'where to store')
    .option('--tag <tag>', 'mark the snapshot (may be repeated)', collect)
    .option('--exclude <glob>', 'leave out what matches (may be repeated)', collect)
    .option('--one-file-system', 'stay on the file system of each source')
    .option('--parent <id>', "snapshot to compare with, or 'none'; default: the last one of the same host and sources")
    .option('--host <name>', 'host name to record')
    .option('--stdin-filename <path>', "name of what '-' reads", 'stdin')
    .addOption(new Option('--chunking <kind>', 'how content is cut').choices(['auto', 'fastcdc', 'fixed']).default('auto'));
  verb(program, 'snapshots <repository>', 'list snapshots', () => import('./verbs/snapshots.ts'))
    .option('--tag <tag>', 'only those with the tag (may be repeated)', collect);
  verb(program, 'clone <repository> <target>', 'copy a repository, or bring a copy up to date, while backups go on', () => import('./verbs/clone.ts'));
  addForget(program);
  gcOptions(verb(program, 'gc <repository>', 'remove what no snapshot needs; beside running backups', () => import('./verbs/gc.ts')))
    .option('--dry-run', 'say what would be reclaimed');
}

function gcOptions(command: Command): Command {
  return command
    .option('--wait <time>', 'wait so long for backups of others to end, such as 10m; what is left is done by the next gc')
    .option('--fence-after <time>', 'end backups of others that began so long ago by the clock of the store, such as 3d')
    .option('--max-unused <share>', 'unused share of stored bytes that may stay beside needed chunks, 0 to 1; default 0.05');
}

function addForget(program: Command): void {
  const command = verb(program, 'forget <repository> [snapshot...]', 'drop snapshots by id or by a policy; gc then removes what only they needed', () => import('./verbs/forget.ts'))
    .option('--dry-run', 'show what would be kept and dropped, and why')
    .option('--keep-last <n>', "keep the newest N of each group, or 'unlimited'");
  for (const [period, unit] of [['hourly', 'hours'], ['daily', 'days'], ['weekly', 'weeks'], ['monthly', 'months'], ['yearly', 'years']] as const) {
    command.option(`--keep-${period} <n>`, `keep the newest of each of the last N ${unit} that have one`);
    command.option(`--keep-within-${period} <time>`, `the same for all ${unit} of that time, such as 1y6m`);
  }
  command
    .option('--keep-within <time>', 'keep all of that time before the newest, such as 2y5m7d3h')
    .option('--keep-tag <tags>', 'keep those with all of these tags (may be repeated)', collect)
    .option('--keep-nothing', 'allow a policy that keeps nothing of a group')
    .option('--group-by <keys>', "what belongs together: host,sources,tags; '' for all; default host,sources")
    .option('--host <name>', 'apply the policy only to snapshots of the host (may be repeated)', collect)
    .option('--tag <tag>', 'only to those with the tag (may be repeated)', collect)
    .option('--time-zone <zone>', 'where days begin; default UTC')
    .option('--clock-tolerance <time>', "how far a snapshot's own time may be from the store's; default 1d")
    .option('--trust-stored-before <date>', 'believe snapshots that the store dates before: after the repository was copied')
    .option('--trust <id>', 'believe the time of this snapshot (may be repeated)', collect)
    .option('--gc', 'then remove what is not needed');
  gcOptions(command);
}

function addKeyVerb(program: Command): void {
  verb(program, 'key <action> <repository> [slot]', 'list, add or remove what opens an encrypted repository, or rotate its keys', () => import('./verbs/key.ts'))
    .option('--new-key <file>', 'key file or passphrase for a new slot (may be repeated)', collect)
    .option('--new-key-cmd <command>', 'command that prints one')
    .option('--label <text>', 'whose the new slot is')
    .addOption(new Option('--cipher <name>', 'rotate: of what is written from now on').choices(['aes-256-gcm', 'chacha20-poly1305']))
    .option('--new-root', 'rotate: only the new keys open it afterwards')
    .addHelpText('after', '\nActions: list REPO, add REPO --new-key FILE, remove REPO SLOT, rotate REPO [--new-root --new-key FILE]; all but list need --key.');
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
  verb(program, 'convert <location> <file>', 'write a disk to a new image of another format, and compare the two', () => import('./verbs/convert.ts'))
    .requiredOption('--to <format>', 'raw, qcow2, vhdx, vhd, vmdk (stream-optimised), vmdk-sparse or vdi');
  verb(program, 'mount <location> <directory>', 'show a location as a read-only file system until it is unmounted or Ctrl-C', () => import('./verbs/mount.ts'))
    .option('--allow-other', 'let other users in; the kernel then checks permissions');
  verb(program, 'serve <protocol> <location>', 'show a location to clients of nfs or smb, read-only, until Ctrl-C', () => import('./verbs/serve.ts'))
    .option('--listen <address:port>', 'nfs: where to listen; default 127.0.0.1:2049')
    .option('--portmapper', 'nfs: also answer on port 111, for clients that are not told the port')
    .option('--share <name>', 'smb: name of the share; default one made of the location')
    .option('--valid-users <list>', 'smb: users and @groups that may use it; default the user who calls, also through sudo')
    .option('--guest-ok', 'smb: let everyone in, without a password')
    .option('--samba-conf <directory>', 'smb: where the share is written that smb.conf includes; default /etc/samba/bacula.d')
    .option('--smb-conf <file>', 'smb: configuration of the smbd that serves; default that of Samba')
    .option('--mount-dir <directory>', 'smb: where it is mounted, for root only; default /run/holdfast-smb');
  verb(program, 'info <location>', 'tell which layers are there, their geometry and damage', () => import('./verbs/info.ts'));
  verb(program, 'disks <location>', 'find the disk images of a job, snapshot or directory, and tell what is on them', () => import('./verbs/disks.ts'));
  verb(program, 'check <location>', 'look for damage in a repository, volumes or a tree', () => import('./verbs/check.ts'))
    .option('--read-data', 'read and verify all content')
    .option('--read-data-subset <part>', "of a repository, read only this part: 'N/M', or 'N%'")
    .option('--budget <percent>', 'of a repository, read so much of it, what was verified longest ago first')
    .option('--repair', 'heal what can be healed: from parity, else by giving up damaged chunks; reads all data unless told otherwise')
    .option('--add-parity <percent>', 'with --repair: parity for containers that have none')
    .option('--dry-run', 'with --repair: say what would be done')
    .option('--rebuild-index', 'make the index of a repository new from its containers');
  verb(program, 'diff <a> <b>', 'compare two locations; differences are no error', () => import('./verbs/diff.ts'))
    .option('--quick', 'take files of equal size and time as equal instead of reading them');
}

function addDaemonVerbs(program: Command, version: string): void {
  verb<CommonOptions & { readonly config: string }>(program, 'daemon', 'serve repositories to other hosts until SIGTERM', async () => {
    const { run } = await import('./verbs/daemon.ts');
    return { run: (context, operands, options) => run(context, operands, { ...options, version }) };
  }).requiredOption('--config <file>', 'configuration, in YAML');
  verb(program, 'enroll [name]', "make a host's key for a daemon, revoke it, or make a site key", () => import('./verbs/enroll.ts'))
    .option('--hosts <directory>', 'where the daemon looks for enrolled hosts')
    .option('--out <file>', "where the host's key is written")
    .option('--domain <name>', "domain that the host belongs to; default 'default'")
    .option('--identity <file>', "identity of the daemon, made when it is absent; default 'server.identity' in the directory of hosts")
    .option('--revoke <name>', 'refuse this host from its next connection on')
    .option('--list', 'list hosts')
    .option('--site-key <file>', 'write a new key that hosts of one domain share');
}

/** Builds the program; exported for tests of its help. */
export function buildProgram(version: string): Command {
  const program = new Command('holdfast')
    .description('Backup into a deduplicating repository, from files and from Bacula volumes, and back.')
    .version(version)
    .exitOverride()
    .configureOutput({ outputError: () => undefined });
  addRepositoryVerbs(program);
  addKeyVerb(program);
  addTreeVerbs(program);
  addDaemonVerbs(program, version);
  addHelpVerb(program);
  program.allowExcessArguments().action(() => {
    const [name] = program.args;
    throw new UsageError(`Read the command line: ${name === undefined ? 'a verb is missing' : `there is no verb '${name}'`}, ${verbsOf(program)}`);
  });
  program.addHelpText('after', `${generalHelp()}\n${locationHelp}`);
  for (const command of program.commands) command.exitOverride().configureOutput({ outputError: () => undefined });
  return program;
}

/** `help` and `help VERB`; commander's own shows everything for a verb that does not exist. */
function addHelpVerb(program: Command): void {
  program.helpCommand(false).command('help [verb] [action]').description('show all verbs, or the options of one').action((name: string | undefined) => {
    const command = name === undefined ? program : program.commands.find((one) => one.name() === name);
    if (command === undefined) throw new UsageError(`Show help: there is no verb '${name ?? ''}', ${verbsOf(program)}`);
    command.outputHelp();
  });
}

function verbsOf(program: Command): string {
  return `the verbs are ${program.commands.map((command) => command.name()).join(', ')}`;
}

/** Where the words of a command line are explained. */
function helpFor(program: Command, [, , name = '']: readonly string[]): string {
  const isVerb = name !== 'help' && program.commands.some((command) => command.name() === name);
  return `Try 'holdfast help${isVerb ? ` ${name}` : ''}'.`;
}

/** Runs the command line; sets the exit code. */
export async function runProgram(argv: readonly string[], version: string): Promise<void> {
  endQuietlyWithoutReader();
  const program = buildProgram(version);
  try {
    await program.parseAsync(argv);
  } catch (error) {
    // Help and version that were asked for are no errors; commander has printed them.
    if (error instanceof CommanderError && error.exitCode === 0) return;
    if (!(error instanceof CommanderError || error instanceof UsageError)) throw error;
    const wrong = error instanceof UsageError ? error : new UsageError(`Read the command line: ${error.message.replace(/^error: /, '').replace(/\n/g, ' ')}`);
    process.exitCode = failUsage(wrong, argv.includes('--json'));
    process.stderr.write(`${helpFor(program, argv)}\n`);
  }
}
