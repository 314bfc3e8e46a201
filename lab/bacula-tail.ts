/**
 * `holdfast-bacula-tail` beside an unmodified storage daemon: it follows volume files while jobs are appended, side by side and over several volumes, and is
 * ended at work and started again. Then the archive directory is lost, its volumes come back from the repository, and Bacula restores from them.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobSetup } from './bacula/config.ts';
import { baculaPrograms, installedBacula, unpackTrixieBacula, type BaculaInstallation } from './bacula/installation.ts';
import { liveManifest, type LiveLine } from './bacula/live-manifest.ts';
import { BaculaServer, type JobRow } from './bacula/server.ts';
import { bytesBelow, lostByBacula, Stand } from './bacula/stand.ts';
import { changeTree, growFiles, growSpecials, SeededBytes } from './bacula/tree.ts';
import { runTool } from './bacula/tool.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

const PROGRAM = 'holdfast-bacula-tail';
const GROWTH_MAX = 0.01;
const everything: JobSetup = {
  name: 'everything', options: { signature: 'SHA256', sparse: 'yes', aclsupport: 'yes', xattrsupport: 'yes', accurate: 'pinsugmc5' }, accurate: true,
};
const spanning: JobSetup = { name: 'spanning', options: { signature: 'MD5' }, volumeBytesMax: 1_300_021 };

class Round {
  readonly #stand: Stand;
  readonly #random: SeededBytes;
  #tail: ChildProcess | undefined;

  constructor(context: ScenarioContext) {
    this.#stand = new Stand(context);
    this.#random = new SeededBytes(context.seed);
  }

  #words(server: BaculaServer): readonly string[] {
    return ['--repo', this.#stand.path('repository'), '--spool', this.#stand.path('spool'), server.volumes];
  }

  #start(server: BaculaServer): void {
    this.#tail = spawn(this.#stand.program(PROGRAM), ['--interval', '300', ...this.#words(server)], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#tail.stderr?.setEncoding('utf8').on('data', (text: string) => { this.#stand.context.log(text.trim()); });
  }

  /** @returns its exit code; -1 after a signal that it does not catch. */
  async #end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number> {
    const tail = this.#tail;
    this.#tail = undefined;
    if (tail === undefined || tail.exitCode !== null) return tail?.exitCode ?? -1;
    const gone = new Promise<number>((resolve) => tail.once('exit', (status) => { resolve(status ?? -1); }));
    tail.kill(signal);
    return gone;
  }

  async run(installation: BaculaInstallation): Promise<Tally> {
    for (const name of ['tree', 'long']) mkdirSync(this.#stand.path(name));
    growFiles(this.#stand.path('tree'), this.#random, 60, 200_000);
    await growSpecials(this.#stand.path('tree'), this.#random);
    writeFileSync(this.#stand.path('tree', 'large'), this.#random.bytes(24 << 20));
    growFiles(this.#stand.path('long'), this.#random, 40, 120_000);
    await this.#stand.holdfast('init', this.#stand.path('repository'));
    await runTool(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=lab', '-keyout', this.#stand.path('fd.key'), '-out', this.#stand.path('fd.crt')]);
    await runTool(['sh', '-c', `cat '${this.#stand.path('fd.key')}' '${this.#stand.path('fd.crt')}' > '${this.#stand.path('fd.pem')}'`]);
    await this.#plain(installation);
    await this.#encrypted(installation);
    return this.#stand.checks.tally;
  }

  async #plain(installation: BaculaInstallation): Promise<void> {
    const server = await BaculaServer.start(installation, this.#stand.path('bacula'), { jobs: [everything, spanning] });
    try {
      this.#stand.context.log(`Bacula ${installation.version} is up`);
      server.setSources('everything', [this.#stand.path('tree')]);
      server.setSources('spanning', [this.#stand.path('long')]);
      await this.#jobs(server);
    } finally {
      await server.stop();
      await this.#end('SIGKILL');
    }
  }

  async #jobs(server: BaculaServer): Promise<void> {
    this.#start(server);
    const before = await liveManifest(this.#stand.path('tree'));
    const full = await this.#job(server, 'everything', 'Full');
    this.#stand.equal('the follower ends well', await this.#end('SIGTERM'), 0);
    const [size, volumeSize] = [bytesBelow(this.#stand.path('repository')), bytesBelow(server.volumes)];
    this.#start(server);
    await this.#job(server, 'everything', 'Full');
    this.#stand.equal('the follower ends well again', await this.#end('SIGTERM'), 0);
    const [growth, written] = [bytesBelow(this.#stand.path('repository')) - size, bytesBelow(server.volumes) - volumeSize];
    this.#stand.checks.expect(`unchanged Full: the repository grows by ${growth} of ${written} bytes, at most 1 %`, growth <= written * GROWTH_MAX, `found '${growth}'`);
    await sleep(1100);
    changeTree(this.#stand.path('tree'), this.#random);
    const after = await liveManifest(this.#stand.path('tree'));
    await sleep(1100);
    this.#start(server);
    const [differential, long] = await Promise.all([this.#job(server, 'everything', 'Differential'), this.#killing(server)]);
    await this.#once(server);
    await this.#lost(server, [[full], [full, differential]].map((jobs, i) => ({ jobs, lines: i === 0 ? before : after })).concat({ jobs: [long], lines: await liveManifest(this.#stand.path('long')) }));
  }

  async #job(server: BaculaServer, name: string, level: 'Full' | 'Differential'): Promise<JobRow> {
    const row = await server.row(await server.startJob(name, level));
    const end = await server.settled(row.id, 120_000);
    this.#stand.good(`${name}, ${level}`, end, server.logOf(end.id));
    return end;
  }

  /** A job over several volumes, while the follower is ended at work and started again. */
  async #killing(server: BaculaServer): Promise<JobRow> {
    const job = this.#job(server, 'spanning', 'Full');
    await sleep(1500);
    await this.#end('SIGKILL');
    this.#start(server);
    return job;
  }

  /** Looks once more and commits. */
  async #once(server: BaculaServer): Promise<void> {
    await this.#end('SIGTERM');
    const result = await runTool([this.#stand.program(PROGRAM), ...this.#words(server), '--once'], { anyStatus: true });
    this.#stand.equal('a last look ends well', [result.status, result.stderr.toString().slice(-500)], [0, '']);
  }

  /** The archive directory is gone: its volumes from the repository, byte by byte, and Bacula restores from them. */
  async #lost(server: BaculaServer, expected: readonly { readonly jobs: readonly JobRow[]; readonly lines: readonly LiveLine[] }[]): Promise<void> {
    const kept = this.#stand.path('archive-before');
    renameSync(server.volumes, kept);
    mkdirSync(server.volumes);
    const ids = new Map<string, string>();
    const { snapshots } = await this.#stand.holdfast('snapshots', this.#stand.path('repository')) as { readonly snapshots: readonly { readonly id: string; readonly sources: readonly string[] }[] };
    for (const { id, sources } of snapshots) for (const source of sources) ids.set(source.slice(source.indexOf(':') + 1), id);
    for (const name of readdirSync(kept)) {
      await this.#stand.holdfast('restore', `${this.#stand.path('repository')}::${ids.get(name) ?? 'none'}`, server.volumes);
      const [found, wanted] = [readFileSync(`${server.volumes}/${name}`), readFileSync(`${kept}/${name}`)];
      const at = wanted.findIndex((byte, i) => byte !== found[i]);
      this.#stand.checks.expect(`volume '${name}' is back, byte by byte`, found.equals(wanted), `${found.length} bytes of ${wanted.length}, the first difference at ${at}`);
    }
    for (const { jobs, lines } of expected) await this.#restored(server, jobs, lines);
  }

  async #restored(server: BaculaServer, jobs: readonly JobRow[], lines: readonly LiveLine[]): Promise<void> {
    const list = jobs.map(({ id }) => id).join('+');
    const target = this.#stand.path(`by-bacula-${list}`);
    this.#stand.good(`jobs ${list}: Bacula's restore`, await server.restore(jobs.map(({ id }) => id), target));
    this.#stand.none(`jobs ${list}: restored by Bacula, equal in md5 and metadata`, await this.#stand.differences(lines, target, lostByBacula));
    const names: string[] = [];
    for (const job of jobs) names.push(...await server.volumesOf(job.id));
    const own = this.#stand.path(`by-holdfast-${list}`);
    await this.#stand.holdfast('restore', `${[...new Set(names)].map((name) => `${server.volumes}/${name}`).join(',')}::${jobs.length === 1 ? 'job' : 'jobs'}=${list}`, own);
    this.#stand.none(`jobs ${list}: restored by holdfast, equal in md5 and metadata`, await this.#stand.differences(lines, own));
  }

  /** Volumes whose content only the client can read: stored as they are, restored by holdfast with the client's key straight from the repository. */
  async #encrypted(installation: BaculaInstallation): Promise<void> {
    const server = await BaculaServer.start(installation, this.#stand.path('bacula-pki'), { jobs: [{ ...spanning, name: 'secret' }], keyPair: this.#stand.path('fd.pem') });
    try {
      server.setSources('secret', [this.#stand.path('long')]);
      const row = await server.runJob('secret', 'Full');
      this.#stand.good('encrypted by the client', row, server.logOf(row.id));
      const words = ['--repo', this.#stand.path('repository'), '--spool', this.#stand.path('spool-pki'), server.volumes, '--once'];
      await runTool([this.#stand.program(PROGRAM), ...words]);
      const copies = this.#stand.path('copies');
      const { snapshots } = await this.#stand.holdfast('snapshots', this.#stand.path('repository')) as { readonly snapshots: readonly { readonly id: string; readonly sources: readonly string[] }[] };
      const volumes = await server.volumesOf(row.id);
      for (const name of volumes) await this.#stand.holdfast('restore', `${this.#stand.path('repository')}::${snapshots.find(({ sources }) => sources.some((source) => source.endsWith(name)))?.id ?? 'none'}`, copies);
      const own = this.#stand.path('by-holdfast-pki');
      await this.#stand.holdfast('restore', `${volumes.map((name) => `${copies}/${name}`).join(',')}::job=${row.id}`, own, '--key', this.#stand.path('fd.pem'));
      this.#stand.none('encrypted by the client: restored by holdfast, equal in md5 and metadata', await this.#stand.differences(await liveManifest(this.#stand.path('long')), own));
    } finally {
      await server.stop();
    }
  }
}

const tools = ['root', 'sqlite3', 'openssl', 'setfacl', 'setfattr', 'getfattr', 'mknod', 'mkfifo'];

/** About two minutes. */
export const baculaTail: Scenario = { name: 'bacula-tail', needs: [...baculaPrograms, ...tools], quick: false, run: (context) => new Round(context).run(installedBacula()) };

/** With Bacula 15.0.3, which is unpacked first. */
export const baculaTail15: Scenario = {
  name: 'bacula-tail-15', needs: ['debootstrap', 'chroot', 'dpkg-deb', ...tools], quick: false,
  run: async (context) => new Round(context).run(await unpackTrixieBacula(context.workDirectory)),
};
