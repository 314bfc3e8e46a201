/**
 * Mode B under an unmodified Bacula: `holdfast-bacula-bpipe` stores behind a holdfast daemon. Bytes on the wire are counted by a proxy, `begin` and `confirm` included; the
 * network breaks, the daemon is killed, is away, or refuses the key: no job that cannot be restored is called good.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobSetup } from './bacula/config.ts';
import { baculaPrograms, installedBacula, unpackTrixieBacula, type BaculaInstallation } from './bacula/installation.ts';
import { liveManifest, type LiveLine } from './bacula/live-manifest.ts';
import { BaculaServer, type JobRow } from './bacula/server.ts';
import { Stand } from './bacula/stand.ts';
import { growSpecials, SeededBytes } from './bacula/tree.ts';
import { CountingProxy } from './daemon/counting-proxy.ts';
import { DaemonSite, type RunningDaemon } from './daemon/site.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

const PROGRAM = 'holdfast-bacula-bpipe';
const WIRE_SHARE_MAX = 0.004;
const FILES = 6;
const FILE_BYTES = 8 << 20;
/** So slow that a backup of new data takes seconds. */
const SLOW_BYTES_PER_SECOND = 4 << 20;

class Round {
  readonly #stand: Stand;
  readonly #random: SeededBytes;

  constructor(context: ScenarioContext) {
    this.#stand = new Stand(context);
    this.#random = new SeededBytes(context.seed);
  }

  #job(name: string): JobSetup {
    const program = this.#stand.program(PROGRAM);
    const config = `--config ${this.#stand.path(`${name}.yaml`)}`;
    return {
      name, options: { signature: 'MD5' },
      plugins: [`bpipe:/holdfast/tree:${program} backup ${config} ${this.#stand.path('tree')}:${program} restore ${config} --where=%w`],
      scripts: [
        { when: 'Before', onClient: true, command: `${program} begin ${config} --job '%j'` },
        { when: 'After', onClient: true, command: `${program} confirm ${config} --job '%j' --bytes %b` },
      ],
    };
  }

  #change(): void {
    for (let i = 0; i < FILES; i += 1) writeFileSync(this.#stand.path('tree', String(i)), this.#random.bytes(FILE_BYTES));
  }

  async run(installation: BaculaInstallation): Promise<Tally> {
    mkdirSync(this.#stand.path('tree'));
    mkdirSync(this.#stand.path('site'));
    this.#change();
    await growSpecials(this.#stand.path('tree'), this.#random);
    const site = await DaemonSite.make(this.#stand.path('site'));
    await site.must(['enroll', '--site-key', this.#stand.path('other.key')]);
    await site.must(['enroll', 'client', '--hosts', site.hosts, '--out', this.#stand.path('client.key')]);
    const daemon = await site.start();
    const proxy = await CountingProxy.start(site.wirePort);
    for (const [name, key] of [['wire', this.#stand.path('client.key')], ['refused', this.#stand.path('other.key')]] as const) {
      writeFileSync(this.#stand.path(`${name}.yaml`), `repository: ${site.location(proxy.port)}\nstate: state-${name}\nwireKey: ${key}\n`);
    }
    const server = await BaculaServer.start(installation, this.#stand.path('bacula'), { jobs: [this.#job('wire'), this.#job('refused')] });
    let running: RunningDaemon | undefined = daemon;
    try {
      this.#stand.context.log(`Bacula ${installation.version} is up`);
      await this.#wire(server, proxy);
      this.#stand.failed('a key that the daemon does not know', await server.runJob('refused', 'Full'));
      await this.#broken(server, proxy);
      await this.#killed(server, proxy, daemon);
      running = undefined;
      this.#stand.failed('no daemon', await server.runJob('wire', 'Full'));
      running = await site.start();
      await this.#exact(server, 'after the daemon is back', await server.runJob('wire', 'Full'));
    } finally {
      await server.stop();
      await proxy.stop();
      running?.process.kill('SIGKILL');
    }
    return this.#stand.checks.tally;
  }

  async #exact(server: BaculaServer, what: string, row: JobRow, lines?: readonly LiveLine[]): Promise<void> {
    this.#stand.good(what, row, server.logOf(row.id));
    const target = this.#stand.path(`by-bacula-${row.id}`);
    const restored = await server.restore([row.id], target);
    this.#stand.good(`${what}: Bacula's restore`, restored, server.logOf(restored.id));
    this.#stand.none(`${what}: equal in md5 and metadata`, await this.#stand.differences(lines ?? await liveManifest(this.#stand.path('tree')), target));
  }

  async #wire(server: BaculaServer, proxy: CountingProxy): Promise<void> {
    await this.#exact(server, 'Full over the wire', await server.runJob('wire', 'Full'));
    const before = proxy.bytes;
    const row = await server.runJob('wire', 'Full');
    const share = (proxy.bytes - before) / (FILES * FILE_BYTES);
    this.#stand.good('unchanged Full', row);
    this.#stand.checks.expect(`unchanged Full: ${(share * 100).toFixed(3)} % of the client's bytes on the wire, at most 0.4 %`, share <= WIRE_SHARE_MAX, `${proxy.bytes - before} bytes`);
  }

  /** Starts a backup of new data, so slow that what happens next hits it. @returns its id once data flows. */
  async #slow(server: BaculaServer, proxy: CountingProxy): Promise<number> {
    this.#change();
    proxy.bytesPerSecond = SLOW_BYTES_PER_SECOND;
    const before = proxy.counts.up;
    const id = await server.startJob('wire', 'Full');
    for (let tries = 0; tries < 400 && proxy.counts.up - before < FILE_BYTES; tries += 1) await sleep(50);
    return id;
  }

  /** The network breaks twice; the client goes on where it was. */
  async #broken(server: BaculaServer, proxy: CountingProxy): Promise<void> {
    const id = await this.#slow(server, proxy);
    this.#stand.checks.expect('the network breaks while data flows', proxy.cut() > 0, 'nothing was connected');
    await sleep(1500);
    proxy.cut();
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await this.#exact(server, 'the network broke twice', await server.settled(id, 120_000));
  }

  async #killed(server: BaculaServer, proxy: CountingProxy, daemon: RunningDaemon): Promise<void> {
    const id = await this.#slow(server, proxy);
    daemon.process.kill('SIGKILL');
    await daemon.ended;
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    // The client tries for two minutes to come back; nobody waits for that here.
    await sleep(2000);
    await server.cancel(id);
    this.#stand.failed('a killed daemon', await server.settled(id, 150_000));
    for (const pid of this.#stand.pidsOf(PROGRAM).slice(-1)) {
      try { process.kill(pid, 'SIGKILL'); } catch { /* it has ended */ }
    }
  }
}

const tools = ['root', 'sqlite3', 'setfacl', 'setfattr', 'getfattr', 'mknod', 'mkfifo'];

/** About two minutes. */
export const baculaDaemon: Scenario = { name: 'bacula-daemon', needs: [...baculaPrograms, ...tools], quick: false, run: (context) => new Round(context).run(installedBacula()) };

/** With Bacula 15.0.3, which is unpacked first. */
export const baculaDaemon15: Scenario = {
  name: 'bacula-daemon-15', needs: ['debootstrap', 'chroot', 'dpkg-deb', ...tools], quick: false,
  run: async (context) => new Round(context).run(await unpackTrixieBacula(context.workDirectory)),
};
