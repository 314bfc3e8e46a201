/** A real Prometheus that scrapes a daemon with the example configuration of `deploy/`, on loopback, in a folder of its own. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { findProgram, repositoryRoot } from '../environment.ts';
import { freePort, loopback } from '../loopback.ts';
import { until } from '../until.ts';

interface QueryReply {
  readonly status: string;
  readonly data: { readonly result: readonly { readonly metric: Readonly<Record<string, string>>; readonly value: readonly [number, string] }[] };
}

/** Runs promtool with something on stdin. */
export function promtool(words: readonly string[], input: string = ''): { readonly status: number | null; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(findProgram('promtool') ?? 'promtool', words, { input, encoding: 'utf8' });
  return { status, output: `${stdout}${stderr}` };
}

/** A running Prometheus. */
export class Prometheus {
  readonly #process: ChildProcess;
  readonly #port: number;

  private constructor(process: ChildProcess, port: number) {
    this.#process = process;
    this.#port = port;
  }

  /** Starts it: scrapes `target` each second with the rules of `deploy/`. */
  static async start(directory: string, target: string): Promise<Prometheus> {
    mkdirSync(directory);
    const deploy = path.join(repositoryRoot(), 'deploy');
    const config = readFileSync(path.join(deploy, 'prometheus.yml'), 'utf8').replace('127.0.0.1:9421', target).replaceAll('30s', '1s');
    writeFileSync(path.join(directory, 'prometheus.yml'), config);
    copyFileSync(path.join(deploy, 'holdfast-alerts.yml'), path.join(directory, 'holdfast-alerts.yml'));
    const port = await freePort();
    const child = spawn(findProgram('prometheus') ?? 'prometheus', [
      `--config.file=${path.join(directory, 'prometheus.yml')}`, `--storage.tsdb.path=${path.join(directory, 'data')}`, `--web.listen-address=${loopback}:${port}`, '--log.level=warn',
    ], { stdio: 'ignore' });
    const prometheus = new Prometheus(child, port);
    await until('Prometheus is ready', async () => (await fetch(`http://${loopback}:${port}/-/ready`).catch(() => undefined))?.status === 200);
    return prometheus;
  }

  /** Values of an expression, each with its labels. */
  async query(expression: string): Promise<QueryReply['data']['result']> {
    const reply = await (await fetch(`http://${loopback}:${this.#port}/api/v1/query?query=${encodeURIComponent(expression)}`)).json() as QueryReply;
    if (reply.status !== 'success') throw new Error(`Ask Prometheus for '${expression}': ${JSON.stringify(reply)}`);
    return reply.data.result;
  }

  /** Health of all alert rules, as Prometheus evaluates them. */
  async ruleHealth(): Promise<readonly string[]> {
    const reply = await (await fetch(`http://${loopback}:${this.#port}/api/v1/rules`)).json() as { readonly data: { readonly groups: readonly { readonly rules: readonly { readonly health: string }[] }[] } };
    return reply.data.groups.flatMap(({ rules }) => rules.map(({ health }) => health));
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => { this.#process.once('close', resolve); });
    this.#process.kill('SIGTERM');
    await ended;
  }
}
