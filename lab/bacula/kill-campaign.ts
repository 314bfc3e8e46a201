/**
 * SIGKILL at random moments of Bacula's jobs in one mode. The oracle: a backup that the catalog calls good (status, no errors, bytes) must restore byte-exact
 * through Bacula, and a restore that it calls good (with all files of the backup) must have done so.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { liveManifest, type LiveLine } from './live-manifest.ts';
import type { BaculaServer, JobRow } from './server.ts';
import type { Stand } from './stand.ts';
import { growFiles, SeededBytes } from './tree.ts';

const SETTLE_MS = 30_000;
/** A little beyond the end of an undisturbed job, so that the end itself is hit too. */
const BEYOND = 1.15;
/** Failed backups after which one is made in peace. */
const AGAIN_EACH = 4;
/** Attempts for one kill: what is to be killed may not be at work at the moment. */
const ATTEMPTS_MAX = 8;
/** Letters of jobs that have not ended. */
const UNDER_WAY = 'CRBSMmsjdctpi';

/** The job that all stages have. */
export const KILLS_JOB = 'kills';

/** What a job is doing while somebody is killed. */
export type Phase = 'backup' | 'restore';

/** One mode, with all that runs in it. The source of its job {@link KILLS_JOB} is `tree` of its stand. */
export interface KillStage {
  readonly mode: string;
  readonly stand: Stand;
  readonly server: BaculaServer;
  /** Device of the volumes. */
  readonly device: string;
  /** Who may be killed in each phase; more often who is named more often. A phase without any does not happen. */
  readonly victims: Readonly<Record<Phase, readonly string[]>>;
  /** Starts what an administrator has running before a job; `jobId` is the one to be restored. */
  ready(phase: Phase, jobId: number): Promise<void>;
  /** @returns whether there was somebody to be killed. */
  kill(victim: string): Promise<boolean>;
  /** Starts again what an init system would. */
  revive(): Promise<void>;
  /** Resolves when nothing of a job that has ended is at work, its last RunScript included. */
  quiet(): Promise<void>;
  /** What else the mode promises after every job, good or not, and does not hold. */
  faults(): Promise<readonly string[]>;
  stop(): Promise<void>;
}

interface Row {
  kills: number;
  good: number;
  failed: number;
  falseGood: number;
}

interface GoodBackup {
  readonly id: number;
  readonly files: number;
  readonly lines: readonly LiveLine[];
}

/** See the module's comment. */
export class KillCampaign {
  readonly #stage: KillStage;
  readonly #random: SeededBytes;
  readonly #rows: Map<string, Row> = new Map<string, Row>();
  readonly #spans: Record<Phase, number> = { backup: 0, restore: 0 };
  #good: GoodBackup = { id: 0, files: 0, lines: [] };
  #failedBackups = 0;
  #lastMs = 0;

  constructor(stage: KillStage) {
    this.#stage = stage;
    this.#random = new SeededBytes(stage.stand.context.seed);
  }

