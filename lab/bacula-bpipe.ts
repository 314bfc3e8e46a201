/**
 * `holdfast-bacula-bpipe` under an unmodified Bacula: files with all metadata and streams go through FileSet lines into repositories and come back through
 * Bacula's restore and through the command line; and whatever goes wrong, no job that cannot be restored is called good. Placements of RunScripts and what
 * they can change: `plugins/bacula-bpipe/README.md`.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { createHash } from 'node:crypto';
import type { JobSetup, RunScript } from './bacula/config.ts';
import { baculaPrograms, installedBacula, unpackTrixieBacula, type BaculaInstallation } from './bacula/installation.ts';
import { liveManifest, type LiveLine } from './bacula/live-manifest.ts';
import { BaculaServer } from './bacula/server.ts';
import { bytesBelow, Stand } from './bacula/stand.ts';
import { changeTree, growFiles, growSpecials, SeededBytes } from './bacula/tree.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

const PROGRAM = 'holdfast-bacula-bpipe';
const GROWTH_MAX = 0.01;
const STREAM_LINES = 300_000;

class Round {
  readonly #stand: Stand;
  readonly #random: SeededBytes;

  constructor(context: ScenarioContext) {
    this.#stand = new Stand(context);
    this.#random = new SeededBytes(context.seed);
  }

  /** The settings of a repository, and the words that begin each command line. */
  #settings(name: string, repository: string, more = ''): string {
    writeFileSync(this.#stand.path(`${name}.yaml`), `repository: ${repository}\nstate: state-${name}\n${more}`);
    return this.#stand.path(`${name}.yaml`);
  }

  #line(name: string, read: string, write: string, program: string = this.#stand.program(PROGRAM)): string {
    const config = `--config ${this.#stand.path(`${name}.yaml`)}`;
    return `bpipe:/holdfast/${name}:${program} backup ${config} ${read}:${this.#stand.program(PROGRAM)} restore ${config} ${write}`;
  }

  #scripts(name: string, receipts = 1): readonly RunScript[] {
    const [program, config] = [this.#stand.program(PROGRAM), `--config ${this.#stand.path(`${name}.yaml`)}`];
    return [
      { when: 'Before', onClient: true, command: `${program} begin ${config} --job '%j'` },
      { when: 'After', onClient: true, command: `${program} confirm ${config} --job '%j' --bytes %b --receipts ${receipts}` },
    ];
  }

  #job(name: string, plugins: readonly string[], scripts: readonly RunScript[] = this.#scripts(name, plugins.length)): JobSetup {
    return { name, options: { signature: 'MD5' }, plugins, scripts };
  }

  /** Every job of the scenario. Settings `…-nobody` have no RunScripts: what the catalog alone then says. */
  #jobs(): readonly JobSetup[] {
    const where = '--where=%w --replace=%r';
    const tree = this.#stand.path('tree');
    const copy = this.#stand.path('streamed');
    const stream = `--stream dump.txt --command 'seq ${STREAM_LINES}'`;
    return [
      { ...this.#job('files', [this.#line('files', tree, where)]), accurate: true },
      this.#job('secret', [this.#line('secret', tree, where), this.#line('secret', stream, `--command 'cat > ${copy}'`).replace('/holdfast/secret', '/holdfast/dump')]),
      this.#job('cut', [this.#line('cut', `--stream dump.txt --command 'seq ${STREAM_LINES}; false'`, where)]),
      this.#job('wrongkey', [this.#line('wrongkey', tree, where)], this.#scripts('wrongkey').slice(1)),
      this.#job('absent', [this.#line('absent', tree, where, '/nowhere/holdfast-bacula-bpipe')]),
      this.#job('full', [this.#line('full', this.#stand.path('long'), where)]),
      this.#job('killed', [this.#line('killed', this.#stand.path('long'), where)]),
      this.#job('nobody', [this.#line('nobody', `--stream dump.txt --command 'false'`, where)], []),
    ];
  }

  async run(installation: BaculaInstallation): Promise<Tally> {
    const { root, path } = { root: this.#stand.root, path: (name: string) => this.#stand.path(name) };
    for (const name of ['tree', 'long']) mkdirSync(path(name));
    growFiles(path('tree'), this.#random, 60, 200_000);
    await growSpecials(path('tree'), this.#random);
    for (let i = 0; i < 4; i += 1) writeFileSync(`${path('long')}/${i}`, this.#random.bytes(12 << 20));
    writeFileSync(path('key'), 'a passphrase\n', { mode: 0o600 });
    writeFileSync(path('other-key'), 'another passphrase\n', { mode: 0o600 });
    for (const name of ['files', 'cut', 'absent', 'killed', 'nobody']) this.#settings(name, 'plain');
    this.#settings('secret', 'sealed', 'keys: [key]\n');
    this.#settings('wrongkey', 'sealed', 'keys: [other-key]\n');
    this.#settings('full', 'small/repository');
    await this.#stand.holdfast('init', path('plain'));
    await this.#stand.holdfast('init', path('sealed'), '--encrypt', '--key', path('key'));
    const server = await BaculaServer.start(installation, `${root}/bacula`, { jobs: this.#jobs() });
    try {
      this.#stand.context.log(`Bacula ${installation.version} is up`);
      await this.#files(server);
      await this.#encryptedAndStream(server);
      await this.#troubles(server);
      await this.#full(server);
      await this.#killed(server);
      await this.#forgotten(server);
    } finally {
      await server.stop();
    }
    return this.#stand.checks.tally;
  }

  /** Full twice, Incremental and Differential after changes; each restored by both. */
  async #files(server: BaculaServer): Promise<void> {
    const tree = this.#stand.path('tree');
    const repository = this.#stand.path('plain');
    const before = await liveManifest(tree);
    const first = await server.runJob('files', 'Full');
    this.#stand.good('Full', first, server.logOf(first.id));
    const size = bytesBelow(repository);
    const again = await server.runJob('files', 'Full');
    this.#stand.good('unchanged Full', again);
    const growth = bytesBelow(repository) - size;
    const content = before.reduce((sum, line) => sum + (line.type === 'file' ? line.size : 0), 0);
    this.#stand.checks.expect(`unchanged Full: the repository grows by ${growth} of ${content} bytes, at most 1 %`, growth <= content * GROWTH_MAX, `found '${growth}'`);
    await this.#both(server, 'Full', again.id, before);
    changeTree(tree, this.#random);
    const after = await liveManifest(tree);
    for (const level of ['Incremental', 'Differential'] as const) {
      const row = await server.runJob('files', level);
      this.#stand.good(level, row);
      await this.#both(server, level, row.id, after);
    }
    await this.#byBacula(server, 'the older Full', first.id, before);
  }

  async #byBacula(server: BaculaServer, what: string, job: number, lines: readonly LiveLine[]): Promise<void> {
    const target = this.#stand.path(`by-bacula-${job}`);
    this.#stand.good(`${what}: Bacula's restore`, await server.restore([job], target));
    this.#stand.none(`${what}: restored by Bacula, equal in md5 and metadata`, await this.#stand.differences(lines, target));
  }

  /** The last job: through Bacula, and by the command line. */
  async #both(server: BaculaServer, what: string, job: number, lines: readonly LiveLine[]): Promise<void> {
    await this.#byBacula(server, what, job, lines);
    const own = this.#stand.path(`by-holdfast-${job}`);
    await this.#stand.holdfast('restore', `${this.#stand.path('plain')}::latest`, own);
    this.#stand.none(`${what}: restored by holdfast, equal in md5 and metadata`, await this.#stand.differences(lines, own));
  }

  /** Two plugin lines in one FileSet, an encrypted repository, a stream from one command into another. */
  async #encryptedAndStream(server: BaculaServer): Promise<void> {
    const lines = await liveManifest(this.#stand.path('tree'));
    const row = await server.runJob('secret', 'Full');
    this.#stand.good('two lines, encrypted', row, server.logOf(row.id));
    const target = this.#stand.path('by-bacula-secret');
    const restored = await server.restore([row.id], target);
    this.#stand.good('two lines: restore', restored, server.logOf(restored.id));
    this.#stand.none('two lines: the tree is equal', await this.#stand.differences(lines, target));
    const expected = execFileSync('seq', [String(STREAM_LINES)], { maxBuffer: 1 << 26 });
    const md5 = (bytes: Uint8Array): string => createHash('md5').update(bytes).digest('hex');
    this.#stand.equal('two lines: the stream is equal', md5(readFileSync(this.#stand.path('streamed'))), md5(expected));
  }

  async #troubles(server: BaculaServer): Promise<void> {
    for (const [name, what] of [['cut', 'a dump that failed half way'], ['wrongkey', 'a wrong key'], ['absent', 'no adapter']] as const) {
      this.#stand.failed(what, await server.runJob(name, 'Full'));
    }
    const row = await server.runJob('nobody', 'Full');
    this.#stand.checks.expect(`without RunScripts a failed reader shows only in JobErrors (${row.errors}) and JobBytes (${row.bytes}): '${row.status}'`, row.errors > 0 && row.bytes === 0, JSON.stringify(row));
  }

  /** A disk that has no room for what is backed up. */
  async #full(server: BaculaServer): Promise<void> {
    const [image, mount] = [this.#stand.path('image'), this.#stand.path('small')];
    writeFileSync(image, '');
    truncateSync(image, 24 << 20);
    mkdirSync(mount);
    execFileSync('mkfs.ext4', ['-q', '-m', '0', image]);
    execFileSync('mount', ['-o', 'loop', image, mount]);
    try {
      await this.#stand.holdfast('init', `${mount}/repository`);
      this.#stand.failed('a full disk', await server.runJob('full', 'Full'));
      const found = await this.#stand.holdfast('snapshots', `${mount}/repository`);
      this.#stand.equal('a full disk: there is no snapshot', (found['snapshots'] as readonly unknown[]).length, 0);
    } finally {
      execFileSync('umount', [mount]);
      rmSync(image);
    }
  }

  /** The reader is ended while it works. */
  async #killed(server: BaculaServer): Promise<void> {
    const before = this.#stand.pidsOf(PROGRAM).length;
    const id = await server.startJob('killed', 'Full');
    // The first process of the job is `begin`, the second the reader.
    for (let tries = 0; tries < 200 && this.#stand.pidsOf(PROGRAM).length < before + 2; tries += 1) await sleep(50);
    await sleep(300);
    const reader = this.#stand.pidsOf(PROGRAM)[before + 1];
    this.#stand.checks.expect('the reader is at work', reader !== undefined, 'it was never started');
    if (reader !== undefined) process.kill(reader, 'SIGKILL');
    this.#stand.failed('a killed reader', await server.settled(id, 60_000));
  }

  /** A receipt whose snapshot is gone restores nothing, and says so. */
  async #forgotten(server: BaculaServer): Promise<void> {
    const row = await server.runJob('files', 'Full');
    const [{ snapshots }] = [await this.#stand.holdfast('snapshots', this.#stand.path('plain'))];
    await this.#stand.holdfast('forget', this.#stand.path('plain'), String((snapshots as readonly { readonly id: string }[]).at(-1)?.id));
    this.#stand.failed('restore of a forgotten snapshot', await server.restore([row.id], this.#stand.path('by-bacula-forgotten')));
  }
}

const tools = ['root', 'sqlite3', 'setfacl', 'setfattr', 'getfattr', 'mknod', 'mkfifo', 'mkfs.ext4', 'mount', 'umount', 'seq', 'bash'];

/** About a minute. */
export const baculaBpipe: Scenario = { name: 'bacula-bpipe', needs: [...baculaPrograms, ...tools], quick: true, run: (context) => new Round(context).run(installedBacula()) };

/** With Bacula 15.0.3, which is unpacked first. */
export const baculaBpipe15: Scenario = {
  name: 'bacula-bpipe-15', needs: ['debootstrap', 'chroot', 'dpkg-deb', ...tools], quick: false,
  run: async (context) => new Round(context).run(await unpackTrixieBacula(context.workDirectory)),
};
