/** A docker engine: the one that runs, or one started for this run with its own data, socket and process id, and ended with it. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../../src/core/index.ts';
import { runTool, type ToolResult } from '../bacula/tool.ts';

const START_TRIES = 120;

/** Where containers run. */
export class DockerEngine {
  /** What `docker -H` and `DOCKER_HOST` take. */
  readonly host: string;
  readonly #child: ChildProcess | undefined;

  private constructor(host: string, child?: ChildProcess) {
    this.host = host;
    this.#child = child;
  }

  /** The engine of this machine, or a new one below `directory`. @throws {ToolError} it does not start. */
  static async find(directory: string): Promise<DockerEngine> {
    const usual = process.env['DOCKER_HOST'] ?? 'unix:///var/run/docker.sock';
    if ((await runTool(['docker', '-H', usual, 'info'], { anyStatus: true })).status === 0) return new DockerEngine(usual);
    mkdirSync(directory, { recursive: true });
    const log = path.join(directory, 'log');
    const output = openSync(log, 'a');
    const socket = `unix://${path.join(directory, 'socket')}`;
    const places = ['--data-root', path.join(directory, 'data'), '--exec-root', path.join(directory, 'exec'), '--pidfile', path.join(directory, 'pid')];
    const child = spawn('dockerd', [...places, '--host', socket], { stdio: ['ignore', output, output] });
    const engine = new DockerEngine(socket, child);
    for (let tries = 0; tries < START_TRIES && child.exitCode === null; tries += 1) {
      if ((await runTool(['docker', '-H', socket, 'info'], { anyStatus: true })).status === 0) return engine;
      await sleep(500);
    }
    await engine.stop();
    throw new ToolError(`Start a docker engine: it does not answer: ${readFileSync(log, 'utf8').slice(-1500)}`);
  }

  /** Runs the docker command. */
  run(parameters: readonly string[], options: { readonly anyStatus?: boolean; readonly input?: string; readonly timeoutMs?: number } = {}): Promise<ToolResult> {
    return runTool(['docker', '-H', this.host, ...parameters], options);
  }

  /** Ends an engine that was started here; idempotent. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => { child.once('exit', resolve); });
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), 30_000);
    await gone;
    clearTimeout(killer);
  }
}
