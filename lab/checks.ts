/** Counts checks of a scenario and logs each as one line. */
import type { ScenarioContext, Tally } from './scenario.ts';

/** A running tally. */
export class Checks {
  #passed = 0;
  #failed = 0;
  #skipped = 0;
  readonly #log: (message: string) => void;

  constructor(context: Pick<ScenarioContext, 'log'>) {
    this.#log = (message) => { context.log(message); };
  }

  /** One check; `found` says what was seen when it does not hold. */
  expect(what: string, holds: boolean, found: string): void {
    if (holds) this.#passed += 1;
    else this.#failed += 1;
    this.#log(holds ? `pass ${what}` : `FAIL ${what}: ${found}`);
  }

  skip(what: string): void {
    this.#skipped += 1;
    this.#log(`skip ${what}`);
  }

  get tally(): Tally {
    return { passed: this.#passed, failed: this.#failed, skipped: this.#skipped };
  }
}
