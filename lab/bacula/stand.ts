/** What the scenarios of adapters share: programs as an administrator installs them, a source, checks of what jobs and restores gave. */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Checks } from '../checks.ts';
import { repositoryRoot } from '../environment.ts';
import { holdfast, holdfastCommand, jsonOf } from '../holdfast.ts';
import { ToolError } from '../../src/core/index.ts';
import type { ScenarioContext } from '../scenario.ts';
import { compareCopies, liveManifest, type LiveLine } from './live-manifest.ts';
import type { JobRow } from './server.ts';

const faultsShown = 8;

/** A folder for one adapter's scenario. */
export class Stand {
  readonly context: ScenarioContext;
  readonly checks: Checks;
  readonly root: string;

  constructor(context: ScenarioContext) {
    this.context = context;
    this.checks = new Checks(context);
    this.root = context.workDirectory;
    mkdirSync(this.path('bin'));
    this.#program('holdfast', holdfastCommand());
    for (const name of ['bacula-bpipe', 'bacula-fifo', 'bacula-tail', 'bacula-fuse-volumes']) this.#program(`holdfast-${name}`, [process.execPath, path.join(repositoryRoot(), 'dist', 'plugins', name, 'main.js')]);
  }

  path(...names: readonly string[]): string {
    return path.join(this.root, ...names);
  }

  /** Full name of an installed program. It leaves its process id in `<program>.pids`. */
  program(name: string): string {
    return this.path('bin', name);
  }

  /** Starts an adapter in the background; what it says on stderr is logged with its verb. */
  start(name: string, verb: string, ...words: readonly string[]): ChildProcess {
    const child = spawn(this.program(name), [verb, ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.setEncoding('utf8').on('data', (text: string) => { this.context.log(`${verb}: ${text.trim()}`); });
    return child;
  }

  /** Process ids that a program had, oldest first. */
  pidsOf(name: string): readonly number[] {
    const file = `${this.program(name)}.pids`;
    return existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter((line) => line !== '').map(Number) : [];
  }

  #program(name: string, command: readonly string[]): void {
    const file = this.program(name);
    writeFileSync(file, `#!/bin/sh\necho $$ >> '${file}.pids'\nexec ${command.map((word) => `'${word}'`).join(' ')} "$@"\n`);
    chmodSync(file, 0o755);
  }

  equal(what: string, found: unknown, expected: unknown): void {
    const [got, want] = [JSON.stringify(found), JSON.stringify(expected)];
    this.checks.expect(what, got === want, `found '${got}', expected '${want}'`);
  }

  none(what: string, faults: readonly string[]): void {
    this.checks.expect(what, faults.length === 0, [`${faults.length} faults`, ...faults.slice(0, faultsShown)].join('\n    '));
  }

  /** A job that the catalog calls good. */
  good(what: string, row: JobRow, log = ''): void {
    this.checks.expect(`${what}: job ${row.id} is good`, row.status === 'T' && row.errors === 0 && row.bytes > 0, `found '${JSON.stringify(row)}'\n${log.slice(-2000)}`);
  }

  /** A job that nobody can take for good. */
  failed(what: string, row: JobRow): void {
    this.checks.expect(`${what}: job ${row.id} is not reported good ('${row.status}')`, row.status !== 'T', `found '${JSON.stringify(row)}'`);
  }

  /** How a restored copy differs from what was there. */
  async differences(lines: readonly LiveLine[], below: string, ignored?: (line: LiveLine, field: string) => boolean): Promise<readonly string[]> {
    const root = `${below}${lines[0]?.path ?? ''}`;
    return existsSync(root) ? compareCopies(lines, await liveManifest(root), { below, ignored }) : [`'${root}' is missing`];
  }

  /** A verb that must succeed; its JSON. @throws {ToolError} */
  async holdfast(...words: readonly string[]): Promise<Readonly<Record<string, unknown>>> {
    const result = await holdfast([...words, '--json', '--quiet']);
    if (result.status !== 0) throw new ToolError(`Run holdfast ${words.join(' ')}: it ended with '${result.status}': ${result.stderr.slice(-800)}${result.stdout.slice(-400)}`);
    return result.stdout === '' ? {} : jsonOf(result);
  }
}

/** Bytes of all files below a directory; no symlinks are followed. */
export function bytesBelow(directory: string): number {
  const entries = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return entries.reduce((sum, entry) => sum + lstatSync(path.join(entry.parentPath, entry.name)).size, 0);
}

/** Bacula's restore makes hard links after it has set the times of their directories, and does not set attributes of symlinks. */
export function lostByBacula(line: LiveLine, field: string): boolean {
  return (line.type === 'dir' && field === 'mtime') || (line.type === 'symlink' && field === 'attributes');
}
