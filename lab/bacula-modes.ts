/**
 * All modes beside each other under one unmodified Bacula, once with a client that encrypts (PKI) and once with one that does not: accurate chains of Full, Incremental and
 * Differential, two jobs at once on a volume, one of them spooled, jobs over several volumes. Each job is restored by Bacula and by holdfast from the repository, in md5 and metadata.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobSetup } from './bacula/config.ts';
import { demandScript } from './bacula/demand.ts';
import { baculaPrograms, installedBacula, unpackTrixieBacula, type BaculaInstallation } from './bacula/installation.ts';
import { bpipeJob } from './bacula/kill-stages.ts';
import { liveManifest, type LiveLine } from './bacula/live-manifest.ts';
import { allEnded, endChild, endOf, killAll, runningOf } from './bacula/processes.ts';
import { BaculaServer, type JobRow } from './bacula/server.ts';
import { lostByBacula, Stand } from './bacula/stand.ts';
import { fetchVolumes, volumeFaults } from './bacula/stored-volumes.ts';
import { runTool } from './bacula/tool.ts';
import { changeTree, growFiles, growSpecials, SeededBytes } from './bacula/tree.ts';
import { ServedMount } from './served-mount.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

const LEVELS = ['Full', 'Incremental', 'Differential'] as const;
const JOB_MS = 180_000;
/** The director runs scripts after a job a moment after the catalog has the job's end. */
const SCRIPT_MS = 800;
const FIFO = 'holdfast-bacula-fifo';
const TAIL = 'holdfast-bacula-tail';
/** 15.0.3 refuses less than 1,048,576. */
const volumeBytesMax = 1_300_021;
/** It does so from any volume, mount or not; the file is compared like all others. */
const quirk = 'Bacula 9.6.7 restores an encrypted file of 65,537 bytes as it was, and calls it an error';
const chained = { options: { signature: 'SHA256', sparse: 'yes', aclsupport: 'yes', xattrsupport: 'yes', accurate: 'pinsugmc5' }, accurate: true };
const simple = { options: { signature: 'MD5' } };
/** Blocks of a spooled job are counted from 0 again whenever the spool is emptied. */
const spooled = { ...simple, isSpooled: true };

type Level = (typeof LEVELS)[number];
/** Modes whose volumes Bacula reads itself. */
const readable = [{ mode: 'tail', device: 'File' }, { mode: 'fuse', device: 'Fuse' }] as const;

class Round {
  readonly #stand: Stand;
  readonly #random: SeededBytes;
  readonly #kind: string;
  readonly #keyPair: string | undefined;
  /** Rows of each job, one for each level. */
  readonly #rows: Map<string, JobRow[]> = new Map<string, JobRow[]>();
  /** What the tree held at each level. */
  readonly #trees: (readonly LiveLine[])[] = [];
  #server!: BaculaServer;
  #mount!: ServedMount;
  #tail!: ChildProcess;

  constructor(context: ScenarioContext, kind: 'plain' | 'encrypted') {
    const workDirectory = path.join(context.workDirectory, kind);
    mkdirSync(workDirectory);
    this.#stand = new Stand({ ...context, workDirectory });
    this.#random = new SeededBytes(context.seed);
    this.#kind = kind;
    this.#keyPair = kind === 'encrypted' ? this.#stand.path('fd.pem') : undefined;
  }

  get #common(): readonly string[] {
    return ['--repo', this.#stand.path('repository')];
  }

  #spool(mode: string): readonly string[] {
    return ['--spool', this.#stand.path(`spool-${mode}`)];
  }

