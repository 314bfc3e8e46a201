/** What a lab scenario is: a test against real peers, tools or corpora, that says what it needs. */

/** Checks of one scenario. Each failed one has been logged with what was expected and found. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** What a scenario gets. */
export interface ScenarioContext {
  /** Prints one line under the scenario's name. */
  log(message: string): void;
  /** The folder `bacula-public` of the unpacked corpus; set when the scenario needs `corpus`. Read only. */
  readonly corpus?: string;
  /** An empty folder of its own, removed afterwards unless HOLDFAST_LAB_KEEP=1. */
  readonly workDirectory: string;
  /** Seed for everything random, an unsigned 32-bit number; printed, and set again by HOLDFAST_SEED. */
  readonly seed: number;
}

/** One scenario of the lab; its module exports it as `scenario` and is listed in `run.ts`. */
export interface Scenario {
  readonly name: string;
  /** Programs that must be on PATH, and the words `root` (user id 0) and `corpus`. */
  readonly needs: readonly string[];
  /** Part of `--quick`, which CI runs: together not longer than about 15 minutes. */
  readonly quick: boolean;
  /** Resolves when all checks are done; a throw counts as one failed check. Must leave no process behind. */
  run(context: ScenarioContext): Promise<Tally>;
}
