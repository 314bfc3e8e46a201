/**
 * `holdfast-bacula-fifo` under an unmodified Bacula: the storage daemon writes jobs into a FIFO, what comes out is in a repository, and is fed back for
 * Bacula's restore. The director cannot be told by a RunScript after the job that it failed (measured, 9.6.7 and 15.0.3), so the script that asks `confirm`
 * marks the job in the catalog itself: `docs/bacula.md` has it.
 */
import { execFileSync, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobSetup } from './bacula/config.ts';
import { demandScript } from './bacula/demand.ts';
import { baculaPrograms, installedBacula, unpackTrixieBacula, type BaculaInstallation } from './bacula/installation.ts';
import { liveManifest, type LiveLine } from './bacula/live-manifest.ts';
import { BaculaServer, type JobRow } from './bacula/server.ts';
import { bytesBelow, lostByBacula, Stand } from './bacula/stand.ts';
import { changeTree, growFiles, growSpecials, SeededBytes } from './bacula/tree.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

const PROGRAM = 'holdfast-bacula-fifo';
const GROWTH_MAX = 0.01;
const VOLUMES = 12;
const SMALL_FILES = 6_000;

class Round {
  readonly #stand: Stand;
  readonly #random: SeededBytes;
  readonly #children: ChildProcess[] = [];

  constructor(context: ScenarioContext) {
    this.#stand = new Stand(context);
    this.#random = new SeededBytes(context.seed);
  }

  get #common(): readonly string[] {
    return ['--repo', this.#stand.path('repository'), '--spool', this.#stand.path('spool')];
  }

