/** Mode B for kills: `holdfast-bacula-bpipe` with a repository on this host, or behind a holdfast daemon that is killed as well and started again mid-job. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { DaemonSite, type RunningDaemon } from '../daemon/site.ts';
import type { JobSetup } from './config.ts';
import type { BaculaInstallation } from './installation.ts';
import { KILLS_JOB, type KillStage, type Phase } from './kill-campaign.ts';
import { allEnded, killAll, killNewest, runningOf } from './processes.ts';
import { BaculaServer, type DaemonName } from './server.ts';
import type { Stand } from './stand.ts';

const PROGRAM = 'holdfast-bacula-bpipe';
const DAEMONS: readonly string[] = ['bacula-fd', 'bacula-sd', 'bacula-dir'];
const END_MS = 40_000;

/** A job whose FileSet line stores `source` by the settings in `config`. */
export function bpipeJob(stand: Stand, name: string, { config, source }: { readonly config: string; readonly source: string }): JobSetup {
  const program = stand.program(PROGRAM);
  const words = `--config ${config}`;
  return {
    name, options: { signature: 'MD5' },
    plugins: [`bpipe:/holdfast/${name}:${program} backup ${words} ${source}:${program} restore ${words} --where=%w`],
    scripts: [
      { when: 'Before', onClient: true, command: `${program} begin ${words} --job '%j'` },
      { when: 'After', onClient: true, command: `${program} confirm ${words} --job '%j' --bytes %b` },
    ],
  };
}

/** Whether a victim is one of Bacula's daemons. */
export function isBaculaDaemon(victim: string): victim is DaemonName {
  return DAEMONS.includes(victim);
}

/** See the module's comment. */
export class BpipeStage implements KillStage {
  readonly mode: string;
  readonly device = 'File';
  readonly stand: Stand;
  readonly server: BaculaServer;
  readonly victims: Readonly<Record<Phase, readonly string[]>>;
  readonly #site: DaemonSite | undefined;
  #daemon: RunningDaemon | undefined;

  private constructor(stand: Stand, server: BaculaServer, site?: { readonly site: DaemonSite; readonly daemon: RunningDaemon }) {
    [this.stand, this.server, this.#site, this.#daemon] = [stand, server, site?.site, site?.daemon];
    this.mode = site === undefined ? 'bpipe' : 'bpipe to a daemon';
    const victims = site === undefined ? [...DAEMONS, 'adapter'] : ['daemon', 'daemon', 'daemon', 'adapter', 'bacula-fd'];
    this.victims = { backup: victims, restore: victims };
  }

  static async start(installation: BaculaInstallation, stand: Stand, { behindDaemon }: { readonly behindDaemon: boolean }): Promise<BpipeStage> {
    mkdirSync(stand.path('tree'));
    const config = stand.path('kills.yaml');
    let site: { readonly site: DaemonSite; readonly daemon: RunningDaemon } | undefined;
    if (behindDaemon) {
      mkdirSync(stand.path('site'));
      const made = await DaemonSite.make(stand.path('site'));
      await made.must(['enroll', 'client', '--hosts', made.hosts, '--out', stand.path('client.key')]);
      site = { site: made, daemon: await made.start() };
      writeFileSync(config, `repository: ${made.location()}\nstate: state\nwireKey: ${stand.path('client.key')}\n`);
    } else {
      await stand.holdfast('init', stand.path('repository'));
      writeFileSync(config, 'repository: repository\nstate: state\n');
    }
    try {
      const jobs = [bpipeJob(stand, KILLS_JOB, { config, source: stand.path('tree') })];
      return new BpipeStage(stand, await BaculaServer.start(installation, stand.path('bacula'), { jobs }), site);
    } catch (error) {
      site?.daemon.process.kill('SIGKILL');
      throw error;
    }
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  async kill(victim: string): Promise<boolean> {
    if (isBaculaDaemon(victim)) await this.server.kill(victim);
    else if (victim === 'adapter') return killNewest(this.stand, PROGRAM);
    else {
      const daemon = this.#daemon;
      this.#daemon = undefined;
      if (daemon === undefined) return false;
      daemon.process.kill('SIGKILL');
      await daemon.ended;
    }
    return true;
  }

  async revive(): Promise<void> {
    if (this.#site !== undefined) this.#daemon ??= await this.#site.start();
    await this.server.revive();
  }

  /** A reader outlives its client, and must not meet the next job's. */
  async quiet(): Promise<void> {
    await allEnded(END_MS, () => runningOf(this.stand, PROGRAM));
  }

  faults(): Promise<readonly string[]> {
    return Promise.resolve([]);
  }

  async stop(): Promise<void> {
    await this.server.stop();
    killAll(this.stand, PROGRAM);
    if (this.#daemon !== undefined) await this.kill('daemon');
    const repository = this.#site?.repository ?? this.stand.path('repository');
    await this.stand.holdfast('check', repository, '--read-data');
    this.stand.checks.expect(`${this.mode}: the repository is whole afterwards`, true, '');
  }
}
