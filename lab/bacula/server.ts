/**
 * One running Bacula: director, storage daemon and client as children of this process, catalog in SQLite.
 * Everything listens on loopback only; `stop()` ends the three by their process ids.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, copyFileSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ToolError } from '../../src/core/index.ts';
import { accepts, freePort, loopback } from '../loopback.ts';
import { clientFile, consoleFile, directorFile, listFile, storageFile } from './config.ts';
import type { Ports, Setup, SetupChoices } from './config.ts';
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

/** Levels of Verify jobs. */
export type VerifyLevel = 'InitCatalog' | 'Catalog' | 'VolumeToCatalog' | 'DiskToCatalog' | 'Data';

/** One of the three daemons. */
export type DaemonName = 'bacula-dir' | 'bacula-fd' | 'bacula-sd';

const daemons = {
  'bacula-sd': { file: 'sd.conf', port: 'storage' }, 'bacula-fd': { file: 'fd.conf', port: 'client' }, 'bacula-dir': { file: 'dir.conf', port: 'director' },
} as const;

/** See the module's comment. Jobs run one after the other unless the caller overlaps {@link runJob}. */
export class BaculaServer {
  readonly installation: BaculaInstallation;
  readonly setup: Setup;
  readonly #children: Map<DaemonName, ChildProcess> = new Map<DaemonName, ChildProcess>();

  private constructor(installation: BaculaInstallation, setup: Setup) {
    this.installation = installation;
    this.setup = setup;
  }

