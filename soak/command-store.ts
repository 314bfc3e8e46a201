/** The store through the command line: each step is a process, as cron would start it. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ToolError } from '../src/core/index.ts';
import { watchMemory } from './memory.ts';
import type { BackupFigures, ListedSnapshot, Policy, SoakStore, StepCost } from './store.ts';

const mainPath = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../src/services/cli/main.js');

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A repository in a directory, by processes. */
export class CommandStore implements SoakStore {
  readonly #repository: string;
  readonly #signal: AbortSignal;
  #costs: StepCost[] = [];

  /** @param signal ends a running process and every later step. */
  constructor(repository: string, signal: AbortSignal) {
    this.#repository = repository;
    this.#signal = signal;
  }

  now(): number {
    return Date.now();
  }

  async init(): Promise<void> {
    await this.#run('init', ['init', this.#repository]);
  }

  async backup(source: string, tag: string, rereadAll: boolean): Promise<BackupFigures> {
    const result = await this.#run(rereadAll ? 'backup again' : 'backup', ['backup', source, '--repo', this.#repository, '--tag', tag, ...(rereadAll ? ['--parent', 'none'] : [])]);
    return result as unknown as BackupFigures;
  }

  async restore(snapshot: string, source: string, target: string): Promise<void> {
    await this.#run('restore', ['restore', `${this.#repository}::${snapshot}::${source}`, target]);
  }

  async snapshots(): Promise<readonly ListedSnapshot[]> {
    return (await this.#run('snapshots', ['snapshots', this.#repository]))['snapshots'] as readonly ListedSnapshot[];
  }

  async forget(policy: Policy): Promise<void> {
    const rules = Object.entries(policy).filter(([, count]) => count > 0).flatMap(([name, count]) => [`--keep-${name}`, String(count)]);
    await this.#run('forget', ['forget', this.#repository, ...rules]);
  }

  async gc(): Promise<number> {
    return (await this.#run('gc', ['gc', this.#repository]))['bytesReclaimed'] as number;
  }

  async check(readData: boolean): Promise<readonly string[]> {
    const { problems } = await this.#run(readData ? 'check --read-data' : 'check', ['check', this.#repository, ...(readData ? ['--read-data'] : [])], [0, 1]);
    return (problems as readonly { kind: string; where: string; message: string }[]).map((one) => `${one.kind} at ${one.where}: ${one.message}`);
  }

  takeCosts(): readonly StepCost[] {
    return this.#costs.splice(0);
  }

  /** @returns the object that the command printed. @throws {ToolError} any exit code but those allowed. */
  async #run(verb: string, words: readonly string[], allowed: readonly number[] = [0]): Promise<Record<string, unknown>> {
    this.#signal.throwIfAborted();
    const begun = process.hrtime.bigint();
    const child = spawn(process.execPath, [mainPath, ...words, '--json', '--quiet'], { stdio: ['ignore', 'pipe', 'pipe'], signal: this.#signal });
    const memory = watchMemory(child.pid ?? 0);
    try {
      const { status, stdout, stderr } = await ended(child);
      const object = allowed.includes(status ?? -1) && stdout.startsWith('{') ? JSON.parse(stdout) as Record<string, unknown> : undefined;
      if (object === undefined || object['error'] !== undefined) {
        throw new ToolError(`Run 'holdfast ${words.join(' ')}': ended with '${status ?? 'a signal'}': ${stderr.slice(-2000)}${stdout.slice(0, 2000)}`, { status });
      }
      return object;
    } finally {
      this.#costs.push({ verb, seconds: Number(process.hrtime.bigint() - begun) / 1e9, rssBytes: memory.peak() });
    }
  }
}

function ended(child: ReturnType<typeof spawn>): Promise<Ended> {
  let [stdout, stderr] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => { stdout += text; });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => { stderr += text; });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => { resolve({ status, stdout, stderr }); });
  });
}
