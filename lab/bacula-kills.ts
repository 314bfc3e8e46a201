/**
 * SIGKILL at random moments of Bacula's jobs in each mode: client, storage daemon, director, holdfast's daemon, or whichever process of an adapter is at work,
 * during backup and restore. HOLDFAST_KILLS=N sets how many in each mode (default 12), HOLDFAST_KILLS_MODES=fifo,fuse which modes.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { baculaPrograms, installedBacula, unpackTrixieBacula, type BaculaInstallation } from './bacula/installation.ts';
import { KillCampaign, type KillStage } from './bacula/kill-campaign.ts';
import { FifoStage, FuseStage, TailStage } from './bacula/kill-stages-volumes.ts';
import { BpipeStage } from './bacula/kill-stages.ts';
import { Stand } from './bacula/stand.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

type Start = (installation: BaculaInstallation, stand: Stand) => Promise<KillStage>;

const stages: Readonly<Record<string, Start>> = {
  bpipe: (installation, stand) => BpipeStage.start(installation, stand, { behindDaemon: false }),
  daemon: (installation, stand) => BpipeStage.start(installation, stand, { behindDaemon: true }),
  fifo: (installation, stand) => FifoStage.start(installation, stand),
  tail: (installation, stand) => TailStage.start(installation, stand),
  fuse: (installation, stand) => FuseStage.start(installation, stand),
};

async function runKills(installation: BaculaInstallation, context: ScenarioContext): Promise<Tally> {
  const kills = Number(process.env['HOLDFAST_KILLS'] ?? 12);
  const modes = process.env['HOLDFAST_KILLS_MODES']?.split(',') ?? Object.keys(stages);
  process.setMaxListeners(0); // each adapter that is started again has one for our own end
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const mode of modes) {
    const start = stages[mode];
    if (start === undefined) throw new Error(`Kill in mode '${mode}': HOLDFAST_KILLS_MODES knows '${Object.keys(stages).join(',')}'`);
    const workDirectory = path.join(context.workDirectory, mode);
    mkdirSync(workDirectory);
    const stand = new Stand({ ...context, workDirectory });
    const stage = await start(installation, stand);
    try {
      await new KillCampaign(stage).run(kills);
    } finally {
      await stage.stop();
    }
    for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += stand.checks.tally[key];
  }
  return total;
}

const tools = ['root', 'sqlite3', 'getfattr', 'mkfifo'];

/** About fifteen seconds for each kill. */
export const baculaKills: Scenario = { name: 'bacula-kills', needs: [...baculaPrograms, ...tools], quick: false, run: (context) => runKills(installedBacula(), context) };

/** With Bacula 15.0.3, which is unpacked first. */
export const baculaKills15: Scenario = {
  name: 'bacula-kills-15', needs: ['debootstrap', 'chroot', 'dpkg-deb', ...tools], quick: false,
  run: async (context) => runKills(await unpackTrixieBacula(context.workDirectory), context),
};