  #jobs(): readonly JobSetup[] {
    const confirm = `${demandScript(this.#stand)} %i ${this.#stand.program(FIFO)} confirm ${this.#common.join(' ')} --volume %v --job %i --files %F --wait 15${this.#keyPair === undefined ? '' : ` --key ${this.#keyPair}`}`;
    const scripts = [{ when: 'After', onClient: false, command: confirm }] as const;
    const bpipe = (name: string, source: string): JobSetup => {
      const config = this.#stand.path(`${name}.yaml`);
      writeFileSync(config, `repository: bpipe\nstate: state-${name}\n`);
      return { ...bpipeJob(this.#stand, name, { config, source: this.#stand.path(source) }), accurate: true };
    };
    return [
      ...readable.flatMap(({ mode, device }) => [
        { ...chained, name: `${mode}-chain`, device }, { ...spooled, name: `${mode}-other`, device, poolOf: `${mode}-chain` }, { ...simple, name: `${mode}-span`, device, volumeBytesMax },
      ]),
      { ...chained, name: 'fifo-chain', device: 'Fifo', volumeJobsMax: 1, scripts, isSpooled: true }, { ...simple, name: 'fifo-span', device: 'Fifo', volumeBytesMax, scripts },
      bpipe('bpipe-chain', 'tree'), bpipe('bpipe-other', 'long'),
    ];
  }

  async run(installation: BaculaInstallation): Promise<Tally> {
    const stand = this.#stand;
    for (const name of ['tree', 'long', 'fuse']) mkdirSync(stand.path(name));
    growFiles(stand.path('tree'), this.#random, 60, 200_000);
    await growSpecials(stand.path('tree'), this.#random);
    growFiles(stand.path('long'), this.#random, 60, 120_000);
    execFileSync('mkfifo', [stand.path('fifo')]);
    for (const name of ['repository', 'bpipe']) await stand.holdfast('init', stand.path(name));
    if (this.#keyPair !== undefined) await makeKeyPair(this.#keyPair);
    this.#mount = await ServedMount.start([stand.program('holdfast-bacula-fuse-volumes'), ...this.#common, ...this.#spool('fuse'), stand.path('fuse')], stand.path('fuse'));
    try {
      this.#server = await BaculaServer.start(installation, stand.path('bacula'), {
        jobs: this.#jobs(), devices: [{ name: 'Fuse', kind: 'file', archive: stand.path('fuse') }, { name: 'Fifo', kind: 'fifo', archive: stand.path('fifo') }],
        ...(this.#keyPair === undefined ? {} : { keyPair: this.#keyPair }),
      });
      for (const { name } of this.#jobs()) this.#server.setSources(name, [stand.path(name.endsWith('-chain') ? 'tree' : 'long')]);
      this.#tail = spawn(stand.program(TAIL), ['--interval', '500', ...this.#common, ...this.#spool('tail'), this.#server.volumes], { stdio: 'ignore' });
      await this.#backups();
      await this.#byBacula();
      await this.#byHoldfast();
    } finally {
      await this.#stop();
    }
    return stand.checks.tally;
  }

  async #stop(): Promise<void> {
    await (this.#server as BaculaServer | undefined)?.stop();
    for (const program of [FIFO, TAIL]) killAll(this.#stand, program);
    await this.#mount.clear();
  }

  #good(name: string, row: JobRow): void {
    this.#stand.good(`${this.#kind}: ${name}`, row, this.#server.logOf(row.id));
  }

  async #backups(): Promise<void> {
    for (const level of LEVELS) {
      if (level === 'Incremental') changeTree(this.#stand.path('tree'), this.#random);
      if (level === 'Differential') this.#changeMore();
      this.#trees.push(await liveManifest(this.#stand.path('tree')));
      await sleep(1100); // Bacula compares whole seconds
      await this.#together(['tail-chain', 'tail-other', 'fuse-chain', 'fuse-other', 'bpipe-chain', 'bpipe-other'], level);
      await this.#throughFifo('fifo-chain', level);
      await sleep(1100);
    }
    await this.#together(['tail-span', 'fuse-span'], 'Full');
    await this.#overFifos();
    for (const mode of ['tail', 'fuse']) {
      const volumes = await this.#volumesOf(this.#chain(`${mode}-span`));
      this.#stand.checks.expect(`${this.#kind}: ${mode}-span needs several volumes`, volumes.length >= 3, volumes.join(' '));
    }
    for (const mode of ['tail', 'fuse']) {
      const [one, other] = [await this.#volumesOf(this.#chain(`${mode}-chain`)), await this.#volumesOf(this.#chain(`${mode}-other`))];
      this.#stand.equal(`${this.#kind}: jobs at once in mode ${mode} share a volume`, one, other);
    }
  }

  /** What {@link changeTree} does not find any more. */
  #changeMore(): void {
    const tree = this.#stand.path('tree');
    appendFileSync(`${tree}/new/deep/file`, this.#random.bytes(70_000));
    rmSync(`${tree}/border/size-65536`);
    rmSync(`${tree}/acl`, { recursive: true });
    writeFileSync(`${tree}/border/size-0`, this.#random.bytes(300_000));
  }

  /** Jobs that run at the same time. */
  async #together(names: readonly string[], level: Level): Promise<void> {
    const ids = await Promise.all(names.map((name) => this.#server.startJob(name, level)));
    for (const [i, name] of names.entries()) this.#ended(`${name}`, level, await this.#server.settled(ids[i] ?? 0, JOB_MS));
  }

  #ended(name: string, level: Level, row: JobRow): void {
    this.#rows.set(name, [...this.#rows.get(name) ?? [], row]);
    // Nothing has changed in `long` since its Full.
    if (row.files > 0 || name.endsWith('-chain') || level === 'Full') this.#good(`${name}, ${level}`, row);
    else this.#stand.equal(`${this.#kind}: ${name}, ${level}: nothing to do`, [row.status, row.errors], ['T', 0]);
  }

  async #throughFifo(name: string, level: Level): Promise<void> {
    const store = await this.#store(name);
    const id = await this.#server.startJob(name, level);
    await this.#server.settled(id, JOB_MS);
    await sleep(SCRIPT_MS);
    await allEnded(JOB_MS, () => runningOf(this.#stand, FIFO, 'confirm'));
    this.#ended(name, level, await this.#server.row(id));
    await endChild(store);
  }

  async #store(pool: string): Promise<ChildProcess> {
    const keys = this.#keyPair === undefined ? [] : ['--key', this.#keyPair];
    return this.#fifo('store', ...this.#spool('fifo'), ...keys, '--volume', await this.#server.freshVolume(pool));
  }

  /** A FIFO has no end, so its pool needs no limit of bytes; with one, a job goes on where nobody can feed it to Bacula again, and must fail. */
  async #overFifos(): Promise<void> {
    const store = await this.#store('fifo-span');
    const id = await this.#server.startJob('fifo-span', 'Full');
    this.#stand.equal(`${this.#kind}: fifo-span: the reader refuses half a job`, await endOf(store), 1);
    await this.#server.cancel(id);
    await this.#server.settled(id, JOB_MS);
    await sleep(SCRIPT_MS);
    await allEnded(JOB_MS, () => runningOf(this.#stand, FIFO, 'confirm'));
    this.#stand.failed(`${this.#kind}: fifo-span`, await this.#server.row(id));
    await this.#server.kill('bacula-sd'); // it would wait minutes for a reader of the second volume
    await this.#server.revive();
  }

  #fifo(verb: string, ...words: readonly string[]): ChildProcess {
    return this.#stand.start(FIFO, verb, ...this.#common, '--fifo', this.#stand.path('fifo'), ...words);
  }

  #row(name: string, level: Level): JobRow {
    const row = this.#rows.get(name)?.[LEVELS.indexOf(level)];
    if (row === undefined) throw new Error(`Find the job of '${name}', ${level}: it was not run`);
    return row;
  }

  #chain(name: string): readonly JobRow[] {
    return this.#rows.get(name) ?? [];
  }

  async #volumesOf(rows: readonly JobRow[]): Promise<readonly string[]> {
    const names: string[] = [];
    for (const { id } of rows) names.push(...await this.#server.volumesOf(id));
    return [...new Set(names)];
  }

  /** Chains that are restored, and what each must give. */
  async #expected(mode: string): Promise<readonly { readonly what: string; readonly rows: readonly JobRow[]; readonly lines: readonly LiveLine[] }[]> {
    const long = await liveManifest(this.#stand.path('long'));
    const [chain, trees] = [`${mode}-chain`, this.#trees as [readonly LiveLine[], readonly LiveLine[], readonly LiveLine[]]];
    const full = this.#row(chain, 'Full');
    return [
      { what: `${chain}, Full`, rows: [full], lines: trees[0] },
      { what: `${chain}, Full and Incremental`, rows: [full, this.#row(chain, 'Incremental')], lines: trees[1] },
      { what: `${chain}, Full and Differential`, rows: [full, this.#row(chain, 'Differential')], lines: trees[2] },
      ...(['other', 'span'] as const).filter((kind) => this.#rows.has(`${mode}-${kind}`)).map((kind) => ({ what: `${mode}-${kind}`, rows: [this.#row(`${mode}-${kind}`, 'Full')], lines: long })),
    ];
  }

  async #byBacula(): Promise<void> {
    for (const { mode, device } of readable) for (const { what, rows, lines } of await this.#expected(mode)) await this.#restore(what, { rows, lines, device, ignored: lostByBacula });
    for (const { what, rows, lines } of await this.#expected('bpipe')) await this.#restore(what, { rows: rows.slice(-1), lines, device: 'File' });
    // Bacula takes one volume from a FIFO for each restore, so no chain and nothing that spans.
    const full = this.#row('fifo-chain', 'Full');
    const [volume = ''] = await this.#volumesOf([full]);
    const feeder = this.#fifo('feed', '--volume', volume);
    await this.#restore('fifo-chain, Full', { rows: [full], lines: this.#trees[0] ?? [], device: 'Fifo', ignored: lostByBacula });
    await endChild(feeder);
  }

  async #restore(what: string, { rows, lines, device, ignored }: { readonly rows: readonly JobRow[]; readonly lines: readonly LiveLine[]; readonly device: string; readonly ignored?: typeof lostByBacula }): Promise<void> {
    const target = this.#stand.path('by-bacula');
    rmSync(target, { recursive: true, force: true });
    const row = await this.#server.restore(rows.map(({ id }) => id), target, device);
    if (this.#isQuirk(row)) this.#stand.context.log(`${what}: ${quirk}`);
    else this.#good(`${what}: Bacula's restore`, row);
    this.#stand.none(`${this.#kind}: ${what}: restored by Bacula, equal in md5 and metadata`, await this.#stand.differences(lines, target, ignored));
  }

  /** Whether an error is only {@link quirk}. */
  #isQuirk({ id, errors }: JobRow): boolean {
    if (this.#keyPair === undefined || this.#server.installation.version !== '9.6.7' || errors !== 1) return false;
    const faults = this.#server.logOf(id).split('\n').filter((line) => line.includes('live-fd') && line.includes('Error: '));
    return faults.length === 1 && /Decryption error\. buf_len=5 .*\/border\/size-65537$/.test(faults[0] ?? '');
  }

  /** Adapters have ended, daemons too: what is in the repositories counts. */
  async #byHoldfast(): Promise<void> {
    const volumes = new Map<string, readonly string[]>();
    const modes = ['tail', 'fuse', 'fifo'];
    for (const mode of modes) for (const { what, rows } of await this.#expected(mode)) volumes.set(what, await this.#volumesOf(rows));
    const repository = this.#stand.path('repository');
    await this.#server.stop();
    this.#stand.equal(`${this.#kind}: the mount ends well`, await this.#mount.end('SIGTERM'), 0);
    this.#stand.equal(`${this.#kind}: the follower ends well`, await endChild(this.#tail), 0);
    this.#stand.none(`${this.#kind}: stored volumes are the files, byte by byte`, await volumeFaults(this.#stand, repository, { archive: this.#server.volumes, scratch: this.#stand.path('fetched') }));
    const directory = this.#stand.path('fetched');
    await fetchVolumes(this.#stand, repository, { names: [...new Set([...volumes.values()].flat())], directory });
    for (const mode of modes) {
      for (const { what, rows, lines } of await this.#expected(mode)) {
        const files = (volumes.get(what) ?? []).map((name) => path.join(directory, name)).join(',');
        await this.#ownRestore(what, `${files}::${rows.length === 1 ? 'job' : 'jobs'}=${rows.map(({ id }) => id).join('+')}`, lines);
      }
    }
    await this.#snapshots();
    for (const name of ['repository', 'bpipe']) await this.#stand.holdfast('check', this.#stand.path(name), '--read-data');
  }

  /** Of mode B each level is a snapshot with all files. */
  async #snapshots(): Promise<void> {
    const { snapshots } = await this.#stand.holdfast('snapshots', this.#stand.path('bpipe')) as unknown as { readonly snapshots: readonly { readonly id: string; readonly tags: readonly string[] }[] };
    const chain = snapshots.filter(({ tags }) => tags.some((tag) => tag.startsWith('bacula-job:bpipe-chain')));
    this.#stand.equal(`${this.#kind}: mode B has a snapshot for each level`, chain.length, LEVELS.length);
    for (const [i, { id }] of chain.entries()) await this.#ownRestore(`bpipe-chain, ${LEVELS[i]}`, `${this.#stand.path('bpipe')}::${id}`, this.#trees[i] ?? []);
  }

  async #ownRestore(what: string, location: string, lines: readonly LiveLine[]): Promise<void> {
    const target = this.#stand.path('by-holdfast');
    rmSync(target, { recursive: true, force: true });
    await this.#stand.holdfast('restore', location, target, ...(this.#keyPair === undefined || location.includes('/bpipe::') ? [] : ['--key', this.#keyPair]));
    this.#stand.none(`${this.#kind}: ${what}: restored by holdfast, equal in md5 and metadata`, await this.#stand.differences(lines, target));
  }
}

async function makeKeyPair(file: string): Promise<void> {
  const parts = [`${file}.key`, `${file}.crt`] as const;
  await runTool(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '30', '-subj', '/CN=lab', '-keyout', parts[0], '-out', parts[1]]);
  await runTool(['sh', '-c', `cat '${parts[0]}' '${parts[1]}' > '${file}'`]);
}

async function runModes(installation: BaculaInstallation, context: ScenarioContext): Promise<Tally> {
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const kind of ['plain', 'encrypted'] as const) {
    const tally = await new Round(context, kind).run(installation);
    for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += tally[key];
  }
  return total;
}

const tools = ['root', 'sqlite3', 'openssl', 'setfacl', 'setfattr', 'getfattr', 'mknod', 'mkfifo', 'cmp'];

/** About four minutes. */
export const baculaModes: Scenario = { name: 'bacula-modes', needs: [...baculaPrograms, ...tools], quick: false, run: (context) => runModes(installedBacula(), context) };

/** With Bacula 15.0.3, which is unpacked first. */
export const baculaModes15: Scenario = {
  name: 'bacula-modes-15', needs: ['debootstrap', 'chroot', 'dpkg-deb', ...tools], quick: false,
  run: async (context) => runModes(await unpackTrixieBacula(context.workDirectory), context),
};
