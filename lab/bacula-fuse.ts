/**
 * An unmodified Bacula 9.6.7 whose archive device is a mount served by `plugins/bacula-fuse-volumes`, beside the same jobs into a plain
 * directory: backup, append, restore, verify by Bacula's tools, recycling, a server that is killed, and the rates of both.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobSetup } from './bacula/config.ts';
import { baculaPrograms, installedBacula } from './bacula/installation.ts';
import { compareCopies, liveManifest } from './bacula/live-manifest.ts';
import { BaculaServer, type JobRow } from './bacula/server.ts';
import { runTool } from './bacula/tool.ts';
import { growFiles, SeededBytes } from './bacula/tree.ts';
import { Checks } from './checks.ts';
import { repositoryRoot } from './environment.ts';
import { holdfast } from './holdfast.ts';
import { ServedMount, isMounted } from './served-mount.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

const options = { signature: 'MD5' };
const jobs: readonly JobSetup[] = [
  { name: 'mounted', options, device: 'Fuse' },
  { name: 'plain', options },
  // Whoever measures wants a volume for each job.
  { name: 'mounted-rate', options, device: 'Fuse', volumeJobsMax: 1 },
  { name: 'plain-rate', options, volumeJobsMax: 1 },
];
const rateFiles = 150;
const rateFileBytes = 4_000_000;
const rounds = 3;
/** Goal of the mount's rate beside the plain directory's. */
const ratioMin = 0.7;

class Round {
  readonly #context: ScenarioContext;
  readonly #checks: Checks;
  readonly #random: SeededBytes;
  readonly #tree: string;
  readonly #volumes: string;
  #server!: BaculaServer;
  #mount!: ServedMount;

  constructor(context: ScenarioContext) {
    this.#context = context;
    this.#checks = new Checks(context);
    this.#random = new SeededBytes(context.seed);
    this.#tree = path.join(context.workDirectory, 'tree');
    this.#volumes = path.join(context.workDirectory, 'fuse');
  }

  async run(): Promise<Tally> {
    const { workDirectory } = this.#context;
    for (const directory of [this.#tree, this.#volumes]) mkdirSync(directory);
    await holdfast(['init', path.join(workDirectory, 'repository')]);
    this.#mount = await this.#serve();
    try {
      this.#server = await BaculaServer.start(installedBacula(), path.join(workDirectory, 'bacula'), { jobs, devices: [{ name: 'Fuse', kind: 'file', archive: this.#volumes }] });
      try {
        const volume = await this.#backupAndAppend();
        await this.#bacularTools(volume);
        await this.#inRepository(volume);
        await this.#rates();
        await this.#killed();
      } finally {
        await this.#server.stop();
      }
    } finally {
      await this.#mount.clear();
    }
    return this.#checks.tally;
  }

  #serve(): Promise<ServedMount> {
    const { workDirectory } = this.#context;
    const program = path.join(repositoryRoot(), 'dist', 'plugins', 'bacula-fuse-volumes', 'main.js');
    return ServedMount.start([process.execPath, program, '--repo', path.join(workDirectory, 'repository'), '--spool', path.join(workDirectory, 'spool'), this.#volumes], this.#volumes);
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
    for (const job of ['mounted', 'plain']) this.#server.setSources(job, [this.#tree]);
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

  async #bacularTools(volume: string): Promise<void> {
    const read = ['-c', path.join(this.#server.setup.directory, 'sd.conf'), '-V', volume, 'FuseDevice'];
    const bls = await runTool(this.#server.installation.command('bls', '-j', ...read), { anyStatus: true });
    const printed = `${bls.stdout.toString('latin1')}${bls.stderr.toString('latin1')}`;
    this.#checks.expect('bls lists three jobs', (printed.match(/Begin Job Session Record/g) ?? []).length === 3 && !/ERR|error/i.test(printed), printed.slice(-800));
    const scratch = path.join(this.#context.workDirectory, 'scan');
    mkdirSync(scratch);
    await runTool(['cp', path.join(this.#server.setup.directory, 'empty.db'), path.join(scratch, 'bacula.db')]);
    const bscan = await runTool(this.#server.installation.command('bscan', '-v', '-s', '-m', '-n', 'bacula', '-w', scratch, ...read), { anyStatus: true });
    const scanned = `${bscan.stdout.toString('latin1')}${bscan.stderr.toString('latin1')}`;
    this.#checks.expect('bscan finds three jobs', (scanned.match(/End of job record|Updated Job record|Created Job record/gi) ?? []).length >= 3, scanned.slice(-800));
    await this.#verify();
  }

  /** Bacula reads a job again and compares each file with the catalog. */
  async #verify(): Promise<void> {
    const printed = await this.#server.console(`list jobs`);
    this.#checks.expect('the catalog has no failed job', !/\|\s*[fEe]\s*\|/.test(printed), printed.slice(-1500));
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

  /** The same job to both places, turn by turn; the middle one of three counts. */
  async #rates(): Promise<void> {
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
        await runTool(['sync']);
        await timed(`restore ${device}`, () => this.#server.restore([row.id], where, device));
        await runTool(['diff', '-r', source, path.join(where, source)]);
        await runTool(['rm', '-rf', where]);
      }
    }
    for (const way of ['backup', 'restore']) {
      const [plain, mounted] = ['File', 'Fuse'].map((device) => (seconds[`${way} ${device}`] ?? []).toSorted((a, b) => a - b)) as [number[], number[]];
      const ratio = (plain[1] ?? 0) / (mounted[1] ?? 1);
      this.#context.log(`${way} of ${rateFiles * rateFileBytes / 1e6} MB: plain ${shown(plain)} s, mounted ${shown(mounted)} s, ratio ${ratio.toFixed(2)}`);
      this.#checks.expect(`${way} through the mount at ${ratioMin} of the plain rate at least`, ratio >= ratioMin, ratio.toFixed(2));
    }
  }

  /** The server is killed in the middle of a job: the job must not be good, and after a restart everything from before is. */
  async #killed(): Promise<void> {
    this.#server.setSources('mounted', [path.join(this.#context.workDirectory, 'rate')]);
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

function shown(seconds: readonly number[]): string {
  return seconds.map((one) => one.toFixed(1)).join(' ');
}

/** About three minutes. */
export const baculaFuse: Scenario = {
  name: 'bacula-fuse',
  needs: ['root', ...baculaPrograms, 'getfattr'],
  quick: true,
  run: (context) => new Round(context).run(),
};
