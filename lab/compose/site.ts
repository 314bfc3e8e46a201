/** The running containers: up, console, catalog, partition, down. */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../../src/core/index.ts';
import { repositoryRoot } from '../environment.ts';
import { runTool, type ToolResult } from '../bacula/tool.ts';
import type { JobRow } from '../bacula/server.ts';
import type { DockerEngine } from './engine.ts';

const PROJECT = 'holdfastlab';

/** Services of `docker-compose.yml`. */
export type Service = 'holdfast' | 'storage' | 'client' | 'director';

/** What `docker-compose.yml` describes. */
export class Site {
  readonly #engine: DockerEngine;
  readonly #environment: Readonly<Record<string, string>>;

  /** Makes the folders that the containers share below `directory`. */
  constructor(engine: DockerEngine, image: string, directory: string) {
    this.#engine = engine;
    for (const name of ['holdfast', 'client', 'repository', 'volumes', 'data', 'restored']) mkdirSync(path.join(directory, name), { recursive: true });
    this.#environment = {
      DOCKER_HOST: engine.host, COMPOSE_PROJECT_NAME: PROJECT, HOLDFAST_LAB_IMAGE: image, HOLDFAST_LAB_DIRECTORY: directory, HOLDFAST_CHECKOUT: repositoryRoot(),
    };
  }

  /** Starts all services and waits until the director answers. */
  async up(): Promise<void> {
    await this.#compose('up', '-d');
    for (let tries = 0; tries < 60; tries += 1) {
      if (/lab-dir Version/.test(await this.console('version'))) return;
      await sleep(500);
    }
    throw new ToolError(`Start the site: the director does not answer: ${(await this.#compose('logs', '--tail', '20')).stdout.toString().slice(-2000)}`);
  }

  /** Removes containers and networks. */
  async down(): Promise<void> {
    await this.#compose('down', '--timeout', '3', '--volumes');
  }

  /** Runs a command in a service's container. */
  exec(service: Service, command: readonly string[], options: { readonly anyStatus?: boolean; readonly input?: string } = {}): Promise<ToolResult> {
    return this.#engine.run(['exec', '-i', container(service), ...command], options);
  }

  /** Feeds lines to bconsole and returns what it printed, whatever its exit code. */
  async console(...lines: readonly string[]): Promise<string> {
    const result = await this.exec('director', ['bconsole', '-n', '-c', '/etc/bacula/bconsole.conf'], { input: [...lines, 'quit', ''].join('\n'), anyStatus: true });
    return result.stdout.toString();
  }

  /** Queues a job. @returns its id. @throws {ToolError} it was not queued. */
  async start(line: string): Promise<number> {
    const printed = await this.console(line);
    const id = Number(/JobId=(\d+)/.exec(printed)?.[1] ?? Number.NaN);
    if (!Number.isInteger(id)) throw new ToolError(`Run '${line}': it was not queued: ${printed.slice(-800)}`);
    return id;
  }

  /** Waits for a job's end as the catalog has it. @throws {ToolError} it does not end. */
  async ended(id: number, timeoutSeconds = 240): Promise<JobRow> {
    const sql = `SELECT JobStatus, JobFiles, JobBytes, JobErrors FROM Job WHERE JobId = ${id}`;
    for (let left = timeoutSeconds; left > 0; left -= 1) {
      const [status = '', files, bytes, errors] = (await this.exec('director', ['sqlite3', '-separator', '\t', '/var/lib/bacula/bacula.db', sql], { anyStatus: true })).stdout.toString().trim().split('\t');
      if (!['', 'C', 'R', 'B', 'F', 'S', 'm', 'M', 's', 'j', 'c', 'd', 't', 'p', 'i', 'a', 'l', 'L'].includes(status)) {
        return { id, status, files: Number(files), bytes: Number(bytes), errors: Number(errors) };
      }
      await sleep(1000);
    }
    throw new ToolError(`Wait for job '${id}': it did not end in '${timeoutSeconds}' seconds: ${(await this.console('status dir', 'messages')).slice(-1500)}`);
  }

  /** What the director logged of jobs but their summaries, and the end of holdfast's log. */
  async log(): Promise<string> {
    const jobs = await this.exec('director', ['grep', '-E', 'JobId [0-9]+:', '/var/lib/bacula/bacula.log'], { anyStatus: true });
    const daemon = await this.#engine.run(['logs', '--tail', '8', container('holdfast')], { anyStatus: true });
    return `${jobs.stdout.toString().slice(-2_000)}\n${daemon.stdout.toString()}${daemon.stderr.toString()}`;
  }

  /** Bytes of what holdfast's container has below a directory. */
  async bytesOf(directory: string): Promise<number> {
    return Number((await this.exec('holdfast', ['du', '-sb', directory])).stdout.toString().split('\t')[0]);
  }

  /** Cuts a service off a network: packets vanish, connections hang. */
  async cut(service: Service, network: 'bacula' | 'store'): Promise<void> {
    await this.#engine.run(['network', 'disconnect', `${PROJECT}_${network}`, container(service)]);
  }

  /** Ends a partition; the service has its name again. */
  async mend(service: Service, network: 'bacula' | 'store'): Promise<void> {
    await this.#engine.run(['network', 'connect', '--alias', service, `${PROJECT}_${network}`, container(service)]);
  }

  #compose(...parameters: readonly string[]): Promise<ToolResult> {
    const variables = Object.entries(this.#environment).map(([name, value]) => `${name}=${value}`);
    return runTool(['env', ...variables, 'docker-compose', '--no-ansi', '-f', path.join(repositoryRoot(), 'lab/compose/docker-compose.yml'), ...parameters], { timeoutMs: 120_000 });
  }
}

function container(service: Service): string {
  return `${PROJECT}_${service}_1`;
}
