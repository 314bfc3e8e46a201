/**
 * A running, unmodified Bacula 9.6.7 (Debian bookworm's packages) writes fresh volumes; holdfast reads them. See
 * `bacula/round.ts` for what is compared.
 */
import { baculaPrograms, installedBacula } from './bacula/installation.ts';
import { runRound } from './bacula/round.ts';
import type { Scenario } from './scenario.ts';

/** About a minute. */
export const scenario: Scenario = {
  name: 'bacula-live',
  needs: ['root', ...baculaPrograms, 'setfacl', 'setfattr', 'getfattr', 'mknod', 'mkfifo'],
  quick: true,
  run: (context) => runRound(installedBacula(), context),
};
