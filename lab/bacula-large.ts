/**
 * Size under an unmodified Bacula: one file of 12 GB, whose job goes on over several volumes where it can, and a tree of 25,071 files, in mode A on a mount and through a FIFO and in mode B; restored
 * byte-exact. HOLDFAST_LARGE_GB sets another size of the file (10^9 bytes). Needs twice the file's size on the disk, and the volumes' while they wait to be committed.
 */
import { execFileSync, type ChildProcess } from 'node:child_process';
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { JobSetup } from './bacula/config.ts';
import { baculaPrograms, installedBacula, unpackTrixieBacula, type BaculaInstallation } from './bacula/installation.ts';
import { bpipeJob } from './bacula/kill-stages.ts';
import { liveManifest } from './bacula/live-manifest.ts';
import { endChild, endOf } from './bacula/processes.ts';
import { BaculaServer, type JobRow } from './bacula/server.ts';
import { bytesBelow, lostByBacula, Stand } from './bacula/stand.ts';
import { committed } from './bacula/stored-volumes.ts';
import { runTool } from './bacula/tool.ts';
import { SeededBytes } from './bacula/tree.ts';
import { ServedMount } from './served-mount.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

const MANY = 25_071;
const FOLDER_FILES = 250;
/** A piece of data each so many bytes, at a place that no block knows; holes between them, which Bacula reads as zeroes. */
const STEP_BYTES = 1_048_573;
const PIECE_BYTES = 4_096;
const DENSE_BYTES = 1 << 30;
const VOLUME_BYTES = 5_000_000_000;
const COMMIT_MS = 900_000;
const JOB_MS = 2_700_000;
const GIGA = 1e9;
const simple = { options: { signature: 'MD5' } };

class Round {
  readonly #stand: Stand;
  readonly #random: SeededBytes;
  #server!: BaculaServer;
  #mount!: ServedMount;

  constructor(context: ScenarioContext) {
    this.#stand = new Stand(context);
    this.#random = new SeededBytes(context.seed);
  }

  async run(installation: BaculaInstallation): Promise<Tally> {
    const stand = this.#stand;
    for (const name of ['large', 'many', 'fuse']) mkdirSync(stand.path(name));
    this.#growLarge(Number(process.env['HOLDFAST_LARGE_GB'] ?? 12) * GIGA);
    this.#growMany();
    for (const name of ['volumes', 'bpipe', 'fifos']) await stand.holdfast('init', stand.path(name));
    execFileSync('mkfifo', [stand.path('fifo')]);
    this.#mount = await ServedMount.start([stand.program('holdfast-bacula-fuse-volumes'), '--repo', stand.path('volumes'), '--spool', stand.path('spool'), stand.path('fuse')], stand.path('fuse'));
    try {
      this.#server = await BaculaServer.start(installation, stand.path('bacula'), { jobs: this.#jobs(), devices: [{ name: 'Fuse', kind: 'file', archive: stand.path('fuse') }, { name: 'Fifo', kind: 'fifo', archive: stand.path('fifo') }] });
      try {
        await this.#modes();
      } finally {
        await this.#server.stop();
      }
      stand.equal('the mount ends well', await this.#mount.end('SIGTERM'), 0);
    } finally {
      await this.#mount.clear();
    }
    for (const name of ['volumes', 'bpipe', 'fifos']) await stand.holdfast('check', stand.path(name), '--read-data');
    stand.checks.expect('all repositories are whole', true, '');
    return stand.checks.tally;
  }

  #jobs(): readonly JobSetup[] {
    const bpipe = (name: string, source: string): JobSetup => {
      const config = this.#stand.path(`${name}.yaml`);
      writeFileSync(config, `repository: bpipe\nstate: state-${name}\n`);
      return bpipeJob(this.#stand, name, { config, source: this.#stand.path(source) });
    };
    return [
      { ...simple, name: 'mounted-large', device: 'Fuse', volumeBytesMax: VOLUME_BYTES }, { ...simple, name: 'mounted-many', device: 'Fuse' },
      { ...simple, name: 'fifo-large', device: 'Fifo', volumeJobsMax: 1 }, { ...simple, name: 'fifo-many', device: 'Fifo', volumeJobsMax: 1 },
      bpipe('bpipe-large', 'large'), bpipe('bpipe-many', 'many'),
    ];
  }

  /** A dense beginning that does not compress, then pieces, each different. */
  #growLarge(size: number): void {
    const handle = openSync(this.#stand.path('large', 'file'), 'w');
    let at = 0;
    for (const dense = Math.min(DENSE_BYTES, size / 4); at < dense; at += 1 << 20) writeSync(handle, this.#random.bytes(1 << 20), 0, 1 << 20, at);
    for (; at + PIECE_BYTES < size; at += STEP_BYTES) writeSync(handle, this.#random.bytes(PIECE_BYTES), 0, PIECE_BYTES, at);
    ftruncateSync(handle, size);
    closeSync(handle);
  }

  /** So many files, directories not counted. */
  #growMany(): void {
    for (let i = 0; i < MANY; i += 1) {
      const folder = this.#stand.path('many', `d${Math.floor(i / FOLDER_FILES)}`);
      if (i % FOLDER_FILES === 0) mkdirSync(folder);
      writeFileSync(`${folder}/f${i}`, this.#random.below(4) === 0 ? this.#random.bytes(this.#random.below(20_000)) : `file ${i}\n`.repeat(this.#random.below(300)));
    }
  }

  async #modes(): Promise<void> {
    for (const mode of ['mounted', 'fifo']) for (const what of ['large', 'many']) this.#server.setSources(`${mode}-${what}`, [this.#stand.path(what)]);
    this.#stand.context.log(`Bacula ${this.#server.installation.version} is up`);
    await this.#large('bpipe-large', 'File', 'bpipe');
    const row = await this.#large('mounted-large', 'Fuse', 'volumes');
    const volumes = await this.#server.volumesOf(row.id);
    this.#stand.checks.expect(`the job is on ${volumes.length} volumes`, row.bytes < VOLUME_BYTES || volumes.length >= row.bytes / VOLUME_BYTES, volumes.join(' '));
    await this.#large('fifo-large', 'Fifo', 'fifos');
    await this.#many('bpipe-many', 'File');
    await this.#many('fifo-many', 'Fifo');
    await this.#many('mounted-many', 'Fuse');
  }

  async #timed(what: string, start: () => Promise<number>): Promise<JobRow> {
    const started = performance.now();
    const row = await this.#server.settled(await start(), JOB_MS);
    const seconds = (performance.now() - started) / 1000;
    this.#stand.context.log(`${what}: ${seconds.toFixed(1)} s, ${row.files} files, ${row.bytes} bytes in the catalog`);
    this.#stand.good(what, row, this.#server.logOf(row.id));
    return row;
  }

  /** Restores read the repository: nothing waits in the spool any more. */
  async #committed(): Promise<void> {
    const passed = await committed(this.#stand.path('spool'), COMMIT_MS);
    this.#stand.checks.expect('what was written is committed in time', passed !== undefined, `not after ${COMMIT_MS} ms`);
    this.#stand.context.log(`committed ${((passed ?? COMMIT_MS) / 1000).toFixed(1)} s after the job; the mount uses ${this.#mount.megabytes.toFixed(0)} MB`);
  }

  #fifo(verb: string, ...words: readonly string[]): ChildProcess {
    return this.#stand.start('holdfast-bacula-fifo', verb, '--repo', this.#stand.path('fifos'), '--fifo', this.#stand.path('fifo'), ...words);
  }

