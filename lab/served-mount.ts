/** A mount that a process of ours serves, started and ended by scenarios. Nothing here touches the mount itself. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../src/core/index.ts';
import { runTool } from './bacula/tool.ts';

const startMs = 30_000;
const endMs = 120_000;

/** Whether something is mounted at a directory, by what the kernel says. */
export function isMounted(directory: string): boolean {
  return readFileSync('/proc/self/mountinfo', 'utf8').split('\n').some((line) => line.split(' ')[4] === directory);
}

/** See the module's comment. */
export class ServedMount {
  readonly directory: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;
  #output = '';

  private constructor(directory: string, child: ChildProcess) {
    this.directory = directory;
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', (text: string) => { this.#output += text; });
    this.#ended = new Promise((resolve) => { child.once('close', (code, signal) => { resolve(code ?? (signal === null ? -1 : 128)); }); });
    process.on('exit', () => child.kill('SIGKILL'));
  }

  /** Starts a program and resolves when the directory is mounted. @throws {ToolError} it ended, or took too long */
  static async start(command: readonly string[], directory: string): Promise<ServedMount> {
    const [program = '', ...words] = command;
    const mount = new ServedMount(directory, spawn(program, words, { stdio: ['ignore', 'pipe', 'pipe'] }));
    for (let waited = 0; waited < startMs && mount.#child.exitCode === null; waited += 50) {
      if (isMounted(directory)) return mount;
      await sleep(50);
    }
    mount.#child.kill('SIGKILL');
    throw new ToolError(`Mount '${directory}': ${mount.#output.trim()}`);
  }

  /** stdout and stderr so far. */
  get output(): string {
    return this.#output;
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Resident memory in MB now. */
  get megabytes(): number {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))?.[1] ?? 0) * 1024 / 1e6;
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Sends a signal and resolves with the exit code; a process that does not end is killed. */
  async end(name: NodeJS.Signals = 'SIGTERM'): Promise<number> {
    if (this.#child.exitCode === null) this.#child.kill(name);
    const killer = setTimeout(() => this.#child.kill('SIGKILL'), endMs);
    const code = await this.#ended;
    clearTimeout(killer);
    return code;
  }

  /** What a scenario does at its end, whatever happened: no process and no mount stays. */
  async clear(): Promise<void> {
    await this.end('SIGKILL');
    if (isMounted(this.directory)) await runTool(['umount', '-l', this.directory], { anyStatus: true });
  }
}
