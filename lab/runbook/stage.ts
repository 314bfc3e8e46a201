/** A place where one step of the runbook is tried: a repository with two snapshots, what they must give back, and a shell that knows `holdfast`. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, cpSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { seededBytes } from '../../src/core/testing/random.ts';
import { holdfast, holdfastCommand, jsonOf } from '../holdfast.ts';

/** How a shell ended. */
export interface ShellResult {
  readonly status: number;
  readonly output: string;
  readonly seconds: number;
}

const SMALL_FILES = 40;

/** Runs commands as a person would type them, stopping at the first that fails. */
export function shell(commands: string, environment: Readonly<Record<string, string>>): Promise<ShellResult> {
  const begun = process.hrtime.bigint();
  const child = spawn('bash', ['-euo', 'pipefail', '-c', commands], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => { output += text; });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => { resolve({ status: status ?? -1, output, seconds: Number(process.hrtime.bigint() - begun) / 1e9 }); });
  });
}

/** Everything that a step may need, in a folder of its own. */
export class Stage {
  readonly root: string;
  readonly source: string;
  readonly target: string;
  readonly copy: string;
  repository: string;
  /** Ids of the two snapshots; of the first, `notes.txt` was right. */
  snapshots: readonly [string, string] = ['', ''];
  /** Variables for the commands beyond those that every step has. */
  readonly more: Record<string, string> = {};
  /** Waits for what the trouble left running. */
  readonly waits: (() => Promise<void>)[] = [];
  /** Undoes what lies outside the folder, such as a mount. */
  readonly cleanUps: (() => void)[] = [];

  constructor(root: string) {
    this.root = root;
    this.source = path.join(root, 'source');
    this.target = path.join(root, 'target');
    this.copy = path.join(root, 'copy');
    this.repository = path.join(root, 'repository');
    for (const directory of [this.source, this.target, path.join(root, 'bin')]) mkdirSync(directory, { recursive: true });
    const command = path.join(root, 'bin', 'holdfast');
    writeFileSync(command, `#!/bin/sh\nexec ${holdfastCommand().map((word) => `'${word}'`).join(' ')} "$@"\n`);
    chmodSync(command, 0o755);
  }

  get environment(): Readonly<Record<string, string>> {
    return {
      PATH: `${path.join(this.root, 'bin')}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, REPO: this.repository, SOURCE: this.source, TARGET: this.target, COPY: this.copy,
      // As `holdfast snapshots` prints it.
      SNAPSHOT: this.snapshots[0].slice(0, 12), ...this.more,
    };
  }

  /** Runs commands that must succeed. @throws {Error} with their output. */
  async must(commands: string): Promise<ShellResult> {
    const result = await shell(commands, this.environment);
    if (result.status !== 0) throw new Error(`Run '${commands.trim()}': exit '${result.status}'\n${result.output}`);
    return result;
  }

  /** A repository of about `mebibytes`, with a snapshot before and one after a change. `options` go to `init`, `key` to both backups. */
  async fill(mebibytes: number, seed: number, key: readonly string[] = []): Promise<void> {
    const write = (name: string, content: string | Uint8Array): void => { writeFileSync(path.join(this.source, name), content); };
    for (let i = 0; i < mebibytes; i += 1) write(`big-${i}`, seededBytes(1 << 20, seed + i));
    for (let i = 0; i < SMALL_FILES; i += 1) write(`small-${i}`, `small ${seed} ${i} `.repeat(100));
    write('notes.txt', 'right\n');
    const init = await holdfast(['init', this.repository, ...(key.length === 0 ? [] : ['--encrypt']), ...key]);
    if (init.status !== 0) throw new Error(`Make the repository: ${init.stderr}`);
    const first = await this.backup(key);
    cpSync(this.source, path.join(this.root, 'was'), { recursive: true, preserveTimestamps: true });
    write('notes.txt', 'wrong\n');
    write('small-1', 'another content');
    rmSync(path.join(this.source, 'small-2'));
    write('big-new', seededBytes(1 << 20, seed - 1));
    this.snapshots = [first, await this.backup(key)];
  }

  /** @returns the id of a new snapshot of the source. */
  async backup(key: readonly string[] = []): Promise<string> {
    const result = await holdfast(['backup', this.source, '--repo', this.repository, '--json', ...key]);
    if (result.status !== 0) throw new Error(`Back up: exit '${result.status}'\n${result.stderr}`);
    return String(jsonOf(result)['snapshot']);
  }

  /** Files below a folder of the repository with at least `bytes`, largest first. */
  files(folder: string, repository: string = this.repository): readonly string[] {
    const names = readdirSync(path.join(repository, folder), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
    return names.map((entry) => path.join(entry.parentPath, entry.name)).sort((a, b) => readFileSync(b).length - readFileSync(a).length);
  }

  /** Names of the files that a restore of a snapshot lists as failed; the others are exact, or an error is thrown. */
  async failures(which: 'first' | 'second', repository: string = this.repository): Promise<readonly string[]> {
    const [target, truth] = [path.join(this.root, `compare-${which}`), which === 'first' ? path.join(this.root, 'was') : this.source];
    rmSync(target, { recursive: true, force: true });
    const result = await holdfast(['restore', `${repository}::${this.snapshots[which === 'first' ? 0 : 1]}::${this.source}`, target, '--json']);
    const names = (jsonOf(result)['errors'] as readonly { readonly path: string }[]).map((one) => path.basename(one.path)).sort();
    for (const name of readdirSync(truth)) {
      if (!names.includes(name) && !readFileSync(path.join(truth, name)).equals(readFileSync(path.join(target, name)))) throw new Error(`Compare '${name}': it differs, and the restore did not say so`);
    }
    return names;
  }

  /** What is wrong with a snapshot; '' when it restores exactly. `which`: the first snapshot or the second. */
  async difference(which: 'first' | 'second', repository: string = this.repository, key: readonly string[] = []): Promise<string> {
    const [first, second] = this.snapshots;
    const target = path.join(this.root, `compare-${which}`);
    rmSync(target, { recursive: true, force: true });
    const result = await holdfast(['restore', `${repository}::${which === 'first' ? first : second}::${this.source}`, target, ...key]);
    if (result.status !== 0) return `restore ends with ${result.status}: ${result.stderr.slice(-500)}`;
    return sameTree(which === 'first' ? path.join(this.root, 'was') : this.source, target);
  }
}

/** What `diff -r` says; '' when both are equal. */
export function sameTree(a: string, b: string): string {
  try {
    execFileSync('diff', ['-rq', '--no-dereference', a, b], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return '';
  } catch (error) {
    return String((error as { readonly stdout?: string }).stdout ?? error).slice(0, 500);
  }
}
