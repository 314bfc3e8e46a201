/** Counts what held and says what did not. */
import type { Tally } from '../scenario.ts';

const shownMax = 8;

/** The checks of one scenario. */
export class Checks {
  #passed = 0;
  #failed = 0;
  readonly #log: (line: string) => void;

  constructor(log: (line: string) => void) {
    this.#log = log;
  }

  /** One check: equal as JSON, for numbers and short lists. */
  equal(what: string, found: unknown, expected: unknown): void {
    const [got, want] = [JSON.stringify(found), JSON.stringify(expected)];
    this.none(what, got === want ? [] : [`found '${got}', expected '${want}'`]);
  }

  /** One check: the list of faults is empty; the first few are logged. */
  none(what: string, faults: readonly string[]): void {
    if (faults.length === 0) {
      this.#passed += 1;
      this.#log(`ok      ${what}`);
      return;
    }
    this.#failed += 1;
    this.#log(`FAILED  ${what}: ${faults.length} faults`);
    for (const fault of faults.slice(0, shownMax)) this.#log(`          ${fault}`);
  }

  /** The result so far. */
  tally(): Tally {
    return { passed: this.#passed, failed: this.#failed, skipped: 0 };
  }
}
