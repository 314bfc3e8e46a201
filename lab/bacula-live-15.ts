/** As `bacula-live.ts`, with Bacula 15.0.3 from Debian trixie, which writes block format BB03. Downloads about 100 MB of packages. */
import { ToolError } from '../src/core/index.ts';
import { type BaculaInstallation, unpackTrixieBacula } from './bacula/installation.ts';
import { runRound } from './bacula/round.ts';
import type { Scenario, ScenarioContext, Tally } from './scenario.ts';

async function run(context: ScenarioContext): Promise<Tally> {
  let installation: BaculaInstallation;
  try {
    installation = await unpackTrixieBacula(context.workDirectory);
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    context.log(`SKIPPED: Debian trixie's packages cannot be had: ${error.message}`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  return runRound(installation, context);
}

/** About three minutes. */
export const scenario: Scenario = {
  name: 'bacula-live-15',
  needs: ['root', 'debootstrap', 'chroot', 'dpkg-deb', 'sqlite3', 'setfacl', 'setfattr', 'getfattr', 'mknod', 'mkfifo'],
  quick: false,
  run,
};
