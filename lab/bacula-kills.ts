/**
 * SIGKILL at random moments of Bacula's jobs through `holdfast-bacula-bpipe`: client, storage daemon, director, or whichever process of the adapter is at
 * work, during backup and restore. The oracle: a backup that the catalog calls good (T, no errors, bytes) must restore byte-exact through Bacula, and a
 * restore that it calls good must have done so. HOLDFAST_KILLS=N sets how many (default 40).
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { baculaPrograms, installedBacula, unpackTrixieBacula, type BaculaInstallation } from './bacula/installation.ts';
import { liveManifest, type LiveLine } from './bacula/live-manifest.ts';
import { BaculaServer, type JobRow } from './bacula/server.ts';
import { Stand } from './bacula/stand.ts';
import { growFiles, SeededBytes } from './bacula/tree.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

const PROGRAM = 'holdfast-bacula-bpipe';
const VICTIMS = ['bacula-fd', 'bacula-sd', 'bacula-dir', 'adapter'] as const;
const PHASES = ['backup', 'restore'] as const;
const SETTLE_MS = 30_000;
/** A little beyond the end of an undisturbed job, so that the end itself is hit too. */
const BEYOND = 1.15;
/** Failed backups after which one is made in peace. */
const AGAIN_EACH = 4;

type Victim = (typeof VICTIMS)[number];
type Phase = (typeof PHASES)[number];

interface Row {
  kills: number;
  good: number;
  failed: number;
  falseGood: number;
}

/** Whether a process is still one of the adapter's: ids are used again. */
function isAdapter(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('bacula-bpipe');
  } catch {
    return false;
  }
}

class Campaign {
  readonly #stand: Stand;
  readonly #random: SeededBytes;
  readonly #server: BaculaServer;
  readonly #rows: Map<string, Row> = new Map<string, Row>();
  readonly #spans: Record<Phase, number> = { backup: 0, restore: 0 };
  /** The last good backup, and what it must give. */
  #good: { readonly id: number; readonly lines: readonly LiveLine[] } = { id: 0, lines: [] };
  #failedBackups = 0;

  constructor(stand: Stand, server: BaculaServer) {
    this.#stand = stand;
    this.#server = server;
    this.#random = new SeededBytes(stand.context.seed);
  }

