/** Mode A for kills: adapters that store the volumes themselves. What they have stored must be, byte by byte, what the storage daemon wrote. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { ServedMount } from '../served-mount.ts';
import type { DeviceSetup, JobSetup } from './config.ts';
import { demandScript } from './demand.ts';
import type { BaculaInstallation } from './installation.ts';
import { KILLS_JOB, type KillStage, type Phase } from './kill-campaign.ts';
import { isBaculaDaemon } from './kill-stages.ts';
import { allEnded, endChild, hasEnded, killAll, killNewest, runningOf } from './processes.ts';
import { BaculaServer } from './server.ts';
import type { Stand } from './stand.ts';
import { SeededBytes } from './tree.ts';
import { committed, volumeFaults } from './stored-volumes.ts';

const END_MS = 40_000;
const COMMIT_MS = 600_000;
/** The director runs scripts after a job a moment after the catalog has the job's end. */
const SCRIPT_MS = 800;
const options = { signature: 'MD5' };

async function startBacula(installation: BaculaInstallation, stand: Stand, { job, devices }: { readonly job: JobSetup; readonly devices?: readonly DeviceSetup[] }): Promise<BaculaServer> {
  const server = await BaculaServer.start(installation, stand.path('bacula'), { jobs: [job], ...(devices === undefined ? {} : { devices }) });
  server.setSources(KILLS_JOB, [stand.path('tree')]);
  return server;
}

async function checkWhole(stand: Stand, mode: string): Promise<void> {
  await stand.holdfast('check', stand.path('repository'), '--read-data');
  stand.checks.expect(`${mode}: the repository is whole afterwards`, true, '');
}

function started(program: string, words: readonly string[], log: (line: string) => void): ChildProcess {
  const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.setEncoding('utf8').on('data', (text: string) => { log(text.trim()); });
  process.on('exit', () => child.kill('SIGKILL'));
  return child;
}

/** `store` during backups, `feed` during restores. What was killed is started again every second time, and then meets the rest of a stream. */
export class FifoStage implements KillStage {
  static readonly program = 'holdfast-bacula-fifo';
  readonly mode = 'fifo';
  readonly device = 'Fifo';
  readonly stand: Stand;
  readonly server: BaculaServer;
  readonly victims: Readonly<Record<Phase, readonly string[]>> = { backup: ['adapter', 'adapter', 'bacula-sd', 'bacula-fd'], restore: ['adapter', 'adapter', 'bacula-sd'] };
  readonly #random: SeededBytes;
  #child: ChildProcess | undefined;
  #words: readonly string[] = [];

  private constructor(stand: Stand, server: BaculaServer) {
    [this.stand, this.server] = [stand, server];
    this.#random = new SeededBytes(stand.context.seed ^ 1);
  }

  static async start(installation: BaculaInstallation, stand: Stand): Promise<FifoStage> {
    mkdirSync(stand.path('tree'));
    execFileSync('mkfifo', [stand.path('fifo')]);
    await stand.holdfast('init', stand.path('repository'));
    const confirm = `${demandScript(stand)} %i ${stand.program(FifoStage.program)} confirm --repo ${stand.path('repository')} --volume %v --job %i --files %F --wait 8`;
    const job: JobSetup = { name: KILLS_JOB, options, device: 'Fifo', volumeJobsMax: 1, scripts: [{ when: 'After', onClient: false, command: confirm }] };
    return new FifoStage(stand, await startBacula(installation, stand, { job, devices: [{ name: 'Fifo', kind: 'fifo', archive: stand.path('fifo') }] }));
  }

  /** Each job has a volume of its own: what a broken one has begun is not used again. */
  async ready(phase: Phase, jobId: number): Promise<void> {
    await this.#endChild();
    const name = phase === 'backup' ? await this.server.freshVolume(KILLS_JOB) : (await this.server.volumesOf(jobId))[0] ?? 'none';
    const common = ['--repo', this.stand.path('repository'), '--spool', this.stand.path('spool'), '--fifo', this.stand.path('fifo'), '--volume', name];
    this.#words = [phase === 'backup' ? 'store' : 'feed', ...common];
    this.#start();
  }