  /** A full job, and the reader of its volume where it goes through the FIFO. */
  async #backup(what: string, job: string, device: string): Promise<JobRow> {
    const store = device === 'Fifo' ? this.#fifo('store', '--spool', this.#stand.path('fifo-spool'), '--volume', await this.#server.freshVolume(job)) : undefined;
    const row = await this.#timed(what, () => this.#server.startJob(job, 'Full'));
    if (store !== undefined) this.#stand.equal(`${job}: stored and checked`, await endOf(store), 0);
    return row;
  }

  async #restore(job: string, device: string, row: JobRow): Promise<string> {
    const target = this.#stand.path('out');
    const [volume = ''] = await this.#server.volumesOf(row.id);
    const feed = device === 'Fifo' ? this.#fifo('feed', '--volume', volume) : undefined;
    await this.#timed(`${job}: restore`, () => this.#server.startRestore([row.id], target, device));
    if (feed !== undefined) await endChild(feed);
    return target;
  }

  async #large(job: string, device: string, repository: string): Promise<JobRow> {
    const file = this.#stand.path('large', 'file');
    const row = await this.#backup(`${job}: backup of ${statSync(file).size} bytes`, job, device);
    if (device === 'Fuse') await this.#committed();
    this.#stand.context.log(`${job}: the repository has ${bytesBelow(this.#stand.path(repository))} bytes`);
    const target = await this.#restore(job, device, row);
    const { status, stdout } = await runTool(['cmp', file, path.join(target, file)], { anyStatus: true, timeoutMs: COMMIT_MS });
    this.#stand.equal(`${job}: byte-exact`, [status, stdout.toString()], [0, '']);
    rmSync(target, { recursive: true });
    return row;
  }

  async #many(job: string, device: string): Promise<void> {
    const lines = await liveManifest(this.#stand.path('many'));
    this.#stand.equal(`${job}: files there`, lines.filter(({ type }) => type === 'file').length, MANY);
    const row = await this.#backup(`${job}: backup of ${MANY} files`, job, device);
    if (device === 'Fuse') await this.#committed();
    if (device !== 'File') {
      this.#stand.equal(`${job}: the catalog has all files and directories`, row.files, lines.length);
    }
    const target = await this.#restore(job, device, row);
    this.#stand.none(`${job}: equal in md5 and metadata`, await this.#stand.differences(lines, target, device === 'File' ? undefined : lostByBacula));
    rmSync(target, { recursive: true });
  }
}

const tools = ['root', 'sqlite3', 'getfattr', 'cmp'];

/** About fifteen minutes. */
export const baculaLarge: Scenario = { name: 'bacula-large', needs: [...baculaPrograms, ...tools], quick: false, run: (context) => new Round(context).run(installedBacula()) };

/** With Bacula 15.0.3, which is unpacked first. */
export const baculaLarge15: Scenario = {
  name: 'bacula-large-15', needs: ['debootstrap', 'chroot', 'dpkg-deb', ...tools], quick: false,
  run: async (context) => new Round(context).run(await unpackTrixieBacula(context.workDirectory)),
};
