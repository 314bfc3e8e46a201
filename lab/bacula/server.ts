/**
 * One running Bacula: director, storage daemon and client as children of this process, catalog in SQLite.
 * Everything listens on loopback only; `stop()` ends the three by their process ids.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../../src/core/index.ts';
import { accepts, freePort, loopback } from '../loopback.ts';
import { clientFile, consoleFile, directorFile, listFile, storageFile } from './config.ts';
import type { JobSetup, Ports, Setup } from './config.ts';
import type { BaculaInstallation } from './installation.ts';
import { runTool } from './tool.ts';

/** A finished job as the catalog has it. */
export interface JobRow {
  readonly id: number;
  /** 'T' is good; see Bacula's JobStatus letters. */
  readonly status: string;
  readonly files: number;
  readonly bytes: number;
  readonly errors: number;
}

/** See the module's comment. Jobs run one after the other unless the caller overlaps {@link runJob}. */
export class BaculaServer {
  readonly installation: BaculaInstallation;
  readonly setup: Setup;
  readonly #children: ChildProcess[] = [];

  private constructor(installation: BaculaInstallation, setup: Setup) {
    this.installation = installation;
    this.setup = setup;
  }

  /**
   * Writes the configuration into `directory`, makes an empty catalog and starts the daemons; resolves when all three accept
   * connections. @throws {ToolError} with the log's end when one does not.
   */
  static async start(installation: BaculaInstallation, directory: string, jobs: readonly JobSetup[]): Promise<BaculaServer> {
    for (const name of ['director', 'storage', 'client', 'run', 'volumes', 'restored']) mkdirSync(path.join(directory, name), { recursive: true });
    const ports: Ports = { director: await freePort(), client: await freePort(), storage: await freePort() };
    const server = new BaculaServer(installation, { directory, pluginDirectory: installation.pluginDirectory, ports, password: 'only-for-this-run', jobs });
    try {
      await server.#createCatalog();
      await server.#startDaemons();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** Folder of the volume files. */
  get volumes(): string {
    return path.join(this.setup.directory, 'volumes');
  }

  /** Sets what the next run of a job backs up. */
  setSources(job: string, paths: readonly string[]): void {
    writeFileSync(listFile(this.setup, job), paths.map((one) => `${one}\n`).join(''));
  }

  /** Feeds lines to bconsole and returns what it printed. */
  async console(...lines: readonly string[]): Promise<string> {
    const command = this.installation.command('bconsole', '-n', '-c', path.join(this.setup.directory, 'bconsole.conf'));
    const result = await runTool(command, { input: [...lines, 'quit', ''].join('\n') });
    return result.stdout.toString();
  }

  /** Runs a job and resolves when Bacula has written its end. @throws {ToolError} when it was not queued. */
  async runJob(name: string, level: 'Full' | 'Incremental' | 'Differential'): Promise<JobRow> {
    return this.#finished(await this.console(`run job=${name} level=${level} yes`, 'wait'), name);
  }

  /** Bacula's own restore of one job, or of the chain that ends with it, below `where`. */
  async restore(jobIds: readonly number[], where: string): Promise<JobRow> {
    const line = `restore jobid=${jobIds.join(',')} client=live-fd restoreclient=live-fd storage=File where=${where} all done yes`;
    return this.#finished(await this.console(line, 'wait'), 'restore');
  }

  /** Names of the volumes a job wrote to, in the order written. */
  async volumesOf(jobId: number): Promise<readonly string[]> {
    const media = `SELECT m.VolumeName FROM JobMedia j JOIN Media m USING (MediaId) WHERE j.JobId = ${jobId}`;
    return (await this.#query(`${media} GROUP BY m.MediaId ORDER BY MIN(j.JobMediaId)`)).map(([name]) => name ?? '');
  }

  /** What `bls` prints about volumes, stderr included. It exits with 0 whatever it finds. */
  async bls(volumes: readonly string[]): Promise<string> {
    const result = await runTool(this.installation.command('bls', ...this.#readVolumes(volumes)), { anyStatus: true });
    return `${result.stdout.toString('latin1')}${result.stderr.toString('latin1')}`;
  }

  /** What `bscan` prints when it enters volumes into a catalog of its own. */
  async bscan(volumes: readonly string[]): Promise<string> {
    const scratch = path.join(this.setup.directory, 'scan');
    mkdirSync(scratch, { recursive: true });
    copyFileSync(path.join(this.setup.directory, 'empty.db'), path.join(scratch, 'bacula.db'));
    const catalog = ['-v', '-s', '-m', '-n', 'bacula', '-w', scratch];
    const result = await runTool(this.installation.command('bscan', ...catalog, ...this.#readVolumes(volumes)), { anyStatus: true });
    return `${result.stdout.toString('latin1')}${result.stderr.toString('latin1')}`;
  }

  /** Ends the daemons by their ids and resolves when they are gone; idempotent. */
  async stop(): Promise<void> {
    for (const child of this.#children.splice(0).reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      const killer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await gone;
      clearTimeout(killer);
    }
  }

  #readVolumes(volumes: readonly string[]): readonly string[] {
    return ['-c', path.join(this.setup.directory, 'sd.conf'), '-V', volumes.join('|'), 'FileDevice'];
  }

  async #finished(printed: string, what: string): Promise<JobRow> {
    const id = Number(/JobId=(\d+)/.exec(printed)?.[1] ?? Number.NaN);
    if (!Number.isInteger(id)) throw new ToolError(`Run Bacula's job '${what}': it was not queued: ${printed.slice(-800)}`);
    const [row] = await this.#query(`SELECT JobStatus, JobFiles, JobBytes, JobErrors FROM Job WHERE JobId = ${id}`);
    return { id, status: row?.[0] ?? '', files: Number(row?.[1]), bytes: Number(row?.[2]), errors: Number(row?.[3]) };
  }

  async #query(sql: string): Promise<readonly (readonly string[])[]> {
    const result = await runTool(['sqlite3', '-cmd', '.timeout 10000', '-separator', '\t', path.join(this.setup.directory, 'director', 'bacula.db'), sql]);
    return result.stdout.toString().split('\n').filter((line) => line !== '').map((line) => line.split('\t'));
  }

  /** The package's script, with the folder and name that the package fills in while it is configured. */
  async #createCatalog(): Promise<void> {
    const folder = path.join(this.setup.directory, 'director');
    const script = readFileSync(this.installation.tablesScript, 'utf8').replace('cd /var/lib/bacula', `cd '${folder}'`);
    await runTool(['sh', '-c', script.replace('${db_name:-XXX_DBNAME_XXX}', 'bacula').replaceAll('XXX_DBNAME_XXX', 'bacula')]);
    copyFileSync(path.join(folder, 'bacula.db'), path.join(this.setup.directory, 'empty.db'));
  }

  async #startDaemons(): Promise<void> {
    const { directory, ports } = this.setup;
    const files = { 'sd.conf': storageFile, 'fd.conf': clientFile, 'dir.conf': directorFile, 'bconsole.conf': consoleFile };
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(directory, name), text(this.setup));
    await this.#startDaemon('bacula-sd', 'sd.conf', ports.storage);
    await this.#startDaemon('bacula-fd', 'fd.conf', ports.client);
    await this.#startDaemon('bacula-dir', 'dir.conf', ports.director);
  }

  async #startDaemon(program: string, file: string, port: number): Promise<void> {
    const log = path.join(this.setup.directory, `${program}.log`);
    const [name, ...parameters] = this.installation.command(program, '-f', '-c', path.join(this.setup.directory, file));
    const output = openSync(log, 'a');
    const child = spawn(name, parameters, { stdio: ['ignore', output, output] });
    closeSync(output);
    let failure: Error | undefined;
    child.on('error', (error) => (failure = error));
    // A crash of this process must not leave daemons behind.
    process.on('exit', () => child.kill('SIGKILL'));
    this.#children.push(child);
    for (let tries = 0; tries < 150 && failure === undefined && child.exitCode === null; tries += 1) {
      if (await accepts(port)) return;
      await sleep(100);
    }
    throw new ToolError(`Start '${program}': it does not listen on '${loopback}:${port}': ${readFileSync(log, 'utf8').slice(-1500)}`, {}, failure);
  }
}