  /**
   * Writes the configuration into `directory`, makes an empty catalog and starts the daemons; resolves when all three accept
   * connections. @throws {ToolError} with the log's end when one does not.
   */
  static async start(installation: BaculaInstallation, directory: string, { jobs, ...choices }: SetupChoices & Pick<Setup, 'jobs'>): Promise<BaculaServer> {
    for (const name of ['director', 'storage', 'client', 'run', 'volumes', 'restored']) mkdirSync(path.join(directory, name), { recursive: true });
    const ports: Ports = { director: await freePort(), client: await freePort(), storage: await freePort() };
    const server = new BaculaServer(installation, { directory, pluginDirectory: installation.pluginDirectory, ports, password: 'only-for-this-run', jobs, ...choices });
    // A crash of this process must not leave daemons behind.
    process.on('exit', () => { for (const child of server.#children.values()) child.kill('SIGKILL'); });
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
    return this.setup.volumes ?? path.join(this.setup.directory, 'volumes');
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
    return this.row(queuedJob(await this.console(`run job=${name} level=${level} yes`, 'wait'), name));
  }

  /** Runs a Verify job, which compares the last backup of its Verify Job. @throws {ToolError} when it was not queued. */
  async runVerify(name: string, level: VerifyLevel): Promise<JobRow> {
    return this.row(queuedJob(await this.console(`run job=${name} level=${level} yes`, 'wait'), name));
  }

  /** Starts a job and resolves with its id as soon as it is queued. @throws {ToolError} */
  async startJob(name: string, level: 'Full' | 'Incremental' | 'Differential'): Promise<number> {
    return queuedJob(await this.console(`run job=${name} level=${level} yes`), name);
  }

  /** Bacula's own restore of one job, or of the chain that ends with it, below `where`. `device` is where the volumes are. */
  async restore(jobIds: readonly number[], where: string, device = 'File'): Promise<JobRow> {
    return this.row(queuedJob(await this.console(restoreLine(jobIds, where, device), 'wait'), 'restore'));
  }

  /** As {@link restore}, without waiting. @throws {ToolError} */
  async startRestore(jobIds: readonly number[], where: string, device = 'File'): Promise<number> {
    return queuedJob(await this.console(restoreLine(jobIds, where, device)), 'restore');
  }

  /** What the catalog says about a job now. */
  async row(id: number): Promise<JobRow> {
    const [row] = await this.#query(`SELECT JobStatus, JobFiles, JobBytes, JobErrors FROM Job WHERE JobId = ${id}`);
    return { id, status: row?.[0] ?? '', files: Number(row?.[1]), bytes: Number(row?.[2]), errors: Number(row?.[3]) };
  }

  /** Waits until the catalog has a job's end, at most so long. Resolves with what the catalog says then, ended or not. */
  async settled(id: number, timeoutMs: number): Promise<JobRow> {
    const deadline = Date.now() + timeoutMs;
    let row = await this.row(id);
    while ('CRBSMmsjdctpi'.includes(row.status) && Date.now() < deadline) {
      await sleep(200);
      row = await this.row(id);
    }
    return row;
  }

  /** Cancels a job; one that has ended meanwhile is none. */
  async cancel(id: number): Promise<void> {
    const command = this.installation.command('bconsole', '-n', '-c', path.join(this.setup.directory, 'bconsole.conf'));
    await runTool(command, { input: `cancel jobid=${id} yes\nquit\n`, anyStatus: true });
  }

  /** Lines of Bacula's log about a job. */
  logOf(id: number): string {
    const log = path.join(this.setup.directory, 'bacula.log');
    return existsSync(log) ? readFileSync(log, 'latin1').split('\n').filter((line) => line.includes(`JobId ${id}:`)).join('\n') : '';
  }

  /** Ends one daemon at once, as a power failure would. Resolves when it is gone. */
  async kill(program: DaemonName): Promise<void> {
    const child = this.#children.get(program);
    this.#children.delete(program);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  /** Starts the daemons that are not running. @throws {ToolError} */
  async revive(): Promise<void> {
    for (const program of Object.keys(daemons) as DaemonName[]) {
      const child = this.#children.get(program);
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) await this.#startDaemon(program);
    }
  }

  /** Names of the volumes a job wrote to, in the order written. */
  async volumesOf(jobId: number): Promise<readonly string[]> {
    const media = `SELECT m.VolumeName FROM JobMedia j JOIN Media m USING (MediaId) WHERE j.JobId = ${jobId}`;
    return (await this.#query(`${media} GROUP BY m.MediaId ORDER BY MIN(j.JobMediaId)`)).map(([name]) => name ?? '');
  }

  /** Retires all volumes of a pool. @returns the name of the one that Bacula makes next, from the label format `<pool>-` and its catalog. */
  async freshVolume(pool: string): Promise<string> {
    const volumes = `PoolId = (SELECT PoolId FROM Pool WHERE Name = '${pool}')`;
    await this.#query(`UPDATE Media SET VolStatus = 'Used' WHERE VolStatus = 'Append' AND ${volumes}`);
    const [row] = await this.#query('SELECT COALESCE(MAX(MediaId), 0) + 1 FROM Media');
    return `${pool}-${(row?.[0] ?? '').padStart(4, '0')}`;
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
    for (const program of ['bacula-dir', 'bacula-fd', 'bacula-sd'] as const) {
      const child = this.#children.get(program);
      this.#children.delete(program);
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) continue;
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
    const { directory } = this.setup;
    const files = { 'sd.conf': storageFile, 'fd.conf': clientFile, 'dir.conf': directorFile, 'bconsole.conf': consoleFile };
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(directory, name), text(this.setup));
    await this.revive();
  }

  async #startDaemon(program: DaemonName): Promise<void> {
    const { file } = daemons[program];
    const port = this.setup.ports[daemons[program].port];
    const log = path.join(this.setup.directory, `${program}.log`);
    const [name, ...parameters] = this.installation.command(program, '-f', '-c', path.join(this.setup.directory, file));
    const output = openSync(log, 'a');
    const child = spawn(name, parameters, { stdio: ['ignore', output, output] });
    closeSync(output);
    let failure: Error | undefined;
    child.on('error', (error) => (failure = error));
    this.#children.set(program, child);
    for (let tries = 0; tries < 150 && failure === undefined && child.exitCode === null; tries += 1) {
      if (await accepts(port)) return;
      await sleep(100);
    }
    throw new ToolError(`Start '${program}': it does not listen on '${loopback}:${port}': ${readFileSync(log, 'utf8').slice(-1500)}`, {}, failure);
  }
}

function restoreLine(jobIds: readonly number[], where: string, device: string): string {
  return `restore jobid=${jobIds.join(',')} client=live-fd restoreclient=live-fd storage=${device} where=${where} all done yes`;
}

/** The id that bconsole printed. */
function queuedJob(printed: string, what: string): number {
  const id = Number(/JobId=(\d+)/.exec(printed)?.[1] ?? Number.NaN);
  if (!Number.isInteger(id)) throw new ToolError(`Run Bacula's job '${what}': it was not queued: ${printed.slice(-800)}`);
  return id;
}