  async run(kills: number): Promise<void> {
    growFiles(this.#stand.path('tree'), this.#random, 20, 600_000);
    await this.#undisturbed();
    try {
      for (let done = 0; done < kills; ) {
        const [victim, phase] = [this.#random.pick(VICTIMS), this.#random.pick(PHASES)];
        if (!await this.#once(victim, phase)) continue;
        done += 1;
        if (done % 10 === 0) this.#stand.context.log(`${done} of ${kills} kills`);
      }
    } finally {
      this.#table(); // what was done counts, also when Bacula's tools fail
    }
  }

  /** Measures how long jobs take, and leaves a good backup. */
  async #undisturbed(): Promise<void> {
    const started = Date.now();
    const id = await this.#server.startJob('kills', 'Full');
    const row = await this.#server.settled(id, SETTLE_MS);
    this.#spans.backup = Date.now() - started;
    this.#stand.good('undisturbed backup', row, this.#server.logOf(id));
    this.#good = { id, lines: await liveManifest(this.#stand.path('tree')) };
    const again = Date.now();
    const restored = await this.#server.settled(await this.#server.startRestore([id], this.#stand.path('out')), SETTLE_MS);
    this.#spans.restore = Date.now() - again;
    this.#stand.good('undisturbed restore', restored);
  }

  /** @returns whether somebody was killed: the adapter may not be at work at the moment. */
  async #once(victim: Victim, phase: Phase): Promise<boolean> {
    rmSync(this.#stand.path('out'), { recursive: true, force: true });
    if (phase === 'backup') writeFileSync(this.#stand.path('tree', 'changing'), this.#random.bytes(1 + this.#random.below(2_000_000)));
    const id = phase === 'backup' ? await this.#server.startJob('kills', 'Full') : await this.#server.startRestore([this.#good.id], this.#stand.path('out'));
    await sleep(this.#random.below(Math.round(this.#spans[phase] * BEYOND)));
    const killed = await this.#kill(victim);
    await sleep(300);
    await this.#server.revive(); // as an init system would: a director waits minutes for a client that is not there
    const row = await this.#end(id, victim);
    const lines = phase === 'backup' ? await liveManifest(this.#stand.path('tree')) : this.#good.lines;
    const good = row.status === 'T' && row.errors === 0 && row.bytes > 0;
    const wrong = good ? await this.#wrong(phase, id, lines) : [];
    if (good && phase === 'backup' && wrong.length === 0) this.#good = { id, lines };
    else if (phase === 'backup') await this.#backupAgain();
    if (killed) this.#count(victim, phase, good, wrong);
    else if (wrong.length > 0) this.#stand.none(`job ${id}, nobody killed`, wrong);
    return killed;
  }

  async #kill(victim: Victim): Promise<boolean> {
    if (victim !== 'adapter') {
      await this.#server.kill(victim);
      return true;
    }
    const pid = this.#stand.pidsOf(PROGRAM).at(-1);
    if (pid === undefined || !isAdapter(pid)) return false;
    try {
      process.kill(pid, 'SIGKILL');
      return true;
    } catch {
      return false; // it has just ended by itself
    }
  }

  /** The job's last word. Jobs of a dead director have none: they stay as they are in the catalog. */
  async #end(id: number, victim: Victim): Promise<JobRow> {
    const row = await this.#server.settled(id, victim === 'bacula-dir' ? 1500 : SETTLE_MS);
    if ('CRBSMmsjdctpi'.includes(row.status) && victim !== 'bacula-dir') {
      await this.#server.cancel(id);
      await this.#server.settled(id, SETTLE_MS / 2);
    }
    // A reader outlives its client, and must not meet the next job's.
    for (let tries = 0; tries < 300 && this.#stand.pidsOf(PROGRAM).some(isAdapter); tries += 1) await sleep(100);
    return this.#server.row(id);
  }

  /** A good backup must restore byte-exact; a good restore must have. */
  async #wrong(phase: Phase, id: number, lines: readonly LiveLine[]): Promise<readonly string[]> {
    if (phase === 'restore') return this.#stand.differences(lines, this.#stand.path('out'));
    const restored = await this.#inPeace(() => this.#server.startRestore([id], this.#stand.path('out')));
    if (restored.status !== 'T') return [`its restore ends with '${restored.status}': ${this.#server.logOf(restored.id).slice(-1000)}`];
    return this.#stand.differences(lines, this.#stand.path('out'));
  }

  /** An undisturbed job; once more where the first did not end well, because daemons may still be busy with what was killed. */
  async #inPeace(start: () => Promise<number>): Promise<JobRow> {
    const first = await this.#server.settled(await start(), 2 * SETTLE_MS);
    if (first.status === 'T' && first.errors === 0) return first;
    this.#stand.context.log(`job ${first.id} in peace ended with '${first.status}', ${first.errors} errors: ${this.#server.logOf(first.id).slice(-600)}`);
    await this.#server.cancel(first.id);
    await this.#server.revive();
    await sleep(SETTLE_MS / 6);
    return this.#server.settled(await start(), 2 * SETTLE_MS);
  }

  /** After some of the failed backups an undisturbed one must succeed. @throws {Error} when something was left behind. */
  async #backupAgain(): Promise<void> {
    this.#failedBackups += 1;
    if (this.#failedBackups % AGAIN_EACH !== 0) return;
    const row = await this.#inPeace(() => this.#server.startJob('kills', 'Full'));
    if (row.status !== 'T' || row.errors > 0) throw new Error(`Back up after a kill: job ${row.id} ended with '${JSON.stringify(row)}': ${this.#server.logOf(row.id).slice(-2000)}`);
    this.#good = { id: row.id, lines: await liveManifest(this.#stand.path('tree')) };
  }

  #count(victim: Victim, phase: Phase, good: boolean, wrong: readonly string[]): void {
    const key = `${victim} | ${phase}`;
    const row = this.#rows.get(key) ?? { kills: 0, good: 0, failed: 0, falseGood: 0 };
    this.#rows.set(key, row);
    row.kills += 1;
    if (!good) row.failed += 1;
    else if (wrong.length === 0) row.good += 1;
    else row.falseGood += 1;
    if (wrong.length > 0) this.#stand.none(`${key}: a job called good is exact`, wrong);
  }

  #table(): void {
    const { log } = this.#stand.context;
    log('| killed | during | kills | job not good | job good and exact | job good and wrong |');
    log('|---|---|---|---|---|---|');
    for (const [key, { kills, failed, good, falseGood }] of [...this.#rows].sort()) log(`| ${key} | ${kills} | ${failed} | ${good} | ${falseGood} |`);
    const rows = [...this.#rows.values()];
    const total = rows.reduce((sum, row) => sum + row.kills, 0);
    this.#stand.equal(`${total} kills: no job is called good and is wrong`, rows.reduce((sum, row) => sum + row.falseGood, 0), 0);
  }
}

async function runKills(installation: BaculaInstallation, context: ScenarioContext): Promise<Tally> {
  const stand = new Stand(context);
  const program = stand.program(PROGRAM);
  const config = `--config ${stand.path('kills.yaml')}`;
  mkdirSync(stand.path('tree'));
  writeFileSync(stand.path('kills.yaml'), 'repository: repository\nstate: state\n');
  await stand.holdfast('init', stand.path('repository'));
  const server = await BaculaServer.start(installation, stand.path('bacula'), {
    jobs: [{
      name: 'kills', options: { signature: 'MD5' },
      plugins: [`bpipe:/holdfast/tree:${program} backup ${config} ${stand.path('tree')}:${program} restore ${config} --where=%w`],
      scripts: [
        { when: 'Before', onClient: true, command: `${program} begin ${config} --job '%j'` },
        { when: 'After', onClient: true, command: `${program} confirm ${config} --job '%j' --bytes %b` },
      ],
    }],
  });
  try {
    await new Campaign(stand, server).run(Number(process.env['HOLDFAST_KILLS'] ?? 40));
    await stand.holdfast('check', stand.path('repository'), '--read-data');
    stand.checks.expect('the repository is whole afterwards', true, '');
  } finally {
    await server.stop();
    for (const pid of stand.pidsOf(PROGRAM)) if (isAdapter(pid)) execFileSync('kill', ['-9', String(pid)]);
  }
  return stand.checks.tally;
}

/** About ten seconds for each kill. */
export const baculaKills: Scenario = { name: 'bacula-kills', needs: ['root', ...baculaPrograms, 'getfattr'], quick: false, run: (context) => runKills(installedBacula(), context) };

/** With Bacula 15.0.3, which is unpacked first. */
export const baculaKills15: Scenario = {
  name: 'bacula-kills-15', needs: ['root', 'debootstrap', 'chroot', 'dpkg-deb', 'sqlite3', 'getfattr'], quick: false,
  run: async (context) => runKills(await unpackTrixieBacula(context.workDirectory), context),
};
