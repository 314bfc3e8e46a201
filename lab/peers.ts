/** Backup tools as a user calls them: the same six steps of holdfast, restic and borg. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { holdfastCommand } from './holdfast.ts';

/** What a command left: exit code and everything it printed. */
export interface PeerResult {
  readonly status: number;
  readonly output: string;
}

/** A repository of a tool in a directory. */
export interface Peer {
  readonly name: string;
  /** Its program on PATH. */
  readonly program: string;
  init(repository: string): PeerResult;
  /** Stores `source`, reading all of it, as the snapshot `label`. */
  backup(repository: string, source: string, label: string): PeerResult;
  restore(repository: string, label: string, source: string, target: string): PeerResult; // oxlint-disable-line max-params -- from, which, what, where
  forget(repository: string, label: string): PeerResult;
  /** The command line that removes what nobody needs. */
  prune(repository: string): readonly string[];
  check(repository: string): PeerResult;
  /** The documented steps after damage, one behind the other. */
  repair(repository: string): PeerResult;
  /** What is to be done after a process was killed; nothing for most. */
  unlock(repository: string): void;
  readonly environment: (repository: string) => NodeJS.ProcessEnv;
  /** Files of the index, and those with data, the largest first. */
  indexFiles(repository: string): readonly string[];
  dataFiles(repository: string): readonly string[];
}

const TIMEOUT_MS = 120_000;

function run(words: readonly string[], environment: NodeJS.ProcessEnv, cwd?: string): PeerResult {
  const [program = '', ...parameters] = words;
  const { status, stdout, stderr } = spawnSync(program, parameters, { env: environment, encoding: 'utf8', timeout: TIMEOUT_MS, maxBuffer: 64 << 20, ...(cwd === undefined ? {} : { cwd }) });
  return { status: status ?? 128, output: `${stdout}${stderr}` };
}

/** One result of several commands: the worst exit code, all output. */
function together(results: readonly PeerResult[]): PeerResult {
  return { status: Math.max(...results.map(({ status }) => status)), output: results.map(({ output }) => output).join('') };
}

/** All files below a directory, the largest first. */
function filesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => path.join(directory, name)).filter((file) => statSync(file).isFile())
    .sort((a, b) => statSync(b).size - statSync(a).size);
}

/** holdfast, with options for `init`. */
export function holdfastPeer(name: string, options: readonly string[]): Peer {
  const environment = (): NodeJS.ProcessEnv => process.env;
  const call = (...words: readonly string[]): PeerResult => run([...holdfastCommand(), ...words], environment());
  const idOf = (repository: string, label: string): string => {
    const { snapshots } = JSON.parse(call('snapshots', repository, '--tag', label, '--json', '-q').output) as { snapshots: readonly { readonly id: string }[] };
    return snapshots[0]?.id ?? 'none';
  };
  return {
    name, environment, program: process.execPath,
    init: (repository) => call('init', repository, ...options),
    backup: (repository, source, label) => call('backup', source, '--repo', repository, '--tag', label),
    restore: (repository, label, source, target) => call('restore', `${repository}::${idOf(repository, label)}::${source}`, target),
    forget: (repository, label) => call('forget', repository, idOf(repository, label)),
    prune: (repository) => [...holdfastCommand(), 'gc', repository, '--max-unused', '0'],
    check: (repository) => call('check', repository, '--read-data'),
    repair: (repository) => call('check', repository, '--repair'),
    unlock: () => undefined,
    indexFiles: (repository) => filesBelow(path.join(repository, 'index')),
    dataFiles: (repository) => filesBelow(path.join(repository, 'containers')),
  };
}

/** restic of the distribution; its cache is off, so that the repository alone counts. */
export const restic: Peer = {
  name: 'restic', program: 'restic',
  environment: () => ({ ...process.env, RESTIC_PASSWORD: 'lab' }),
  init: (repository) => run(['restic', '--no-cache', '-r', repository, 'init'], restic.environment(repository)),
  backup: (repository, source, label) => run(['restic', '--no-cache', '-r', repository, 'backup', '--force', '--tag', label, '.'], restic.environment(repository), source),
  restore: (repository, label, _, target) => run(['restic', '--no-cache', '-r', repository, 'restore', 'latest', '--tag', label, '--target', target], restic.environment(repository)), // oxlint-disable-line max-params -- as declared
  forget: (repository, label) => run(['restic', '--no-cache', '-r', repository, 'forget', '--tag', label, '--keep-tag', 'nothing-has-it', '--keep-last', '0'], restic.environment(repository)),
  prune: (repository) => ['restic', '--no-cache', '-r', repository, 'prune', '--max-unused', '0'],
  check: (repository) => run(['restic', '--no-cache', '-r', repository, 'check', '--read-data'], restic.environment(repository)),
  repair: (repository) => run(['restic', '--no-cache', '-r', repository, 'rebuild-index', '--read-all-packs'], restic.environment(repository)),
  unlock: (repository) => { run(['restic', '--no-cache', '-r', repository, 'unlock', '--remove-all'], restic.environment(repository)); },
  indexFiles: (repository) => filesBelow(path.join(repository, 'index')),
  dataFiles: (repository) => filesBelow(path.join(repository, 'data')),
};

/** borg of the distribution; its cache is a directory beside the repository, and goes with the index. */
export const borg: Peer = {
  name: 'borg', program: 'borg',
  environment: (repository) => ({
    ...process.env, BORG_BASE_DIR: `${repository}.base`, BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK: 'yes', BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes', BORG_CHECK_I_KNOW_WHAT_I_AM_DOING: 'YES',
  }),
  init: (repository) => {
    mkdirSync(`${repository}.base`, { recursive: true });
    return run(['borg', 'init', '-e', 'none', repository], borg.environment(repository));
  },
  backup: (repository, source, label) => run(['borg', 'create', '--files-cache=disabled', `${repository}::${label}`, '.'], borg.environment(repository), source),
  restore: (repository, label, _, target) => { // oxlint-disable-line max-params -- as declared
    mkdirSync(target, { recursive: true });
    return run(['borg', 'extract', `${repository}::${label}`], borg.environment(repository), target);
  },
  forget: (repository, label) => run(['borg', 'delete', `${repository}::${label}`], borg.environment(repository)),
  prune: (repository) => ['borg', 'compact', '--threshold', '0', repository],
  check: (repository) => run(['borg', 'check', '--verify-data', repository], borg.environment(repository)),
  repair: (repository) => run(['borg', 'check', '--repair', '--verify-data', repository], borg.environment(repository)),
  unlock: (repository) => { run(['borg', 'break-lock', repository], borg.environment(repository)); },
  indexFiles: (repository) => filesBelow(repository).filter((file) => /\/(?:index|hints)\.\d+$/.test(file)),
  dataFiles: (repository) => filesBelow(path.join(repository, 'data')),
};

/** Repairs, stores the source again and, where the tool heals old archives only in a further run, repairs once more. */
export function repairAndStoreAgain(peer: Peer, repository: string, source: string): PeerResult {
  const first = peer.repair(repository);
  const again = peer.backup(repository, source, 'again');
  return together(peer === borg ? [first, again, peer.repair(repository)] : [first, again]);
}
