/**
 * An unmodified Bacula whose archive device is a mount served by `plugins/bacula-fuse-volumes`, beside the same jobs into a plain
 * directory: backup, append, restore, verify by Bacula's tools, recycling, a server that is killed, and the rates of both.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobSetup } from './bacula/config.ts';
import { baculaPrograms, installedBacula, unpackTrixieBacula, type BaculaInstallation } from './bacula/installation.ts';
import { compareCopies, liveManifest } from './bacula/live-manifest.ts';
import { BaculaServer, type JobRow } from './bacula/server.ts';
import { committed } from './bacula/stored-volumes.ts';
import { runTool } from './bacula/tool.ts';
import { growFiles, SeededBytes } from './bacula/tree.ts';
import { verifyJobs, Verifier } from './bacula/verify.ts';
import { Checks } from './checks.ts';
import { repositoryRoot } from './environment.ts';
import { holdfast } from './holdfast.ts';
import { ServedMount, isMounted } from './served-mount.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

const options = { signature: 'MD5', verify: 'pinsug5' };
const jobs: readonly JobSetup[] = [
  { name: 'mounted', options, device: 'Fuse' },
  // Whoever measures wants a volume for each job.
  { name: 'mounted-rate', options, device: 'Fuse', volumeJobsMax: 1 },
  { name: 'plain-rate', options, volumeJobsMax: 1 },
];
/** So many that Bacula's own step of a second, in which jobs end, does not decide. */
const rateFiles = 400;
const settleMs = 180_000;
const rateFileBytes = 4_000_000;
const rounds = 5;
/** Goal of the mount's rate beside the plain directory's. */
const ratioMin = 0.7;

class Round {
  readonly #context: ScenarioContext;
  readonly #installation: BaculaInstallation;
  readonly #checks: Checks;
  readonly #random: SeededBytes;
  readonly #tree: string;
  readonly #volumes: string;
  #server!: BaculaServer;
  #mount!: ServedMount;

  constructor(context: ScenarioContext, installation: BaculaInstallation) {
    this.#context = context;
    this.#installation = installation;
    this.#checks = new Checks(context);
    this.#random = new SeededBytes(context.seed);
    this.#tree = path.join(context.workDirectory, 'tree');
    this.#volumes = path.join(context.workDirectory, 'fuse');
  }