  /** A command of the adapter in the background. */
  #start(verb: string, ...words: readonly string[]): ChildProcess {
    const child = this.#stand.start(PROGRAM, verb, ...this.#common, '--fifo', this.#stand.path('fifo'), ...words);
    this.#children.push(child);
    return child;
  }

  #ended(child: ChildProcess): Promise<number> {
    if (child.exitCode !== null) return Promise.resolve(child.exitCode);
    return new Promise((resolve) => child.once('exit', (status) => { resolve(status ?? -1); }));
  }

  async run(installation: BaculaInstallation): Promise<Tally> {
    mkdirSync(this.#stand.path('tree'));
    growFiles(this.#stand.path('tree'), this.#random, 60, 200_000);
    this.#growMany();
    await growSpecials(this.#stand.path('tree'), this.#random);
    execFileSync('mkfifo', [this.#stand.path('fifo')]);
    await this.#stand.holdfast('init', this.#stand.path('repository'));
    const confirm = `${demandScript(this.#stand)} %i ${this.#stand.program(PROGRAM)} confirm --repo ${this.#stand.path('repository')} --volume %v --job %i --files %F --wait 20`;
    const job: JobSetup = {
      name: 'fifo', options: { signature: 'SHA256', aclsupport: 'yes', xattrsupport: 'yes', sparse: 'yes', accurate: 'pinsugmc5' }, accurate: true, device: 'Fifo', volumeJobsMax: 1,
      scripts: [{ when: 'After', onClient: false, command: confirm }],
    };
    const server = await BaculaServer.start(installation, this.#stand.path('bacula'), { jobs: [job], devices: [{ name: 'Fifo', kind: 'fifo', archive: this.#stand.path('fifo') }] });
    try {
      this.#stand.context.log(`Bacula ${installation.version} is up`);
      server.setSources('fifo', [this.#stand.path('tree')]);
      await this.#jobs(server);
      await this.#troubles(server);
    } finally {
      await server.stop();
      for (const child of this.#children) child.kill('SIGKILL');
    }
    return this.#stand.checks.tally;
  }

  /** So many records that some blocks end where the next record's head does not fit: they are shorter than the others. */
  #growMany(): void {
    const many = this.#stand.path('tree', 'many');
    mkdirSync(many);
    for (let i = 0; i < SMALL_FILES; i += 1) writeFileSync(path.join(many, `small ${i}`), this.#random.bytes(i % 300));
  }

  async #jobs(server: BaculaServer): Promise<void> {
    const names = Array.from({ length: VOLUMES }, (_, i) => `fifo-${String(i + 1).padStart(4, '0')}`);
    const store = this.#start('store', ...names.flatMap((name) => ['--volume', name]));
    const before = await liveManifest(this.#stand.path('tree'));
    const full = await this.#backup(server, 'Full', 'Full');
    const size = bytesBelow(this.#stand.path('repository'));
    const again = await this.#backup(server, 'unchanged Full', 'Full');
    const growth = bytesBelow(this.#stand.path('repository')) - size;
    this.#stand.checks.expect(`unchanged Full: the repository grows by ${growth} of ${again.bytes} bytes, at most 1 %`, growth <= again.bytes * GROWTH_MAX, `found '${growth}'`);
    await sleep(1100);
    changeTree(this.#stand.path('tree'), this.#random);
    const after = await liveManifest(this.#stand.path('tree'));
    await sleep(1100);
    const incremental = await this.#backup(server, 'Incremental', 'Incremental');
    store.kill('SIGTERM');
    await this.#ended(store);
    await this.#restored(server, 'Full', full, before);
    await this.#byHoldfast(server, 'Full and Incremental', [again, incremental], after);
    // One volume for each restore: the daemons forget the records that share a block with the label of the second and later volumes of a FIFO.
    await this.#fed(server, 'Incremental alone', incremental);
  }

  async #backup(server: BaculaServer, what: string, level: 'Full' | 'Incremental'): Promise<JobRow> {
    const row = await server.runJob('fifo', level);
    this.#stand.good(what, row, server.logOf(row.id));
    return row;
  }

  /** Through Bacula, and by the command line from the stored volume. */
  async #restored(server: BaculaServer, what: string, job: JobRow, lines: readonly LiveLine[]): Promise<void> {
    this.#stand.none(`${what}: restored by Bacula, equal in md5 and metadata`, await this.#stand.differences(lines, await this.#fed(server, what, job), lostByBacula));
    await this.#byHoldfast(server, what, [job], lines);
  }

  /** Feeds the volume of a job to Bacula's restore. @returns where it went. */
  async #fed(server: BaculaServer, what: string, job: JobRow): Promise<string> {
    const target = this.#stand.path(`by-bacula-${job.id}`);
    const [volume = ''] = await server.volumesOf(job.id);
    const feeder = this.#start('feed', '--volume', volume);
    const row = await server.restore([job.id], target, 'Fifo');
    this.#stand.good(`${what}: Bacula's restore`, row, server.logOf(row.id));
    feeder.kill('SIGTERM');
    await this.#ended(feeder);
    return target;
  }

  async #byHoldfast(server: BaculaServer, what: string, jobs: readonly JobRow[], lines: readonly LiveLine[]): Promise<void> {
    const volumes: string[] = [];
    for (const job of jobs) volumes.push(...await server.volumesOf(job.id));
    const folder = this.#stand.path(`volumes-${jobs.at(-1)?.id}`);
    const { snapshots } = await this.#stand.holdfast('snapshots', this.#stand.path('repository')) as { readonly snapshots: readonly { readonly id: string; readonly sources: readonly string[] }[] };
    for (const name of volumes) {
      const id = snapshots.find(({ sources }) => sources.some((source) => source.endsWith(name)))?.id ?? 'none';
      await this.#stand.holdfast('restore', `${this.#stand.path('repository')}::${id}`, folder);
    }
    const target = this.#stand.path(`by-holdfast-${jobs.at(-1)?.id}`);
    await this.#stand.holdfast('restore', `${volumes.map((name) => `${folder}/${name}`).join(',')}::${jobs.length === 1 ? 'job' : 'jobs'}=${jobs.map(({ id }) => id).join('+')}`, target);
    this.#stand.none(`${what}: restored by holdfast, equal in md5 and metadata`, await this.#stand.differences(lines, target));
  }

  /** Nobody reads the FIFO; a reader that is ended at work. */
  async #troubles(server: BaculaServer): Promise<void> {
    const next = 'fifo-0004';
    writeFileSync(this.#stand.path('tree', 'large'), this.#random.bytes(48 << 20));
    const store = this.#start('store', '--volume', next);
    const id = await server.startJob('fifo', 'Full');
    for (let tries = 0; tries < 300 && bytesBelow(this.#stand.path('spool')) < (4 << 20); tries += 1) await sleep(50);
    store.kill('SIGKILL');
    await this.#ended(store);
    let row = await server.settled(id, 60_000);
    if ('CRBSMmsjdctpi'.includes(row.status)) {
      await server.cancel(id);
      row = await server.settled(id, 60_000);
    }
    this.#stand.failed('a killed reader', row);
  }
}

const tools = ['root', 'sqlite3', 'setfacl', 'setfattr', 'getfattr', 'mknod', 'mkfifo'];

/** About two minutes. */
export const baculaFifo: Scenario = { name: 'bacula-fifo', needs: [...baculaPrograms, ...tools], quick: false, run: (context) => new Round(context).run(installedBacula()) };

/** With Bacula 15.0.3, which is unpacked first. */
export const baculaFifo15: Scenario = {
  name: 'bacula-fifo-15', needs: ['debootstrap', 'chroot', 'dpkg-deb', ...tools], quick: false,
  run: async (context) => new Round(context).run(await unpackTrixieBacula(context.workDirectory)),
};