  #start(): void {
    this.#child = started(this.stand.program(FifoStage.program), this.#words, () => undefined);
  }

  async kill(victim: string): Promise<boolean> {
    if (isBaculaDaemon(victim)) await this.server.kill(victim);
    else if (this.#child === undefined || hasEnded(this.#child)) return false;
    else await endChild(this.#child, 'SIGKILL');
    return true;
  }

  async revive(): Promise<void> {
    if (this.#child?.signalCode === 'SIGKILL' && this.#random.below(2) === 0) this.#start();
    await this.server.revive();
  }

  async quiet(): Promise<void> {
    await sleep(SCRIPT_MS);
    await allEnded(END_MS, () => runningOf(this.stand, FifoStage.program, 'confirm'));
    await this.#endChild();
  }

  async #endChild(): Promise<void> {
    if (this.#child !== undefined) await endChild(this.#child, 'SIGTERM');
  }

  faults(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  async stop(): Promise<void> {
    await this.server.stop();
    killAll(this.stand, FifoStage.program);
    await checkWhole(this.stand, this.mode);
  }
}

/** Follows the archive directory. Bacula's jobs do not depend on it; what it stores must be the volumes, whoever was killed. */
export class TailStage implements KillStage {
  static readonly program = 'holdfast-bacula-tail';
  readonly mode = 'tail';
  readonly device = 'File';
  readonly stand: Stand;
  readonly server: BaculaServer;
  readonly victims: Readonly<Record<Phase, readonly string[]>> = { backup: ['adapter', 'adapter', 'adapter', 'bacula-sd'], restore: [] };
  #child: ChildProcess | undefined;

  private constructor(stand: Stand, server: BaculaServer) {
    [this.stand, this.server] = [stand, server];
  }

  static async start(installation: BaculaInstallation, stand: Stand): Promise<TailStage> {
    mkdirSync(stand.path('tree'));
    await stand.holdfast('init', stand.path('repository'));
    return new TailStage(stand, await startBacula(installation, stand, { job: { name: KILLS_JOB, options } }));
  }

  ready(): Promise<void> {
    if (this.#child === undefined || hasEnded(this.#child)) {
      const words = ['--interval', '200', '--repo', this.stand.path('repository'), '--spool', this.stand.path('spool'), this.server.volumes];
      this.#child = started(this.stand.program(TailStage.program), words, (line) => { this.stand.context.log(`tail: ${line}`); });
    }
    return Promise.resolve();
  }

  async kill(victim: string): Promise<boolean> {
    if (isBaculaDaemon(victim)) await this.server.kill(victim);
    else if (this.#child === undefined || hasEnded(this.#child)) return false;
    else await endChild(this.#child, 'SIGKILL');
    return true;
  }

  async revive(): Promise<void> {
    await this.ready();
    await this.server.revive();
  }

  quiet(): Promise<void> {
    return Promise.resolve();
  }

  /** Ended in peace, it has everything in the repository. */
  async faults(): Promise<readonly string[]> {
    const status = this.#child === undefined ? 0 : await endChild(this.#child, 'SIGTERM');
    const faults = await volumeFaults(this.stand, this.stand.path('repository'), { archive: this.server.volumes, scratch: this.stand.path('fetched') });
    return status === 0 ? faults : [`the follower ended with '${status}'`, ...faults];
  }

  async stop(): Promise<void> {
    await this.server.stop();
    killAll(this.stand, TailStage.program);
    await checkWhole(this.stand, this.mode);
  }
}

/** The archive device is a mount that is killed and served again while the storage daemon uses it. */
export class FuseStage implements KillStage {
  static readonly program = 'holdfast-bacula-fuse-volumes';
  readonly mode = 'fuse';
  readonly device = 'Fuse';
  readonly stand: Stand;
  readonly server: BaculaServer;
  readonly victims: Readonly<Record<Phase, readonly string[]>> = { backup: ['adapter', 'adapter', 'bacula-sd', 'bacula-dir'], restore: ['adapter', 'adapter', 'bacula-sd'] };
  #mount: ServedMount;
  #isServed = true;

  private constructor(stand: Stand, server: BaculaServer, mount: ServedMount) {
    [this.stand, this.server, this.#mount] = [stand, server, mount];
  }

  static async start(installation: BaculaInstallation, stand: Stand): Promise<FuseStage> {
    for (const name of ['tree', 'fuse']) mkdirSync(stand.path(name));
    await stand.holdfast('init', stand.path('repository'));
    const mount = await FuseStage.#serve(stand);
    try {
      const job: JobSetup = { name: KILLS_JOB, options, device: 'Fuse' };
      return new FuseStage(stand, await startBacula(installation, stand, { job, devices: [{ name: 'Fuse', kind: 'file', archive: stand.path('fuse') }] }), mount);
    } catch (error) {
      await mount.clear();
      throw error;
    }
  }

  static #serve(stand: Stand): Promise<ServedMount> {
    return ServedMount.start([stand.program(FuseStage.program), '--repo', stand.path('repository'), '--spool', stand.path('spool'), stand.path('fuse')], stand.path('fuse'));
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  async kill(victim: string): Promise<boolean> {
    if (isBaculaDaemon(victim)) {
      await this.server.kill(victim);
      return true;
    }
    this.#isServed = false;
    const isKilled = killNewest(this.stand, FuseStage.program);
    await this.#mount.end('SIGKILL');
    return isKilled;
  }

  async revive(): Promise<void> {
    if (!this.#isServed) {
      this.#mount = await FuseStage.#serve(this.stand);
      this.#isServed = true;
    }
    await this.server.revive();
  }

  quiet(): Promise<void> {
    return Promise.resolve();
  }

  faults(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  async stop(): Promise<void> {
    await this.server.stop();
    this.stand.checks.expect('fuse: what was written is committed', await committed(this.stand.path('spool'), COMMIT_MS) !== undefined, `not after ${COMMIT_MS} ms`);
    const status = this.#isServed ? await this.#mount.end('SIGTERM') : -1;
    await this.#mount.clear();
    this.stand.equal('fuse: the mount ends well', status, 0);
    await checkWhole(this.stand, this.mode);
  }
}