  async run(work: (round: Round) => Promise<void>): Promise<Tally> {
    const { workDirectory } = this.#context;
    for (const directory of [this.#tree, this.#volumes]) mkdirSync(directory);
    await holdfast(['init', path.join(workDirectory, 'repository')]);
    this.#mount = await this.#serve();
    try {
      this.#server = await BaculaServer.start(this.#installation, path.join(workDirectory, 'bacula'), {
        jobs, devices: [{ name: 'Fuse', kind: 'file', archive: this.#volumes }], more: () => ({ director: verifyJobs('mounted', 'Fuse'), storage: '' }),
      });
      try {
        await work(this);
      } finally {
        await this.#server.stop();
      }
    } finally {
      await this.#mount.clear();
    }
    return this.#checks.tally;
  }

  /** Everything but the rates. */
  async modes(): Promise<void> {
    const volume = await this.#backupAndAppend();
    await this.#tools(volume);
    await new Verifier(this.#server, this.#checks).run(path.join(this.#volumes, volume), path.join(this.#tree, 'a', 'grown'));
    await this.#inRepository(volume);
    await this.#recycled();
    await this.#full();
    await this.#killed();
  }

  #serve({ repository, spool, volumes } = this.#places): Promise<ServedMount> {
    const program = path.join(repositoryRoot(), 'dist', 'plugins', 'bacula-fuse-volumes', 'main.js');
    return ServedMount.start([process.execPath, program, '--repo', repository, '--spool', spool, volumes], volumes);
  }

  get #places(): { readonly repository: string; readonly spool: string; readonly volumes: string } {
    const { workDirectory } = this.#context;
    return { repository: path.join(workDirectory, 'repository'), spool: path.join(workDirectory, 'spool'), volumes: this.#volumes };
  }

  #good(what: string, row: JobRow): void {
    this.#checks.expect(what, row.status === 'T' && row.errors === 0 && row.files > 0, `${JSON.stringify(row)} ${this.#log()}`);
  }

  #log(): string {
    return readFileSync(path.join(this.#server.setup.directory, 'bacula.log'), 'utf8').slice(-1500);
  }

  async #restored(what: string, chain: readonly JobRow[], device: string): Promise<void> {
    const where = path.join(this.#context.workDirectory, `restored-${what.replaceAll(/\W/g, '-')}`);
    const row = await this.#server.restore(chain.map(({ id }) => id), where, device);
    this.#good(`${what}: Bacula's restore`, row);
    const differences = compareCopies(await liveManifest(this.#tree), await liveManifest(path.join(where, this.#tree)), { below: where, ignored: ({ type }, field) => type === 'dir' && field === 'mtime' });
    this.#checks.expect(`${what}: every file as it was`, differences.length === 0, differences.slice(0, 5).join('\n    '));
    await runTool(['rm', '-rf', where]);
  }

  async #backupAndAppend(): Promise<string> {
    growFiles(this.#tree, this.#random, 80, 400_000);
    for (const { name } of jobs) this.#server.setSources(name, [this.#tree]);
    const first = await this.#server.runJob('mounted', 'Full');
    this.#good('a Full on the mount', first);
    await this.#restored('Full', [first], 'Fuse');
    await runTool(['sh', '-c', `head -c 3000000 /dev/urandom > '${this.#tree}/a/grown'; rm -f '${this.#tree}'/c/mixed-*; touch '${this.#tree}/a'`]);
    const second = await this.#server.runJob('mounted', 'Incremental');
    this.#good('an Incremental appended', second);
    const [volume = '', ...others] = await this.#server.volumesOf(second.id);
    this.#checks.expect('both are on one volume', others.length === 0 && (await this.#server.volumesOf(first.id))[0] === volume, `${volume} ${others.join(' ')}`);
    await this.#restored('a second Full', [await this.#server.runJob('mounted', 'Full')], 'Fuse');
    return volume;
  }

  async #tools(volume: string): Promise<void> {
    const read = ['-c', path.join(this.#server.setup.directory, 'sd.conf'), '-V', volume, 'FuseDevice'];
    const bls = await runTool(this.#server.installation.command('bls', '-j', ...read), { anyStatus: true });
    const printed = `${bls.stdout.toString('latin1')}${bls.stderr.toString('latin1')}`;
    this.#checks.expect('bls lists three jobs', (printed.match(/Begin Job Session Record/g) ?? []).length === 3 && !/ERR=|Error:/.test(printed), printed.slice(-800));
    const scratch = path.join(this.#context.workDirectory, 'scan');
    mkdirSync(scratch);
    await runTool(['cp', path.join(this.#server.setup.directory, 'empty.db'), path.join(scratch, 'bacula.db')]);
    const bscan = await runTool(this.#server.installation.command('bscan', '-v', '-s', '-m', '-n', 'bacula', '-w', scratch, ...read), { anyStatus: true });
    const scanned = `${bscan.stdout.toString('latin1')}${bscan.stderr.toString('latin1')}`;
    this.#checks.expect('bscan finds three jobs', /^ +3 Job$/m.test(scanned), scanned.slice(-800));
  }

  /** Restarted, the mount shows the same bytes, now out of the repository. */
  async #inRepository(volume: string): Promise<void> {
    const file = path.join(this.#volumes, volume);
    const before = (await runTool(['md5sum', file])).stdout.toString();
    const code = await this.#mount.end('SIGTERM');
    this.#checks.expect('SIGTERM unmounts and commits, code 0', code === 0 && !isMounted(this.#volumes), `code ${code}: ${this.#mount.output}`);
    const repository = path.join(this.#context.workDirectory, 'repository');
    const check = await holdfast(['check', repository, '--read-data']);
    this.#checks.expect('the repository is whole', check.status === 0, check.stderr);
    this.#mount = await this.#serve();
    this.#checks.expect('the volume reads the same out of the repository', (await runTool(['md5sum', file])).stdout.toString() === before, before);
    this.#good('and Bacula goes on appending', await this.#server.runJob('mounted', 'Full'));
  }

  /** Nothing is in the spool any more: what is read comes out of the repository, and no commit takes the processor. */
  async #committed(): Promise<void> {
    const passed = await committed(path.join(this.#context.workDirectory, 'spool'), settleMs);
    this.#checks.expect('what was written is committed in time', passed !== undefined, `not after ${settleMs} ms`);
  }

  /**
   * The same job to both places, turn by turn. All rounds count, added up: Bacula ends jobs in steps of a second, and a middle one would be off by a whole
   * step. Between backup and restore it waits for the commit, so that the restore reads the repository.
   */
  async rates(): Promise<void> {
    const source = path.join(this.#context.workDirectory, 'rate');
    mkdirSync(source);
    for (let i = 0; i < rateFiles; i += 1) {
      const half = rateFileBytes / 2;
      await runTool(['sh', '-c', `head -c ${half} /dev/urandom > '${source}/${i}'; yes 'file ${i} of the rate test' | head -c ${half} >> '${source}/${i}'`]);
    }
    const seconds: Record<string, number[]> = {};
    const timed = async (name: string, run: () => Promise<JobRow>): Promise<JobRow> => {
      const begun = performance.now();
      const row = await run();
      (seconds[name] ??= []).push((performance.now() - begun) / 1000);
      this.#good(name, row);
      return row;
    };
    for (let round = 0; round < rounds; round += 1) {
      for (const [name, device] of [['plain-rate', 'File'], ['mounted-rate', 'Fuse']] as const) {
        this.#server.setSources(name, [source]);
        await runTool(['sync']);
        const row = await timed(`backup ${device}`, () => this.#server.runJob(name, 'Full'));
        const where = path.join(this.#context.workDirectory, 'rate-restored');
        await this.#committed();
        await runTool(['sync']);
        await timed(`restore ${device}`, () => this.#server.restore([row.id], where, device));
        await runTool(['diff', '-r', source, path.join(where, source)]);
        await runTool(['rm', '-rf', where]);
      }
    }
    for (const way of ['backup', 'restore']) {
      const [plain, mounted] = ['File', 'Fuse'].map((device) => (seconds[`${way} ${device}`] ?? []).toSorted((a, b) => a - b)) as [number[], number[]];
      const ratio = sum(plain) / sum(mounted);
      this.#context.log(`${way} of ${rateFiles * rateFileBytes / 1e6} MB: plain ${shown(plain)} s, mounted ${shown(mounted)} s, ratio ${ratio.toFixed(2)}`);
      this.#checks.expect(`${way} through the mount at ${ratioMin} of the plain rate at least`, ratio >= ratioMin, ratio.toFixed(2));
    }
  }

  /** A purged volume is used again: Bacula cuts it to nothing, labels it and writes. Then its file is removed. */
  async #recycled(): Promise<void> {
    const first = await this.#server.runJob('mounted-rate', 'Full');
    const [volume = ''] = await this.#server.volumesOf(first.id);
    await this.#server.console(`update volume=${volume} Recycle=yes`, `purge volume=${volume} yes`);
    await runTool(['truncate', '-s', '1000000', path.join(this.#tree, 'mixed-large')]);
    const second = await this.#server.runJob('mounted-rate', 'Full');
    this.#good('a job onto a recycled volume', second);
    const used = await this.#server.volumesOf(second.id);
    this.#checks.expect('it went onto the same volume', used.join(' ') === volume, `'${used.join(' ')}', expected '${volume}'`);
    await this.#restored('the recycled volume', [second], 'Fuse');
    const file = path.join(this.#volumes, volume);
    await runTool(['rm', file]);
    this.#checks.expect('a volume can be removed', !existsSync(file), 'it is still there');
  }

  /** A spool that is full: the write that does not fit is an error of that write, and what was written before is whole. */
  async #full(): Promise<void> {
    const [spool, volumes, repository] = ['small', 'small-fuse', 'small-repository'].map((name) => path.join(this.#context.workDirectory, name)) as [string, string, string];
    for (const directory of [spool, volumes]) mkdirSync(directory);
    await holdfast(['init', repository]);
    await runTool(['mount', '-t', 'tmpfs', '-o', 'size=8m', 'none', spool]);
    try {
      const mount = await this.#serve({ repository, spool, volumes });
      try {
        const { status, stderr } = await runTool(['dd', 'if=/dev/urandom', `of=${volumes}/v`, 'bs=64512', 'count=300'], { anyStatus: true });
        const said = stderr.toString();
        this.#checks.expect('a full spool is ENOSPC for the writer', status !== 0 && said.includes('No space left'), said);
        const size = Number((await runTool(['stat', '-c', '%s', `${volumes}/v`])).stdout.toString());
        this.#checks.expect('with nothing but the whole writes before it', size > 0 && size < 8 << 20 && size % 64_512 === 0, `${size} bytes`);
      } finally {
        await mount.clear();
      }
    } finally {
      await runTool(['umount', spool]);
    }
  }

  /** The server is killed in the middle of a job: the job must not be good, and after a restart everything from before is. */
  async #killed(): Promise<void> {
    const source = path.join(this.#context.workDirectory, 'endless');
    mkdirSync(source);
    await runTool(['truncate', '-s', '20G', path.join(source, 'zeroes')]);
    this.#server.setSources('mounted', [source]);
    const id = await this.#server.startJob('mounted', 'Full');
    await sleep(2000);
    this.#mount.signal('SIGKILL');
    await this.#mount.end();
    this.#checks.expect('the mount stays, so that nothing is written below it', isMounted(this.#volumes), 'it is gone');
    const row = await this.#server.settled(id, 60_000);
    this.#checks.expect('the job that lost its device is not good', row.status !== 'T', JSON.stringify(row));
    await this.#server.console(`cancel jobid=${id} yes`);
    await this.#server.kill('bacula-sd');
    this.#mount = await this.#serve();
    await this.#server.revive();
    this.#server.setSources('mounted', [this.#tree]);
    const again = await this.#server.runJob('mounted', 'Full');
    this.#good('after a restart a job is good again', again);
    await this.#restored('after the kill', [again], 'Fuse');
  }
}

function sum(seconds: readonly number[]): number {
  return seconds.reduce((all, one) => all + one, 0);
}

function shown(seconds: readonly number[]): string {
  return seconds.map((one) => one.toFixed(1)).join(' ');
}

const tools = ['root', 'getfattr'];
const needs = [...baculaPrograms, ...tools];

/** About two minutes. */
export const baculaFuse: Scenario = { name: 'bacula-fuse', needs, quick: true, run: (context) => new Round(context, installedBacula()).run((round) => round.modes()) };

/** With Bacula 15.0.3, which is unpacked first. */
export const baculaFuse15: Scenario = {
  name: 'bacula-fuse-15', needs: ['debootstrap', 'chroot', 'dpkg-deb', 'sqlite3', ...tools], quick: false,
  run: async (context) => new Round(context, await unpackTrixieBacula(context.workDirectory)).run((round) => round.modes()),
};

/** Some five minutes; of use only where nothing else runs. */
export const baculaFuseSpeed: Scenario = { name: 'bacula-fuse-speed', needs, quick: false, run: (context) => new Round(context, installedBacula()).run((round) => round.rates()) };