  get #server(): BaculaServer {
    return this.#stage.server;
  }

  get #stand(): Stand {
    return this.#stage.stand;
  }

  /** @throws {Error} when an undisturbed job does not end well after a kill. */
  async run(kills: number): Promise<void> {
    growFiles(this.#stand.path('tree'), this.#random, 20, 600_000);
    writeFileSync(this.#stand.path('tree', 'large'), this.#random.bytes(12 << 20));
    await this.#undisturbed();
    const phases = (['backup', 'restore'] as const).filter((phase) => this.#stage.victims[phase].length > 0);
    try {
      for (let done = 0; done < kills; done += 1) {
        const phase = this.#random.pick(phases);
        const victim = this.#random.pick(this.#stage.victims[phase]);
        for (let tries = 0; tries < ATTEMPTS_MAX; tries += 1) if (await this.#once(victim, phase)) break;
        if ((done + 1) % 10 === 0) this.#stand.context.log(`${this.#stage.mode}: ${done + 1} of ${kills} kills`);
      }
    } finally {
      this.#table(); // what was done counts, also when Bacula's tools fail
    }
  }

  /** Measures how long jobs take, and leaves a good backup. */
  async #undisturbed(): Promise<void> {
    const row = await this.#job('backup');
    this.#spans.backup = this.#lastMs;
    this.#stand.good(`${this.#stage.mode}: undisturbed backup`, row, this.#server.logOf(row.id));
    this.#good = { id: row.id, files: row.files, lines: await liveManifest(this.#stand.path('tree')) };
    const restored = await this.#job('restore', row.id);
    this.#spans.restore = this.#lastMs;
    this.#stand.good(`${this.#stage.mode}: undisturbed restore`, restored, this.#server.logOf(restored.id));
    this.#stand.none(`${this.#stage.mode}: undisturbed, equal in md5 and metadata`, await this.#restoredFaults(this.#good));
  }

  async #start(phase: Phase, jobId: number): Promise<number> {
    await this.#stage.ready(phase, jobId);
    if (phase === 'backup') return this.#server.startJob(KILLS_JOB, 'Full');
    rmSync(this.#stand.path('out'), { recursive: true, force: true });
    return this.#server.startRestore([jobId], this.#stand.path('out'), this.#stage.device);
  }

  /** A job that nobody disturbs, to its end. */
  async #job(phase: Phase, jobId = 0): Promise<JobRow> {
    const id = await this.#start(phase, jobId);
    const started = Date.now();
    await this.#server.settled(id, 2 * SETTLE_MS);
    this.#lastMs = Date.now() - started;
    await this.#stage.quiet();
    return this.#server.row(id);
  }

  /** @returns whether somebody was killed: an adapter may not be at work at the moment. */
  async #once(victim: string, phase: Phase): Promise<boolean> {
    if (phase === 'backup') writeFileSync(this.#stand.path('tree', 'changing'), this.#random.bytes(1 + this.#random.below(4_000_000)));
    const id = await this.#start(phase, this.#good.id);
    await sleep(this.#random.below(Math.round(this.#spans[phase] * BEYOND)));
    const killed = await this.#stage.kill(victim);
    await sleep(300);
    await this.#stage.revive(); // as an init system would: a director waits minutes for a client that is not there
    const row = await this.#end(id, victim);
    const backup = phase === 'backup' ? { id, files: row.files, lines: await liveManifest(this.#stand.path('tree')) } : this.#good;
    const good = 'TW'.includes(row.status) && row.errors === 0 && row.bytes > 0 && row.files >= backup.files;
    if (!good && row.status === 'T') this.#stand.context.log(`${this.#stage.mode}, ${victim}, ${phase}: status 'T', and only its numbers say that it is not good: ${JSON.stringify(row)} of ${backup.files} files`);
    const wrong = [...good ? await this.#wrong(phase, backup) : [], ...await this.#stage.faults()];
    if (good && phase === 'backup' && wrong.length === 0) this.#good = backup;
    else if (phase === 'backup') await this.#backupAgain();
    if (killed) this.#count(`${victim} | ${phase}`, good, wrong);
    if (wrong.length > 0) this.#stand.none(`${this.#stage.mode}, ${victim}, ${phase}${killed ? '' : ', nobody killed'}: job ${id} (${JSON.stringify(row)}) is exact`, wrong);
    return killed;
  }

  /** The job's last word. Jobs of a dead director have none: they stay as they are in the catalog. */
  async #end(id: number, victim: string): Promise<JobRow> {
    const row = await this.#server.settled(id, victim === 'bacula-dir' ? 1500 : SETTLE_MS);
    if (UNDER_WAY.includes(row.status) && victim !== 'bacula-dir') {
      await this.#server.cancel(id);
      await this.#server.settled(id, SETTLE_MS / 2);
    }
    await this.#stage.quiet();
    return this.#server.row(id);
  }

  /** A good backup must restore byte-exact; a good restore must have. */
  async #wrong(phase: Phase, backup: GoodBackup): Promise<readonly string[]> {
    if (phase === 'backup') {
      const restored = await this.#inPeace('restore', backup.id);
      if (restored.status !== 'T') return [`its restore ends with '${restored.status}': ${this.#server.logOf(restored.id).slice(-1000)}`];
    }
    return this.#restoredFaults(backup);
  }

  #restoredFaults({ lines }: GoodBackup): Promise<readonly string[]> {
    return this.#stand.differences(lines, this.#stand.path('out'), (line, field) => line.type === 'dir' && field === 'mtime');
  }

  /** An undisturbed job; once more where the first did not end well, because daemons may still be busy with what was killed. */
  async #inPeace(phase: Phase, jobId = 0): Promise<JobRow> {
    const first = await this.#job(phase, jobId);
    if (first.status === 'T' && first.errors === 0) return first;
    this.#stand.context.log(`${this.#stage.mode}: job ${first.id} in peace ended with '${first.status}', ${first.errors} errors: ${this.#server.logOf(first.id).slice(-600)}`);
    await this.#server.cancel(first.id);
    // A storage daemon keeps what is left of a device that went away under it.
    await this.#server.kill('bacula-sd');
    await this.#stage.revive();
    await sleep(SETTLE_MS / 6);
    return this.#job(phase, jobId);
  }

  /** After some of the failed backups an undisturbed one must succeed. @throws {Error} when something was left behind. */
  async #backupAgain(): Promise<void> {
    this.#failedBackups += 1;
    if (this.#failedBackups % AGAIN_EACH !== 0) return;
    const row = await this.#inPeace('backup');
    if (row.status !== 'T' || row.errors > 0) throw new Error(`Back up after a kill: job ${row.id} ended with '${JSON.stringify(row)}': ${this.#server.logOf(row.id).slice(-2000)}`);
    const backup = { id: row.id, files: row.files, lines: await liveManifest(this.#stand.path('tree')) };
    this.#stand.none(`${this.#stage.mode}: a backup after kills is exact`, await this.#wrong('backup', backup));
    this.#good = backup;
  }

  #count(key: string, good: boolean, wrong: readonly string[]): void {
    const row = this.#rows.get(key) ?? { kills: 0, good: 0, failed: 0, falseGood: 0 };
    this.#rows.set(key, row);
    row.kills += 1;
    if (wrong.length > 0) row.falseGood += 1;
    else if (good) row.good += 1;
    else row.failed += 1;
  }

  #table(): void {
    const { log } = this.#stand.context;
    log('| mode | killed | during | kills | job not good | job good and exact | job good and wrong |');
    log('|---|---|---|---|---|---|---|');
    for (const [key, { kills, failed, good, falseGood }] of [...this.#rows].sort()) log(`| ${this.#stage.mode} | ${key} | ${kills} | ${failed} | ${good} | ${falseGood} |`);
    const rows = [...this.#rows.values()];
    const total = rows.reduce((sum, row) => sum + row.kills, 0);
    this.#stand.equal(`${this.#stage.mode}: ${total} kills, no job is called good and is wrong`, rows.reduce((sum, row) => sum + row.falseGood, 0), 0);
  }
}
